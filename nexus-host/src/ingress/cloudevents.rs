//! CloudEvents 1.0.2, whichever way they come: receives attributes and data, hands on an event of
//! the hub's own, and the other way round. It admits nothing, and does not look into data: that
//! is for admission, which parses it once.
//!
//! What it makes of a CloudEvent is in `docs/cloudevents.md`.

#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod names;
mod structured;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use nexus_plugin_api::{Event, Priority, RawJson};
use semver::Version;

use crate::admission::{Code, MAX_VIOLATIONS, Rejection, Violation, escaped, quoted, rules};

pub(in crate::ingress) use structured::{
    BATCH_TYPE, STRUCTURED_TYPE, batch_of, structured_of, write_structured,
};

/// The version of the format that is spoken.
pub(in crate::ingress) const SPEC_VERSION: &str = "1.0";

/// How long one attribute's name may be. The specification advises 20 and forbids no more.
const LONGEST_NAME: usize = 64;

/// A path that names a contract and its version, wherever it is served.
const CONTRACTS: &str = "/v1/contracts/";

/// The attributes of a CloudEvent, in their text form; and what was wrong with them so far.
#[derive(Debug, Default)]
pub(in crate::ingress) struct Attributes {
    values: BTreeMap<String, String>,
    wrong: Vec<Violation>,
}

impl Attributes {
    /// Puts one down. What must not stand there is told by [`event_of`], together with the rest.
    pub(in crate::ingress) fn put(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
            self.object(
                name,
                "is no name of an attribute: 1 to 64 characters of a-z and 0-9",
            );
        } else if value.contains(char::is_control) {
            self.object(name, "must not have control characters");
        } else if self.values.insert(name.to_owned(), value).is_some() {
            self.object(name, "occurs twice");
        }
    }

    /// Puts down what is wrong with one; only the first time.
    pub(in crate::ingress) fn object(&mut self, name: &str, message: impl Into<String>) {
        let pointer = format!("/{}", escaped(name));
        if self.wrong.len() < MAX_VIOLATIONS && self.wrong.iter().all(|w| w.pointer != pointer) {
            self.wrong.push(Violation::new(pointer, message));
        }
    }

    /// The value of one.
    pub(in crate::ingress) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn required(&mut self, name: &str, rule: &str) -> String {
        let value = self.values.remove(name);
        if value.as_ref().is_none_or(String::is_empty) {
            self.object(name, format!("is required; {rule}"));
        }
        value.unwrap_or_default()
    }

    fn optional<T>(
        &mut self,
        name: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.values.remove(name)?;
        let read = read(&value);
        if read.is_none() {
            self.object(name, rule);
        }
        read
    }
}

/// The event that a CloudEvent stands for. Without data its payload is an empty object.
///
/// # Errors
/// `malformed_event` with everything that makes it no valid CloudEvent;
/// `unsupported_media_type` when its data is not JSON by its own words.
pub(in crate::ingress) fn event_of(
    mut attributes: Attributes,
    data: Option<Bytes>,
) -> Result<Event, Rejection> {
    let spec_version = attributes.required("specversion", "`1.0`");
    if !spec_version.is_empty() && spec_version != SPEC_VERSION {
        let found = quoted(&spec_version);
        attributes.object("specversion", format!("must be `1.0`, found {found}"));
    }
    let id = attributes.required("id", "a text that is unique at its source");
    let uri = attributes.required("source", "a URI reference");
    let event_type = attributes.required("type", "such as `outlook.mail.received`");
    if uri.contains(char::is_whitespace) {
        attributes.object("source", "must be a URI reference; it has a space");
    }
    let timestamp = attributes.optional("time", rules::TIME, rules::time);
    let expires_at = attributes.optional("expirytime", rules::TIME, rules::time);
    let label = |text: &str| rules::is_label(text).then(|| text.to_owned());
    let correlation_id = attributes.optional("correlationid", rules::LABEL, label);
    let partition_key = attributes.optional("partitionkey", rules::LABEL, label);
    let causation_id = attributes.optional("causationid", "must not be empty", |id| {
        (!id.is_empty()).then(|| names::event_id(&uri, id))
    });
    let priority = attributes.optional("priority", rules::PRIORITY, rules::priority);
    let priority = priority.or_else(|| severity(&attributes));
    let contract_version = contract_version(&mut attributes, &event_type);
    // Told last: whoever sends no CloudEvent at all should hear of that first.
    let media_type = attributes.values.remove("datacontenttype");
    if !attributes.wrong.is_empty() {
        let message = "not a valid CloudEvent; see `errors`";
        return Err(Rejection::new(Code::MalformedEvent, message).with_errors(attributes.wrong));
    }
    if let Some(media_type) = media_type.filter(|text| data.is_some() && !is_json(text)) {
        let found = quoted(&media_type);
        let message = format!("data of the type {found} is not read; send JSON in UTF-8");
        return Err(Rejection::new(Code::UnsupportedMediaType, message));
    }
    Ok(Event {
        event_id: names::event_id(&uri, &id),
        event_type,
        source: names::source(&uri),
        timestamp: timestamp.unwrap_or_else(Utc::now),
        priority: priority.unwrap_or_default(),
        correlation_id,
        contract_version,
        causation_id,
        partition_key,
        expires_at,
        traceparent: attributes.values.remove("traceparent"),
        tracestate: attributes.values.remove("tracestate"),
        payload: RawJson::from_checked(data.unwrap_or_else(|| Bytes::from_static(b"{}"))),
    })
}

/// The attributes of an event as a CloudEvent; its payload is the data, which is JSON. Sent back,
/// they make the same event.
pub(in crate::ingress) fn attributes_of(event: &Event) -> Vec<(&'static str, Cow<'_, str>)> {
    let time = |time: &DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true).into();
    let mut attributes: Vec<(&'static str, Cow<'_, str>)> = vec![
        ("specversion", SPEC_VERSION.into()),
        ("id", event.event_id.to_string().into()),
        ("source", event.source.as_str().into()),
        ("type", event.event_type.as_str().into()),
        ("time", time(&event.timestamp)),
        ("datacontenttype", "application/json".into()),
        ("priority", event.priority.as_str().into()),
    ];
    let text = |text: &'_ Option<String>| text.clone().map(Cow::Owned);
    let rest: [(&'static str, Option<Cow<'_, str>>); 7] = [
        (
            "contractversion",
            event
                .contract_version
                .as_ref()
                .map(|v| v.to_string().into()),
        ),
        ("correlationid", text(&event.correlation_id)),
        (
            "causationid",
            event.causation_id.map(|id| id.to_string().into()),
        ),
        ("partitionkey", text(&event.partition_key)),
        ("expirytime", event.expires_at.as_ref().map(time)),
        ("traceparent", text(&event.traceparent)),
        ("tracestate", text(&event.tracestate)),
    ];
    let there = |(name, value): (_, Option<_>)| value.map(|value| (name, value));
    attributes.extend(rest.into_iter().filter_map(there));
    attributes
}

/// Whether a content type means JSON in UTF-8.
pub(in crate::ingress) fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_json = matches!(&*essence, "application/json" | "text/json")
        || (essence.contains('/') && essence.ends_with("+json"));
    is_json && is_utf8(parts)
}

/// Whether the parameters of a content type name no other charset than UTF-8, or a part of it; what is in the
/// body is looked at anyway.
pub(in crate::ingress) fn is_utf8<'p>(mut parameters: impl Iterator<Item = &'p str>) -> bool {
    parameters.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            let charset = charset.trim().trim_matches('"');
            ["utf-8", "utf8", "us-ascii"].contains(&charset.to_ascii_lowercase().as_str())
        }
        _ => true,
    })
}

/// The version that `contractversion` names, or a schema among the hub's own contracts.
fn contract_version(attributes: &mut Attributes, event_type: &str) -> Option<Version> {
    let own = attributes.optional("contractversion", rules::VERSION, rules::version);
    let schema = attributes.values.remove("dataschema").unwrap_or_default();
    let path = schema.split_once(CONTRACTS).map_or("", |(_, path)| path);
    let Some((of_type, version)) = path.split_once('/') else {
        return own;
    };
    let version = rules::version(version);
    if of_type != event_type || version.is_none() {
        let message = "names no version of the event's own type; it should end in \
                       `/v1/contracts/TYPE/VERSION`";
        attributes.object("dataschema", message);
        return own;
    }
    if own.is_some() && own != version {
        attributes.object("dataschema", "names another version than `contractversion`");
    }
    own.or(version)
}

/// How urgent an event is by its severity. Others' scales that are not known say nothing.
fn severity(attributes: &Attributes) -> Option<Priority> {
    let number = || attributes.get("severitynumber")?.parse::<u32>().ok();
    let text = attributes.get("severity");
    let text = text.or_else(|| attributes.get("severitytext"));
    match text.map(str::to_ascii_lowercase).as_deref() {
        Some("low" | "trace" | "debug") => Some(Priority::Low),
        Some("normal" | "medium" | "info" | "information" | "informational" | "notice") => {
            Some(Priority::Normal)
        }
        Some("high" | "warn" | "warning" | "error") => Some(Priority::High),
        Some("critical" | "fatal" | "alert" | "emergency") => Some(Priority::Critical),
        // OpenTelemetry's numbers.
        _ => match number()? {
            1..=8 => Some(Priority::Low),
            9..=12 => Some(Priority::Normal),
            13..=20 => Some(Priority::High),
            21..=24 => Some(Priority::Critical),
            _ => None,
        },
    }
}
