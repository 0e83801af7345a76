//! What becomes of toasts, as events: receives the server's Watch events, hands on Nexus events.
//!
//! Owns the contracts `toasty.action.invoked`, `toasty.dismissed` and `toasty.failed`. An event's
//! id is derived from its place in the server's log, so that the same one seen twice is one event.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Contract, NewEvent, PluginError, Priority};
use nexus_proto::toasty::v1::dismissed::Reason;
use nexus_proto::toasty::v1::{WatchEvent, watch_event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The namespace of derived event ids (a version 4 UUID, chosen once).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0a_1c52_9d3e_4b7a_8e15_2f64_c0b9_73d8);

/// A person answered a toast: pressed a button, or the toast itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionInvoked {
    /// The toast, by the server's id.
    #[schemars(length(min = 1))]
    pub toast_id: String,
    /// The button; `default` for the toast's body.
    pub action_id: String,
    /// What was filled in, by input id.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// The button's own link. Nothing has opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The request that showed the toast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A toast has ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dismissed {
    /// The toast, by the server's id.
    #[schemars(length(min = 1))]
    pub toast_id: String,
    /// Why.
    pub reason: DismissReason,
    /// The toast that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// The request that showed the toast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Why a toast has ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DismissReason {
    /// A person closed it.
    UserCanceled,
    /// It was taken away: on request, by a replacement, or as the server stopped.
    ApplicationHidden,
    /// Its time ran out.
    TimedOut,
    /// The server did not say.
    Unknown,
}

/// The display lost a toast; it has ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// The toast, by the server's id.
    #[schemars(length(min = 1))]
    pub toast_id: String,
    /// What happened.
    pub message: String,
    /// The request that showed the toast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Contract for ActionInvoked {
    const TYPE: &'static str = "toasty.action.invoked";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for Dismissed {
    const TYPE: &'static str = "toasty.dismissed";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for Failed {
    const TYPE: &'static str = "toasty.failed";
    const VERSION: &'static str = "1.0.0";
}

/// The event that follows from `seen`; `None` where nothing does. It is correlated with the event
/// behind the toast, by that one's id.
pub(crate) fn of(seen: &WatchEvent) -> Result<Option<NewEvent>, PluginError> {
    let toast_id = seen.toast_id.clone();
    let request_id = given(&seen.request_id);
    let event = match &seen.event {
        Some(watch_event::Event::Activated(answer)) => NewEvent::of(&ActionInvoked {
            toast_id,
            action_id: answer.action_id.clone(),
            inputs: answer.inputs.clone(),
            uri: given(&answer.uri),
            request_id,
        })?
        // Somebody waits for what this leads to.
        .with_priority(Priority::High),
        Some(watch_event::Event::Dismissed(end)) => NewEvent::of(&Dismissed {
            toast_id,
            reason: match end.reason() {
                Reason::UserCanceled => DismissReason::UserCanceled,
                Reason::ApplicationHidden => DismissReason::ApplicationHidden,
                Reason::TimedOut => DismissReason::TimedOut,
                Reason::Unspecified => DismissReason::Unknown,
            },
            replaced_by: given(&end.replaced_by),
            request_id,
        })?,
        Some(watch_event::Event::Failed(end)) => NewEvent::of(&Failed {
            toast_id,
            message: end.message.clone(),
            request_id,
        })?,
        Some(watch_event::Event::Shown(_)) | None => return Ok(None),
    };
    let origin = seen.correlation.clone().unwrap_or_default();
    Ok(Some(NewEvent {
        event_id: Some(id(seen)),
        timestamp: at(seen),
        correlation_id: given(&origin.event_id),
        causation_id: origin.event_id.parse().ok(),
        traceparent: given(&origin.traceparent),
        // Toasts are independent: a slow consumer of one answer must not hold up the others.
        partition_key: given(&seen.toast_id),
        ..event
    }))
}

/// When it happened, by the server's clock.
pub(crate) fn at(seen: &WatchEvent) -> Option<DateTime<Utc>> {
    let at = seen.at?;
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// The same for the same place in the same run of the server, and for no other.
fn id(seen: &WatchEvent) -> Uuid {
    let place = format!("{}/{}/{}", seen.log_id, seen.seq, seen.toast_id);
    Uuid::new_v5(&NAMESPACE, place.as_bytes())
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use nexus_proto::toasty::v1::{Activated, Correlation, Shown};
    use serde_json::json;

    use super::*;

    const CAUSE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn pressed() -> WatchEvent {
        WatchEvent {
            seq: 7,
            log_id: "run-1".to_owned(),
            toast_id: "t-1".to_owned(),
            request_id: "r-1".to_owned(),
            correlation: Some(Correlation {
                event_id: CAUSE.to_owned(),
                traceparent: String::new(),
            }),
            event: Some(watch_event::Event::Activated(Activated {
                action_id: "approve".to_owned(),
                inputs: [("why".to_owned(), "fits".to_owned())].into(),
                uri: String::new(),
            })),
            ..WatchEvent::default()
        }
    }

    #[test]
    fn a_pressed_button_is_an_event_caused_by_the_one_behind_the_toast() {
        let event = of(&pressed()).unwrap().unwrap();
        assert_eq!(event.event_type, "toasty.action.invoked");
        assert_eq!(event.correlation_id.as_deref(), Some(CAUSE));
        assert_eq!(event.causation_id, CAUSE.parse().ok());
        assert_eq!(
            event.payload.parse::<serde_json::Value>().unwrap(),
            json!({"toast_id": "t-1", "action_id": "approve", "inputs": {"why": "fits"},
                   "request_id": "r-1"})
        );
    }

    #[test]
    fn the_same_place_in_the_same_run_is_the_same_event() {
        let id = |change: fn(&mut WatchEvent)| {
            let mut seen = pressed();
            change(&mut seen);
            of(&seen).unwrap().unwrap().event_id
        };
        let first = id(|_| ());
        assert_eq!(id(|_| ()), first);
        assert_ne!(id(|seen| seen.seq = 8), first);
        assert_ne!(id(|seen| seen.log_id = "run-2".to_owned()), first);
    }

    #[test]
    fn a_toast_that_is_shown_is_no_news() {
        let seen = WatchEvent {
            event: Some(watch_event::Event::Shown(Shown {})),
            ..pressed()
        };
        assert_eq!(of(&seen).unwrap(), None);
    }
}
