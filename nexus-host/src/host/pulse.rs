//! How every room stands, for alerts: what is counted and what fails, without what alerts themselves lead to.

use std::sync::Arc;

use crate::alerts::{PluginReading, Reading, Rooms};
use crate::dispatch::{Breakers, Dispatcher};
use crate::intake::Intake;
use crate::observe::measures::{Came, Meter};
use crate::plugins::{Catalog, PluginState};

pub(super) struct Pulse {
    pub(super) intake: Arc<Intake>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) breakers: Arc<Breakers>,
    pub(super) catalog: Arc<Catalog>,
}

impl Rooms for Pulse {
    fn read(&self) -> Reading {
        let queue = self.intake.queue();
        let stats = queue.stats();
        let (mut accepted, mut refused) = (0, 0);
        self.intake.outcomes(|_, result, count| match result {
            "accepted" => accepted += count,
            "duplicate" => {}
            _ => refused += count,
        });
        let takes_room = stats.depth.saturating_sub(stats.parked);
        let breakers = self.breakers.snapshot().into_iter();
        let measures = self.dispatcher.measures();
        let apart = self.dispatcher.apart();
        let (mut attempts, mut failed) = (0_u64, 0_u64);
        let mut count = |_: &str, meter: &Meter| {
            for (came, count) in meter.results() {
                attempts += count;
                failed += if came == Came::Failed { count } else { 0 };
            }
        };
        measures.processors.each(&mut count);
        measures.integrations.each(&mut count);
        Reading {
            accepted,
            refused,
            attempts: attempts.saturating_sub(apart.attempts()),
            failed: failed.saturating_sub(apart.failed()),
            dead: stats.deaths.total().saturating_sub(apart.dead()),
            latency: measures.all_lives().since(&apart.lives()),
            waiting: stats.oldest_waits().unwrap_or_default(),
            fill: takes_room as f64 / stats.capacity.max(1) as f64,
            breakers: breakers
                // One that is held open by hand is as somebody wants it.
                .map(|breaker| (breaker.name, breaker.state != "closed" && !breaker.held))
                .collect(),
            plugins: self.plugins(),
            refused_plugins: self.catalog.refused(),
            storage_fails: queue.trouble().is_some(),
            ..Reading::default()
        }
    }
}

impl Pulse {
    fn plugins(&self) -> Vec<PluginReading> {
        let standings = self.catalog.standings().into_iter();
        standings
            .map(|(id, state, restarts)| PluginReading {
                has_failed: matches!(
                    state,
                    PluginState::Failed(_)
                        | PluginState::Quarantined(_)
                        | PluginState::Starting(Some(_))
                ),
                is_degraded: matches!(state, PluginState::Degraded(_)) && !state.is_unconfigured(),
                id,
                restarts,
            })
            .collect()
    }
}
