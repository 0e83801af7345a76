//! What happens to events, step by step, for whoever watches at the moment. Nothing is kept and nothing is written down
//! while nobody does; whoever is too slow misses some and is told how many.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use nexus_plugin_api::Event;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::Ids;

/// How many wait for one who is slow. Each is a few hundred bytes: of payloads they have nothing.
const WAITING: usize = 1_024;

/// What can be watched: the steps of journeys that happen while a hub works, and refusals.
pub const STAGES: [&str; 16] = [
    "refused",
    "accepted",
    "leased",
    "unrouted",
    "expired",
    "processed",
    "processor_failed",
    "asked",
    "answered",
    "emitted",
    "scheduled",
    "delivered",
    "delivery_failed",
    "parked",
    "dead",
    "finished",
];

/// Where steps pass by.
#[derive(Debug, Clone)]
pub struct Stages(broadcast::Sender<Arc<Stage>>);

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// When.
    pub at: DateTime<Utc>,
    /// What has happened, as journeys call it; or `refused`.
    pub stage: String,
    /// The event; none where it was refused before it could be read.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub event: Option<Named>,
    /// What else there is to say.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Which event it is. What is missing was not there, or not well-formed, in one that was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Uuid>,
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

impl From<&Event> for Named {
    fn from(event: &Event) -> Self {
        Self {
            event_id: Some(event.event_id),
            event_type: Some(event.event_type.clone()),
            source: Some(event.source.clone()),
            correlation_id: event.correlation_id.clone(),
        }
    }
}

impl Named {
    /// By what lines of the log name it.
    pub(crate) fn ids(&self) -> Ids<'_> {
        Ids {
            event_id: self.event_id,
            correlation_id: self.correlation_id.as_deref(),
        }
    }
}

impl Stages {
    /// Nobody watches yet.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }

    /// Whether somebody watches. While nobody does, there is nothing to [`show`](Self::show).
    pub fn are_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Shows a step, an object whose `step` names it.
    pub fn show(&self, event: Option<Named>, step: Value) {
        let Value::Object(mut more) = step else {
            return;
        };
        let Some(Value::String(stage)) = more.remove("step") else {
            return;
        };
        // An emitted event is named by the step; the one that led to it is what the step is about.
        for (name, renamed) in [("event_id", "emitted_id"), ("type", "emitted_type")] {
            if let Some(of_step) = more.remove(name) {
                more.insert(renamed.to_owned(), of_step);
            }
        }
        let stage = Stage {
            at: Utc::now(),
            stage,
            event,
            more,
        };
        // Whoever watched may have gone.
        let _ = self.0.send(Arc::new(stage));
    }

    /// Watches from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Stage>> {
        self.0.subscribe()
    }
}

impl Default for Stages {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::RawJson;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_says_of_which_event_it_is_and_not_what_is_in_it() {
        let stages = Stages::new();
        assert!(!stages.are_watched());
        let mut watched = stages.watch();
        assert!(stages.are_watched());
        let event = Event::new(
            "a.b",
            "s",
            RawJson::from_checked("{\"secret\":1}".to_owned()),
        );
        let emitted = json!({ "step": "emitted", "event_id": 7, "type": "c.d" });
        stages.show(Some(Named::from(&event)), emitted);
        let shown = serde_json::to_value(&*watched.try_recv().unwrap()).unwrap();
        assert_eq!(shown["stage"], "emitted");
        assert_eq!(
            (&shown["type"], &shown["emitted_type"]),
            (&json!("a.b"), &json!("c.d"))
        );
        assert_eq!(shown["event_id"], json!(event.event_id));
        assert!(!shown.to_string().contains("secret"));
        let refused = Named {
            source: Some("s".to_owned()),
            ..Named::default()
        };
        stages.show(
            Some(refused),
            json!({ "step": "refused", "code": "forbidden" }),
        );
        let shown = serde_json::to_value(&*watched.try_recv().unwrap()).unwrap();
        assert_eq!(
            (&shown["code"], &shown["source"], shown.get("event_id")),
            (&json!("forbidden"), &json!("s"), None)
        );
    }
}
