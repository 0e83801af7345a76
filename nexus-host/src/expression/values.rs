//! An event as CEL sees it.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::objects::{Key, Map};
use nexus_plugin_api::Event;

use crate::admission::Tree;

/// What an event has beside its payload.
pub(super) const MEMBERS: [&str; 10] = [
    "event_id",
    "type",
    "source",
    "timestamp",
    "priority",
    "correlation_id",
    "contract_version",
    "causation_id",
    "partition_key",
    "expires_at",
];

/// A payload. Whole numbers are `int`, or `uint` where they are too large for that; all others `double`.
pub(super) fn payload(tree: &Tree<'_>) -> Value {
    match tree {
        Tree::Null => Value::Null,
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::UInt(uint),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Tree::String(text) => string(text),
        Tree::Array(items) => Value::List(Arc::new(items.iter().map(payload).collect())),
        Tree::Object(members) => {
            let members = members.iter().map(|(key, value)| (&**key, payload(value)));
            map(members)
        }
    }
}

/// The other fields of the event; those it does not have are null. `timestamp` and `expires_at` are
/// timestamps.
pub(super) fn envelope(event: &Event) -> Value {
    let optional = |text: Option<&str>| text.map_or(Value::Null, string);
    let version = event.contract_version.as_ref().map(ToString::to_string);
    let causation = event.causation_id.map(|id| id.to_string());
    let expires_at = event
        .expires_at
        .map(|at| Value::Timestamp(at.fixed_offset()));
    let members = [
        string(&event.event_id.to_string()),
        string(&event.event_type),
        string(&event.source),
        Value::Timestamp(event.timestamp.fixed_offset()),
        string(event.priority.as_str()),
        optional(event.correlation_id.as_deref()),
        optional(version.as_deref()),
        optional(causation.as_deref()),
        optional(event.partition_key.as_deref()),
        expires_at.unwrap_or(Value::Null),
    ];
    map(MEMBERS.into_iter().zip(members))
}

fn string(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn map<'k>(members: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let members = members.into_iter();
    let members: HashMap<Key, Value> = members
        .map(|(key, value)| (Key::from(key.to_owned()), value))
        .collect();
    Value::Map(Map {
        map: Arc::new(members),
    })
}
