//! Headers of a request: receives names and templates, hands on pairs that are one header each.

use std::collections::BTreeMap;

use nexus_plugin_api::PluginError;
use serde_json::Value;

use crate::template::Template;

/// What says how a request is carried, which is nobody's but the client's; and who signs in, which `auth` says.
const OTHERS: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "accept-encoding",
];

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers(Vec<(String, Template)>);

impl Headers {
    /// Reads names and templates as a target has them.
    pub(crate) fn read(written: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut headers: Vec<(String, Template)> = Vec::new();
        for (name, template) in written {
            let name = checked_name(name)?;
            if headers.iter().any(|(known, _)| *known == name) {
                return Err(format!("header `{name}` stands there twice"));
            }
            if template.contains(char::is_control) {
                return Err(format!("header `{name}` holds a control character"));
            }
            let template = template.parse();
            let template = template.map_err(|why| format!("header `{name}` {why}"))?;
            headers.push((name, template));
        }
        Ok(Self(headers))
    }

    /// Whether there is one of that name, in lower case.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The headers, with values.
    pub(crate) fn fill(&self, values: &Value) -> Result<Vec<(String, String)>, PluginError> {
        let filled = self.0.iter().map(|(name, template)| {
            let text = template.fill(values, |path, text| {
                match text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
                    true => Ok(text),
                    false => Err(path.unfit(
                        "cannot stand in a header: it holds a line break, another control character, or letters beyond ASCII",
                    )),
                }
            })?;
            Ok((name.clone(), text))
        });
        filled.collect()
    }
}

/// A header's name in lower case, if it may be set.
pub(crate) fn checked_name(name: &str) -> Result<String, String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let lower = name.to_ascii_lowercase();
    match () {
        () if name.is_empty() || !name.bytes().all(is_token) => {
            Err(format!("`{name}` is no name of a header"))
        }
        () if OTHERS.contains(&lower.as_str()) => Err(format!(
            "header `{name}` cannot be set here; who signs in is said by `auth`, the rest by the client"
        )),
        () => Ok(lower),
    }
}
