//! What calls come to, as it is counted: receives answers, hands on one of a few words for each.

use std::time::Duration;

use nexus_plugin_api::{Decision, Outcome, PluginError};

use super::retry;
use crate::observe::measures::{Came, Meter};

/// What a call of a processor has come to.
pub(super) fn of_processor(answer: &Result<Outcome, PluginError>) -> Came {
    match answer {
        Ok(outcome) => match outcome.decision {
            Decision::Done => Came::Done,
            Decision::Skip { .. } => Came::Skip,
            Decision::Reject { .. } => Came::Reject,
            Decision::RetryLater { .. } => Came::RetryLater,
            _ => Came::Failed,
        },
        Err(error) => of_error(error),
    }
}

/// What an attempt at an effect has come to.
pub(super) fn of_effect<T>(answer: &Result<T, PluginError>) -> Came {
    answer.as_ref().map_or_else(of_error, |_| Came::Done)
}

fn of_error(error: &PluginError) -> Came {
    match retry::puts_off(error) {
        true => Came::RetryLater,
        false => Came::Failed,
    }
}

/// Counts a failure that is tried again, if it is.
pub(super) fn retry(meter: &Meter, error: &PluginError, retry: Option<Duration>) {
    if retry.is_some() && of_error(error) == Came::Failed {
        meter.retries();
    }
}
