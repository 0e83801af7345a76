//! What fuzzing feeds: for each parser of bytes from outside a function that receives any bytes, and
//! panics when a promise is broken. Hands on nothing, and is no part of the product.
//!
//! A target stands in the room whose parser it is, beside that room's tests; here is the list of them.
//! The programs in `fuzz/` call these functions, and so do the tests here, over what is kept in
//! `fuzz/corpus`. See `docs/fuzzing.md`.

mod input;

#[cfg(test)]
mod tests;

pub(crate) use input::{Dice, finished, headers, lines, parts};

pub use crate::admission::fuzz::{authorization, contract_diff, contract_file, event, rule};
pub use crate::config::fuzz::config;
pub use crate::ingress::fuzz::{cloudevents, compressed, grpc, http_head, webhook, websocket};
pub use crate::plugins::fuzz::{manifest, plugin_signature, worker_frame};
pub use crate::queue::fuzz::{queue_file, queue_log, queue_rows};

use crate::admission::Rejection;

/// How long what a sender is told in one sentence may be, in bytes.
const LONGEST_MESSAGE: usize = 2 * 1024;

/// What every refusal promises: a message of one line, and places, none of them long and all of them few.
pub(crate) fn expect_told(refused: &Rejection) {
    expect_line(refused.message());
    for error in refused.errors() {
        expect_line(&error.message);
        assert!(error.pointer.len() < 2 * LONGEST_MESSAGE, "{refused}");
    }
}

/// A message for people: one line that does not grow with what it is about.
pub(crate) fn expect_line(message: &str) {
    assert!(message.len() <= LONGEST_MESSAGE, "{} bytes", message.len());
    assert!(!message.contains(char::is_control), "{message:?}");
}
