//! What the hub measures of its own work: is told of each wait, call and end by whoever does the work, and tells what
//! that comes to.
//!
//! Everything has a fixed number of places, but for components, which have one each, by their name: names come out
//! of plugin files and the configuration, never out of events, and there are no more of them than 4,096.
//! Whoever does the work keeps the [`Meter`] of a component, so that nothing is looked up for an event and nobody waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nexus_plugin_api::Priority;
use parking_lot::RwLock;

use super::histogram::{Durations, Histogram};
use super::tally::Tally;

/// So many components of a kind are told apart; further ones are [`OTHERS`] together. Names that no plugin has any more
/// are kept, since what was counted under them stays true.
const MOST: usize = 4_096;

/// What those are called that there is no room for.
pub const OTHERS: &str = "others";

/// See the module.
#[derive(Debug, Default)]
pub struct Measures {
    waits: [Histogram; 4],
    lives: [Histogram; End::ALL.len()],
    /// Calls of processors.
    pub processors: Meters,
    /// Calls of integrations, by which effects are performed, and questions to people.
    pub integrations: Meters,
}

/// How an event has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything is done.
    Processed,
    /// Some of it is among the dead letters.
    Dead,
}

/// What a call has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Decided, or delivered.
    Done,
    /// A processor has nothing to do with the event.
    Skip,
    /// A processor refuses the event.
    Reject,
    /// It is to come again later; that is no failure.
    RetryLater,
    /// It failed, or has not answered in time.
    Failed,
}

/// What is measured of each component of a kind.
#[derive(Debug, Default)]
pub struct Meters(RwLock<BTreeMap<Arc<str>, Arc<Meter>>>);

/// What is measured of one component.
#[derive(Debug, Default)]
pub struct Meter {
    times: Histogram,
    results: Tally<{ Came::ALL.len() }>,
    retries: AtomicU64,
    held: AtomicU64,
}

impl Measures {
    /// An event has waited so long from its acceptance until it was taken up for the first time.
    pub fn waited(&self, priority: Priority, long: Duration) {
        self.waits[priority as usize].add(long);
    }

    /// An event has ended so long after its acceptance.
    pub fn ended(&self, end: End, after: Duration) {
        self.lives[end as usize].add(after);
    }

    /// How long events have waited from their acceptance until they were taken up, by priority.
    pub fn waits(&self) -> impl Iterator<Item = (Priority, Durations)> {
        let waits = self.waits.iter().map(Histogram::counted);
        Priority::ALL.into_iter().zip(waits)
    }

    /// How long after their acceptance events have ended, by how.
    pub fn lives(&self) -> impl Iterator<Item = (End, Durations)> {
        let lives = self.lives.iter().map(Histogram::counted);
        End::ALL.into_iter().zip(lives)
    }

    /// The same, however they have ended.
    pub fn all_lives(&self) -> Durations {
        let none = Durations::default();
        self.lives().fold(none, |all, (_, one)| all.and(&one))
    }
}

impl Meters {
    /// That of a component, to be kept by whoever calls it.
    pub fn of(&self, component: &str) -> Arc<Meter> {
        if let Some(known) = self.0.read().get(component) {
            return known.clone();
        }
        let mut all = self.0.write();
        let name = match all.len() < MOST {
            true => component,
            false => OTHERS,
        };
        let known = all.get(component).or_else(|| all.get(name)).cloned();
        known.unwrap_or_else(|| all.entry(name.into()).or_default().clone())
    }

    /// Every component that has been called, by name.
    pub fn each(&self, mut each: impl FnMut(&str, &Meter)) {
        // Not under the lock: whoever is told may take its time.
        let all = self.0.read().clone();
        for (name, meter) in &all {
            each(name, meter);
        }
    }
}

impl Meter {
    /// A call has taken so long and come to that.
    pub fn called(&self, took: Duration, result: Came) {
        self.times.add(took);
        self.results.add(result as usize);
    }

    /// What has failed will be tried once more.
    pub fn retries(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// A call was held back, to spare who would have been called. It is made later.
    pub fn held_back(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    /// How long calls have taken.
    pub fn times(&self) -> Durations {
        self.times.counted()
    }

    /// How many calls have come to what.
    pub fn results(&self) -> impl Iterator<Item = (Came, u64)> {
        Came::ALL.into_iter().zip(self.results.counts())
    }

    /// How many calls have come to this.
    pub fn count(&self, result: Came) -> u64 {
        self.results.counts()[result as usize]
    }

    /// How many failures were tried once more.
    pub fn retried(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// How often a call was held back.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

impl End {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Processed, Self::Dead];

    /// As counts name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Dead => "dead",
        }
    }
}

impl Came {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::Skip,
        Self::Reject,
        Self::RetryLater,
        Self::Failed,
    ];

    /// As counts and journals name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skip => "skip",
            Self::Reject => "reject",
            Self::RetryLater => "retry_later",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_counted_under_its_name_and_the_last_ones_together() {
        let meters = Meters::default();
        let first = meters.of("p/0");
        for number in 1..MOST + 10 {
            let meter = meters.of(&format!("p/{number}"));
            meter.called(Duration::ZERO, Came::Done);
        }
        assert!(Arc::ptr_eq(&first, &meters.of("p/0")), "known as before");
        let mut told = BTreeMap::new();
        meters.each(|name, meter| {
            told.insert(name.to_owned(), meter.count(Came::Done));
        });
        assert_eq!(told.len(), MOST + 1);
        assert_eq!((told["p/0"], told["p/1"], told[OTHERS]), (0, 1, 10));
    }
}
