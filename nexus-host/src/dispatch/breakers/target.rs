//! One target: its breaker and its retry budget behind one lock, and the permits to call it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::super::config::Breaker as BreakerConfig;
use super::super::millis;
use super::breaker::{Breaker, CallOutcome, Pass};
use super::budget::{Budget, RETRY};
use super::held::{Because, Held};

/// A system behind an integration, as dispatch remembers it: whether it works, and how much it
/// was asked to try again.
#[derive(Debug)]
pub struct Target {
    name: String,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    breaker: Breaker,
    budget: Budget,
}

/// How a breaker stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerStatus {
    /// `plugin/integration`, followed by `@target` if there are several, or by `@alerts/NAME` for a receiver of alerts.
    pub name: String,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Whether it was opened by hand, and stays so until it is closed by hand.
    pub held: bool,
    /// Since when it is in this state.
    pub since: DateTime<Utc>,
    /// When it last opened after having been closed; absent before the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<DateTime<Utc>>,
    /// How often it has opened after having been closed.
    pub times_opened: u64,
    /// How often its state has changed. Results of calls from before the last change count for
    /// nothing.
    pub generation: u64,
    /// Failures within the window.
    pub failures: usize,
    /// When open and not held: milliseconds until a probe is let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_in_ms: Option<u64>,
    /// When closed a short time ago: milliseconds until everything is let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp_left_ms: Option<u64>,
    /// Retries for which there is budget at the moment.
    pub retries_left: u64,
}

impl Target {
    pub(super) fn new(name: String, breaker: BreakerConfig, budget: f64) -> Self {
        Self {
            name,
            inner: Mutex::new(Inner {
                breaker: Breaker::new(breaker),
                budget: Budget::new(budget, Instant::now()),
            }),
        }
    }

    /// Asks to call the target; `attempt` is 1 for the first. A retry needs budget, unless it is
    /// the probe, which the breaker bounds.
    ///
    /// # Errors
    /// When the call must wait. That is no attempt.
    pub fn acquire(self: &Arc<Self>, attempt: u32) -> Result<Permit, Held> {
        self.with(|inner, now| {
            let retry = attempt > 1;
            if retry && inner.breaker.is_closed() && inner.budget.retries(now) == 0 {
                // By then the reserve alone can pay for one.
                return Err(Held::new(Because::NoBudget, RETRY, RETRY));
            }
            let pass = inner.breaker.acquire(now)?;
            let paid = retry && !pass.probe && inner.budget.pay(now);
            if !retry {
                inner.budget.earn(now);
            }
            Ok(Permit {
                target: self.clone(),
                pass,
                paid,
                settled: false,
            })
        })
    }

    pub(super) fn hold_open(&self) -> BreakerStatus {
        self.with(|inner, now| {
            inner.breaker.hold_open();
            self.describe(inner, now)
        })
    }

    pub(super) fn close(&self) -> BreakerStatus {
        self.with(|inner, now| {
            inner.breaker.close(now);
            self.describe(inner, now)
        })
    }

    /// Whether forgetting it would change anything: a call is under way, or something is
    /// remembered against it.
    pub(super) fn is_needed(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
            || self.with(|inner, now| inner.breaker.is_needed(now) || inner.budget.is_spent(now))
    }

    pub(super) fn status(&self) -> BreakerStatus {
        self.with(|inner, now| self.describe(inner, now))
    }

    /// The breaker's state, and how often it has opened after having been closed.
    pub(super) fn glance(&self) -> (&'static str, u64) {
        self.with(|inner, now| {
            let view = inner.breaker.view(now);
            (view.state, view.times_opened)
        })
    }

    fn describe(&self, inner: &mut Inner, now: Instant) -> BreakerStatus {
        let view = inner.breaker.view(now);
        BreakerStatus {
            name: self.name.clone(),
            state: view.state,
            held: view.held,
            since: view.since,
            opened_at: view.opened_at,
            times_opened: view.times_opened,
            generation: view.generation,
            failures: view.failures,
            probe_in_ms: view.probe_in.map(millis),
            ramp_left_ms: view.ramp_left.map(millis),
            retries_left: inner.budget.retries(now),
        }
    }

    fn report(&self, permit: &Permit, outcome: CallOutcome) {
        self.with(|inner, now| {
            inner.breaker.report(permit.pass, outcome, now);
            if permit.paid && outcome != CallOutcome::Failure {
                inner.budget.give_back(now);
            }
        });
    }

    /// Looks at it, or changes it; tells the log when its breaker has changed.
    fn with<T>(&self, act: impl FnOnce(&mut Inner, Instant) -> T) -> T {
        let mut inner = self.inner.lock();
        let now = Instant::now();
        let before = inner.breaker.generation();
        let answer = act(&mut inner, now);
        if inner.breaker.generation() != before {
            let state = inner.breaker.view(now).state;
            tracing::info!(breaker = self.name, state, "a breaker has changed");
        }
        answer
    }
}

/// Leave to make one call. Dropped without a report (a cancelled call, a panic), it counts for
/// nothing, and a probe is given back.
#[derive(Debug)]
pub struct Permit {
    target: Arc<Target>,
    pass: Pass,
    /// Whether the retry budget has paid for it.
    paid: bool,
    settled: bool,
}

impl Permit {
    /// The call worked.
    pub fn succeeded(self) {
        self.settle(CallOutcome::Success);
    }

    /// The target failed.
    pub fn failed(self) {
        self.settle(CallOutcome::Failure);
    }

    /// Whether this is the one call that decides if the breaker closes.
    pub fn is_probe(&self) -> bool {
        self.pass.probe
    }

    fn settle(mut self, outcome: CallOutcome) {
        self.settled = true;
        self.target.report(&self, outcome);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.target.report(self, CallOutcome::Abandoned);
        }
    }
}
