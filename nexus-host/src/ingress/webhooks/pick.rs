//! Where in a request something is found: receives `header:NAME` or a JSON pointer, hands on the text
//! that stands there. It reads no more of a body than leads to the place, and copies nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::config::InvalidValue;

/// How many steps a pointer may have: no body within the limits is deeper.
const MOST_STEPS: usize = 128;

/// A JSON pointer (RFC 6901), such as `/data/object`.
///
/// ```
/// use nexus_host::ingress::webhooks::Pointer;
///
/// let pointer: Pointer = "/data/0/a~1b".parse()?;
/// assert_eq!(pointer.find(r#"{"data": [{"a/b": [1, 2]}]}"#), Some("[1, 2]"));
/// # Ok::<(), nexus_host::config::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// The name of the member it leads to; none for the whole text.
    pub(super) fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    /// The JSON text of the value it points to. `json` is a valid text in which no key occurs twice.
    pub fn find<'t>(&self, json: &'t str) -> Option<&'t str> {
        let mut value = json.trim();
        for step in &self.0 {
            value = match value.as_bytes().first()? {
                b'{' => {
                    let members: HashMap<String, &RawValue> = serde_json::from_str(value).ok()?;
                    members.get(step.as_str())?.get()
                }
                b'[' => {
                    let index = index(step)?;
                    let items: Vec<&RawValue> = serde_json::from_str(value).ok()?;
                    items.get(index)?.get()
                }
                _ => return None,
            };
        }
        Some(value)
    }
}

/// An index has no leading zeros and no sign.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || (!step.starts_with('0') && step.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| step.parse().ok())?
}

impl FromStr for Pointer {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const WRONG: InvalidValue = InvalidValue(
            "is not a JSON pointer; write one such as \"/data/id\", with `~1` for `/` and `~0` for `~` in a key",
        );
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let steps = text.strip_prefix('/').ok_or(WRONG)?;
        let steps: Option<Vec<String>> = steps.split('/').map(unescaped).collect();
        steps
            .filter(|steps| steps.len() <= MOST_STEPS)
            .map(Self)
            .ok_or(WRONG)
    }
}

fn unescaped(step: &str) -> Option<String> {
    let stray = step
        .split('~')
        .skip(1)
        .any(|rest| !rest.starts_with(['0', '1']));
    (!stray).then(|| step.replace("~1", "/").replace("~0", "~"))
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            write!(f, "/{}", step.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

/// Where in a request something is found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// `header:NAME`.
    Header(HeaderName),
    /// A JSON pointer into the body.
    Body(Pointer),
}

impl Pick {
    /// Whether it is a header, which few schemes sign.
    pub(super) fn is_header(&self) -> bool {
        matches!(self, Self::Header(_))
    }

    /// The text that stands there: a header's value, a string, or a number as it is written. `None` where
    /// there is nothing, null, or anything else.
    pub(super) fn text<'r>(&self, headers: &'r HeaderMap, json: &'r str) -> Option<Cow<'r, str>> {
        match self {
            Self::Header(name) => {
                let mut values = headers.get_all(name).iter();
                // Two of the name are none: nobody can tell which one was meant.
                let (value, None) = (values.next()?, values.next()) else {
                    return None;
                };
                value.to_str().ok().map(Cow::Borrowed)
            }
            Self::Body(pointer) => {
                let found = pointer.find(json)?;
                match found.as_bytes().first()? {
                    b'"' => serde_json::from_str(found).ok().map(Cow::Owned),
                    b'-' | b'0'..=b'9' => Some(Cow::Borrowed(found)),
                    _ => None,
                }
            }
        }
    }
}

impl FromStr for Pick {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Some(name) = text.strip_prefix("header:") {
            return HeaderName::from_str(name).map(Self::Header).map_err(|_| {
                InvalidValue("does not name a header; write one such as \"header:X-Event\"")
            });
        }
        if text.is_empty() {
            return Err(InvalidValue(
                "is empty; write \"header:NAME\" or a JSON pointer such as \"/event\"",
            ));
        }
        text.parse().map(Self::Body).map_err(|_| {
            InvalidValue(
                "is no place in a request; write \"header:NAME\" or a JSON pointer such as \"/event\"",
            )
        })
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Body(pointer) => write!(f, "{pointer}"),
        }
    }
}

/// Whether a text is a place in a request.
pub(crate) fn check_pick(text: &str) -> Result<(), InvalidValue> {
    text.parse::<Pick>().map(drop)
}

/// Whether a text is a JSON pointer.
pub(crate) fn check_pointer(text: &str) -> Result<(), InvalidValue> {
    text.parse::<Pointer>().map(drop)
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Pointer {
    fn schema_name() -> Cow<'static, str> {
        "Pointer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "nexus-pointer", "examples": ["/data"] })
    }
}

impl Serialize for Pick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Pick {
    fn schema_name() -> Cow<'static, str> {
        "Pick".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "nexus-pick",
            "examples": ["header:X-GitHub-Event", "/event"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_lead_through_objects_and_arrays() {
        let json = r#" {"a": {"b": [10, "x", {"": true}]}, "m~n": 1, "o/p": -2.50, "é": "q\"", "z": null} "#;
        let find = |pointer: &str| pointer.parse::<Pointer>().unwrap().find(json);
        assert_eq!(find(""), Some(json.trim()));
        assert_eq!(find("/a/b/0"), Some("10"));
        assert_eq!(find("/a/b/2/"), Some("true"));
        assert_eq!(find("/m~0n"), Some("1"));
        assert_eq!(
            find("/o~1p"),
            Some("-2.50"),
            "numbers stay as they are written"
        );
        assert_eq!(find("/é"), Some(r#""q\"""#));
        assert_eq!(find("/z"), Some("null"));
        for nothing in [
            "/b", "/a/b/3", "/a/b/00", "/a/b/-", "/a/b/+1", "/a/b/0/x", "/a/",
        ] {
            assert_eq!(find(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in [
            "",
            "event",
            "header:",
            "header:a b",
            "header:é",
            "/a~2",
            "/~",
            "$.a",
            " /a",
        ] {
            assert!(bad.parse::<Pick>().is_err(), "{bad:?}");
        }
        for good in ["/", "/a~1b/~0", "header:x-event"] {
            assert_eq!(good.parse::<Pick>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn texts_are_strings_and_numbers_and_single_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("x-once", "push".parse().unwrap());
        headers.append("x-twice", "a".parse().unwrap());
        headers.append("x-twice", "b".parse().unwrap());
        let json = r#"{"s": "a\u0062", "n": 1700000000, "t": true, "z": null, "o": {}}"#;
        let text = |pick: &str| {
            let pick: Pick = pick.parse().unwrap();
            pick.text(&headers, json).map(Cow::into_owned)
        };
        assert_eq!(text("header:X-Once").as_deref(), Some("push"));
        assert_eq!(text("/s").as_deref(), Some("ab"));
        assert_eq!(text("/n").as_deref(), Some("1700000000"));
        for nothing in ["header:x-twice", "header:x-none", "/t", "/z", "/o", "/none"] {
            assert_eq!(text(nothing), None, "{nothing}");
        }
    }
}
