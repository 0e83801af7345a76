//! What has happened between two looks: receives both, hands on rates and shares of times, in words that need no
//! other page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::look::{Component, Listed, Look, Standing};
use crate::observe::Durations;
use crate::observe::measures::Came;

/// The hub at a glance.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// When.
    pub at: DateTime<Utc>,
    /// Rates and times are those of so many seconds before.
    pub over_seconds: f64,
    /// Those of the last second alone.
    pub second: Second,
    /// What became of events, by door; only of doors that were used.
    pub doors: Vec<Door>,
    /// How long events waited until they were taken up, by priority, the highest first.
    pub waits: Vec<Wait>,
    /// The processors that were called, by name.
    pub processors: Listed<Called>,
    /// The integrations that were called, by name.
    pub integrations: Listed<Called>,
    /// How everything stands.
    #[serde(flatten)]
    pub standing: Standing,
}

/// One second of the hub.
#[derive(Debug, Clone, Serialize)]
pub struct Second {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// Events accepted in a second.
    pub accepted: f64,
    /// Events known already, or refused, in a second.
    pub refused: f64,
    /// Events finished in a second.
    pub finished: f64,
    /// Work that went to the dead letters, in a second.
    pub died: f64,
    /// Events with unfinished work.
    pub depth: usize,
    /// How long events waited until they were taken up.
    pub wait: Times,
    /// How long events took from their acceptance to their end.
    pub end_to_end: Times,
    /// Processors that the hub has kept busy; absent where the system does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
}

/// How long things took. Without any, nothing is told of how long.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Times {
    /// How many in a second.
    pub per_second: f64,
    /// Half of them at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_seconds: Option<f64>,
    /// Nine in ten at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_seconds: Option<f64>,
    /// All but the slowest in a hundred at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_seconds: Option<f64>,
}

/// A way in.
#[derive(Debug, Serialize)]
pub struct Door {
    /// Which one.
    pub door: &'static str,
    /// What became of its events.
    pub results: Vec<Counted>,
}

/// How often something has happened.
#[derive(Debug, Serialize)]
pub struct Counted {
    /// What: `accepted`, `duplicate`, or the code of a refusal; or what a call came to.
    pub result: &'static str,
    /// In a second.
    pub per_second: f64,
    /// Since the hub started.
    pub total: u64,
}

/// How long events of a priority waited.
#[derive(Debug, Serialize)]
pub struct Wait {
    /// Which one.
    pub priority: &'static str,
    /// How long.
    #[serde(flatten)]
    pub times: Times,
}

/// What became of the calls of a component.
#[derive(Debug, Serialize)]
pub struct Called {
    /// `plugin/name`.
    pub name: Arc<str>,
    /// How long they took.
    #[serde(flatten)]
    pub times: Times,
    /// What they came to, if anything did.
    pub results: Vec<Counted>,
    /// Failures tried again since the hub started.
    pub retried: u64,
    /// Calls held back since the hub started, to spare who would have been called.
    pub held: u64,
}

/// Something before, and how long before.
type Before<'a> = (&'a Look, Duration);

impl Overview {
    /// Of a look, one from a while before, and the one before it.
    pub(super) fn of(now: &Look, before: Before<'_>, last: Before<'_>) -> Self {
        let (old, over) = before;
        let waits = now.waits.iter().rev();
        Self {
            at: now.at,
            over_seconds: over.as_secs_f64(),
            second: Second::of(now, last),
            doors: doors(now, before),
            waits: waits
                .map(|(priority, waits)| Wait {
                    priority,
                    times: Times::of(&waits.since(&old.wait(priority)), over),
                })
                .collect(),
            processors: called(&now.processors, &old.processors, over),
            integrations: called(&now.integrations, &old.integrations, over),
            standing: now.standing.clone(),
        }
    }
}

impl Second {
    fn of(now: &Look, (last, over): Before<'_>) -> Self {
        let (accepted, others) = now.answered();
        let (accepted_before, others_before) = last.answered();
        let cpu = now.cpu.zip(last.cpu);
        Self {
            at: now.at,
            accepted: rate(accepted, accepted_before, over),
            refused: rate(others, others_before, over),
            finished: rate(now.finished, last.finished, over),
            died: rate(now.died, last.died, over),
            depth: now.standing.queue.depth,
            wait: Times::of(&now.all_waits().since(&last.all_waits()), over),
            end_to_end: Times::of(&now.lives.since(&last.lives), over),
            cpu: cpu.map(|(now, last)| {
                now.saturating_sub(last).as_secs_f64() / over.as_secs_f64().max(f64::MIN_POSITIVE)
            }),
        }
    }
}

impl Times {
    fn of(durations: &Durations, over: Duration) -> Self {
        let share = |share| durations.quantile(share).map(|time| time.as_secs_f64());
        Self {
            per_second: rate(durations.count(), 0, over),
            p50_seconds: share(0.5),
            p90_seconds: share(0.9),
            p99_seconds: share(0.99),
        }
    }
}

impl Look {
    /// Events that were accepted, and all others.
    fn answered(&self) -> (u64, u64) {
        let mut sums = (0, 0);
        for (_, result, count) in &self.doors {
            match *result {
                "accepted" => sums.0 += count,
                _ => sums.1 += count,
            }
        }
        sums
    }

    fn all_waits(&self) -> Durations {
        let none = Durations::default();
        self.waits.iter().fold(none, |all, (_, one)| all.and(one))
    }

    fn wait(&self, priority: &str) -> Durations {
        let found = self.waits.iter().find(|(name, _)| *name == priority);
        found.map(|(_, waits)| *waits).unwrap_or_default()
    }
}

fn doors(now: &Look, (old, over): Before<'_>) -> Vec<Door> {
    let mut doors: Vec<Door> = Vec::new();
    for ((door, result, total), (.., before)) in now.doors.iter().zip(&old.doors) {
        if *total == 0 {
            continue;
        }
        let counted = Counted {
            result,
            per_second: rate(*total, *before, over),
            total: *total,
        };
        match doors.iter_mut().find(|known| known.door == *door) {
            Some(known) => known.results.push(counted),
            None => doors.push(Door {
                door,
                results: vec![counted],
            }),
        }
    }
    doors
}

type Components = BTreeMap<Arc<str>, Component>;

fn called(now: &Components, old: &Components, over: Duration) -> Listed<Called> {
    Listed::of(now.iter().map(|(name, component)| {
        let before = old.get(name).copied().unwrap_or_default();
        let counts = component.results.iter().zip(before.results);
        let results = Came::ALL.iter().zip(counts);
        let results = results.filter(|(_, (total, _))| **total > 0);
        Called {
            name: name.clone(),
            times: Times::of(&component.times.since(&before.times), over),
            results: results
                .map(|(came, (total, before))| Counted {
                    result: came.as_str(),
                    per_second: rate(*total, before, over),
                    total: *total,
                })
                .collect(),
            retried: component.retried,
            held: component.held,
        }
    }))
}

fn rate(now: u64, before: u64, over: Duration) -> f64 {
    let rate = now.saturating_sub(before) as f64 / over.as_secs_f64().max(f64::MIN_POSITIVE);
    (rate * 100.0).round() / 100.0
}
