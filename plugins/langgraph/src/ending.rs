//! How a run has ended: receives what was found out about it, hands on the event that says so.

use nexus_plugin_api::{NewEvent, PluginError};
use serde_json::Value;

use crate::events::{Completed, Failed, Failure, FailureKind, Interrupt, Interrupted, ending};
use crate::ledger::Entry;
use crate::server;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// With what it has left.
    Completed(Value),
    /// With more than so many bytes, which are not read.
    CompletedWithMoreThan(u64),
    /// With what it asks.
    Interrupted(Vec<server::Interrupt>),
    /// For a reason.
    Failed(Failure),
}

impl Ending {
    pub(crate) fn failed(kind: FailureKind, message: impl Into<String>) -> Self {
        // What no event may hold, others may have written.
        let is_unfit = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        let message = message.into().replace(is_unfit, " ");
        Self::Failed(Failure { kind, message })
    }

    /// The event, with as much of the run's own data as fits into so many bytes; what does not is left
    /// out as a whole.
    pub(crate) fn event(self, entry: &Entry, max_bytes: usize) -> Result<NewEvent, PluginError> {
        let (thread_id, run_id) = (entry.thread_id, entry.run_id);
        let assistant = entry.assistant.clone();
        let context = entry.context.clone();
        let completed = |(output, omitted_bytes)| Completed {
            thread_id,
            run_id,
            assistant: assistant.clone(),
            output,
            omitted_bytes,
            context: context.clone(),
        };
        match self {
            Self::Completed(output) => ending(entry, &completed(within(max_bytes, output))),
            Self::CompletedWithMoreThan(bytes) => ending(entry, &completed((None, Some(bytes)))),
            Self::Interrupted(asked) => {
                let mut left = max_bytes;
                let interrupts = asked.into_iter().map(|asked| {
                    let (value, omitted_bytes) = within(left, asked.value);
                    left -= value.as_ref().map_or(0, size);
                    Interrupt {
                        id: asked.id,
                        value,
                        omitted_bytes,
                    }
                });
                let interrupted = Interrupted {
                    thread_id,
                    run_id,
                    assistant,
                    interrupts: interrupts.collect(),
                    context,
                };
                ending(entry, &interrupted)
            }
            Self::Failed(error) => {
                let failed = Failed {
                    thread_id,
                    run_id,
                    assistant,
                    error,
                    context,
                };
                ending(entry, &failed)
            }
        }
    }
}

/// The value, or how large it is where it does not fit.
fn within(max_bytes: usize, value: Value) -> (Option<Value>, Option<u64>) {
    let bytes = size(&value);
    if bytes <= max_bytes {
        return (Some(value), None);
    }
    (None, u64::try_from(bytes).ok())
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn entry() -> Entry {
        Entry {
            run_id: Uuid::from_u128(1),
            thread_id: Uuid::from_u128(2),
            assistant: "classifier".to_owned(),
            stream: false,
            reported: false,
            since: Utc::now(),
            context: Some(json!({"mail": 17})),
            correlation_id: Some("case-9".to_owned()),
            causation_id: Some(Uuid::from_u128(3)),
            traceparent: None,
        }
    }

    fn payload(ending: Ending, max_bytes: usize) -> Value {
        let event = ending.event(&entry(), max_bytes).unwrap();
        event.payload.parse().unwrap()
    }

    #[test]
    fn a_run_has_one_ending_whatever_is_found_out_about_it() {
        let completed = Ending::Completed(json!({})).event(&entry(), 100).unwrap();
        let failed = Ending::failed(FailureKind::Overdue, "too old");
        let failed = failed.event(&entry(), 100).unwrap();
        assert_eq!(completed.event_id, failed.event_id);
        let mut other = entry();
        other.run_id = Uuid::from_u128(4);
        let other = Ending::Completed(json!({})).event(&other, 100).unwrap();
        assert_ne!(completed.event_id, other.event_id);
        assert_eq!(completed.correlation_id.as_deref(), Some("case-9"));
        assert_eq!(completed.causation_id, Some(Uuid::from_u128(3)));
    }

    #[test]
    fn what_no_event_may_hold_is_not_in_a_reason() {
        let failed = Ending::failed(FailureKind::GraphError, "a\u{0}b\nc");
        assert_eq!(payload(failed, 100)["error"]["message"], "a b\nc");
    }

    #[test]
    fn what_is_too_large_is_left_out_as_a_whole_and_said() {
        let output = json!({"text": "x".repeat(50)});
        let told = payload(Ending::Completed(output.clone()), 61);
        assert_eq!(told["output"], output);
        assert!(told.get("omitted_bytes").is_none());
        let told = payload(Ending::Completed(output), 60);
        assert!(told.get("output").is_none());
        assert_eq!(told["omitted_bytes"], 61);
        assert_eq!(told["context"], json!({"mail": 17}));

        let told = payload(Ending::CompletedWithMoreThan(8), 100);
        assert_eq!(
            (told.get("output"), &told["omitted_bytes"]),
            (None, &json!(8))
        );

        let asked = ["a", "b"].map(|id| server::Interrupt {
            id: id.to_owned(),
            value: json!("12345"),
        });
        let told = payload(Ending::Interrupted(asked.into()), 10);
        let expected = json!([{"id": "a", "value": "12345"}, {"id": "b", "omitted_bytes": 7}]);
        assert_eq!(told["interrupts"], expected);
    }
}
