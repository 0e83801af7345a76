//! The JSON format: receives the text of one CloudEvent or of a batch, hands on events; and writes
//! an event as such a text. It leaves data as it stands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use nexus_plugin_api::Event;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Attributes, attributes_of, event_of};
use crate::admission::{Admission, Code, Member, Parcel, Rejection};

/// The content type of one CloudEvent as JSON.
pub(in crate::ingress) const STRUCTURED_TYPE: &str = "application/cloudevents+json";

/// The content type of an array of them.
pub(in crate::ingress) const BATCH_TYPE: &str = "application/cloudevents-batch+json";

/// The members that are no attributes.
const DATA: [&str; 2] = ["data", "data_base64"];

/// The event in a body that holds one CloudEvent.
///
/// # Errors
/// `malformed_json`, or what [`event_of`] says.
pub(in crate::ingress) fn structured_of(
    admission: &Admission,
    body: &[u8],
) -> Result<Event, Rejection> {
    match admission.open(body)? {
        Parcel::One(text) => read(admission, text),
        Parcel::Many(_) => {
            let message =
                format!("{STRUCTURED_TYPE} holds one event; send an array as {BATCH_TYPE}");
            Err(Rejection::new(Code::MalformedEvent, message))
        }
    }
}

/// The events in a body that holds a batch of CloudEvents, each read on its own. It may be empty.
///
/// # Errors
/// When the body is no array, or holds more than `limits.max_batch`.
pub(in crate::ingress) fn batch_of(
    admission: &Admission,
    body: &[u8],
) -> Result<Vec<Result<Event, Rejection>>, Rejection> {
    match admission.open(body)? {
        Parcel::Many(texts) => Ok(texts.iter().map(|text| read(admission, text)).collect()),
        Parcel::One(text) => {
            admission.members(text, &[])?;
            let message = format!("a batch is an array; send one event as {STRUCTURED_TYPE}");
            Err(Rejection::new(Code::MalformedEvent, message))
        }
    }
}

fn read(admission: &Admission, text: &str) -> Result<Event, Rejection> {
    let mut attributes = Attributes::default();
    let mut data = None;
    for (name, value) in admission.members(text, &DATA)? {
        match value {
            // Not set, as if it were not there.
            Member::Null | Member::Whole("null") => {}
            Member::Whole(_) if data.is_some() => {
                attributes.object("data", "stands beside `data_base64`; one of them is enough");
            }
            Member::Whole(raw) if name == "data" => {
                // Its own copy: a slice would keep the whole request in memory.
                data = Some(Bytes::copy_from_slice(raw.as_bytes()));
            }
            Member::Whole(raw) => match decoded(raw) {
                Some(bytes) => data = Some(bytes),
                None => attributes.object("data_base64", "must be a string in base64"),
            },
            Member::Bool(value) => attributes.put(&name, value.to_string()),
            Member::Integer(value) if i32::try_from(value).is_ok() => {
                attributes.put(&name, value.to_string());
            }
            Member::Text(value) => attributes.put(&name, value),
            Member::Integer(_) => attributes.object(&name, "must fit 32 bits"),
            Member::Other(kind) => {
                let message = format!("must be a string, an integer or a boolean, found {kind}");
                attributes.object(&name, message);
            }
        }
    }
    event_of(attributes, data)
}

fn decoded(raw: &str) -> Option<Bytes> {
    let text: String = serde_json::from_str(raw).ok()?;
    STANDARD.decode(text).ok().map(Bytes::from)
}

/// An event as one CloudEvent in JSON, its payload byte for byte as it came.
///
/// # Errors
/// Not for an admitted event.
pub(in crate::ingress) fn write_structured(event: &Event) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Written(event))
}

struct Written<'e>(&'e Event);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attributes = attributes_of(self.0);
        let mut map = serializer.serialize_map(Some(attributes.len() + 1))?;
        for (name, value) in attributes {
            map.serialize_entry(name, &*value)?;
        }
        map.serialize_entry("data", &self.0.payload)?;
        map.end()
    }
}
