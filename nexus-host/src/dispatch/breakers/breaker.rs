//! One breaker: what calls it lets through, and what their results change. It is told the time, and
//! locks nothing.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::super::config::Breaker as Config;
use super::held::{Because, Held};
use super::ramp::Ramp;

/// How long those wait who come while the one probe is under way, and how far apart.
const PROBE_UNDER_WAY: Duration = Duration::from_secs(1);

/// Closed, it counts failures within the window and opens at the threshold. Open, it lets nothing
/// through until its time is over. Then exactly one probe goes through; its result closes or
/// opens it again. Results of calls from before the last change count for nothing.
#[derive(Debug)]
pub(super) struct Breaker {
    config: Config,
    state: State,
    generation: u64,
    since: DateTime<Utc>,
    opened_at: Option<DateTime<Utc>>,
    times_opened: u64,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: VecDeque<Instant>,
        /// There is none before it has opened for the first time.
        ramp: Option<Ramp>,
    },
    /// Without a time: until somebody closes it.
    Open {
        until: Option<Instant>,
    },
    HalfOpen,
}

/// What is remembered of a call that was let through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    generation: u64,
    /// Whether it is the one call that decides if the breaker closes.
    pub(super) probe: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallOutcome {
    Success,
    Failure,
    /// Nobody knows.
    Abandoned,
}

/// What can be seen of a breaker from outside.
#[derive(Debug)]
pub(super) struct View {
    pub(super) state: &'static str,
    pub(super) held: bool,
    pub(super) failures: usize,
    pub(super) probe_in: Option<Duration>,
    pub(super) ramp_left: Option<Duration>,
    pub(super) since: DateTime<Utc>,
    pub(super) opened_at: Option<DateTime<Utc>>,
    pub(super) times_opened: u64,
    pub(super) generation: u64,
}

impl Breaker {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Closed {
                failures: VecDeque::new(),
                ramp: None,
            },
            generation: 0,
            since: Utc::now(),
            opened_at: None,
            times_opened: 0,
        }
    }

    /// Asks to make a call.
    pub(super) fn acquire(&mut self, now: Instant) -> Result<Pass, Held> {
        let held = match &mut self.state {
            State::Closed { ramp: None, .. } => None,
            State::Closed {
                ramp: Some(ramp), ..
            } => ramp
                .ask(now)
                .err()
                .map(|left| Held::new(Because::Ramping, Duration::ZERO, left)),
            State::Open { until: Some(until) } if *until <= now => {
                self.change(State::HalfOpen);
                None
            }
            State::Open { until } => {
                let open_for = self.config.open_for.get();
                let left = until.map_or(open_for, |until| until - now);
                Some(Held::new(Because::Open, left, open_for / 4))
            }
            State::HalfOpen => Some(Held::new(
                Because::Probing,
                PROBE_UNDER_WAY,
                PROBE_UNDER_WAY,
            )),
        };
        match held {
            Some(held) => Err(held),
            None => Ok(Pass {
                generation: self.generation,
                probe: matches!(self.state, State::HalfOpen),
            }),
        }
    }

    /// Is told how a call ended.
    pub(super) fn report(&mut self, pass: Pass, outcome: CallOutcome, now: Instant) {
        if self.generation != pass.generation {
            return;
        }
        let opened = now + self.config.open_for.get();
        match (&mut self.state, outcome) {
            (State::Closed { failures, .. }, CallOutcome::Failure) => {
                failures.push_back(now);
                forget_old(failures, now, self.config.window.get());
                if failures.len() >= self.config.failures {
                    self.open_until(Some(opened));
                }
            }
            (State::HalfOpen, CallOutcome::Success) => self.close(now),
            (State::HalfOpen, CallOutcome::Failure) => self.open_until(Some(opened)),
            // A probe that came to nothing: the next one may try at once.
            (State::HalfOpen, CallOutcome::Abandoned) => self.open_until(Some(now)),
            (State::Closed { .. } | State::Open { .. }, _) => {}
        }
    }

    /// Opens it until somebody closes it.
    pub(super) fn hold_open(&mut self) {
        if !self.is_held() {
            self.open_until(None);
        }
    }

    /// Closes it, as a probe that worked does. Closed already, it stays as it is.
    pub(super) fn close(&mut self, now: Instant) {
        if !self.is_closed() {
            self.change(State::Closed {
                failures: VecDeque::new(),
                ramp: Some(Ramp::new(now, self.config.ramp.get())),
            });
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// How often its state has changed.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    fn is_held(&self) -> bool {
        matches!(self.state, State::Open { until: None })
    }

    /// Whether forgetting it would change anything.
    pub(super) fn is_needed(&mut self, now: Instant) -> bool {
        let window = self.config.window.get();
        match &mut self.state {
            State::Closed { failures, ramp } => {
                forget_old(failures, now, window);
                !failures.is_empty() || ramp.as_ref().is_some_and(|ramp| ramp.left(now).is_some())
            }
            // Later than that, nobody asks for its target any more.
            State::Open { until } => until.is_none_or(|until| now < until + window),
            State::HalfOpen => true,
        }
    }

    pub(super) fn view(&mut self, now: Instant) -> View {
        let window = self.config.window.get();
        let mut view = View {
            state: "half_open",
            held: self.is_held(),
            failures: 0,
            probe_in: None,
            ramp_left: None,
            since: self.since,
            opened_at: self.opened_at,
            times_opened: self.times_opened,
            generation: self.generation,
        };
        match &mut self.state {
            State::Closed { failures, ramp } => {
                forget_old(failures, now, window);
                view.state = "closed";
                view.failures = failures.len();
                view.ramp_left = ramp.as_ref().and_then(|ramp| ramp.left(now));
            }
            State::Open { until } => {
                view.state = "open";
                view.probe_in = until.map(|until| until.saturating_duration_since(now));
            }
            State::HalfOpen => {}
        }
        view
    }

    fn open_until(&mut self, until: Option<Instant>) {
        let was_closed = self.is_closed();
        self.change(State::Open { until });
        // A probe that failed goes on with the same outage.
        if was_closed {
            self.opened_at = Some(self.since);
            self.times_opened += 1;
        }
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        self.since = Utc::now();
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
