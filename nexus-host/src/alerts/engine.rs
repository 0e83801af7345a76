//! Which rule is broken for what: receives samples and the time, hands on what has begun and what is over. It does no
//! input or output, looks at no clock, and is the same for the same samples.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Reach};
use super::lookout::Learnt;
use super::rule::Rule;
use super::signal::{Sample, Signal};

/// For how long after the start what is unusual is no trouble: caches are cold, and what has waited comes at once.
const SETTLING: Duration = Duration::from_secs(60);

/// After so long what is unusual has become usual: an alert that nobody has ended by then is a change that stays.
const ADOPTED: Duration = Duration::from_secs(6 * 60 * 60);

/// Begun again within this time of its end, trouble must be over for longer before it counts as over.
const RESTLESS: Duration = Duration::from_secs(10 * 60);

/// How often that time doubles.
const MOST_DOUBLINGS: u32 = 5;

/// How many subjects of all rules are watched at once. One more is watched once another is over.
const MOST_WATCHES: usize = 4_096;

/// For how many signals what is usual is learnt.
const MOST_BASELINES: usize = 64;

/// When it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// By the calendar, for what is usual at that hour.
    pub wall: DateTime<Utc>,
    /// Since the start, for how long something lasts.
    pub up: Duration,
}

/// Something that is watched by a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The rule's name.
    pub rule: String,
    /// Of what.
    pub subject: Arc<str>,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// Trouble has begun.
    Begun(Key, Measured),
    /// It is still so, with this value.
    Lasts(Key, f64),
    /// It is over.
    Over(Key),
}

/// A value that is trouble, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// The value.
    pub value: f64,
    /// Where trouble begins.
    pub threshold: f64,
    /// What is usual; for a fixed rule nothing is.
    pub usual: Option<f64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Engine {
    rules: Vec<Rule>,
    baselines: BTreeMap<(Signal, Arc<str>), Baseline>,
    watches: BTreeMap<Key, Watch>,
}

/// What is unusual, of which nothing is learnt meanwhile.
struct Troubled {
    name: (Signal, Arc<str>),
    lasted: Duration,
    key: Key,
}

#[derive(Debug, Clone, Default)]
struct Watch {
    phase: Phase,
    /// How often trouble has begun again soon after it was over.
    relapses: u32,
    last_over: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Phase {
    #[default]
    Quiet,
    /// It is so, but not for long enough.
    Pending { since: Duration },
    Firing {
        since: Duration,
        /// Where trouble began. What is usual is not learnt meanwhile, and does not move the goal.
        reach: Option<Reach>,
        /// Since when it seems to be over.
        quiet: Option<Duration>,
    },
}

impl Engine {
    /// These rules, of which nothing is known yet.
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            baselines: BTreeMap::new(),
            watches: BTreeMap::new(),
        }
    }

    /// The rules.
    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Goes by other rules from now on. What is broken is judged anew by a rule that has changed, and over when that
    /// watches something else now; what no rule watches any more is over with the next step.
    pub(super) fn become_those(&mut self, rules: Vec<Rule>) -> Vec<Change> {
        let before = std::mem::replace(&mut self.rules, rules);
        let mut changes = Vec::new();
        self.watches.retain(|key, watch| {
            let of = |rules: &[Rule]| rules.iter().find(|rule| rule.name == key.rule).cloned();
            let (Some(old), Some(new)) = (of(&before), of(&self.rules)) else {
                return true;
            };
            if old.signal != new.signal && matches!(watch.phase, Phase::Firing { .. }) {
                changes.push(Change::Over(key.clone()));
            }
            if old != new {
                watch.is_judged_anew();
            }
            old.signal == new.signal
        });
        changes
    }

    /// Takes up what an engine before has learnt.
    pub(super) fn remember(&mut self, kept: Learnt) {
        let whole = kept.into_iter().filter(|(_, _, one)| one.is_whole());
        let whole = whole.take(MOST_BASELINES);
        self.baselines = whole
            .map(|(signal, subject, one)| ((signal, Arc::from(subject)), one))
            .collect();
    }

    /// What it has learnt.
    pub(super) fn learnt(&self) -> Learnt {
        let all = self.baselines.iter();
        all.map(|((signal, subject), one)| (*signal, subject.to_string(), one.clone()))
            .collect()
    }

    /// Takes up an alert that an engine before has raised; it ends by itself when the rule is gone.
    pub(super) fn resume(&mut self, key: Key, measured: Measured) {
        let reach = self
            .rule(&key.rule)
            .is_some_and(Rule::is_adaptive)
            .then(|| Reach {
                usual: measured.usual.unwrap_or(measured.threshold),
                threshold: measured.threshold,
                clear: measured.threshold,
            });
        let phase = Phase::Firing {
            since: Duration::ZERO,
            reach,
            quiet: None,
        };
        self.watches.insert(
            key,
            Watch {
                phase,
                ..Watch::default()
            },
        );
    }

    /// What has changed with these samples, one for each signal and subject.
    pub(super) fn step(&mut self, now: Moment, samples: &[Sample]) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut troubled = Vec::new();
        let is_settling = now.up < SETTLING;
        let mut seen: HashSet<Key> = HashSet::new();
        for rule in &self.rules {
            if rule.is_adaptive() && is_settling {
                continue;
            }
            for sample in samples.iter().filter(|sample| rule.judges(sample)) {
                let name = sample.usual_of();
                let baseline = self.baselines.get(&name);
                let key = Key {
                    rule: rule.name.clone(),
                    subject: sample.subject.clone(),
                };
                let reach = rule.reach(sample, baseline, now.wall);
                let is_known = self.watches.contains_key(&key);
                let is_trouble =
                    reach.is_some_and(|reach| rule.is_beyond(sample.value, reach.threshold));
                if !is_known && (!is_trouble || self.watches.len() >= MOST_WATCHES) {
                    continue;
                }
                let watch = self.watches.entry(key.clone()).or_default();
                watch.see(rule, &key, sample.value, reach, now, &mut changes);
                let since = watch.troubled_since().filter(|_| rule.is_adaptive());
                if let Some(since) = since {
                    troubled.push(Troubled {
                        name,
                        lasted: now.up.saturating_sub(since),
                        key: key.clone(),
                    });
                }
                seen.insert(key);
            }
        }
        self.miss(&seen, is_settling, now, &mut changes);
        self.learn(samples, &troubled, now);
        changes
    }

    /// What is watched and did not come is not in trouble; nor is what no rule watches any more.
    fn miss(
        &mut self,
        seen: &HashSet<Key>,
        is_settling: bool,
        now: Moment,
        changes: &mut Vec<Change>,
    ) {
        for (key, watch) in &mut self.watches {
            if seen.contains(key) {
                continue;
            }
            let rule = self.rules.iter().find(|rule| rule.name == key.rule);
            if is_settling && rule.is_some_and(Rule::is_adaptive) {
                continue;
            }
            let clear_for = rule.map_or(Duration::ZERO, |rule| rule.clear_for);
            watch.be_quiet(key, clear_for, now, changes);
        }
        self.watches.retain(|_, watch| watch.is_needed(now));
    }

    fn learn(&mut self, samples: &[Sample], troubled: &[Troubled], now: Moment) {
        for sample in samples {
            let Some(measure) = sample.signal.measure() else {
                continue;
            };
            let name = sample.usual_of();
            let in_trouble = troubled.iter().find(|one| one.name == name);
            let known = self.baselines.len();
            let baseline = match self.baselines.entry(name) {
                std::collections::btree_map::Entry::Vacant(_) if known >= MOST_BASELINES => {
                    continue;
                }
                entry => entry.or_default(),
            };
            match in_trouble {
                Some(one) if one.lasted < ADOPTED => {}
                Some(Troubled { key, .. }) => {
                    baseline.begin_anew();
                    if let Some(watch) = self.watches.get_mut(key) {
                        watch.give_in(now);
                    }
                }
                None => baseline.learn(measure, sample.value, sample.weight, now.wall),
            }
        }
    }

    fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

impl Watch {
    fn see(
        &mut self,
        rule: &Rule,
        key: &Key,
        value: f64,
        reach: Option<Reach>,
        now: Moment,
        changes: &mut Vec<Change>,
    ) {
        if let Phase::Firing {
            reach: frozen,
            quiet,
            ..
        } = &mut self.phase
        {
            let is_over = match frozen.as_ref().or(reach.as_ref()) {
                Some(reach) => !rule.is_beyond(value, reach.clear),
                None => true,
            };
            if is_over {
                self.be_quiet(key, rule.clear_for, now, changes);
            } else {
                *quiet = None;
                changes.push(Change::Lasts(key.clone(), value));
            }
            return;
        }
        let beyond = reach.filter(|reach| rule.is_beyond(value, reach.threshold));
        let Some(reach) = beyond else {
            self.phase = Phase::Quiet;
            return;
        };
        let since = match self.phase {
            Phase::Pending { since } => since,
            _ => now.up,
        };
        if now.up.saturating_sub(since) < rule.lasting {
            self.phase = Phase::Pending { since };
            return;
        }
        let is_relapse = self
            .last_over
            .is_some_and(|over| now.up.saturating_sub(over) < RESTLESS);
        self.relapses = match is_relapse {
            true => (self.relapses + 1).min(MOST_DOUBLINGS),
            false => 0,
        };
        self.phase = Phase::Firing {
            since: now.up,
            reach: rule.is_adaptive().then_some(reach),
            quiet: None,
        };
        let measured = Measured {
            value,
            threshold: reach.threshold,
            usual: rule.is_adaptive().then_some(reach.usual),
        };
        changes.push(Change::Begun(key.clone(), measured));
    }

    fn be_quiet(&mut self, key: &Key, clear_for: Duration, now: Moment, changes: &mut Vec<Change>) {
        let Phase::Firing { quiet, .. } = &mut self.phase else {
            self.phase = Phase::Quiet;
            return;
        };
        let since = *quiet.get_or_insert(now.up);
        let long_enough = clear_for * 2_u32.pow(self.relapses);
        if now.up.saturating_sub(since) >= long_enough {
            self.phase = Phase::Quiet;
            self.last_over = Some(now.up);
            changes.push(Change::Over(key.clone()));
        }
    }

    /// What has lasted for so long is usual: the alert ends as if it were over.
    fn give_in(&mut self, now: Moment) {
        if let Phase::Firing { reach, quiet, .. } = &mut self.phase {
            *reach = None;
            quiet.get_or_insert(now.up);
        }
    }

    /// Where trouble began by the rule as it was says nothing about the rule as it is.
    fn is_judged_anew(&mut self) {
        match &mut self.phase {
            Phase::Firing { reach, quiet, .. } => (*reach, *quiet) = (None, None),
            phase => *phase = Phase::Quiet,
        }
    }

    fn troubled_since(&self) -> Option<Duration> {
        match self.phase {
            Phase::Quiet => None,
            Phase::Pending { since } | Phase::Firing { since, .. } => Some(since),
        }
    }

    fn is_needed(&self, now: Moment) -> bool {
        let is_restless = |over: Duration| now.up.saturating_sub(over) < RESTLESS;
        !matches!(self.phase, Phase::Quiet) || self.last_over.is_some_and(is_restless)
    }
}

#[cfg(test)]
mod tests;
