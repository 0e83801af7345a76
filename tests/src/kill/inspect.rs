//! What a hub says of a run's events once its queue is at rest: journeys, kept state, dead letters,
//! figures. It only asks.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use crate::hub::{ADMIN_KEY, Hub};
use crate::ledger::Entry;
use crate::wire::{Answer, Wire, get};

/// What a hub knows.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    /// The journeys of the producers' events and of those that they led to; none for an event that
    /// the hub does not know.
    pub(super) journeys: HashMap<Uuid, Value>,
    /// Whether the key of an order is in the plugin's state.
    pub(super) kept: HashMap<String, bool>,
    /// The dead letters that are listed: the first ones, when there are many.
    pub(super) dead_letters: Vec<Uuid>,
    /// `/v1/admin/queue`.
    pub(super) queue: Value,
    /// Questions to which the hub said neither yes nor no.
    pub(super) evaded: Vec<String>,
}

impl Inspection {
    /// Asks for everything that concerns these events.
    ///
    /// # Panics
    /// When there is no answer at all.
    pub(super) async fn of(hub: &Hub, entries: impl Iterator<Item = &Entry>) -> Self {
        let mut wire = Wire::open(hub.address()).await.expect("the hub listens");
        let mut found = Self::default();
        for entry in entries {
            let mut wanted = vec![entry.event.event_id];
            while let Some(id) = wanted.pop() {
                let path = format!("/v1/events/{id}");
                if let Some(answer) = found.ask(&mut wire, &path).await
                    && answer.status == 200
                {
                    wanted.extend(emitted(&answer.body));
                    found.journeys.insert(id, answer.body);
                }
            }
            if let Some(key) = &entry.event.payload.keep {
                let path = format!("/v1/hooks/probe/state/{key}");
                if let Some(answer) = found.ask(&mut wire, &path).await {
                    found.kept.insert(key.clone(), answer.status == 200);
                }
            }
        }
        if let Some(answer) = found.ask(&mut wire, "/v1/admin/dead-letters").await {
            let letters = answer.body["dead_letters"].as_array().into_iter().flatten();
            let id = |letter: &Value| letter["id"].as_str()?.parse().ok();
            found.dead_letters = letters.filter_map(id).collect();
        }
        if let Some(answer) = found.ask(&mut wire, "/v1/admin/queue").await {
            found.queue = answer.body;
        }
        found
    }

    /// An answer that says yes (200) or no (404).
    async fn ask(&mut self, wire: &mut Wire, path: &str) -> Option<Answer> {
        let answer = wire.exchange(&get(path, ADMIN_KEY)).await;
        let answer = answer.expect("an answer");
        if matches!(answer.status, 200 | 404) {
            return Some(answer);
        }
        self.evaded.push(format!("{path}: {answer:?}"));
        None
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

/// Whether the hub has given an event up because it blamed it for its deaths.
pub(super) fn is_blamed(journey: &Value) -> bool {
    steps(journey, "dead").any(|step| step["reason"] == "killed_the_hub")
}

fn ids(journey: &Value, name: &str, field: &str) -> impl Iterator<Item = Uuid> {
    steps(journey, name).filter_map(move |step| step[field].as_str()?.parse().ok())
}

fn steps<'a>(journey: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let steps = journey["steps"].as_array().into_iter().flatten();
    steps.filter(move |step| step["step"] == name)
}
