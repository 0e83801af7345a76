//! What a target sends: receives the configuration's `body`, `form` or `text`, hands on bytes with their type, filled
//! in with values.

use std::collections::BTreeMap;

use nexus_plugin_api::PluginError;
use serde_json::Value;

use crate::body::Body;
use crate::config::TargetConfig;
use crate::template::Template;

/// The type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// What is sent, one of three.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Json(Body),
    /// Names and values.
    Form(Vec<(String, Template)>),
    Text(Template),
}

/// A body, ready to be sent.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: &'static str,
}

impl Content {
    /// What a target's configuration says; `None` where it says nothing.
    pub(crate) fn read(config: &TargetConfig) -> Result<Option<Self>, String> {
        let is_form = |(name, value): (&String, &String)| {
            name.eq_ignore_ascii_case("content-type")
                && value.to_ascii_lowercase().starts_with(FORM)
        };
        Ok(match (&config.body, &config.form, &config.text) {
            (None, None, None) => None,
            (Some(_), None, None) if config.headers.iter().any(is_form) => {
                return Err(
                    "`body` is sent as JSON, and its type says a form; write `form`".to_owned(),
                );
            }
            (Some(body), None, None) => Some(Self::Json(
                body.parse().map_err(|why| format!("`body` {why}"))?,
            )),
            (None, Some(form), None) => Some(Self::Form(pairs(form)?)),
            (None, None, Some(text)) => Some(Self::Text(
                text.parse().map_err(|why| format!("`text` {why}"))?,
            )),
            _ => return Err("`body`, `form` and `text` do not go together; write one".to_owned()),
        })
    }

    /// Its key in the configuration.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "body",
            Self::Form(_) => "form",
            Self::Text(_) => "text",
        }
    }

    /// Its bytes, with values.
    pub(crate) fn fill(&self, values: &Value) -> Result<Filled, PluginError> {
        match self {
            Self::Json(body) => Filled::json(&body.fill(values)?),
            Self::Form(pairs) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, template) in pairs {
                    form.append_pair(name, &template.fill(values, |_, text| Ok(text))?);
                }
                Ok(Filled {
                    bytes: form.finish().into_bytes(),
                    content_type: FORM,
                })
            }
            Self::Text(template) => Ok(Filled {
                bytes: template.fill(values, |_, text| Ok(text))?.into_bytes(),
                content_type: "text/plain; charset=utf-8",
            }),
        }
    }
}

impl Filled {
    pub(crate) fn json(body: &Value) -> Result<Self, PluginError> {
        Ok(Self {
            bytes: serde_json::to_vec(body)?,
            content_type: "application/json",
        })
    }
}

fn pairs(form: &BTreeMap<String, String>) -> Result<Vec<(String, Template)>, String> {
    let pairs = form.iter().map(|(name, template)| {
        let template = template.parse();
        let template = template.map_err(|why| format!("`form.{name}` {why}"))?;
        Ok((name.clone(), template))
    });
    pairs.collect()
}
