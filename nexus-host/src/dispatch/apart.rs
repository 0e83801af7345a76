//! What comes of the events that tell of alerts, and of those that follow from them, counted apart: no alert may be
//! the reason for another, so whoever raises alerts takes this off what is measured of everything.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_plugin_api::Event;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::alerts;
use crate::observe::measures::Came;
use crate::observe::{Durations, Histogram, Tally};
use crate::queue::Settlement;

const ATTEMPTS: usize = 0;
const FAILED: usize = 1;
const DEAD: usize = 2;

/// How many events are remembered that follow from others of these, the last ones.
const MOST_FOLLOWING: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Apart {
    counts: Tally<3>,
    lives: Histogram,
    following: Following,
}

/// Events that plugins and routes have made of others of these.
#[derive(Debug, Default)]
struct Following {
    are_there: AtomicBool,
    last: Mutex<(HashSet<Uuid>, VecDeque<Uuid>)>,
}

impl Apart {
    /// Notes what a call for an event has come to, if it is one of these.
    pub(super) fn called(&self, event: &Event, came: Came) {
        if self.is_of(event) {
            self.counts.add(ATTEMPTS);
            if came == Came::Failed {
                self.counts.add(FAILED);
            }
        }
    }

    /// Notes what follows from an event, if it is one of these.
    pub(super) fn note(&self, event: &Event, settlement: &Settlement) {
        if (settlement.dead.is_empty() && settlement.emitted.is_empty()) || !self.is_of(event) {
            return;
        }
        settlement.dead.iter().for_each(|_| self.counts.add(DEAD));
        let emitted = settlement.emitted.iter();
        emitted.for_each(|emitted| self.following.add(emitted.event().event_id));
    }

    /// Notes that nothing more is done for an event so long after its acceptance, if it is one of these.
    pub(super) fn ended(&self, event: &Event, after: Duration) {
        if self.is_of(event) {
            self.lives.add(after);
        }
    }

    fn is_of(&self, event: &Event) -> bool {
        alerts::tells_of_alerts(&event.event_type) || self.following.has(event.event_id)
    }

    /// How long after their acceptance these events have ended.
    pub fn lives(&self) -> Durations {
        self.lives.counted()
    }

    /// Attempts at processing and at effects.
    pub fn attempts(&self) -> u64 {
        self.counts.counts()[ATTEMPTS]
    }

    /// Those of them that failed.
    pub fn failed(&self) -> u64 {
        self.counts.counts()[FAILED]
    }

    /// Dead letters.
    pub fn dead(&self) -> u64 {
        self.counts.counts()[DEAD]
    }
}

impl Following {
    fn add(&self, event_id: Uuid) {
        let mut last = self.last.lock();
        let (known, in_order) = &mut *last;
        if known.insert(event_id) {
            in_order.push_back(event_id);
        }
        if in_order.len() > MOST_FOLLOWING
            && let Some(oldest) = in_order.pop_front()
        {
            known.remove(&oldest);
        }
        self.are_there.store(true, Ordering::Release);
    }

    /// On most hubs there never are any, and nobody waits.
    fn has(&self, event_id: Uuid) -> bool {
        self.are_there.load(Ordering::Acquire) && self.last.lock().0.contains(&event_id)
    }
}
