//! A target's body: receives JSON with placeholders in its texts, hands on JSON. A text that is one placeholder becomes
//! the value itself, whatever it is; within a longer text a value is text. Nothing can leave its place: the body is put
//! together as data, not as text.

use std::str::FromStr;

use nexus_plugin_api::PluginError;
use serde_json::{Map, Value};

use crate::template::Template;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Text(Template),
    List(Vec<Body>),
    Object(Vec<(String, Body)>),
    Plain(Value),
}

impl Body {
    fn of(value: Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(text.parse()?),
            Value::Array(list) => {
                let list: Result<_, _> = list.into_iter().map(Self::of).collect();
                Self::List(list?)
            }
            Value::Object(object) => {
                let pairs = object
                    .into_iter()
                    .map(|(name, value)| Ok((name, Self::of(value)?)));
                Self::Object(pairs.collect::<Result<_, String>>()?)
            }
            plain => Self::Plain(plain),
        })
    }

    /// The body, with values.
    pub(crate) fn fill(&self, values: &Value) -> Result<Value, PluginError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => match template.whole() {
                Some(path) => path.value(values)?.clone(),
                None => Value::String(template.fill(values, |_, text| Ok(text))?),
            },
            Self::List(list) => {
                let filled: Result<_, _> = list.iter().map(|body| body.fill(values)).collect();
                Value::Array(filled?)
            }
            Self::Object(pairs) => {
                let filled = pairs
                    .iter()
                    .map(|(name, body)| Ok((name.clone(), body.fill(values)?)));
                Value::Object(filled.collect::<Result<Map<_, _>, PluginError>>()?)
            }
        })
    }
}

impl FromStr for Body {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
        Self::of(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_is_one_placeholder_keeps_the_values_type() {
        let body = r#"{"id": "{values.id}", "note": "No. {values.id}", "all": ["{values.lines}", 1, null],
                       "as": "{{it}} is"}"#;
        let body: Body = body.parse().unwrap();
        let filled = body
            .fill(&json!({"id": 17, "lines": [{"a": true}]}))
            .unwrap();
        let expected =
            json!({"id": 17, "note": "No. 17", "all": [[{"a": true}], 1, null], "as": "{it} is"});
        assert_eq!(filled, expected);
    }

    #[test]
    fn no_value_leaves_its_text() {
        let body: Body = r#"{"note": "> {values.v}", "admin": false}"#.parse().unwrap();
        let value = "\", \"admin\": true, \"x\": \"\n\\";
        let filled = body.fill(&json!({"v": value})).unwrap();
        assert_eq!(
            filled,
            json!({"note": format!("> {value}"), "admin": false})
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in ["", "{values.v}", "{", r#"{"a": "{b}"}"#] {
            assert!(bad.parse::<Body>().is_err(), "{bad}");
        }
    }
}
