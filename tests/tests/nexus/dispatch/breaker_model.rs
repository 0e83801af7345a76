//! Random sequences of calls to one target, and a naive model of its breaker: they must agree on
//! who is let through, why others are not, and how the breaker stands.
//!
//! `PROPTEST_CASES` says how many sequences are run. A failure prints the shortest sequence that
//! shows it.

use std::sync::Arc;
use std::time::Duration;

use nexus_host::config::HumanDuration;
use nexus_host::dispatch::config::{Breaker, Retry};
use nexus_host::dispatch::{Because, BreakerStatus, Breakers, Permit, Target};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::time::advance;

const NAME: &str = "i/act";

/// What can be done with a target.
#[derive(Debug, Clone)]
enum Op {
    Acquire {
        retry: bool,
    },
    /// Each of these ends one of the calls under way.
    Succeed(Index),
    Fail(Index),
    Abandon(Index),
    /// In half seconds, so that sequences meet the very moment when something changes.
    Advance(u64),
    OpenByHand,
    CloseByHand,
}

/// The configuration, in milliseconds.
#[derive(Debug, Clone)]
struct Settings {
    failures: usize,
    window: u64,
    open_for: u64,
    ramp: u64,
}

fn settings() -> impl Strategy<Value = Settings> {
    let half_seconds = |range: std::ops::Range<u64>| range.prop_map(|n| n * 500);
    let times = (
        half_seconds(1..10),
        half_seconds(0..10),
        half_seconds(0..20),
    );
    (1_usize..5, times).prop_map(|(failures, (window, open_for, ramp))| Settings {
        failures,
        window,
        open_for,
        ramp,
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => any::<bool>().prop_map(|retry| Op::Acquire { retry }),
        3 => any::<Index>().prop_map(Op::Succeed),
        6 => any::<Index>().prop_map(Op::Fail),
        2 => any::<Index>().prop_map(Op::Abandon),
        4 => (0_u64..12).prop_map(Op::Advance),
        1 => Just(Op::OpenByHand),
        1 => Just(Op::CloseByHand),
    ]
}

/// The breaker as one would explain it: it keeps everything and counts anew each time.
struct Model {
    settings: Settings,
    /// Milliseconds since the beginning.
    now: u64,
    phase: Phase,
    generation: u64,
    times_opened: u64,
}

enum Phase {
    Closed {
        /// When every failure of this phase was.
        failures: Vec<u64>,
        ramp: Option<Ramp>,
    },
    Open {
        until: u64,
    },
    Held,
    Probing,
}

struct Ramp {
    began: u64,
    /// How long it had lasted when each call was asked for.
    asked: Vec<u64>,
    let_through: u64,
}

impl Model {
    fn new(settings: Settings) -> Self {
        let phase = Phase::Closed {
            failures: Vec::new(),
            ramp: None,
        };
        Self {
            settings,
            now: 0,
            phase,
            generation: 0,
            times_opened: 0,
        }
    }

    fn turn(&mut self, phase: Phase) {
        let opens = matches!(phase, Phase::Open { .. } | Phase::Held);
        if opens && matches!(self.phase, Phase::Closed { .. }) {
            self.times_opened += 1;
        }
        self.phase = phase;
        self.generation += 1;
    }

    /// Whether a call is let through, and whether as the probe.
    fn acquire(&mut self, retry: bool, retries_left: u64) -> Result<bool, Because> {
        match &mut self.phase {
            Phase::Held => Err(Because::Open),
            Phase::Open { until } if self.now < *until => Err(Because::Open),
            Phase::Open { .. } => {
                self.turn(Phase::Probing);
                Ok(true)
            }
            Phase::Probing => Err(Because::Probing),
            Phase::Closed { .. } if retry && retries_left == 0 => Err(Because::NoBudget),
            Phase::Closed {
                ramp: Some(ramp), ..
            } if self.now < ramp.began + self.settings.ramp => {
                ramp.asked.push(self.now - ramp.began);
                // Each brings its part of a call; no more calls than parts, and the first is free.
                if ramp.asked.iter().sum::<u64>() < ramp.let_through * self.settings.ramp {
                    return Err(Because::Ramping);
                }
                ramp.let_through += 1;
                Ok(false)
            }
            Phase::Closed { .. } => Ok(false),
        }
    }

    fn end(&mut self, generation: u64, works: Option<bool>) {
        if generation != self.generation {
            return;
        }
        let until = self.now + self.settings.open_for;
        match (&mut self.phase, works) {
            (Phase::Closed { failures, .. }, Some(false)) => {
                failures.push(self.now);
                if self.failures() >= self.settings.failures {
                    self.turn(Phase::Open { until });
                }
            }
            (Phase::Probing, Some(true)) => self.close(),
            (Phase::Probing, Some(false)) => self.turn(Phase::Open { until }),
            (Phase::Probing, None) => self.turn(Phase::Open { until: self.now }),
            _ => {}
        }
    }

    fn open(&mut self) {
        if !matches!(self.phase, Phase::Held) {
            self.turn(Phase::Held);
        }
    }

    fn close(&mut self) {
        if !matches!(self.phase, Phase::Closed { .. }) {
            let ramp = Ramp {
                began: self.now,
                asked: Vec::new(),
                let_through: 0,
            };
            self.turn(Phase::Closed {
                failures: Vec::new(),
                ramp: Some(ramp),
            });
        }
    }

    fn failures(&self) -> usize {
        let Phase::Closed { failures, .. } = &self.phase else {
            return 0;
        };
        let recent = |at: &&u64| self.now - **at < self.settings.window;
        failures.iter().filter(recent).count()
    }

    /// State, held, until the probe, until the end of the ramp.
    fn stands(&self) -> (&'static str, bool, Option<u64>, Option<u64>) {
        match &self.phase {
            Phase::Closed { ramp, .. } => {
                let end = ramp.as_ref().map(|ramp| ramp.began + self.settings.ramp);
                let left = end.and_then(|end| end.checked_sub(self.now));
                ("closed", false, None, left.filter(|left| *left > 0))
            }
            Phase::Open { until } => ("open", false, Some(until.saturating_sub(self.now)), None),
            Phase::Held => ("open", true, None, None),
            Phase::Probing => ("half_open", false, None, None),
        }
    }
}

/// A call under way.
struct Call {
    permit: Permit,
    generation: u64,
    /// Whether the budget has paid for it.
    paid: bool,
}

/// The real target and the model, side by side.
struct Pair {
    breakers: Breakers,
    target: Arc<Target>,
    model: Model,
    calls: Vec<Call>,
}

impl Pair {
    fn new(settings: Settings) -> Self {
        let time = |millis| HumanDuration::from(Duration::from_millis(millis));
        let breaker = Breaker {
            failures: settings.failures,
            window: time(settings.window),
            open_for: time(settings.open_for),
            ramp: time(settings.ramp),
        };
        // So that a first attempt earns a whole retry, which can be seen.
        let retry = Retry {
            budget: 1.0,
            ..Retry::default()
        };
        let breakers = Breakers::new(breaker, &retry);
        Self {
            target: breakers.of(NAME, None),
            breakers,
            model: Model::new(settings),
            calls: Vec::new(),
        }
    }

    fn status(&self) -> BreakerStatus {
        self.breakers.snapshot().remove(0)
    }

    async fn run(&mut self, op: &Op) {
        match op {
            Op::Acquire { retry } => self.acquire(*retry),
            Op::Succeed(which) => self.end(which, Some(true)),
            Op::Fail(which) => self.end(which, Some(false)),
            Op::Abandon(which) => self.end(which, None),
            Op::Advance(half_seconds) => {
                self.model.now += half_seconds * 500;
                advance(Duration::from_millis(half_seconds * 500)).await;
            }
            Op::OpenByHand => {
                self.model.open();
                let status = self.breakers.open(NAME);
                assert_eq!(status, Some(self.status()));
            }
            Op::CloseByHand => {
                self.model.close();
                let status = self.breakers.close(NAME);
                assert_eq!(status, Some(self.status()));
            }
        }
        self.compare();
    }

    fn acquire(&mut self, retry: bool) {
        let budget = self.status().retries_left;
        let expected = self.model.acquire(retry, budget);
        let answer = self.target.acquire(if retry { 2 } else { 1 });
        let found = answer.as_ref().map(Permit::is_probe);
        assert_eq!(found.map_err(|held| held.because), expected);
        let paid = expected == Ok(false) && retry;
        let left = match (expected, retry) {
            (Ok(_), false) => budget + 1,
            (Ok(false), true) => budget - 1,
            _ => budget,
        };
        assert_eq!(self.status().retries_left, left, "after asking for a call");
        if let Ok(permit) = answer {
            self.calls.push(Call {
                permit,
                generation: self.model.generation,
                paid,
            });
        }
    }

    fn end(&mut self, which: &Index, works: Option<bool>) {
        if self.calls.is_empty() {
            return;
        }
        let call = self.calls.swap_remove(which.index(self.calls.len()));
        self.model.end(call.generation, works);
        let budget = self.status().retries_left;
        match works {
            Some(true) => call.permit.succeeded(),
            Some(false) => call.permit.failed(),
            None => drop(call.permit),
        }
        let back = u64::from(call.paid && works != Some(false));
        assert_eq!(self.status().retries_left, budget + back, "after a call");
    }

    fn compare(&self) {
        let status = self.status();
        let found = (
            status.state,
            status.held,
            status.probe_in_ms,
            status.ramp_left_ms,
        );
        assert_eq!(found, self.model.stands());
        assert_eq!(status.failures, self.model.failures());
        assert_eq!(status.generation, self.model.generation);
        assert_eq!(status.times_opened, self.model.times_opened);
        assert_eq!(status.opened_at.is_some(), status.times_opened > 0);
        let now = |call: &&Call| call.permit.is_probe() && call.generation == status.generation;
        let probes = self.calls.iter().filter(now).count();
        assert_eq!(probes, usize::from(status.state == "half_open"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_breaker_agrees_with_its_model(settings in settings(), ops in vec(op(), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new(settings);
            for op in &ops {
                pair.run(op).await;
            }
        });
    }
}
