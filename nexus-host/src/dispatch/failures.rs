//! What is remembered of errors: receives them, hands on failures whose messages are bounded.

use std::time::Duration;

use chrono::Utc;
use nexus_plugin_api::PluginError;

use super::retry::{self, DEFERRED};
use crate::queue::Failure;

/// Longest message kept of a failure, in characters.
const MAX_MESSAGE: usize = 2_000;

pub(super) fn timed_out(limit: Duration) -> PluginError {
    PluginError::retryable("timeout", format!("no answer within {limit:?}"))
}

pub(super) fn given_up(error: &PluginError) -> &str {
    if error.retryable {
        "retries_exhausted"
    } else {
        &error.code
    }
}

/// What is remembered of an error: one that puts off counts as what it is.
pub(super) fn failure(error: &PluginError) -> Failure {
    match retry::puts_off(error) {
        true => coded(DEFERRED, &error.to_string()),
        false => coded(&error.code, &error.message),
    }
}

pub(super) fn coded(code: &str, message: &str) -> Failure {
    Failure {
        at: Utc::now(),
        code: code.to_owned(),
        message: bounded(message),
    }
}

pub(super) fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
