//! What comes of the events that tell of alerts, counted apart: no alert may be the reason for another, so whoever
//! raises alerts takes this off what is measured of everything.

use std::time::Duration;

use nexus_plugin_api::Event;

use crate::alerts;
use crate::observe::{Durations, Histogram, Tally};
use crate::queue::{Settlement, Step};

const ATTEMPTS: usize = 0;
const FAILED: usize = 1;
const DEAD: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub struct Apart {
    counts: Tally<3>,
    lives: Histogram,
}

impl Apart {
    /// Notes what became of a delivery, if its event tells of alerts.
    pub(super) fn note(&self, event: &Event, settlement: &Settlement) {
        if !alerts::tells_of_alerts(&event.event_type) {
            return;
        }
        for step in &settlement.steps {
            match step {
                Step::Processed { .. } | Step::Delivered { .. } => self.counts.add(ATTEMPTS),
                Step::ProcessorFailed { .. } | Step::DeliveryFailed { .. } => {
                    self.counts.add(ATTEMPTS);
                    self.counts.add(FAILED);
                }
                _ => {}
            }
        }
        settlement.dead.iter().for_each(|_| self.counts.add(DEAD));
    }

    /// Notes that nothing more is done for an event so long after its acceptance, if it tells of alerts.
    pub(super) fn ended(&self, event: &Event, after: Duration) {
        if alerts::tells_of_alerts(&event.event_type) {
            self.lives.add(after);
        }
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
