//! The contract `http.answered`: what a system has answered. Plain data, of bounded size.

use std::borrow::Cow;

use nexus_plugin_api::Contract;
use nexus_plugin_api::outgoing::Answer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fit::{fit, plain_text};

/// The longest body that is told, in bytes.
const LONGEST: usize = 64 * 1024;

/// A system has answered a request. Every `reply_event` has this payload; one of another type needs a contract of its
/// own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// Which target it was.
    pub target: String,
    /// The status, such as 200.
    pub status: u16,
    /// The body: as JSON where it is some, else as text; `null` where there is none. JSON that is too deep or has too
    /// much in it for an event is text as well.
    pub body: Value,
    /// Whether the body was longer than 64 KiB. Then `body` is the beginning of its text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

impl Contract for Answered {
    const TYPE: &'static str = "http.answered";
    const VERSION: &'static str = "1.0.0";
}

impl Answered {
    /// What a target has answered, without what nobody must read.
    pub(crate) fn of(target: &str, answer: &Answer, hidden: &[String]) -> Self {
        let body = told(answer, hidden);
        let text = text(&body);
        let is_cut = text.len() > LONGEST;
        let as_text = || {
            let end = text.floor_char_boundary(LONGEST);
            Value::String(plain_text(&text[..end]))
        };
        let body = match is_cut {
            true => as_text(),
            false => fit(&body).unwrap_or_else(as_text),
        };
        Self {
            target: target.to_owned(),
            status: answer.status(),
            body,
            is_cut,
        }
    }
}

/// An answer's body without what nobody must read: a system may send back what it was sent. JSON is searched as it
/// means, as a secret may be escaped in it.
pub(crate) fn told(answer: &Answer, hidden: &[String]) -> Value {
    let text = String::from_utf8_lossy(answer.body());
    let body = match text.is_empty() {
        true => Value::Null,
        false => serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned())),
    };
    redacted(body, hidden)
}

/// A body as text; nothing where there is none.
pub(crate) fn text(body: &Value) -> Cow<'_, str> {
    match body {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        body => Cow::Owned(body.to_string()),
    }
}

fn redacted(value: Value, hidden: &[String]) -> Value {
    let clean = |text: String| {
        hidden.iter().fold(text, |text, secret| {
            text.replace(secret.as_str(), "[redacted]")
        })
    };
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(list) => Value::Array(list.into_iter().map(|v| redacted(v, hidden)).collect()),
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .map(|(name, value)| (clean(name), redacted(value, hidden)))
                .collect(),
        ),
        // A secret of digits may come back as a number.
        Value::Number(number) if hidden.contains(&number.to_string()) => {
            Value::String(clean(number.to_string()))
        }
        plain => plain,
    }
}
