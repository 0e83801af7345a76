//! What a processor's answer means: receives answers, hands on what the queue is to apply.

use std::time::Duration;

use nexus_plugin_api::{Decision, Outcome, PluginError};

use super::failures::{bounded, coded, failure, given_up};
use super::plan::{Deciding, plugin_of};
use super::port::ABSENT;
use super::retry::{DEFERRED, RetryPolicy};
use super::{Dispatcher, counting, millis};
use crate::observe::measures::Meter;
use crate::queue::{Delivery, Failure, Grave, Settlement, Step, Work};

/// What a processor's answer leaves to be done with the event for that processor.
pub(super) enum Next {
    /// Nothing.
    Finished,
    /// To be shown the event again.
    Again {
        after: Duration,
        /// None when that was no attempt.
        failure: Option<Failure>,
    },
}

/// Who a processor's answer comes from, and on which attempt.
pub(super) struct Answering<'a> {
    pub(super) deciding: Deciding<'a>,
    pub(super) meter: &'a Meter,
    pub(super) first_effect: u32,
    pub(super) attempt: u32,
    pub(super) earlier: &'a [Failure],
}

impl Dispatcher {
    /// Turns a processor's answer into what the queue is to apply.
    pub(super) fn conclude(
        &self,
        delivery: &Delivery,
        by: &Answering<'_>,
        answer: Result<Outcome, PluginError>,
        settlement: &mut Settlement,
    ) -> Next {
        match answer {
            Ok(outcome) => self.conclude_outcome(delivery, by, outcome, settlement),
            Err(error) if error.code == ABSENT => {
                let after = self.retry.pause();
                // Once: what is looked at again and again must not fill its journey.
                if matches!(delivery.work, Work::Route) {
                    settlement.steps.push(Step::ProcessorFailed {
                        processor: by.deciding.processor.to_owned(),
                        attempt: by.attempt,
                        code: error.code.to_string(),
                        message: bounded(&error.message),
                        retry_in_ms: Some(millis(after)),
                    });
                }
                Next::Again {
                    after,
                    failure: None,
                }
            }
            Err(error) => {
                let retry = self.retry.after(by.earlier, &error);
                counting::retry(by.meter, &error, retry);
                let failure = failure(&error);
                settlement.steps.push(Step::ProcessorFailed {
                    processor: by.deciding.processor.to_owned(),
                    attempt: by.attempt,
                    code: error.code.to_string(),
                    message: bounded(&error.message),
                    retry_in_ms: retry.map(millis),
                });
                match retry {
                    Some(after) => Next::Again {
                        after,
                        failure: Some(failure),
                    },
                    None => {
                        let reason = given_up(&error);
                        self.bury_processing(by, reason, failure, settlement);
                        Next::Finished
                    }
                }
            }
        }
    }

    fn conclude_outcome(
        &self,
        delivery: &Delivery,
        by: &Answering<'_>,
        outcome: Outcome,
        settlement: &mut Settlement,
    ) -> Next {
        let decided = outcome.effects.len();
        // What is refused or put off has no effects, whatever the processor names beside it.
        let (decision, reason, effects) = match &outcome.decision {
            Decision::Done => ("done", None, decided),
            Decision::Skip { reason } => ("skip", Some(reason), decided),
            Decision::Reject { reason } => ("reject", Some(reason), 0),
            Decision::RetryLater { reason, .. } => ("retry_later", Some(reason), 0),
            _ => ("unknown", None, 0),
        };
        settlement.steps.push(Step::Processed {
            processor: by.deciding.processor.to_owned(),
            decision: decision.into(),
            reason: reason.map(|reason| bounded(reason)),
            effects,
            attempt: by.attempt,
        });
        match outcome.decision {
            Decision::Done | Decision::Skip { .. } => {
                let plugin = plugin_of(by.deciding.processor);
                let writes = outcome
                    .state
                    .into_iter()
                    .map(|write| (plugin.to_owned(), write));
                settlement.state.extend(writes);
                for (number, effect) in (by.first_effect..).zip(outcome.effects) {
                    self.plan(delivery, by.deciding, number, effect, settlement);
                }
                Next::Finished
            }
            Decision::RetryLater { after_ms, reason } if RetryPolicy::may_defer(by.earlier) => {
                Next::Again {
                    after: Duration::from_millis(after_ms),
                    failure: Some(coded(DEFERRED, &reason)),
                }
            }
            Decision::RetryLater { reason, .. } => {
                let failure = coded(DEFERRED, &reason);
                self.bury_processing(by, "put_off_too_often", failure, settlement);
                Next::Finished
            }
            Decision::Reject { reason } => {
                self.bury_processing(by, "rejected", coded("rejected", &reason), settlement);
                Next::Finished
            }
            _ => {
                let failure = coded("unknown_decision", "this host does not know the decision");
                self.bury_processing(by, "unknown_decision", failure, settlement);
                Next::Finished
            }
        }
    }

    fn bury_processing(
        &self,
        by: &Answering<'_>,
        reason: &str,
        last: Failure,
        settlement: &mut Settlement,
    ) {
        settlement.dead.push(Grave {
            work: Work::Process {
                processor: by.deciding.processor.to_owned(),
                first_effect: by.first_effect,
            },
            reason: reason.to_owned(),
            errors: by.earlier.iter().cloned().chain([last]).collect(),
        });
    }
}
