//! From counts to samples: receives what every room has counted so far, hands on what each signal is now. It knows
//! the last minute, and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use nexus_plugin_api::one_line;

use super::rule::LEAST_WEIGHT;
use super::signal::{Sample, Signal};
use crate::admission::cut_to;
use crate::observe::Durations;

/// The stretch that shares and percentiles are of where enough comes. Where less does they go as far back as it takes,
/// so that a hub with little to do is looked after as well.
const SHORT: Duration = Duration::from_secs(5);

/// The stretch that a rate is of where enough comes.
const SHORTEST: Duration = Duration::from_secs(2);

/// The stretch that everything else is of, and the longest.
const MINUTE: Duration = Duration::from_secs(60);

/// So many events a second are enough for the shortest stretch: without any of 32, something is wrong.
const ENOUGH: f64 = 16.0;

/// Once enough, this is enough as well.
const STILL_ENOUGH: f64 = 12.0;

/// In what time a change in pace is believed.
const PACE: f64 = 60.0;

/// A percentile is that of no fewer events than this: one that takes long is not everybody's trouble.
const FEW: f64 = 5.0;

/// The percentile that is watched. The slowest in a hundred are too few in five seconds to say anything: where one in
/// some hundreds takes long for reasons of its own, chance alone would raise alerts all day.
const PERCENTILE: f64 = 0.95;

/// How many times of starting again are remembered for one plugin.
const MOST_RESTARTS: usize = 64;

/// How long a name may be, in bytes.
const LONGEST_NAME: usize = 256;

/// What the rooms show at one time. Counts are since the start, without what alerts themselves lead to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Events accepted.
    pub accepted: u64,
    /// Events refused.
    pub refused: u64,
    /// Attempts at processing and at effects.
    pub attempts: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Dead letters made.
    pub dead: u64,
    /// How long events took from acceptance until they were finished.
    pub latency: Durations,
    /// How long the longest has waited that waits for its first routing.
    pub waiting: Duration,
    /// How full the queue is, 0 to 1.
    pub fill: f64,
    /// Every breaker, and whether it is open since its target fails.
    pub breakers: Vec<(String, bool)>,
    /// Every plugin, once.
    pub plugins: Vec<PluginReading>,
    /// Plugins and plugin files that are not used, although nobody has asked for that.
    pub refused_plugins: Vec<String>,
    /// Whether the queue's storage fails.
    pub storage_fails: bool,
    /// The folder of a durable queue, and the bytes that are free there.
    pub disk: Option<(String, u64)>,
}

/// How a plugin stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginReading {
    /// Its id.
    pub id: String,
    /// Whether it does not work.
    pub has_failed: bool,
    /// Whether it works, but not as it should, though somebody has configured it.
    pub is_degraded: bool,
    /// How often it was started again since it did not work.
    pub restarts: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    /// The last minute, oldest first.
    past: VecDeque<Past>,
    /// Events a second, in the long run.
    pace: Option<f64>,
    has_enough: bool,
    restarts: BTreeMap<String, Restarts>,
}

#[derive(Debug, Clone, Default)]
struct Past {
    at: Duration,
    accepted: u64,
    refused: u64,
    attempts: u64,
    failed: u64,
    dead: u64,
    latency: Durations,
}

#[derive(Debug, Default)]
struct Restarts {
    count: u64,
    times: VecDeque<Duration>,
}

impl Gauges {
    /// What each signal is. The first reading has nothing to be held against, and tells only how things stand.
    pub(super) fn read(&mut self, at: Duration, reading: &Reading) -> Vec<Sample> {
        let mut samples = standing(reading);
        self.note_restarts(at, reading, &mut samples);
        let now = Past {
            at,
            accepted: reading.accepted,
            refused: reading.refused,
            attempts: reading.attempts,
            failed: reading.failed,
            dead: reading.dead,
            latency: reading.latency,
        };
        self.rates(&now, &mut samples);
        self.shares(&now, &mut samples);
        self.keep(now);
        samples
    }

    fn note_restarts(&mut self, at: Duration, reading: &Reading, samples: &mut Vec<Sample>) {
        self.restarts
            .retain(|id, _| reading.plugins.iter().any(|plugin| plugin.id == *id));
        for plugin in &reading.plugins {
            let known = self.restarts.entry(plugin.id.clone());
            let known = known.or_insert_with(|| Restarts {
                count: plugin.restarts,
                times: VecDeque::new(),
            });
            if plugin.restarts > known.count {
                known.times.push_back(at);
                if known.times.len() > MOST_RESTARTS {
                    known.times.pop_front();
                }
            }
            known.count = plugin.restarts;
            let is_past = |then: &Duration| at.saturating_sub(*then) >= MINUTE;
            while known.times.front().is_some_and(is_past) {
                known.times.pop_front();
            }
            let times = known.times.len() as f64;
            samples.push(Sample::new(Signal::PluginRestarts, &*plugin.id, times));
        }
    }

    fn rates(&mut self, now: &Past, samples: &mut Vec<Sample>) {
        let Some(last) = self.past.back() else {
            return;
        };
        let seconds = (now.at.saturating_sub(last.at)).as_secs_f64();
        if seconds > 0.0 {
            let rate = now.accepted.saturating_sub(last.accepted) as f64 / seconds;
            // At first it is the mean of all there was.
            let share = (1.0 - (-seconds / PACE).exp()).max(seconds / now.at.as_secs_f64());
            let pace = self.pace.map_or(rate, |pace| pace + share * (rate - pace));
            self.pace = Some(pace);
            self.has_enough = pace
                >= if self.has_enough {
                    STILL_ENOUGH
                } else {
                    ENOUGH
                };
        }
        for (stretch, name, is_judged) in [
            (SHORTEST, "the last seconds", self.has_enough),
            (MINUTE, "the last minute", !self.has_enough),
        ] {
            let Some(then) = self.before(now.at, stretch) else {
                continue;
            };
            let seconds = now.at.saturating_sub(then.at).as_secs_f64();
            let rate = now.accepted.saturating_sub(then.accepted) as f64 / seconds.max(0.1);
            samples.push(Sample {
                is_judged,
                stretch: name,
                ..Sample::new(Signal::Throughput, "", rate).of(seconds)
            });
        }
        // Where a minute has not passed yet, those so far.
        let then = self.before(now.at, MINUTE).or(self.past.front());
        if let Some(then) = then {
            let dead = now.dead.saturating_sub(then.dead) as f64;
            samples.push(Sample::new(Signal::DeadLetters, "", dead));
        }
    }

    fn shares(&self, now: &Past, samples: &mut Vec<Sample>) {
        let share = |signal, part: u64, of: u64| {
            (of > 0).then(|| Sample::new(signal, "", part as f64 / of as f64).of(of as f64))
        };
        if let Some(then) = self.enough_before(now, |past| past.attempts) {
            let failed = now.failed.saturating_sub(then.failed);
            let attempts = now.attempts.saturating_sub(then.attempts);
            samples.extend(share(Signal::ErrorRatio, failed.min(attempts), attempts));
        }
        if let Some(then) = self.enough_before(now, |past| past.accepted + past.refused) {
            let refused = now.refused.saturating_sub(then.refused);
            let came = refused + now.accepted.saturating_sub(then.accepted);
            samples.extend(share(Signal::RefusedRatio, refused, came));
        }
        if let Some(then) = self.enough_before(now, |past| past.latency.count()) {
            samples.extend(slowest(&now.latency.since(&then.latency)));
        }
    }

    /// How it was so long ago that enough was counted since to say something of it, a minute at most.
    fn enough_before(&self, now: &Past, count: impl Fn(&Past) -> u64) -> Option<&Past> {
        let is_enough =
            |past: &&Past| count(now).saturating_sub(count(past)) as f64 >= LEAST_WEIGHT;
        let stretches = SHORT..=MINUTE;
        let past = self.past.iter().rev();
        let mut past = past.filter(|past| stretches.contains(&now.at.saturating_sub(past.at)));
        let found = past.clone().find(is_enough);
        found
            .or_else(|| past.next_back())
            .or_else(|| self.before(now.at, SHORT))
            .or(self.past.front())
    }

    /// How it was so long ago, or a little longer.
    fn before(&self, now: Duration, stretch: Duration) -> Option<&Past> {
        let mut past = self.past.iter().rev();
        past.find(|past| now.saturating_sub(past.at) >= stretch)
    }

    fn keep(&mut self, now: Past) {
        let at = now.at;
        self.past.push_back(now);
        // One that is older than the minute stays: it is what the minute is held against.
        while self
            .past
            .get(1)
            .is_some_and(|next| at.saturating_sub(next.at) >= MINUTE)
        {
            self.past.pop_front();
        }
    }
}

/// What needs nothing to be held against.
fn standing(reading: &Reading) -> Vec<Sample> {
    let yes = |is_so: bool| if is_so { 1.0 } else { 0.0 };
    let mut samples = vec![
        Sample::new(Signal::QueueWait, "", reading.waiting.as_secs_f64()),
        Sample::new(Signal::QueueFill, "", reading.fill),
        Sample::new(Signal::StorageFailing, "", yes(reading.storage_fails)),
    ];
    for (name, is_open) in &reading.breakers {
        samples.push(Sample::new(
            Signal::BreakerOpen,
            readable(name),
            yes(*is_open),
        ));
    }
    for plugin in &reading.plugins {
        let id = &*plugin.id;
        samples.push(Sample::new(
            Signal::PluginFailed,
            id,
            yes(plugin.has_failed),
        ));
        samples.push(Sample::new(
            Signal::PluginDegraded,
            id,
            yes(plugin.is_degraded),
        ));
    }
    for name in &reading.refused_plugins {
        samples.push(Sample::new(Signal::PluginRefused, readable(name), 1.0));
    }
    if let Some((folder, free)) = &reading.disk {
        samples.push(Sample::new(Signal::DiskFree, &**folder, *free as f64));
    }
    samples
}

/// A name as people can read it: a target's may be an address that somebody else chose.
fn readable(name: &str) -> String {
    cut_to(LONGEST_NAME, one_line(name).into_owned())
}

/// The percentile, or what the fifth slowest took, if that is less.
fn slowest(taken: &Durations) -> Option<Sample> {
    let all = taken.count() as f64;
    let share = (1.0 - FEW / all.max(FEW)).min(PERCENTILE);
    let value = taken.quantile(share)?.as_secs_f64();
    Some(Sample::new(Signal::Latency, "", value).of(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Histogram;

    fn value(samples: &[Sample], signal: Signal) -> Option<f64> {
        let found = samples
            .iter()
            .find(|one| one.signal == signal && one.is_judged);
        found.map(|sample| sample.value)
    }

    fn second(at: u64) -> Duration {
        Duration::from_secs(at)
    }

    #[test]
    fn counts_become_shares_of_the_last_seconds() {
        let mut gauges = Gauges::default();
        let mut reading = Reading::default();
        for at in 0..100 {
            reading.accepted += 50;
            reading.attempts += 50;
            gauges.read(second(at), &reading);
        }
        reading.attempts += 100;
        reading.failed += 100;
        reading.refused += 250;
        reading.dead += 7;
        let samples = gauges.read(second(100), &reading);
        assert_eq!(value(&samples, Signal::ErrorRatio), Some(100.0 / 300.0));
        assert_eq!(value(&samples, Signal::RefusedRatio), Some(250.0 / 450.0));
        assert_eq!(value(&samples, Signal::Throughput), Some(25.0));
        assert_eq!(value(&samples, Signal::DeadLetters), Some(7.0));
        let later = gauges.read(second(161), &reading);
        assert_eq!(value(&later, Signal::DeadLetters), Some(0.0));
        assert_eq!(
            value(&later, Signal::ErrorRatio),
            None,
            "nothing was attempted"
        );
    }

    #[test]
    fn where_little_comes_shares_go_as_far_back_as_it_takes() {
        let mut gauges = Gauges::default();
        let mut reading = Reading::default();
        for at in 0..100 {
            reading.attempts += 1;
            gauges.read(second(at), &reading);
        }
        for at in 100..108 {
            reading.attempts += 1;
            reading.failed += 1;
            gauges.read(second(at), &reading);
        }
        let samples = gauges.read(second(108), &reading);
        let found = samples
            .iter()
            .find(|one| one.signal == Signal::ErrorRatio)
            .unwrap();
        assert_eq!((found.value, found.weight), (0.8, 10.0));
        // But no further than a minute.
        let later = gauges.read(second(160), &reading);
        let found = later.iter().find(|one| one.signal == Signal::ErrorRatio);
        assert_eq!(found.map(|one| one.weight), Some(7.0));
    }

    #[test]
    fn after_a_long_rest_the_last_seconds_say_something_as_soon_as_enough_comes() {
        let mut gauges = Gauges::default();
        let mut reading = Reading::default();
        let mut stretch = "";
        for at in 0..640 {
            reading.accepted += if at < 600 { 0 } else { 50 };
            let samples = gauges.read(second(at), &reading);
            let mut judged = samples.iter().filter(|one| one.is_judged);
            let rate = judged.find(|one| one.signal == Signal::Throughput);
            stretch = rate.map_or("", |rate| rate.stretch);
            assert!(at != 599 || stretch == "the last minute");
        }
        assert_eq!(stretch, "the last seconds");
    }

    #[test]
    fn a_single_event_that_takes_long_is_not_the_percentile() {
        let of = |fast: u32, slow: u32| {
            let taken = Histogram::new();
            (0..fast).for_each(|_| taken.add(Duration::from_millis(1)));
            (0..slow).for_each(|_| taken.add(Duration::from_secs(8)));
            slowest(&taken.counted()).map(|sample| sample.value)
        };
        assert_eq!(of(0, 0), None);
        assert!(of(50, 4).unwrap() <= 0.1);
        assert!(of(50, 6).unwrap() >= 1.0);
        assert!(of(10_000, 450).unwrap() <= 0.1);
    }

    #[test]
    fn a_plugin_that_starts_again_is_counted_for_a_minute() {
        let mut gauges = Gauges::default();
        let mail = PluginReading {
            id: "mail".to_owned(),
            restarts: 3,
            ..PluginReading::default()
        };
        let mut reading = Reading {
            plugins: vec![mail],
            ..Reading::default()
        };
        let before = gauges.read(second(0), &reading);
        assert_eq!(value(&before, Signal::PluginRestarts), Some(0.0));
        reading.plugins[0].restarts = 4;
        assert_eq!(
            value(&gauges.read(second(1), &reading), Signal::PluginRestarts),
            Some(1.0)
        );
        assert_eq!(
            value(&gauges.read(second(61), &reading), Signal::PluginRestarts),
            Some(0.0)
        );
    }
}
