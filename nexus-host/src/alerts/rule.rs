//! What counts as trouble: receives what was written, hands on rules that are ready for samples, the built-in ones
//! among them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::alert::Severity;
use serde_json::{Value, json};

use super::baseline::{Baseline, Distance, Most, Reach};
use super::config;
use super::signal::{Sample, Side, Signal};
use crate::config::HumanDuration;

/// How many spreads from what is usual trouble begins. Samples that are independent and normal would be there once
/// in 10^15; those of real systems are neither.
const SENSITIVITY: f64 = 8.0;

/// And by how many times it must differ.
const FACTOR: f64 = 2.0;

/// Percentiles come in steps, and vary by them where machines are shared. Events that take so many times as long as
/// usual are trouble all the same.
const MOST_TIMES: f64 = 20.0;

const CLEAR_FOR: Duration = Duration::from_secs(15);

/// How long what is unusual must last: two looks in a row.
const UNUSUAL_FOR: Duration = Duration::from_secs(1);

/// A share or percentile of fewer events than this says nothing.
pub(super) const LEAST_WEIGHT: f64 = 10.0;

/// A rule that is ready.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    /// Its name.
    pub name: String,
    /// What it watches.
    pub signal: Signal,
    /// What trouble is.
    pub when: When,
    /// Where trouble lies.
    pub side: Side,
    /// Which breakers or plugins; all when empty.
    subjects: Vec<String>,
    /// How long it must be so.
    pub lasting: Duration,
    /// How long it must be over.
    pub clear_for: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// Who is told; those by default if it says nothing.
    pub receivers: Option<Vec<String>>,
}

/// What trouble is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum When {
    /// A number was crossed.
    Beyond(Reach),
    /// It is far from what is usual.
    Unusual {
        /// So far.
        sensitivity: f64,
        /// On this side of it, nothing is trouble.
        at_least: f64,
    },
}

/// A rule that is there without any configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    signal: Signal,
    above: Option<f64>,
    below: Option<f64>,
    clear: Option<f64>,
    at_least: Option<f64>,
    severity: Severity,
}

const fn watching(name: &'static str, signal: Signal, severity: Severity) -> BuiltIn {
    BuiltIn {
        name,
        signal,
        above: None,
        below: None,
        clear: None,
        at_least: None,
        severity,
    }
}

const fn usual(name: &'static str, signal: Signal, at_least: f64) -> BuiltIn {
    BuiltIn {
        at_least: Some(at_least),
        ..watching(name, signal, Severity::Warning)
    }
}

const fn above(
    name: &'static str,
    signal: Signal,
    above: f64,
    clear: f64,
    severity: Severity,
) -> BuiltIn {
    BuiltIn {
        above: Some(above),
        clear: Some(clear),
        ..watching(name, signal, severity)
    }
}

const fn below(
    name: &'static str,
    signal: Signal,
    below: f64,
    clear: f64,
    severity: Severity,
) -> BuiltIn {
    BuiltIn {
        below: Some(below),
        clear: Some(clear),
        ..watching(name, signal, severity)
    }
}

const MIB: f64 = 1_048_576.0;

/// The built-in rules.
pub(super) const BUILT_IN: [BuiltIn; 17] = [
    usual("latency", Signal::Latency, 0.25),
    usual("queue_wait", Signal::QueueWait, 1.0),
    usual("errors", Signal::ErrorRatio, 0.05),
    above(
        "most_fail",
        Signal::ErrorRatio,
        0.5,
        0.25,
        Severity::Critical,
    ),
    usual("refusals", Signal::RefusedRatio, 0.1),
    usual("throughput", Signal::Throughput, f64::INFINITY),
    usual("queue_fills", Signal::QueueFill, 0.25),
    above(
        "queue_full",
        Signal::QueueFill,
        0.8,
        0.6,
        Severity::Critical,
    ),
    above(
        "dead_letters",
        Signal::DeadLetters,
        0.0,
        0.0,
        Severity::Warning,
    ),
    above(
        "breaker_open",
        Signal::BreakerOpen,
        0.5,
        0.5,
        Severity::Warning,
    ),
    above(
        "plugin_failed",
        Signal::PluginFailed,
        0.5,
        0.5,
        Severity::Critical,
    ),
    above(
        "plugin_degraded",
        Signal::PluginDegraded,
        0.5,
        0.5,
        Severity::Warning,
    ),
    above(
        "plugin_refused",
        Signal::PluginRefused,
        0.5,
        0.5,
        Severity::Warning,
    ),
    above(
        "plugin_restarts",
        Signal::PluginRestarts,
        0.0,
        0.0,
        Severity::Warning,
    ),
    below(
        "disk_low",
        Signal::DiskFree,
        1_024.0 * MIB,
        1_280.0 * MIB,
        Severity::Warning,
    ),
    below(
        "disk_full",
        Signal::DiskFree,
        256.0 * MIB,
        320.0 * MIB,
        Severity::Critical,
    ),
    above(
        "storage_failing",
        Signal::StorageFailing,
        0.5,
        0.5,
        Severity::Critical,
    ),
];

/// The built-in rule of a name.
pub(super) fn built_in(name: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|rule| rule.name == name)
}

impl BuiltIn {
    /// As it would be written.
    pub(super) fn written(&self) -> config::Rule {
        config::Rule {
            name: self.name.to_owned(),
            signal: Some(self.signal),
            above: self.above,
            below: self.below,
            clear: self.clear,
            at_least: self.at_least,
            severity: Some(self.severity),
            ..config::Rule::default()
        }
    }
}

impl Rule {
    /// A rule that was written; `None` when it watches nothing, which checking it has refused.
    pub(super) fn of(written: &config::Rule) -> Option<Self> {
        let signal = written.signal?;
        let side = written.side(signal);
        let number = written.above.or(written.below);
        let when = match number {
            Some(threshold) => {
                let by_itself = match side {
                    Side::High => threshold * 0.8,
                    Side::Low => threshold * 1.2,
                };
                When::Beyond(Reach {
                    usual: threshold,
                    threshold,
                    clear: written.clear.unwrap_or(by_itself),
                })
            }
            None => When::Unusual {
                sensitivity: written.sensitivity.unwrap_or(SENSITIVITY),
                at_least: written.at_least.unwrap_or_else(|| at_least(signal)),
            },
        };
        let lasting = match when {
            When::Beyond(_) => Duration::ZERO,
            When::Unusual { .. } => UNUSUAL_FOR,
        };
        Some(Self {
            name: written.name.clone(),
            signal,
            when,
            side,
            subjects: written.subjects.clone(),
            lasting: written.lasting.map_or(lasting, HumanDuration::get),
            clear_for: written.clear_for.map_or(CLEAR_FOR, HumanDuration::get),
            severity: written.severity.unwrap_or_default(),
            receivers: written.receivers.clone(),
        })
    }

    /// As administrators see it.
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "name": self.name,
            "signal": self.signal,
            "subjects": self.subjects,
            "for_ms": millis(self.lasting),
            "clear_for_ms": millis(self.clear_for),
            "severity": self.severity,
        });
        match self.when {
            When::Beyond(reach) => {
                let side = match self.side {
                    Side::High => "above",
                    Side::Low => "below",
                };
                shown[side] = json!(reach.threshold);
                shown["clear"] = json!(reach.clear);
            }
            When::Unusual {
                sensitivity,
                at_least,
            } => {
                shown["sensitivity"] = json!(sensitivity);
                if at_least.is_finite() {
                    shown["at_least"] = json!(at_least);
                }
            }
        }
        shown
    }

    /// Whether what is usual has to be known for it.
    pub(super) fn is_adaptive(&self) -> bool {
        matches!(self.when, When::Unusual { .. })
    }

    /// Whether it judges a sample.
    pub(super) fn judges(&self, sample: &Sample) -> bool {
        let is_counted = matches!(
            self.signal,
            Signal::Latency | Signal::ErrorRatio | Signal::RefusedRatio
        );
        sample.signal == self.signal
            && sample.is_judged
            && (!is_counted || sample.weight >= LEAST_WEIGHT)
            && (self.subjects.is_empty()
                || self.subjects.iter().any(|one| covers(one, &sample.subject)))
    }

    /// Where trouble begins for a sample at this time; `None` while that is not known.
    pub(super) fn reach(
        &self,
        sample: &Sample,
        baseline: Option<&Baseline>,
        now: DateTime<Utc>,
    ) -> Option<Reach> {
        let (sensitivity, at_least) = match self.when {
            When::Beyond(reach) => return Some(reach),
            When::Unusual {
                sensitivity,
                at_least,
            } => (sensitivity, at_least),
        };
        let distance = Distance {
            sensitivity,
            factor: FACTOR,
            most: match self.signal {
                Signal::Latency => Most::Times(MOST_TIMES),
                Signal::ErrorRatio | Signal::RefusedRatio => Most::Chance,
                _ => Most::Endless,
            },
        };
        let measure = self.signal.measure()?;
        let mut reach = baseline?.reach(measure, self.side, distance, sample.weight, now)?;
        match self.side {
            Side::High if reach.threshold < at_least => {
                reach.threshold = at_least;
                reach.clear = reach.clear.max(at_least * 0.8);
            }
            Side::Low if reach.threshold > at_least => {
                reach.threshold = at_least;
                reach.clear = reach.clear.min(at_least * 1.2);
            }
            _ => {}
        }
        Some(reach)
    }

    /// Whether a value is trouble.
    pub(super) fn is_beyond(&self, value: f64, threshold: f64) -> bool {
        match self.side {
            Side::High => value > threshold,
            Side::Low => value < threshold,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What the built-in rule of a signal has.
fn at_least(signal: Signal) -> f64 {
    let mut rules = BUILT_IN.iter().filter(|rule| rule.signal == signal);
    rules.find_map(|rule| rule.at_least).unwrap_or_default()
}

/// Whether a text means names: exactly, or by what they begin with.
pub(crate) fn is_pattern(text: &str) -> bool {
    !text.trim_end_matches('*').contains('*') && !text.ends_with("**")
}

/// Whether a name is meant: exactly, or by what it begins with.
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_rule_is_one_and_has_its_own_name() {
        for rule in &BUILT_IN {
            assert!(Rule::of(&rule.written()).is_some(), "{}", rule.name);
            let same = BUILT_IN.iter().filter(|other| other.name == rule.name);
            assert_eq!(same.count(), 1, "{}", rule.name);
        }
        let watched = |signal| BUILT_IN.iter().any(|rule| rule.signal == signal);
        assert!(Signal::ALL.into_iter().all(watched));
    }

    #[test]
    fn names_are_covered_exactly_or_by_their_beginning() {
        assert!(covers("http/*", "http/post") && covers("*", "x") && covers("a", "a"));
        assert!(!covers("http/*", "https") && !covers("a", "ab"));
    }
}
