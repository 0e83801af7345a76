//! Every target of an integration, each with a circuit breaker and a retry budget: so that a system
//! that fails is left alone for a while, and what is meant for it waits without using up attempts.

mod breaker;
mod budget;
mod held;
mod ramp;
mod target;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
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
    /// How often those had opened that are forgotten, by integration.
    opened_before: BTreeMap<String, u64>,
    /// When room was last made: it takes a look at every target.
    swept: Option<Instant>,
}

/// How the breakers of an integration's targets stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many are closed.
    pub closed: usize,
    /// How many let a probe through.
    pub half_open: usize,
    /// How many are open.
    pub open: usize,
    /// How often any of them has opened after having been closed.
    pub times_opened: u64,
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

    /// How they stand, by integration.
    pub fn by_integration(&self) -> BTreeMap<String, Sum> {
        let known = self.known.lock();
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        for (integration, times) in &known.opened_before {
            sums.entry(integration.clone()).or_default().times_opened += times;
        }
        for (name, target) in &known.by_name {
            let (state, times_opened) = target.glance();
            let integration = integration_of(name);
            let sum = match sums.get_mut(integration) {
                Some(sum) => sum,
                None => sums.entry(integration.to_owned()).or_default(),
            };
            sum.times_opened += times_opened;
            *match state {
                "closed" => &mut sum.closed,
                "open" => &mut sum.open,
                _ => &mut sum.half_open,
            } += 1;
        }
        sums
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
            let before = &mut self.opened_before;
            self.by_name.retain(|name, target| {
                let is_needed = target.is_needed();
                let (_, times_opened) = target.glance();
                if !is_needed && times_opened > 0 {
                    let sum = before.entry(integration_of(name).to_owned());
                    *sum.or_default() += times_opened;
                }
                is_needed
            });
        }
    }
}

impl Sum {
    /// How many are in which state.
    pub fn states(&self) -> [(&'static str, usize); 3] {
        [
            ("closed", self.closed),
            ("half_open", self.half_open),
            ("open", self.open),
        ]
    }
}

/// What comes before the target's own name.
fn integration_of(name: &str) -> &str {
    name.split_once('@')
        .map_or(name, |(integration, _)| integration)
}
