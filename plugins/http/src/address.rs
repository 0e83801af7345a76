//! A target's address: receives `https://{values.shop}.example.org/orders/{values.id}`, hands on a URL. A value never
//! leaves its place: none adds a part to a path or a query, and none changes the scheme or leads to another port.

use std::str::FromStr;

use nexus_plugin_api::PluginError;
use nexus_plugin_api::outgoing::Target;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::template::{Part, Path, Template};

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    template: Template,
    /// Of each placeholder, in order.
    zones: Vec<Zone>,
    /// What of the host follows its last placeholder.
    host_ends: String,
}

/// Where in a URL something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Host,
    Path,
    Query,
}

impl Address {
    /// Whether values say which host it is.
    pub(crate) fn host_is_chosen(&self) -> bool {
        self.zones.contains(&Zone::Host)
    }

    /// Whether it stays within one domain, whatever the values say. All of `.org` is no domain of one owner.
    pub(crate) fn is_within_a_domain(&self) -> bool {
        let domain = self.host_ends.strip_prefix('.');
        !self.host_is_chosen()
            || domain.is_some_and(|domain| domain.trim_end_matches('.').contains('.'))
    }

    /// The URL.
    pub(crate) fn fill(&self, values: &Value) -> Result<String, PluginError> {
        let mut zones = self.zones.iter();
        let url = self.template.fill(values, |path, text| {
            let zone = zones.next().copied().unwrap_or(Zone::Query);
            written(zone, path, &text)
        })?;
        // What programs read in different ways leads nowhere.
        url.parse::<Target>()
            .map_err(nexus_plugin_api::outgoing::Refused::into_plugin_error)?;
        Ok(url)
    }
}

fn written(zone: Zone, path: &Path, text: &str) -> Result<String, PluginError> {
    let is_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    match zone {
        Zone::Host if text.is_empty() || !text.chars().all(is_label) => {
            Err(path.unfit("is no part of a host name"))
        }
        // A part of a path that is empty, `.` or `..` is another path.
        Zone::Path if text.chars().all(|c| c == '.') => {
            Err(path.unfit("is empty or made of dots, which leads to another path"))
        }
        _ => Ok(utf8_percent_encode(text, RESERVED).to_string()),
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let template: Template = text.parse()?;
        let begins = ["https://", "http://"]
            .into_iter()
            .find(|s| text.starts_with(s));
        let scheme = begins.ok_or("begins neither with https:// nor with http://")?;
        let mut zone = Zone::Host;
        let mut zones = Vec::new();
        let mut host_ends = String::new();
        let mut skip = scheme.len();
        for part in template.parts() {
            let literal = match part {
                Part::Text(literal) => &literal[std::mem::take(&mut skip)..],
                Part::Value(_) => {
                    zones.push(zone);
                    if zone == Zone::Host {
                        host_ends.clear();
                    }
                    continue;
                }
            };
            if literal.contains('#') {
                return Err("holds `#`, which is never sent".to_owned());
            }
            if zone == Zone::Host {
                let end = literal.find(['/', '?']).unwrap_or(literal.len());
                let authority = &literal[..end];
                if authority.contains('@') {
                    return Err("holds a user name; `auth` is the place for it".to_owned());
                }
                if !host_ends.contains(':') {
                    host_ends.push_str(authority);
                }
                if end < literal.len() {
                    zone = Zone::Path;
                }
            }
            if zone == Zone::Path && literal.contains('?') {
                zone = Zone::Query;
            }
        }
        let address = Self {
            template,
            zones,
            host_ends,
        };
        // With something harmless in each place, it has to be a URL.
        let tried = address.template.parts().iter().map(|part| match part {
            Part::Text(literal) => literal.as_str(),
            Part::Value(_) => "1a",
        });
        let tried: String = tried.collect();
        match address.zones.contains(&Zone::Host) || tried.parse::<Target>().is_ok() {
            true => Ok(address),
            false => Err("is no URL".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(address: &str, value: &str) -> Result<String, PluginError> {
        let address: Address = address.parse().unwrap();
        address.fill(&json!({"v": value}))
    }

    #[test]
    fn a_value_stays_where_it_is_put() {
        for (address, value, url) in [
            ("https://h/a/{values.v}/b", "x", "https://h/a/x/b"),
            (
                "https://h/a/{values.v}",
                "x/y?z#é",
                "https://h/a/x%2Fy%3Fz%23%C3%A9",
            ),
            ("https://h/a/{values.v}", "%2e%2e", "https://h/a/%252e%252e"),
            (
                "https://h/a?q={values.v}",
                "a&b=c d",
                "https://h/a?q=a%26b%3Dc%20d",
            ),
            ("https://h/a?q={values.v}", "", "https://h/a?q="),
            ("https://h?q={values.v}", "..", "https://h?q=.."),
            ("https://{values.v}.h/", "shop-1", "https://shop-1.h/"),
        ] {
            assert_eq!(filled(address, value).unwrap(), url, "{address} {value}");
        }
    }

    #[test]
    fn a_value_that_would_leave_its_place_is_refused() {
        for (address, value) in [
            ("https://h/a/{values.v}/b", ".."),
            ("https://h/a/{values.v}", "."),
            ("https://h/a/{values.v}", ""),
            ("https://{values.v}.h/", "evil.org/"),
            ("https://{values.v}.h/", "evil.org#"),
            ("https://{values.v}.h/", "a@evil.org"),
            ("https://{values.v}.h/", "evil.org:80"),
            ("https://{values.v}.h/", "evil.org\\"),
            ("https://{values.v}.h/", "[::1]"),
            ("https://{values.v}.h/", ""),
            ("https://{values.v}/", "2130706433"),
        ] {
            let error = filled(address, value).unwrap_err();
            assert!(!error.retryable, "{address} {value}: {error}");
        }
    }

    #[test]
    fn it_knows_who_chooses_the_host() {
        for (address, is_chosen, is_within) in [
            ("https://h.example/{values.v}", false, true),
            ("https://h.example?{values.v}", false, true),
            ("https://{values.v}.h.example/", true, true),
            ("https://{values.v}.h.example:8443/", true, true),
            ("https://{values.v}.example/", true, false),
            ("https://{values.v}.example./", true, false),
            ("https://{values.v}/", true, false),
            ("https://api.{values.v}/x.y", true, false),
            ("https://api{values.v}", true, false),
            ("https://{values.v}:8443/", true, false),
            ("https://{values.v}.h.example:{values.v}/", true, false),
        ] {
            let read: Address = address.parse().unwrap();
            assert_eq!(read.host_is_chosen(), is_chosen, "{address}");
            assert_eq!(read.is_within_a_domain(), is_within, "{address}");
        }
        for bad in [
            "",
            "ftp://h/",
            "{values.v}://h",
            "h/x",
            "https://a@h/",
            "https://h/#x",
            "https://",
            "https://h:x/",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
