//! Events as messages: receives what a client has sent, hands on an event of the hub's own, and the
//! other way round. It admits nothing, and does not look into payloads.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use nexus_plugin_api::{Event, Priority, PublishStatus, RawJson};
use nexus_proto::io::cloudevents::v1 as cloud;
use nexus_proto::nexus::v1 as wire;
use prost_types::Timestamp;
use uuid::Uuid;

use crate::admission::{Code, Notice, Rejection, Violation, rules};
use crate::ingress::cloudevents::{self, Attributes};
use crate::intake::Receipt;

/// Nanoseconds in a second.
const NANOS: u32 = 1_000_000_000;

/// The event that a message holds.
pub(super) fn read(message: wire::PublishRequest) -> Result<Event, Rejection> {
    use wire::publish_request::Kind;
    match message.kind {
        Some(Kind::Event(event)) => native(event),
        Some(Kind::CloudEvent(event)) => cloud(event),
        None => Err(Rejection::new(
            Code::MalformedEvent,
            "the message has no event; set `event` or `cloud_event`",
        )),
    }
}

/// Reads texts, and remembers which are none of what they should be.
struct Reader(Vec<Violation>);

impl Reader {
    fn text<T>(
        &mut self,
        text: &str,
        field: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        let read = read(text);
        if read.is_none() {
            self.0.push(Violation::new(field, rule));
        }
        read
    }

    fn time(&mut self, time: Option<Timestamp>, field: &str) -> Option<DateTime<Utc>> {
        let time = time?;
        let read = time_of(&time);
        if read.is_none() {
            let rule = "must be a time between the years 0 and 9999";
            self.0.push(Violation::new(field, rule));
        }
        read
    }
}

fn native(event: wire::Event) -> Result<Event, Rejection> {
    let mut reader = Reader(Vec::new());
    let priority = match wire::Priority::try_from(event.priority) {
        Ok(wire::Priority::Unspecified | wire::Priority::Normal) => Priority::Normal,
        Ok(wire::Priority::Low) => Priority::Low,
        Ok(wire::Priority::High) => Priority::High,
        Ok(wire::Priority::Critical) => Priority::Critical,
        Err(_) => {
            reader.0.push(Violation::new("/priority", rules::PRIORITY));
            Priority::Normal
        }
    };
    if event.payload.is_empty() {
        reader.0.push(Violation::new("/payload", rules::NO_PAYLOAD));
    }
    let filled = |text: String| (!text.is_empty()).then_some(text);
    let event_id = reader.text(&event.event_id, "/event_id", rules::EVENT_ID, rules::uuid);
    let causation = ("/causation_id", rules::CAUSATION_ID);
    let causation_id = reader.text(&event.causation_id, causation.0, causation.1, rules::uuid);
    let version = ("/contract_version", rules::VERSION);
    let contract_version = reader.text(
        &event.contract_version,
        version.0,
        version.1,
        rules::version,
    );
    let timestamp = reader.time(event.timestamp, "/timestamp");
    let expires_at = reader.time(event.expires_at, "/expires_at");
    if !reader.0.is_empty() {
        let message = "the event is not in order; see `errors`";
        return Err(Rejection::new(Code::ContractViolation, message).with_errors(reader.0));
    }
    Ok(Event {
        event_id: event_id.unwrap_or_else(Uuid::now_v7),
        event_type: event.r#type,
        source: event.source,
        timestamp: timestamp.unwrap_or_else(Utc::now),
        priority,
        correlation_id: filled(event.correlation_id),
        contract_version,
        causation_id,
        partition_key: filled(event.partition_key),
        expires_at,
        traceparent: filled(event.traceparent),
        tracestate: filled(event.tracestate),
        payload: RawJson::from_checked(own(event.payload)),
    })
}

/// The event's own copy: what was read may share its memory with other messages.
fn own(bytes: Bytes) -> Bytes {
    Bytes::copy_from_slice(&bytes)
}

fn cloud(event: cloud::CloudEvent) -> Result<Event, Rejection> {
    use cloud::cloud_event::Data;
    let mut attributes = Attributes::default();
    for (name, value) in [
        ("id", event.id),
        ("source", event.source),
        ("specversion", event.spec_version),
        ("type", event.r#type),
    ] {
        attributes.put(name, value);
    }
    for (name, value) in event.attributes {
        match value.attr.and_then(text_of) {
            Some(text) => attributes.put(&name, text),
            None => attributes.object(&name, "has no value that can be read"),
        }
    }
    let data = match event.data {
        None => None,
        Some(Data::BinaryData(bytes)) => Some(Bytes::from(bytes)),
        Some(Data::TextData(text)) => Some(Bytes::from(text)),
        Some(Data::ProtoData(_)) => {
            let message = "protobuf data is not read; send JSON as text or bytes";
            return Err(Rejection::new(Code::UnsupportedMediaType, message));
        }
    };
    cloudevents::event_of(attributes, data)
}

/// The text form of an attribute.
fn text_of(value: cloud::cloud_event::cloud_event_attribute_value::Attr) -> Option<String> {
    use base64::Engine;
    use cloud::cloud_event::cloud_event_attribute_value::Attr;
    Some(match value {
        Attr::CeBoolean(value) => value.to_string(),
        Attr::CeInteger(value) => value.to_string(),
        Attr::CeString(text) | Attr::CeUri(text) | Attr::CeUriRef(text) => text,
        Attr::CeBytes(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes),
        Attr::CeTimestamp(time) => time_of(&time)?.to_rfc3339(),
    })
}

/// What became of an event that was taken in.
pub(super) fn receipt(receipt: &Receipt) -> wire::PublishResponse {
    let status = match receipt.status() {
        PublishStatus::Accepted => wire::Status::Accepted,
        PublishStatus::Duplicate => wire::Status::Duplicate,
    };
    wire::PublishResponse {
        event_id: receipt.event_id.to_string(),
        status: status.into(),
        first_accepted_at: receipt.first_accepted_at.as_ref().map(timestamp),
        deprecation: receipt.notice.as_deref().map(deprecation),
    }
}

/// That the version which was sent is outdated.
fn deprecation(notice: &Notice) -> wire::Deprecation {
    let successor = notice.successor.as_ref();
    wire::Deprecation {
        contract_version: notice.contract_version.to_string(),
        deprecated: notice.deprecated.as_ref().map(timestamp),
        sunset: notice.sunset.as_ref().map(timestamp),
        successor: successor.map(ToString::to_string).unwrap_or_default(),
    }
}

/// An event for somebody who follows.
pub(super) fn passed(position: u64, event: &Event) -> wire::SubscribeResponse {
    wire::SubscribeResponse {
        kind: Some(wire::subscribe_response::Kind::Event(message(event))),
        position,
    }
}

/// So many events were lost.
pub(super) fn missed(missed: u64) -> wire::SubscribeResponse {
    wire::SubscribeResponse {
        kind: Some(wire::subscribe_response::Kind::Missed(missed)),
        position: 0,
    }
}

fn message(event: &Event) -> wire::Event {
    let priority = match event.priority {
        Priority::Low => wire::Priority::Low,
        Priority::Normal => wire::Priority::Normal,
        Priority::High => wire::Priority::High,
        Priority::Critical => wire::Priority::Critical,
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    wire::Event {
        event_id: event.event_id.to_string(),
        r#type: event.event_type.clone(),
        source: event.source.clone(),
        timestamp: Some(timestamp(&event.timestamp)),
        priority: priority.into(),
        correlation_id: text(&event.correlation_id),
        contract_version: event
            .contract_version
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        causation_id: event
            .causation_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        partition_key: text(&event.partition_key),
        expires_at: event.expires_at.as_ref().map(timestamp),
        traceparent: text(&event.traceparent),
        tracestate: text(&event.tracestate),
        payload: Bytes::copy_from_slice(event.payload.as_slice()),
    }
}

fn time_of(time: &Timestamp) -> Option<DateTime<Utc>> {
    let nanos = u32::try_from(time.nanos)
        .ok()
        .filter(|nanos| *nanos < NANOS)?;
    DateTime::from_timestamp(time.seconds, nanos).filter(rules::is_writable)
}

/// A leap second, which such a time cannot tell, is the one after it, as for most clocks.
pub(super) fn timestamp(time: &DateTime<Utc>) -> Timestamp {
    let nanos = time.timestamp_subsec_nanos();
    let leap = nanos / NANOS;
    Timestamp {
        seconds: time.timestamp() + i64::from(leap),
        nanos: i32::try_from(nanos % NANOS).unwrap_or(0),
    }
}
