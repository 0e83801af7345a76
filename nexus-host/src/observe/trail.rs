//! What every line of an event's way says of the event: receives events, hands on spans with their ids and with the
//! few fields that the operator allows. Nothing else of an event goes into the log.

use std::borrow::Cow;
use std::str::FromStr;

use nexus_plugin_api::Event;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{Span, error_span};
use uuid::Uuid;

use crate::config::InvalidValue;
use crate::current::Current;

/// The target of the spans, which are kept whatever the log's filter says.
pub(super) const TARGET: &str = "nexus_host::observe::trail";

/// Characters of one field that are told.
const LONGEST: usize = 256;

/// What may be told of an event beside its ids.
const ATTRIBUTES: [&str; 5] = [
    "type",
    "source",
    "priority",
    "causation_id",
    "partition_key",
];

/// By what lines name an event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ids<'e> {
    pub(crate) event_id: Option<Uuid>,
    pub(crate) correlation_id: Option<&'e str>,
}

impl<'e> Ids<'e> {
    pub(crate) fn of(event: &'e Event) -> Self {
        Self {
            event_id: Some(event.event_id),
            correlation_id: event.correlation_id.as_deref(),
        }
    }

    /// What every line says that is told within it. There at every level: which event an error is about is not to be
    /// guessed.
    pub(crate) fn span(self) -> Span {
        self.span_with(None)
    }

    fn span_with(self, event: Option<String>) -> Span {
        let event_id = self.event_id.map(tracing::field::display);
        // As it is, not quoted: that is how a filter names it.
        let correlation_id = self.correlation_id.map(tracing::field::display);
        error_span!(target: TARGET, "event", event_id, correlation_id, event)
    }
}

/// Spans of events, with what may be told of each.
#[derive(Debug, Default)]
pub struct Trail {
    allowed: Current<Vec<LogField>>,
}

impl Trail {
    /// Tells these fields of events: names of attributes, and pointers into payloads.
    pub fn new(allowed: &[LogField]) -> Self {
        Self {
            allowed: Current::new(allowed.to_vec()),
        }
    }

    /// Tells these from now on.
    pub(crate) fn allow(&self, allowed: &[LogField]) {
        self.allowed.set(allowed.to_vec());
    }

    /// What every line says that is told within it.
    pub fn span(&self, event: &Event) -> Span {
        Ids::of(event).span_with(self.told(event))
    }

    fn told(&self, event: &Event) -> Option<String> {
        let allowed = self.allowed.get();
        if allowed.is_empty() {
            return None;
        }
        let points = allowed.iter().any(|field| field.0.starts_with('/'));
        let payload: Value = match points {
            true => serde_json::from_slice(event.payload.as_slice()).unwrap_or_default(),
            false => Value::Null,
        };
        let each = allowed.iter().filter_map(|field| {
            let value = match field.0.as_str() {
                "type" => event.event_type.clone().into(),
                "source" => event.source.clone().into(),
                "priority" => event.priority.as_str().into(),
                "causation_id" => event.causation_id?.to_string().into(),
                "partition_key" => event.partition_key.clone()?.into(),
                pointer => payload.pointer(pointer)?.clone(),
            };
            Some((field.0.clone(), bounded(value)))
        });
        Some(Value::Object(each.collect::<Map<_, _>>()).to_string())
    }
}

/// What is long is told as its beginning.
fn bounded(value: Value) -> Value {
    let text = match value {
        Value::String(text) => text,
        Value::Array(_) | Value::Object(_) => value.to_string(),
        short => return short,
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A field of events that lines may tell: the name of an attribute, or a pointer into the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogField(String);

impl FromStr for LogField {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const WRONG: InvalidValue = InvalidValue(
            "is no field of events; write type, source, priority, causation_id, partition_key, or a pointer into the payload such as \"/mail/folder\"",
        );
        let is_pointer = text.len() > 1 && text.starts_with('/');
        let is_known = is_pointer || ATTRIBUTES.contains(&text);
        is_known.then(|| Self(text.to_owned())).ok_or(WRONG)
    }
}

impl TryFrom<String> for LogField {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<LogField> for String {
    fn from(field: LogField) -> Self {
        field.0
    }
}

impl JsonSchema for LogField {
    fn schema_name() -> Cow<'static, str> {
        "LogField".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "nexus-log-field", "examples": ["type", "/mail/folder"] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mail(payload: Value) -> Event {
        Event::new("mail.received", "office", payload)
            .into_raw()
            .unwrap()
    }

    #[test]
    fn only_what_is_allowed_is_told() {
        let trail = Trail::new(&[]);
        let event =
            mail(json!({ "folder": "in", "text": "private", "who": { "name": "x".repeat(300) } }));
        assert_eq!(trail.told(&event), None);
        trail.allow(&["type", "/folder", "/who", "/nothing"].map(|field| field.parse().unwrap()));
        let told: Value = serde_json::from_str(&trail.told(&event).unwrap()).unwrap();
        assert_eq!(
            (&told["type"], &told["/folder"]),
            (&json!("mail.received"), &json!("in"))
        );
        assert_eq!(told["/who"].as_str().unwrap().chars().count(), LONGEST + 1);
        assert_eq!(told.as_object().unwrap().len(), 3);
    }

    #[test]
    fn fields_pass_and_slips_do_not() {
        for good in ATTRIBUTES.iter().chain(&["/a", "/a/0/b"]) {
            assert!(good.parse::<LogField>().is_ok(), "{good:?}");
        }
        for bad in ["", "/", "payload", "folder", "traceparent"] {
            assert!(bad.parse::<LogField>().is_err(), "{bad:?}");
        }
    }
}
