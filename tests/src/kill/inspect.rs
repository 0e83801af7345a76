//! What a hub says of a run's events once its queue is at rest: journeys, kept state, dead letters,
//! figures. It only asks.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use crate::hub::{ADMIN_KEY, Hub};
use crate::ledger::Entry;
use crate::wire::{Wire, get};

/// What a hub knows.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    /// The journeys of the producers' events and of those that they led to; none for an event that
    /// the hub does not know.
    pub(super) journeys: HashMap<Uuid, Value>,
    /// The keys of orders that are in the plugin's state.
    pub(super) kept: HashSet<String>,
    /// The dead letters that are listed: the first ones, when there are many.
    pub(super) dead_letters: Vec<Uuid>,
    /// `/v1/admin/queue`.
    pub(super) queue: Value,
}

impl Inspection {
    /// Asks for everything that concerns these events.
    ///
    /// # Panics
    /// When the hub does not answer.
    pub(super) async fn of(hub: &Hub, entries: impl Iterator<Item = &Entry>) -> Self {
        let mut wire = Wire::open(hub.address()).await.expect("the hub listens");
        let mut read = async |path: &str| {
            let answer = wire.exchange(&get(path, ADMIN_KEY)).await;
            let answer = answer.expect("the hub answers");
            (answer.status == 200).then_some(answer.body)
        };
        let mut found = Self::default();
        for entry in entries {
            let mut wanted = vec![entry.event.event_id];
            while let Some(id) = wanted.pop() {
                if let Some(journey) = read(&format!("/v1/events/{id}")).await {
                    wanted.extend(emitted(&journey));
                    found.journeys.insert(id, journey);
                }
            }
            if let Some(key) = &entry.event.payload.keep
                && read(&format!("/v1/hooks/probe/state/{key}"))
                    .await
                    .is_some()
            {
                found.kept.insert(key.clone());
            }
        }
        let letters = read("/v1/admin/dead-letters").await.unwrap_or_default();
        let letters = letters["dead_letters"].as_array().into_iter().flatten();
        let id = |letter: &Value| letter["id"].as_str()?.parse().ok();
        found.dead_letters = letters.filter_map(id).collect();
        found.queue = read("/v1/admin/queue").await.unwrap_or_default();
        found
    }

    /// Where an event stands; nothing when the hub does not know it.
    pub(super) fn status(&self, event_id: Uuid) -> Option<&str> {
        self.journeys.get(&event_id)?["status"].as_str()
    }
}

/// The events that an event has led to, in the order of its effects.
pub(super) fn emitted(journey: &Value) -> impl Iterator<Item = Uuid> {
    ids(journey, "emitted", "event_id")
}

/// The dead letters that an event has left.
pub(super) fn dead_letters(journey: &Value) -> impl Iterator<Item = Uuid> {
    ids(journey, "dead", "dead_letter")
}

fn ids(journey: &Value, name: &str, field: &str) -> impl Iterator<Item = Uuid> {
    let steps = journey["steps"].as_array().into_iter().flatten();
    let steps = steps.filter(move |step| step["step"] == name);
    steps.filter_map(move |step| step[field].as_str()?.parse().ok())
}
