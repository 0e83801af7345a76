//! The fuzz target of this room: the text of a frame.

use serde_json::Value;

use super::frame::{Done, Frame, Reply};
use crate::admission::Parcel;
use crate::admission::fuzz::HUB_WITH_CONTRACTS;
use crate::fuzz::expect_told;

/// A frame that a client sends.
pub fn websocket(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let (admission, client) = &*HUB_WITH_CONTRACTS;
    let (id, refused) = match Frame::read(text) {
        Ok((id, Frame::Publish(part))) => {
            assert!(text.contains(part));
            match admission.open(part.as_bytes()) {
                Ok(Parcel::One(one)) => (id, admission.admit(client, one).err()),
                Ok(Parcel::Many(_)) => (id, None),
                Err(refused) => (id, Some(refused)),
            }
        }
        Ok((id, Frame::Subscribe(..) | Frame::Unsubscribe)) => (id, None),
        Err((id, refused)) => (id, Some(refused)),
    };
    refused.iter().for_each(expect_told);
    let Some(id) = id else {
        return;
    };
    // Whatever it is, it is given back.
    let written = serde_json::to_string(&Reply {
        id: Some(&*id),
        answer: Done { status: "done" },
    });
    let written = written.expect("an answer can be written");
    assert!(written.contains(id.get()));
    if let Ok(id) = serde_json::from_str::<Value>(id.get()) {
        let read: Value = serde_json::from_str(&written).expect("an answer can be read");
        assert_eq!(read["id"], id);
    }
}
