//! One look at the hub: what was counted since it started, and how it stands at that moment. Plain data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::observe::Durations;
use crate::observe::measures::{Came, Meter};

/// Components, breakers, plugins or alerts of which an overview tells; of more, it tells how many.
const MOST: usize = 200;

/// What was seen at a moment.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// When.
    pub at: DateTime<Utc>,
    /// What became of events, by door and result.
    pub doors: Vec<(&'static str, &'static str, u64)>,
    /// Events finished.
    pub finished: u64,
    /// Work that went to the dead letters.
    pub died: u64,
    /// How long events have waited until they were taken up, by priority.
    pub waits: Vec<(&'static str, Durations)>,
    /// How long events have taken, from acceptance to their end.
    pub lives: Durations,
    /// Of each processor.
    pub processors: BTreeMap<Arc<str>, Component>,
    /// Of each integration.
    pub integrations: BTreeMap<Arc<str>, Component>,
    /// Processor time that the hub has used.
    pub cpu: Option<Duration>,
    /// How everything stands.
    pub standing: Standing,
}

/// What was counted of one component.
#[derive(Debug, Clone, Copy, Default)]
pub struct Component {
    /// How long calls have taken.
    pub times: Durations,
    /// What they have come to, by [`Came::ALL`].
    pub results: [u64; Came::ALL.len()],
    /// Failures that were tried again.
    pub retried: u64,
    /// Calls that were held back.
    pub held: u64,
}

/// How everything stands; it is told as it is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Standing {
    /// The hub as a whole.
    pub hub: Figures,
    /// The queue.
    pub queue: Queue,
    /// Plugins and files, as `/v1/admin/plugins` shows them, in short.
    pub plugins: Listed<Value>,
    /// Breakers as `/v1/admin/breakers` shows them, those that are not closed first.
    pub breakers: Listed<Value>,
    /// Active alerts as `/v1/admin/alerts` shows them, the worst first.
    pub alerts: Listed<Value>,
    /// How many questions wait for a person.
    pub approvals_pending: usize,
}

/// The hub as a whole.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Its version.
    pub version: &'static str,
    /// As `/readyz` tells it.
    pub status: &'static str,
    /// What is not ready, and why.
    pub checks: Value,
    /// For how long it runs.
    pub uptime_seconds: u64,
    /// Memory that it holds; absent where the system does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Open connections, by listener.
    pub connections: BTreeMap<&'static str, usize>,
    /// Who follows accepted events.
    pub followers: usize,
}

/// The queue.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Queue {
    /// Events with unfinished work.
    pub depth: usize,
    /// Those of them of which all that is left waits for its time.
    pub parked: usize,
    /// The bound on the others.
    pub capacity: usize,
    /// Events that wait to be taken up, by priority, the highest first.
    pub waiting: Vec<Waiting>,
    /// Work under way.
    pub leased: usize,
    /// Work that waits for its time.
    pub delayed: usize,
    /// Lanes with work under way.
    pub lanes: usize,
    /// Lanes in which work waits, the fullest first: what, how much, and whether work of it is under way.
    pub fullest_lanes: Vec<Value>,
    /// Octets of payload.
    pub payload_bytes: u64,
    /// For how long the oldest waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<f64>,
    /// Dead letters kept.
    pub dead_letters: usize,
    /// What is wrong with its storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Octets that its files take, and what is free beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Value>,
}

/// Events of a priority.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Waiting {
    /// Which one.
    pub priority: &'static str,
    /// How many.
    pub events: usize,
}

/// The first ones of several.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Listed<T> {
    /// These.
    pub list: Vec<T>,
    /// And so many more.
    pub left_out: usize,
}

impl<T> Listed<T> {
    /// As many as an overview has room for.
    pub fn of(all: impl IntoIterator<Item = T>) -> Self {
        let mut all = all.into_iter();
        let list = all.by_ref().take(MOST).collect();
        Self {
            list,
            left_out: all.count(),
        }
    }
}

impl From<&Meter> for Component {
    fn from(meter: &Meter) -> Self {
        let mut results = [0; Came::ALL.len()];
        for (place, (_, count)) in results.iter_mut().zip(meter.results()) {
            *place = count;
        }
        Self {
            times: meter.times(),
            results,
            retried: meter.retried(),
            held: meter.held(),
        }
    }
}
