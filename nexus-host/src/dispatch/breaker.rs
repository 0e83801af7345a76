//! Circuit breakers: one per integration and target, so that a system that fails is left alone
//! for a while, and what is meant for it waits without using up attempts.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::config::Breaker as Config;

/// How long a delivery waits when the one probe is already under way.
const PROBE_UNDER_WAY: Duration = Duration::from_secs(1);

/// Breakers kept. Beyond it, closed ones without failures make room; they hold nothing. If none
/// can, a further target shares the breaker of its integration.
const MAX_BREAKERS: usize = 4_096;

/// Room for further ones is made this often at most.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// Every breaker, made when first needed.
#[derive(Debug)]
pub struct Breakers {
    config: Config,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<String, Arc<Breaker>>,
    /// When room was last made: it takes a look at every breaker.
    swept: Option<Instant>,
}

impl Breakers {
    /// No breakers yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            known: Mutex::default(),
        }
    }

    /// The breaker of an integration (`plugin/name`) and, if it serves several, a target.
    pub fn of(&self, integration: &str, target: Option<&str>) -> Arc<Breaker> {
        let mut name = match target {
            Some(target) => format!("{integration}@{target}"),
            None => integration.to_owned(),
        };
        let mut known = self.known.lock();
        if known.by_name.len() >= MAX_BREAKERS && !known.by_name.contains_key(&name) {
            known.make_room();
            if known.by_name.len() >= MAX_BREAKERS {
                name = integration.to_owned();
            }
        }
        known
            .by_name
            .entry(name)
            .or_insert_with(|| Arc::new(Breaker::new(self.config.clone())))
            .clone()
    }

    /// How each of them stands, by name.
    pub fn snapshot(&self) -> Vec<BreakerStatus> {
        let mut all: Vec<_> = self
            .known
            .lock()
            .by_name
            .iter()
            .map(|(name, breaker)| breaker.status(name))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

impl Known {
    /// Forgets what is not needed, once a second at most.
    fn make_room(&mut self) {
        let now = Instant::now();
        if self.swept.is_none_or(|at| now - at >= SWEEP_PAUSE) {
            self.swept = Some(now);
            self.by_name.retain(|_, breaker| breaker.is_needed());
        }
    }
}

/// How a breaker stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerStatus {
    /// `plugin/integration`, followed by `@target` if there are several.
    pub name: String,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Failures within the window.
    pub failures: usize,
    /// When open: milliseconds until a probe is let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_in_ms: Option<u64>,
}

/// One breaker.
///
/// Closed, it counts failures within the window and opens at the threshold. Open, it lets nothing
/// through until its time is over. Then exactly one probe goes through; its result closes or
/// opens it again. Results of calls from before the last change count for nothing.
#[derive(Debug)]
pub struct Breaker {
    config: Config,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    generation: u64,
}

#[derive(Debug)]
enum State {
    Closed { failures: VecDeque<Instant> },
    Open { until: Instant },
    HalfOpen,
}

impl Breaker {
    fn new(config: Config) -> Self {
        Self {
            config,
            inner: Mutex::new(Inner {
                state: State::Closed {
                    failures: VecDeque::new(),
                },
                generation: 0,
            }),
        }
    }

    /// Asks to make a call.
    ///
    /// # Errors
    /// When it must wait: how long until it makes sense to ask again.
    pub fn acquire(self: &Arc<Self>) -> Result<Permit, Duration> {
        let mut inner = self.inner.lock();
        let now = Instant::now();
        let probe = match inner.state {
            State::Closed { .. } => false,
            State::Open { until } if until > now => return Err(until - now),
            State::Open { .. } => {
                inner.change(State::HalfOpen);
                true
            }
            State::HalfOpen => return Err(PROBE_UNDER_WAY),
        };
        Ok(Permit {
            breaker: self.clone(),
            generation: inner.generation,
            probe,
            settled: false,
        })
    }

    fn report(&self, generation: u64, outcome: CallOutcome) {
        let mut inner = self.inner.lock();
        if inner.generation != generation {
            return;
        }
        let now = Instant::now();
        let open = State::Open {
            until: now + self.config.open_for.get(),
        };
        match (&mut inner.state, outcome) {
            (State::Closed { failures }, CallOutcome::Failure) => {
                failures.push_back(now);
                forget_old(failures, now, self.config.window.get());
                if failures.len() >= self.config.failures {
                    inner.change(open);
                }
            }
            (State::HalfOpen, CallOutcome::Success) => inner.change(State::Closed {
                failures: VecDeque::new(),
            }),
            (State::HalfOpen, CallOutcome::Failure) => inner.change(open),
            // A probe that came to nothing: the next one may try at once.
            (State::HalfOpen, CallOutcome::Abandoned) => inner.change(State::Open { until: now }),
            (State::Closed { .. } | State::Open { .. }, _) => {}
        }
    }

    /// Whether forgetting it would change anything: a call is under way, or it remembers failures.
    fn is_needed(self: &Arc<Self>) -> bool {
        if Arc::strong_count(self) > 1 {
            return true;
        }
        let (now, window) = (Instant::now(), self.config.window.get());
        match &mut self.inner.lock().state {
            State::Closed { failures } => {
                forget_old(failures, now, window);
                !failures.is_empty()
            }
            // Nobody asks for its target any more.
            State::Open { until } => now < *until + window,
            State::HalfOpen => true,
        }
    }

    fn status(&self, name: &str) -> BreakerStatus {
        let mut inner = self.inner.lock();
        let now = Instant::now();
        let (state, failures, probe_in_ms) = match &mut inner.state {
            State::Closed { failures } => {
                forget_old(failures, now, self.config.window.get());
                ("closed", failures.len(), None)
            }
            State::Open { until } => {
                let left = until.saturating_duration_since(now).as_millis();
                ("open", 0, Some(u64::try_from(left).unwrap_or(u64::MAX)))
            }
            State::HalfOpen => ("half_open", 0, None),
        };
        BreakerStatus {
            name: name.to_owned(),
            state,
            failures,
            probe_in_ms,
        }
    }
}

impl Inner {
    fn change(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

fn forget_old(failures: &mut VecDeque<Instant>, now: Instant, window: Duration) {
    while failures
        .front()
        .is_some_and(|at| now.duration_since(*at) >= window)
    {
        failures.pop_front();
    }
}

#[derive(Debug, Clone, Copy)]
enum CallOutcome {
    Success,
    Failure,
    Abandoned,
}

/// Leave to make one call. Dropped without a report (a cancelled call, a panic), it counts for
/// nothing, and a probe is given back.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    generation: u64,
    probe: bool,
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
        self.probe
    }

    fn settle(mut self, outcome: CallOutcome) {
        self.settled = true;
        self.breaker.report(self.generation, outcome);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.report(self.generation, CallOutcome::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn breaker() -> Arc<Breaker> {
        Breakers::new(Config::default()).of("toasty/toasty", None)
    }

    fn fail(breaker: &Arc<Breaker>, times: usize) {
        for _ in 0..times {
            breaker.acquire().expect("closed").failed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_on_the_fifth_failure_within_a_minute_and_not_on_older_ones() {
        let breaker = breaker();
        fail(&breaker, 4);
        advance(Duration::from_secs(60)).await;
        fail(&breaker, 4);
        assert!(breaker.acquire().is_ok(), "the first four are a minute old");
        fail(&breaker, 1);
        assert_eq!(
            breaker.acquire().expect_err("open"),
            Duration::from_secs(30)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_decides() {
        let breaker = breaker();
        fail(&breaker, 5);
        advance(Duration::from_secs(30)).await;
        let probe = breaker.acquire().expect("the probe");
        assert!(probe.is_probe());
        assert!(breaker.acquire().is_err(), "a second probe");
        probe.failed();
        assert_eq!(
            breaker.acquire().expect_err("open again"),
            Duration::from_secs(30)
        );
        advance(Duration::from_secs(30)).await;
        breaker.acquire().expect("the probe").succeeded();
        fail(&breaker, 4);
        assert!(breaker.acquire().is_ok(), "closed with a clean slate");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_is_not_stuck() {
        let breaker = breaker();
        fail(&breaker, 5);
        advance(Duration::from_secs(30)).await;
        drop(breaker.acquire().expect("the probe"));
        assert!(breaker.acquire().expect("the next probe").is_probe());
    }

    #[tokio::test(start_paused = true)]
    async fn late_results_change_nothing() {
        let breaker = breaker();
        let late_success = breaker.acquire().expect("closed");
        let late_failure = breaker.acquire().expect("closed");
        fail(&breaker, 5);
        advance(Duration::from_secs(30)).await;
        let probe = breaker.acquire().expect("the probe");
        late_success.succeeded();
        assert!(breaker.acquire().is_err(), "a late success closed it");
        probe.succeeded();
        fail(&breaker, 4);
        late_failure.failed();
        assert!(breaker.acquire().is_ok(), "a late failure was counted");
    }

    #[tokio::test(start_paused = true)]
    async fn endless_targets_share_a_breaker_until_old_ones_make_room() {
        let breakers = Breakers::new(Config::default());
        let fail_at = |target: usize| {
            let breaker = breakers.of("a/b", Some(&target.to_string()));
            breaker.acquire().map(Permit::failed)
        };
        for target in 0..2 * MAX_BREAKERS {
            let _ = fail_at(target);
        }
        assert_eq!(breakers.snapshot().len(), MAX_BREAKERS + 1);
        assert!(fail_at(2 * MAX_BREAKERS).is_err(), "the shared one is open");
        let held = breakers.of("a/b", Some("0")).acquire().expect("closed");
        advance(Duration::from_secs(120)).await;
        fail_at(2 * MAX_BREAKERS).expect("one of its own");
        assert_eq!(
            breakers.snapshot().len(),
            2,
            "with a call under way, and the new one"
        );
        held.failed();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ten_thousand_callers_at_expiry_get_one_probe() {
        let breakers = Breakers::new(Config {
            open_for: crate::config::HumanDuration::from_secs(0),
            ..Config::default()
        });
        let breaker = breakers.of("a/b", None);
        fail(&breaker, 5);
        let callers: Vec<_> = (0..10_000)
            .map(|_| {
                let breaker = breaker.clone();
                tokio::spawn(async move { breaker.acquire().ok() })
            })
            .collect();
        let mut probes = Vec::new();
        for caller in callers {
            probes.extend(caller.await.expect("no panic"));
        }
        assert_eq!(probes.len(), 1);
    }
}
