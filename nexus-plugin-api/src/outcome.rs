//! What a processor decides: an [`Outcome`], a list of effects that are plain data.
//!
//! The host performs each effect with its own retry, breaker and idempotency key, so a processor
//! stays a function that can be tested by comparing values.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::approval::Question;
use crate::event::{NewEvent, RawJson};

/// The result of processing one event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Whether the event is finished here.
    #[serde(default)]
    pub decision: Decision,
    /// What is to happen, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// Writes to the plugin's durable state; they take effect together with the outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<StateWrite>,
}

/// Whether an event is finished by a processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Decision {
    /// Processed.
    #[default]
    Done,
    /// Not for this processor after all; counts as processed.
    Skip {
        /// Why, for the journal.
        reason: String,
    },
    /// Never going to work: the event goes to the dead letters.
    Reject {
        /// Why.
        reason: String,
    },
    /// Not now: the event comes again after the delay.
    RetryLater {
        /// Delay in milliseconds.
        after_ms: u64,
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Processed, nothing to do.
    pub fn done() -> Self {
        Self::default()
    }

    /// Not for this processor after all.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::decided(Decision::Skip {
            reason: reason.into(),
        })
    }

    /// Never going to work: to the dead letters.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::decided(Decision::Reject {
            reason: reason.into(),
        })
    }

    /// Comes again after `delay` (bounded by the host's configuration of retries).
    pub fn retry_later(delay: Duration, reason: impl Into<String>) -> Self {
        Self::decided(Decision::RetryLater {
            after_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            reason: reason.into(),
        })
    }

    /// Adds an effect.
    #[must_use]
    pub fn with(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    fn decided(decision: Decision) -> Self {
        Self {
            decision,
            ..Self::default()
        }
    }
}

/// Something to happen because of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Effect {
    /// Hand a request to an integration.
    Notify {
        /// The integration's name, or `plugin/name` when several plugins have one of that name.
        integration: String,
        /// Which system behind the integration, when it serves several; has its own breaker.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// The request, in the integration's own terms.
        request: RawJson,
    },
    /// Publish a further event.
    Emit {
        /// The event.
        event: NewEvent,
    },
    /// Ask a person. The answer comes as the event `nexus.approval.answered`.
    Ask {
        /// The question.
        question: Box<Question>,
    },
    /// Answer such a question, for a person who has chosen. One that has ended stays as it is.
    Answer {
        /// Which question.
        approval_id: Uuid,
        /// The id of the choice.
        choice: String,
        /// What was said beside, at most 1,000 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Perform another effect later.
    Schedule {
        /// Delay in milliseconds from the moment the outcome is accepted.
        after_ms: u64,
        /// What then happens.
        effect: Box<Effect>,
    },
}

impl Effect {
    /// Hands `request` to an integration.
    ///
    /// # Errors
    /// When the request does not serialise.
    pub fn notify<T: Serialize + ?Sized>(
        integration: impl Into<String>,
        request: &T,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::Notify {
            integration: integration.into(),
            target: None,
            request: RawJson::of(request)?,
        })
    }

    /// Publishes a further event.
    pub fn emit(event: NewEvent) -> Self {
        Self::Emit { event }
    }

    /// Asks a person.
    pub fn ask(question: Question) -> Self {
        Self::Ask {
            question: Box::new(question),
        }
    }

    /// Answers a question with one of its choices.
    pub fn answer(approval_id: Uuid, choice: impl Into<String>) -> Self {
        Self::Answer {
            approval_id,
            choice: choice.into(),
            note: None,
        }
    }

    /// Performs this effect after `delay`.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::Schedule {
            after_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            effect: Box::new(self),
        }
    }
}

/// One write to a plugin's durable state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateWrite {
    /// The key.
    pub key: String,
    /// The new value; absent to delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_crosses_the_border_as_json_and_keeps_its_payload_bytes() {
        let outcome = Outcome::done()
            .with(
                Effect::Notify {
                    integration: "toasty".to_owned(),
                    target: None,
                    request: RawJson::new(r#"{"show": {"title" : "1.0e2"}}"#).expect("JSON"),
                }
                .after(Duration::from_secs(2)),
            )
            .with(Effect::emit(
                NewEvent::new("a.b", &serde_json::json!({"n": 1})).expect("serialises"),
            ));
        let text = serde_json::to_string(&outcome).expect("serialises");
        assert!(text.contains(r#"{"show": {"title" : "1.0e2"}}"#), "{text}");
        let back: Outcome = serde_json::from_str(&text).expect("parses");
        assert_eq!(back, outcome);
    }
}
