//! The fuzz target of this room: messages, as they come and as they are sent.

use chrono::DateTime;

use super::*;
use crate::admission::Origin;
use crate::admission::fuzz::{HUB_WITH_CONTRACTS, expect_in_order, in_order};
use crate::fuzz::expect_told;

/// The bytes of a message, taken for each that a client may send.
pub fn grpc(bytes: &[u8]) {
    if let Ok(request) = wire::SubscribeRequest::decode(bytes) {
        let wanted = Wanted::of_lists(&request.types, &request.sources);
        wanted.err().iter().for_each(expect_told);
    }
    let Ok(request) = wire::PublishRequest::decode(bytes) else {
        return;
    };
    let event = match events::read(request) {
        Ok(event) => event,
        Err(refused) => return expect_told(&refused),
    };
    let (admission, client) = &*HUB_WITH_CONTRACTS;
    match admission.admit_event(event.clone(), Origin::Client(client)) {
        Ok(admitted) => expect_in_order(&admitted),
        Err(refused) => expect_told(&refused),
    }
    if let Some(event) = in_order(event) {
        expect_same(&event);
    }
}

/// An event that is sent to whoever follows, and comes back from there, is the same.
pub(crate) fn expect_same(event: &Event) {
    let sent = events::passed(1, event).encode_to_vec();
    let sent = wire::SubscribeResponse::decode(&*sent).expect("it was written here");
    let Some(wire::subscribe_response::Kind::Event(message)) = sent.kind else {
        panic!("it was an event");
    };
    let again = events::read(wire::PublishRequest {
        kind: Some(wire::publish_request::Kind::Event(message)),
    });
    let mut told = event.clone();
    // Nor can it tell a leap second.
    for time in std::iter::once(&mut told.timestamp).chain(&mut told.expires_at) {
        if let Some(nanos) = time.timestamp_subsec_nanos().checked_sub(1_000_000_000) {
            *time = DateTime::from_timestamp(time.timestamp() + 1, nanos).expect("the next second");
        }
    }
    assert_eq!(again, Ok(told));
}
