//! The fuzz target of this room: CloudEvents over HTTP, in each of their forms.

use super::*;
use crate::admission::fuzz::{HUB_WITH_CONTRACTS, in_order};
use crate::fuzz::{expect_told, headers, parts};
use crate::ingress::grpc::fuzz::expect_same as expect_same_over_grpc;
use crate::ingress::http::fuzz::attributes;

/// `structured` or `batch` and a body; or the headers of one in binary form, and its data.
pub fn cloudevents(bytes: &[u8]) {
    let (admission, _) = &*HUB_WITH_CONTRACTS;
    let [head, body] = parts(bytes);
    match head {
        b"structured" => read(structured_of(admission, body)),
        b"batch" => match batch_of(admission, body) {
            Ok(events) => events.into_iter().for_each(read),
            Err(refused) => expect_told(&refused),
        },
        lines => {
            if let Some(attributes) = attributes(&headers(lines)) {
                let data = (!body.is_empty()).then(|| Bytes::copy_from_slice(body));
                read(event_of(attributes, data));
            }
        }
    }
}

fn read(event: Result<Event, Rejection>) {
    match event {
        Ok(event) => {
            assert!(rules::is_source(&event.source));
            in_order(event).iter().for_each(expect_same);
        }
        Err(refused) => expect_told(&refused),
    }
}

/// An event that is written as a CloudEvent, in whichever form, is read as the same event.
fn expect_same(event: &Event) {
    let (admission, _) = &*HUB_WITH_CONTRACTS;
    let mut attributes = Attributes::default();
    for (name, value) in attributes_of(event) {
        attributes.put(name, value);
    }
    let data = event.payload.bytes().clone();
    assert_eq!(event_of(attributes, Some(data)).as_ref(), Ok(event));
    let written = write_structured(event).expect("it can be written");
    let again = structured_of(admission, written.as_bytes());
    assert_eq!(again.as_ref(), Ok(event), "{written}");
    expect_same_over_grpc(event);
}
