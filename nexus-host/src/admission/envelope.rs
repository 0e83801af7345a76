//! The envelope of an event that a producer sent: receives the text of one JSON object, hands on
//! its fields and its payload, read once, or everything that is wrong with it. It knows no
//! clients and no contracts.

use std::borrow::Cow;
use std::fmt;

use chrono::Utc;
use nexus_plugin_api::{Event, Priority, RawJson};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Supplied;
use super::rejection::{Code, MAX_VIOLATIONS, Rejection, Violation, quoted};
use super::rules;
use super::strict_json::{self, Bounds, KeySeed, Reason, Tree, TreeSeed, Walk};
use crate::observe::Ids;
use crate::observe::stages::Named;

/// Where the fields that hold a text stand in [`Fields`].
const NAMES: [&str; 12] = [
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
    "traceparent",
    "tracestate",
];

/// The fields of an event as they stood there.
#[derive(Default)]
pub(super) struct Fields<'t> {
    texts: [Field<'t>; NAMES.len()],
    payload: Option<(&'t str, Tree<'t>)>,
    /// Fields that no event has; some of them, when they are many.
    unknown: Vec<String>,
}

#[derive(Default)]
enum Field<'t> {
    #[default]
    Absent,
    Null,
    Text(Cow<'t, str>),
    Other(&'static str),
}

/// An event whose envelope is in order, with its payload as a tree.
pub(super) struct Opened<'t> {
    pub(super) event: Event,
    pub(super) payload: Tree<'t>,
}

impl<'t> Fields<'t> {
    /// Reads one event.
    pub(super) fn read(text: &'t str, bounds: Bounds) -> Result<Self, Rejection> {
        if !text.trim_start().starts_with('{') {
            let tree = strict_json::parse(text, bounds, 0).map_err(|f| f.into_rejection(text))?;
            let message = format!("an event must be a JSON object, found {}", tree.kind());
            let place = Violation::new("", "must be an object");
            return Err(Rejection::new(Code::ContractViolation, message).with_errors(vec![place]));
        }
        let mut walk = Walk::new(text, bounds);
        let mut json = strict_json::deserializer(text);
        let fields = FieldsSeed { walk: &mut walk };
        let parsed = fields.deserialize(&mut json);
        let parsed = parsed.and_then(|fields| json.end().map(|()| fields));
        walk.end(parsed).map_err(|fault| fault.into_rejection(text))
    }

    /// The source and the type, when both are well-formed.
    pub(super) fn origin(&self) -> Option<(&str, &str)> {
        match (&self.texts[2], &self.texts[1]) {
            (Field::Text(source), Field::Text(event_type))
                if rules::is_source(source) && rules::is_event_type(event_type) =>
            {
                Some((source, event_type))
            }
            _ => None,
        }
    }

    /// What the log calls it by, as far as it is well-formed.
    pub(super) fn ids(&self) -> Ids<'_> {
        let text = |place: usize| match &self.texts[place] {
            Field::Text(text) => Some(text.as_ref()),
            _ => None,
        };
        Ids {
            event_id: text(0).and_then(rules::uuid),
            correlation_id: text(5).filter(|text| rules::is_label(text)),
        }
    }

    /// Which event it is, as far as that is well-formed.
    pub(super) fn named(&self) -> Named {
        let ids = self.ids();
        let origin = self.origin();
        Named {
            event_id: ids.event_id,
            event_type: origin.map(|(_, event_type)| event_type.to_owned()),
            source: origin.map(|(source, _)| source.to_owned()),
            correlation_id: ids.correlation_id.map(str::to_owned),
        }
    }

    /// Applies the rules and fills in what was left out.
    pub(super) fn open(self, supplied: Supplied<'_>) -> Result<Opened<'t>, Rejection> {
        let [
            event_id,
            event_type,
            source,
            timestamp,
            priority,
            correlation_id,
            contract_version,
            causation_id,
            partition_key,
            expires_at,
            traceparent,
            tracestate,
        ] = self.texts;
        let mut found = Found(Vec::new());
        let text = |good: fn(&str) -> bool| move |text: &str| good(text).then(|| text.to_owned());

        let event_type =
            found.required(event_type, "/type", rules::TYPE, text(rules::is_event_type));
        let source = found.required(source, "/source", rules::SOURCE, text(rules::is_source));
        let event_id = found.defaulted(event_id, "/event_id", rules::EVENT_ID, rules::uuid);
        let timestamp = found.defaulted(timestamp, "/timestamp", rules::TIME, rules::time);
        let priority = found.defaulted(priority, "/priority", rules::PRIORITY, rules::priority);
        let label = text(rules::is_label);
        let correlation_id = found.optional(correlation_id, "/correlation_id", rules::LABEL, label);
        let partition_key = found.optional(partition_key, "/partition_key", rules::LABEL, label);
        let contract_version = found.optional(
            contract_version,
            "/contract_version",
            rules::VERSION,
            rules::version,
        );
        let causation_id = found.optional(
            causation_id,
            "/causation_id",
            rules::CAUSATION_ID,
            rules::uuid,
        );
        let expires_at = found.optional(expires_at, "/expires_at", rules::TIME, rules::time);
        let any = text(|_| true);
        let mut traceparent = found.optional(traceparent, "/traceparent", "must be a string", any);
        let mut tracestate = found.optional(tracestate, "/tracestate", "must be a string", any);
        supplied.trace(&mut traceparent, &mut tracestate);
        rules::settle_trace(&mut traceparent, &mut tracestate);

        let payload = match self.payload {
            None => {
                found.add("/payload", rules::NO_PAYLOAD);
                None
            }
            Some((_, tree)) if !matches!(tree, Tree::Object(_)) => {
                found.add(
                    "/payload",
                    format!("must be an object, found {}", tree.kind()),
                );
                None
            }
            payload => payload,
        };
        let is_cloudevent = self.unknown.iter().any(|name| name == "specversion");
        for name in self.unknown {
            let pointer = format!("/{}", escaped(&name));
            found.add(
                &pointer,
                "is not a field of an event; put it into the payload",
            );
        }
        match (found.0.is_empty(), event_type, source, payload) {
            (true, Some(event_type), Some(source), Some((raw, payload))) => {
                let event = Event {
                    event_id: event_id.or(supplied.event_id).unwrap_or_else(Uuid::now_v7),
                    event_type,
                    source,
                    timestamp: timestamp.unwrap_or_else(Utc::now),
                    priority: priority.unwrap_or(Priority::Normal),
                    correlation_id,
                    contract_version,
                    causation_id,
                    partition_key,
                    expires_at,
                    traceparent,
                    tracestate,
                    // Its own copy: a slice would keep the whole request in memory, or the read
                    // buffer behind it, for as long as the event waits.
                    payload: RawJson::from_checked(raw.as_bytes().to_vec()),
                };
                Ok(Opened { event, payload })
            }
            (_, event_type, source, _) => {
                let refused = match is_cloudevent {
                    true => a_cloudevent(found.0),
                    false => not_an_event(found.0),
                };
                Err(refused.of(Named {
                    event_id,
                    event_type,
                    source,
                    correlation_id,
                }))
            }
        }
    }
}

/// The rejection of what would be an event if it had been sent as what it is.
fn a_cloudevent(errors: Vec<Violation>) -> Rejection {
    let message = "this looks like a CloudEvent, and was not sent as one: over HTTP its Content-Type is \
                   application/cloudevents+json, or application/cloudevents-batch+json for an array; a \
                   WebSocket takes them with the subprotocol cloudevents.json";
    Rejection::new(Code::ContractViolation, message).with_errors(errors)
}

/// The rejection of an event whose envelope is not in order.
pub(super) fn not_an_event(errors: Vec<Violation>) -> Rejection {
    let message = "the event is not in order; see `errors`";
    Rejection::new(Code::ContractViolation, message).with_errors(errors)
}

/// A key within a JSON Pointer, cut when it is long.
pub(crate) fn escaped(key: &str) -> String {
    const LONGEST: usize = 200;
    let mut escaped = String::new();
    for (index, c) in key.chars().enumerate() {
        match c {
            _ if index == LONGEST => {
                escaped.push('…');
                break;
            }
            '~' => escaped.push_str("~0"),
            '/' => escaped.push_str("~1"),
            c => escaped.push(c),
        }
    }
    escaped
}

struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, pointer: &str, message: impl Into<String>) {
        self.0.push(Violation::new(pointer, message));
    }

    fn read<T>(
        &mut self,
        field: Field<'_>,
        pointer: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = match &field {
            Field::Absent => return None,
            Field::Text(text) => read(text),
            Field::Null | Field::Other(_) => None,
        };
        if value.is_none() {
            let kind = match field {
                Field::Null => "; found null",
                Field::Other(kind) => &format!("; found {kind}"),
                Field::Absent | Field::Text(_) => "",
            };
            self.add(pointer, format!("{rule}{kind}"));
        }
        value
    }

    fn required<T>(
        &mut self,
        field: Field<'_>,
        pointer: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if matches!(field, Field::Absent) {
            self.add(pointer, format!("is required; {rule}"));
            return None;
        }
        self.read(field, pointer, rule, read)
    }

    /// A field that is filled in when it is left out; null is not leaving it out.
    fn defaulted<T>(
        &mut self,
        field: Field<'_>,
        pointer: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read(field, pointer, rule, read)
    }

    /// A field that an event may be without; null says so too.
    fn optional<T>(
        &mut self,
        field: Field<'_>,
        pointer: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let field = match field {
            Field::Null => Field::Absent,
            field => field,
        };
        self.read(field, pointer, rule, read)
    }
}

struct FieldsSeed<'w, 't> {
    walk: &'w mut Walk<'t>,
}

impl<'t> DeserializeSeed<'t> for FieldsSeed<'_, 't> {
    type Value = Fields<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Fields<'t>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for FieldsSeed<'_, 't> {
    type Value = Fields<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Fields<'t>, A::Error> {
        let walk = self.walk;
        let depth = walk.deeper(0)?;
        let mut fields = Fields::default();
        // Every unknown key, for a second one of the name; bounded as all keys are.
        let mut strangers: Vec<Cow<'t, str>> = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed { walk })? {
            let twice = |walk: &mut Walk<'t>| walk.refuse(Reason::DuplicateKey(quoted(&key)));
            if key == "payload" {
                if fields.payload.is_some() {
                    return Err(twice(walk));
                }
                // Two passes: one finds where the payload ends, the other reads it.
                let raw = map.next_value::<&'t RawValue>()?.get();
                fields.payload = Some((raw, walk.parse_part(raw, depth)?));
                continue;
            }
            let known = NAMES.iter().position(|name| *name == key);
            let before = match known {
                Some(index) => !matches!(fields.texts[index], Field::Absent),
                None => false,
            };
            if before {
                return Err(twice(walk));
            }
            let value = map.next_value_seed(TreeSeed { walk, depth })?;
            match known {
                Some(index) => {
                    fields.texts[index] = match value {
                        Tree::Null => Field::Null,
                        Tree::String(text) => Field::Text(text),
                        other => Field::Other(other.kind()),
                    };
                }
                None => strangers.push(key),
            }
        }
        let shown = strangers.iter().take(MAX_VIOLATIONS);
        fields.unknown = shown.map(|key| key.clone().into_owned()).collect();
        strangers.sort_unstable();
        if let Some([key, _]) = strangers.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(walk.refuse(Reason::DuplicateKey(quoted(key))));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests;
