//! The contract `http.answered`: what a system has answered. Plain data, of bounded size.

use nexus_plugin_api::Contract;
use nexus_plugin_api::outgoing::Answer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// The body: as JSON where it is some, else as text; `null` where there is none.
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
        let text = told(answer, hidden);
        let is_cut = text.len() > LONGEST;
        let body = match is_cut {
            true => {
                let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
                Value::String(text[..end.unwrap_or_default()].to_owned())
            }
            false if text.is_empty() => Value::Null,
            false => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        };
        Self {
            target: target.to_owned(),
            status: answer.status(),
            body,
            is_cut,
        }
    }
}

/// An answer's text, without what nobody must read: a system may send back what it was sent.
pub(crate) fn told(answer: &Answer, hidden: &[String]) -> String {
    let text = String::from_utf8_lossy(answer.body());
    hidden.iter().fold(text.into_owned(), |text, secret| {
        text.replace(secret.as_str(), "[redacted]")
    })
}
