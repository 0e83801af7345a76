//! Every target of an integration, each with a circuit breaker and a retry budget: so that a system
//! that fails is left alone for a while, and what is meant for it waits without using up attempts.

mod breaker;
mod budget;
mod held;
mod ramp;
mod target;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::config::{Breaker as Config, Retry};
pub use held::{Because, Held};
pub use target::{BreakerStatus, Permit, Target};

/// Targets kept. Beyond it, those of which nothing is remembered make room. If none can, a further
/// one shares breaker and budget with its integration.
const MAX_TARGETS: usize = 4_096;

/// Room for further ones is made this often at most.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// Every target, made when first needed.
#[derive(Debug)]
pub struct Breakers {
    config: Config,
    /// The share of a retry that a first attempt earns.
    budget: f64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<String, Arc<Target>>,
    /// When room was last made: it takes a look at every target.
    swept: Option<Instant>,
}

impl Breakers {
    /// No targets yet.
    pub fn new(config: Config, retry: &Retry) -> Self {
        Self {
            config,
            budget: retry.budget,
            known: Mutex::default(),
        }
    }

    /// The target of an integration (`plugin/name`), which names one if it serves several.
    pub fn of(&self, integration: &str, target: Option<&str>) -> Arc<Target> {
        let mut name = match target {
            Some(target) => format!("{integration}@{target}"),
            None => integration.to_owned(),
        };
        let mut known = self.known.lock();
        if known.by_name.len() >= MAX_TARGETS && !known.by_name.contains_key(&name) {
            known.make_room();
            if known.by_name.len() >= MAX_TARGETS {
                name = integration.to_owned();
            }
        }
        if let Some(found) = known.by_name.get(&name) {
            return found.clone();
        }
        let target = Arc::new(Target::new(name.clone(), self.config.clone(), self.budget));
        known.by_name.insert(name, target.clone());
        target
    }

    /// Opens a breaker by hand: it stays open until [`Breakers::close`]. How it stands then; `None`
    /// when there is none of that name.
    pub fn open(&self, name: &str) -> Option<BreakerStatus> {
        Some(self.named(name)?.hold_open())
    }

    /// Closes a breaker by hand; its ramp begins, as after a probe that worked. One that is closed
    /// stays as it is. How it stands then; `None` when there is none of that name.
    pub fn close(&self, name: &str) -> Option<BreakerStatus> {
        Some(self.named(name)?.close())
    }

    /// How each of them stands, by name.
    pub fn snapshot(&self) -> Vec<BreakerStatus> {
        let known = self.known.lock();
        let mut all: Vec<_> = known.by_name.values().map(|one| one.status()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn named(&self, name: &str) -> Option<Arc<Target>> {
        self.known.lock().by_name.get(name).cloned()
    }
}

impl Known {
    /// Forgets what is not needed, once a second at most.
    fn make_room(&mut self) {
        let now = Instant::now();
        if self.swept.is_none_or(|at| now - at >= SWEEP_PAUSE) {
            self.swept = Some(now);
            self.by_name.retain(|_, target| target.is_needed());
        }
    }
}
