//! A hub that is not there: days of healthy traffic, second by second, as its alerts see it, and failures in it.
//!
//! Traffic has a daily and a weekly rhythm, a pace that wanders, bursts, a batch each night, attempts that fail,
//! events that take long, and restarts. The same seed makes the same days.

use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use nexus_host::alerts::{Config, Lookout, Moment, PluginReading, Reading};
use nexus_host::observe::Histogram;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Everything takes two seconds longer.
    Slow,
    /// Two attempts in three fail.
    Errors,
    /// Most of what comes is refused.
    Refusals,
    /// Nothing comes any more.
    Silence,
    /// Nothing is taken out of the queue.
    Stuck,
    /// Work is given up.
    Deaths,
    /// Twenty breakers open.
    Breakers,
    /// A plugin does not work.
    Plugin,
    /// The disk is full.
    Disk,
    /// The storage fails.
    Storage,
}

impl Failure {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Slow,
        Self::Errors,
        Self::Refusals,
        Self::Silence,
        Self::Stuck,
        Self::Deaths,
        Self::Breakers,
        Self::Plugin,
        Self::Disk,
        Self::Storage,
    ];

    /// The rules that find it, any of which will do.
    pub fn rules(self) -> &'static [&'static str] {
        match self {
            Self::Slow => &["latency"],
            Self::Errors => &["errors", "most_fail"],
            Self::Refusals => &["refusals"],
            Self::Silence => &["throughput"],
            Self::Stuck => &["queue_wait", "queue_fills", "queue_full"],
            Self::Deaths => &["dead_letters"],
            Self::Breakers => &["breaker_open"],
            Self::Plugin => &["plugin_failed"],
            Self::Disk => &["disk_low", "disk_full"],
            Self::Storage => &["storage_failing"],
        }
    }
}

/// How busy a hub is, and how unsteady.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Events a second at the busiest time of a usual day.
    pub rate: f64,
    /// How much more than chance the pace wanders: 0.1 for a tenth.
    pub unrest: f64,
    /// How many bursts a day.
    pub bursts: f64,
}

/// A hub with much to do.
pub const BUSY: Kind = Kind {
    rate: 100.0,
    unrest: 0.1,
    bursts: 6.0,
};

/// Hubs of which there are many: busy, unsteady, and nearly without traffic.
pub const KINDS: [Kind; 3] = [
    BUSY,
    Kind {
        rate: 30.0,
        unrest: 0.3,
        bursts: 12.0,
    },
    Kind {
        rate: 1.0,
        unrest: 0.2,
        bursts: 6.0,
    },
];

/// A hub in its days.
#[derive(Debug)]
pub struct Simulated {
    kind: Kind,
    rng: StdRng,
    lookout: Lookout,
    now: DateTime<Utc>,
    started: DateTime<Utc>,
    reading: Reading,
    latency: Histogram,
    /// How far the pace has wandered.
    wander: f64,
    burst: Option<Burst>,
    /// What waits, in events.
    waiting: f64,
    stuck_for: u32,
    /// How long an event usually takes, many times over.
    usual: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Burst {
    until: DateTime<Utc>,
    times: f64,
}

const CAPACITY: f64 = 10_000.0;

/// A healthy hub keeps up with its bursts: it can do so many times what comes at the busiest time.
const ABLE: f64 = 12.0;

impl Simulated {
    /// A hub that has just been started for the first time, on a Monday at midnight.
    ///
    /// # Panics
    /// Never: the date is one.
    pub fn new(kind: Kind, seed: u64) -> Self {
        let now: DateTime<Utc> = "2026-01-05T00:00:00Z".parse().expect("a date");
        let mut rng = StdRng::seed_from_u64(seed);
        let usual = (0..4_096).map(|_| 0.008 * (0.7 * normal(&mut rng)).exp());
        Self {
            kind,
            usual: usual.collect(),
            rng,
            lookout: Lookout::new(&Config::default(), Vec::new()),
            now,
            started: now,
            reading: healthy(),
            latency: Histogram::new(),
            wander: 0.0,
            burst: None,
            waiting: 0.0,
            stuck_for: 0,
        }
    }

    /// Lets healthy days pass, with a restart now and then. How many alerts there were, by rule.
    pub fn pass(&mut self, time: TimeDelta) -> Vec<String> {
        let end = self.now + time;
        let mut raised = Vec::new();
        while self.now < end {
            if self.chance(0.5 / 86_400.0) {
                self.restart();
            }
            raised.extend(self.second(None));
        }
        raised
    }

    /// Lets a failure happen for so long. After how many seconds it was found, and whether the alerts were over so
    /// long after it was.
    pub fn fail(&mut self, failure: Failure, seconds: u32, patience: u32) -> (Option<u32>, bool) {
        let mut found = None;
        for second in 1..=seconds {
            let raised = self.second(Some(failure));
            let is_it = |rule: &String| failure.rules().contains(&rule.as_str());
            if raised.iter().any(is_it) {
                found.get_or_insert(second);
            }
        }
        for _ in 0..patience {
            self.second(None);
            if !self.lookout.alerts().iter().any(|alert| alert.is_active()) {
                return (found, true);
            }
        }
        (found, false)
    }

    /// The pace in events a second, without chance.
    fn pace(&self) -> f64 {
        let hour = f64::from(self.now.num_seconds_from_midnight()) / 3_600.0;
        // Little at night, most around two in the afternoon, less at noon.
        let day = (-((hour - 14.0) / 4.5).powi(2)).exp();
        let noon = 1.0 - 0.35 * (-((hour - 12.5) / 0.4).powi(2)).exp();
        let week = match self.now.weekday().num_days_from_monday() {
            5 => 0.4,
            6 => 0.3,
            _ => 1.0,
        };
        let batch = match (self.now.hour(), self.now.minute()) {
            (2, 0..=4) => 0.6,
            _ => 0.0,
        };
        let burst = self.burst.map_or(1.0, |burst| burst.times);
        self.kind.rate * ((0.05 + 0.95 * day) * noon * week + batch) * burst * self.wander.exp()
    }

    /// One second. The rules of the alerts that it has raised.
    fn second(&mut self, failure: Option<Failure>) -> Vec<String> {
        self.now += TimeDelta::seconds(1);
        self.change_pace();
        let pace = match failure {
            Some(Failure::Silence) => 0.0,
            _ => self.pace(),
        };
        let came = self.poisson(pace);
        let refused_share = match (failure, self.burst) {
            (Some(Failure::Refusals), _) => 0.7,
            (_, Some(_)) => 0.03,
            _ => 0.005,
        };
        let refused = self.share(came, refused_share);
        let accepted = came - refused;
        self.reading.refused += refused;
        self.reading.accepted += accepted;
        self.work(accepted, failure);
        let is = |wanted| failure == Some(wanted);
        if is(Failure::Deaths) {
            self.reading.dead += 1;
        }
        for breaker in &mut self.reading.breakers {
            breaker.1 = is(Failure::Breakers);
        }
        self.reading.plugins[0].has_failed = is(Failure::Plugin);
        self.reading.storage_fails = is(Failure::Storage);
        let free = if is(Failure::Disk) { 1 << 20 } else { 50 << 30 };
        self.reading.disk = Some(("data".to_owned(), free));
        self.reading.latency = self.latency.counted();
        self.look()
    }

    /// What is done of what waits.
    fn work(&mut self, accepted: u64, failure: Option<Failure>) {
        self.waiting += accepted as f64;
        let able = match failure {
            Some(Failure::Stuck) => 0.0,
            _ => self.kind.rate * ABLE,
        };
        let done = self.waiting.min(able).round();
        self.waiting -= done;
        self.stuck_for = match failure {
            Some(Failure::Stuck) if self.waiting > 0.0 => self.stuck_for + 1,
            _ => 0,
        };
        let behind = self.waiting / (self.kind.rate * ABLE);
        self.reading.waiting = match self.stuck_for {
            0 => Duration::from_secs_f64(behind),
            seconds => Duration::from_secs(seconds.into()),
        };
        self.reading.fill = self.waiting / CAPACITY;
        let done = done as u64;
        let failing = match failure {
            Some(Failure::Errors) => 0.67,
            _ => 0.01,
        };
        let failed = self.share(done, failing);
        self.reading.attempts += done + failed;
        self.reading.failed += failed;
        for _ in 0..done {
            let seconds = self.duration(behind, failure);
            self.latency.add(Duration::from_secs_f64(seconds));
        }
    }

    /// Most take some milliseconds, one in a few hundred far longer.
    fn duration(&mut self, behind: f64, failure: Option<Failure>) -> f64 {
        let usual = self.usual[self.rng.random_range(0..self.usual.len())];
        let rare = match self.chance(0.003) {
            true => self.rng.random_range(0.2..2.0),
            false => 0.0,
        };
        let more = match failure {
            Some(Failure::Slow) => 2.0,
            _ => 0.0,
        };
        usual + rare + behind + more
    }

    fn change_pace(&mut self) {
        // Half of a wander is forgotten after ten minutes.
        let kept = 0.5_f64.powf(1.0 / 600.0);
        let push = self.kind.unrest * (1.0 - kept * kept).sqrt() * self.normal();
        self.wander = self.wander * kept + push;
        if self.burst.is_some_and(|burst| burst.until <= self.now) {
            self.burst = None;
        }
        if self.chance(self.kind.bursts / 86_400.0) {
            let seconds = self.rng.random_range(3..90);
            self.burst = Some(Burst {
                until: self.now + TimeDelta::seconds(seconds),
                times: self.rng.random_range(2.0..8.0),
            });
        }
    }

    /// The hub is gone for a while; what has come meanwhile comes at once.
    fn restart(&mut self) {
        let learnt = self.lookout.learnt();
        self.now += TimeDelta::seconds(self.rng.random_range(3..120));
        self.started = self.now;
        self.lookout = Lookout::new(&Config::default(), learnt);
        self.reading = healthy();
        self.latency = Histogram::new();
        self.burst = Some(Burst {
            until: self.now + TimeDelta::seconds(20),
            times: 4.0,
        });
    }

    fn look(&mut self) -> Vec<String> {
        let before = self.lookout.alerts().last().map(|alert| alert.id);
        let now = Moment {
            wall: self.now,
            up: (self.now - self.started).to_std().unwrap_or_default(),
        };
        self.lookout.look(now, &self.reading);
        let alerts = self.lookout.alerts().iter().rev();
        let new = alerts.take_while(|alert| Some(alert.id) != before);
        new.filter(|alert| alert.is_active())
            .map(|alert| alert.key.rule.clone())
            .collect()
    }

    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of.clamp(0.0, 1.0))
    }

    fn normal(&mut self) -> f64 {
        normal(&mut self.rng)
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (mut count, mut left) = (0_u32, (-mean).exp());
        let mut at: f64 = self.rng.random();
        while at > left && count < 1_000 {
            count += 1;
            at -= left;
            left *= mean / f64::from(count);
        }
        count.into()
    }

    fn share(&mut self, of: u64, share: f64) -> u64 {
        match share > 0.1 {
            true => (0..of).filter(|_| self.rng.random_bool(share)).count() as u64,
            false => self.poisson(of as f64 * share).min(of),
        }
    }
}

fn normal(rng: &mut StdRng) -> f64 {
    let (a, b): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// A hub that nothing is wrong with.
fn healthy() -> Reading {
    let breakers = (0..20).map(|number| (format!("http/http@target-{number}"), false));
    Reading {
        breakers: breakers.collect(),
        plugins: vec![PluginReading {
            id: "triage".to_owned(),
            ..PluginReading::default()
        }],
        ..Reading::default()
    }
}
