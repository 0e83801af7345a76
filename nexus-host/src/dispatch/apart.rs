//! What comes of the events that tell of alerts, counted apart: no alert may be the reason for another, so whoever
//! raises alerts takes this off what is measured of everything.

use nexus_plugin_api::Event;

use crate::alerts;
use crate::observe::Tally;
use crate::queue::{Settlement, Step};

const ATTEMPTS: usize = 0;
const FAILED: usize = 1;
const DEAD: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub struct Apart(Tally<3>);

impl Apart {
    /// Notes what became of a delivery, if its event tells of alerts.
    pub(super) fn note(&self, event: &Event, settlement: &Settlement) {
        if !alerts::tells_of_alerts(&event.event_type) {
            return;
        }
        for step in &settlement.steps {
            match step {
                Step::Processed { .. } | Step::Delivered { .. } => self.0.add(ATTEMPTS),
                Step::ProcessorFailed { .. } | Step::DeliveryFailed { .. } => {
                    self.0.add(ATTEMPTS);
                    self.0.add(FAILED);
                }
                _ => {}
            }
        }
        settlement.dead.iter().for_each(|_| self.0.add(DEAD));
    }

    /// Attempts at processing and at effects.
    pub fn attempts(&self) -> u64 {
        self.0.counts()[ATTEMPTS]
    }

    /// Those of them that failed.
    pub fn failed(&self) -> u64 {
        self.0.counts()[FAILED]
    }

    /// Dead letters.
    pub fn dead(&self) -> u64 {
        self.0.counts()[DEAD]
    }
}
