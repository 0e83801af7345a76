//! The whole of it without input or output: receives readings and the time, hands on alerts and what there is to
//! tell of them. The same readings at the same times always lead to the same, so that days can be simulated.

use super::Config;
use super::alert::Alert;
use super::baseline::Baseline;
use super::book::{Book, Manners};
use super::engine::{Engine, Moment};
use super::gauges::{Gauges, Reading};
use super::signal::Signal;

/// What is usual, as it is kept.
pub type Learnt = Vec<(Signal, String, Baseline)>;

/// See the module.
#[derive(Debug)]
pub struct Lookout {
    pub(super) engine: Engine,
    pub(super) book: Book,
    pub(super) manners: Manners,
    gauges: Gauges,
    pub(super) is_enabled: bool,
}

impl Lookout {
    /// One that knows what another has learnt.
    pub fn new(config: &Config, learnt: Learnt) -> Self {
        Self::with(config, learnt, Book::default())
    }

    /// One that goes on with the alerts of another, too.
    pub(super) fn with(config: &Config, learnt: Learnt, book: Book) -> Self {
        let mut engine = Engine::new(config.all_rules());
        engine.remember(learnt);
        for alert in book.active() {
            engine.resume(alert.key.clone(), alert.measured());
        }
        Self {
            manners: Manners::of(config, engine.rules()),
            engine,
            book,
            gauges: Gauges::default(),
            is_enabled: config.enabled,
        }
    }

    /// Goes by another configuration from now on.
    pub fn become_that(&mut self, config: &Config, now: Moment) {
        let changes = self.engine.become_those(config.all_rules());
        self.book.note(changes, self.engine.rules(), now.wall);
        self.manners = Manners::of(config, self.engine.rules());
        self.is_enabled = config.enabled;
    }

    /// Takes a look.
    pub fn look(&mut self, now: Moment, reading: &Reading) {
        let samples = self.gauges.read(now.up, reading);
        let changes = self.engine.step(now, &samples);
        self.book.note(changes, self.engine.rules(), now.wall);
        self.book.look(&self.manners, now.wall);
    }

    /// What it has learnt.
    pub fn learnt(&self) -> Learnt {
        self.engine.learnt()
    }

    /// The alerts that are kept, in the order in which they began.
    pub fn alerts(&self) -> &[Alert] {
        self.book.alerts()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::alerts::rule::Rule;
    use crate::alerts::signal::Signal;

    #[test]
    fn traffic_that_stops_for_long_is_one_alert_by_whatever_stretch_of_time_it_is_judged() {
        let start: DateTime<Utc> = "2026-01-05T10:00:00Z".parse().unwrap();
        let mut lookout = Lookout::new(&Config::default(), Vec::new());
        let mut reading = Reading::default();
        for second in 0..2_400 {
            if second < 1_200 {
                reading.accepted += 50;
            }
            let now = Moment {
                wall: start + TimeDelta::seconds(second),
                up: Duration::from_secs(second as u64),
            };
            lookout.look(now, &reading);
            let alerts = lookout.alerts();
            let most = usize::from(second >= 1_200);
            let least = usize::from(second >= 1_204);
            let found = alerts.len();
            assert!((least..=most).contains(&found), "at {second}: {alerts:#?}");
        }
        assert!(lookout.alerts()[0].is_active());
    }

    #[test]
    fn an_adaptive_rule_that_becomes_a_fixed_one_judges_by_its_number() {
        let start: DateTime<Utc> = "2026-01-05T10:00:00Z".parse().unwrap();
        let mut lookout = Lookout::new(&Config::default(), Vec::new());
        let now = |second: u64| Moment {
            wall: start + TimeDelta::seconds(second as i64),
            up: Duration::from_secs(second),
        };
        let reading = |waiting| Reading {
            waiting: Duration::from_millis(waiting),
            ..Reading::default()
        };
        (0..600).for_each(|second| lookout.look(now(second), &reading(10)));
        (600..603).for_each(|second| lookout.look(now(second), &reading(5_000)));
        let is_active = |lookout: &Lookout| lookout.alerts()[0].is_active();
        assert!(is_active(&lookout));
        let fixed = Config {
            rules: vec![crate::alerts::config::Rule {
                name: "queue_wait".to_owned(),
                above: Some(10.0),
                ..Default::default()
            }],
            ..Config::default()
        };
        lookout.become_that(&fixed, now(603));
        let is_queue_wait = |rule: &&Rule| rule.signal == Signal::QueueWait;
        assert!(
            !lookout
                .engine
                .rules()
                .iter()
                .find(is_queue_wait)
                .unwrap()
                .is_adaptive()
        );
        (603..620).for_each(|second| lookout.look(now(second), &reading(5_000)));
        assert!(!is_active(&lookout), "five seconds are no trouble any more");
    }
}
