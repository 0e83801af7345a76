//! What is said on a WebSocket: receives the text of a frame, hands on what the client wants, and
//! writes what the hub answers.

use std::borrow::Cow;

use nexus_plugin_api::Event;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::admission::{Code, Rejection, quoted, shortened};
use crate::ingress::follower::Wanted;

/// What a client wants.
pub(super) enum Frame<'f> {
    /// To publish: one event, or an array of them, as JSON.
    Publish(&'f str),
    /// To follow, from now on or behind a position.
    Subscribe(Wanted, Option<u64>),
    /// To follow no longer.
    Unsubscribe,
}

/// Why a frame cannot be read, with its id if it has one.
pub(super) type Unread = (Option<Box<RawValue>>, Rejection);

/// Only whether a frame has an operation, and its id.
#[derive(Deserialize)]
struct Peek<'f> {
    #[serde(rename = "op")]
    _op: serde::de::IgnoredAny,
    #[serde(default, borrow)]
    id: Option<&'f RawValue>,
}

/// A frame with an operation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation<'f> {
    #[serde(borrow)]
    op: Cow<'f, str>,
    /// Given back with the answer, whatever it is: [`Peek`] has it.
    #[serde(default, rename = "id")]
    _id: serde::de::IgnoredAny,
    #[serde(default, borrow)]
    event: Option<&'f RawValue>,
    #[serde(default)]
    types: Option<Vec<String>>,
    #[serde(default)]
    sources: Option<Vec<String>>,
    #[serde(default)]
    after: Option<u64>,
}

impl<'f> Frame<'f> {
    /// Reads a frame: an event by itself, an array of events, or an operation.
    pub(super) fn read(text: &'f str) -> Result<(Option<Box<RawValue>>, Self), Unread> {
        // What is no object, or cannot be read, is told by admission, which knows best.
        // Members may be read from an array in their order, too: here that is an array of events.
        let is_object = text.trim_start().starts_with('{');
        let peek = is_object.then(|| serde_json::from_str::<Peek<'f>>(text));
        let Some(Ok(peek)) = peek else {
            return Ok((None, Self::Publish(text)));
        };
        let id = peek.id.map(ToOwned::to_owned);
        match Self::read_operation(text) {
            Ok(frame) => Ok((id, frame)),
            Err(refused) => Err((id, refused)),
        }
    }

    fn read_operation(text: &'f str) -> Result<Self, Rejection> {
        let operation: Operation<'f> = serde_json::from_str(text).map_err(|error| {
            let known = "a frame with `op` has `id` and what belongs to it";
            malformed(format!("{known}: {}", shortened(&error.to_string())))
        })?;
        operation.read()
    }
}

impl<'f> Operation<'f> {
    fn read(self) -> Result<Frame<'f>, Rejection> {
        let follows = self.types.is_some() || self.sources.is_some() || self.after.is_some();
        match (&*self.op, self.event) {
            ("publish", Some(event)) if !follows => Ok(Frame::Publish(event.get())),
            ("subscribe", None) => {
                let list = Option::unwrap_or_default;
                let wanted = Wanted::of_lists(&list(self.types), &list(self.sources))?;
                Ok(Frame::Subscribe(wanted, self.after))
            }
            ("unsubscribe", None) if !follows => Ok(Frame::Unsubscribe),
            ("publish" | "subscribe" | "unsubscribe", _) => Err(malformed(
                "`publish` has `event`; `subscribe` may have `types`, `sources` and `after`; \
                 `unsubscribe` has nothing",
            )),
            (other, _) => Err(malformed(format!(
                "`op` knows `publish`, `subscribe` and `unsubscribe`, found {}",
                quoted(other)
            ))),
        }
    }
}

fn malformed(message: impl Into<Cow<'static, str>>) -> Rejection {
    Rejection::new(Code::MalformedEvent, message)
}

/// An answer, with the id of the frame that it answers.
#[derive(Serialize)]
pub(super) struct Reply<'r, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'r RawValue>,
    #[serde(flatten)]
    pub(super) answer: T,
}

/// An answer to an array.
#[derive(Serialize)]
pub(super) struct Results<T> {
    pub(super) results: Vec<T>,
}

/// That a subscription has changed.
#[derive(Serialize)]
pub(super) struct Done {
    pub(super) status: &'static str,
}

/// An event for somebody who follows.
#[derive(Serialize)]
#[serde(tag = "op", rename = "event")]
pub(super) struct Passing<'e> {
    pub(super) position: u64,
    pub(super) event: &'e Event,
}

/// That some were lost.
#[derive(Serialize)]
#[serde(tag = "op", rename = "missed")]
pub(super) struct Missed {
    pub(super) count: u64,
}
