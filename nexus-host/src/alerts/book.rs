//! The book of alerts: receives what has begun and what is over, what people say, and the time; hands on what there
//! is to tell. Each alert stands in it once, alerts of a rule are told of together, and nothing is told twice. It does
//! no input or output and looks at no clock.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use nexus_plugin_api::alert::AlertNews;
pub(super) use nexus_plugin_api::alert::Severity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::alert::{Alert, AlertStatus, Group, Notice, Silence};
use super::config::{Config, Level};
use super::engine::{Change, Key, Measured};
use super::rule::Rule;
use crate::routes::RECEIVERS;

/// How many alerts may be active at once. One more is written to the log only.
const MOST_ACTIVE: usize = 1_000;

/// How many that are over are still shown, the last ones.
const MOST_ENDED: usize = 200;

/// How many alerts one piece of news names.
const MOST_NAMED: usize = 50;

/// How many silences there may be at once.
const MOST_SILENCES: usize = 200;

/// How many pieces of news wait for the queue to take them; more than that, and the oldest are not told.
const MOST_UNTOLD: usize = 1_000;

/// What is kept, and there again after a restart if the queue is durable.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Book {
    alerts: Vec<Alert>,
    groups: BTreeMap<String, Group>,
    silences: Vec<Silence>,
    /// What is to be told, in order.
    untold: Vec<News>,
    #[serde(skip)]
    has_changed: bool,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct News {
    pub(super) kind: Kind,
    /// The event's id: the same however often it is told.
    pub(super) event_id: Uuid,
    /// The event that told of it first.
    pub(super) cause: Option<Uuid>,
    pub(super) payload: AlertNews,
}

/// What kind of news it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Raised,
    Acknowledged,
    Escalated,
    Resolved,
}

/// Who is told, and when: the settings as the book needs them.
#[derive(Debug, Clone, Default)]
pub(super) struct Manners {
    group_wait: TimeDelta,
    group_interval: TimeDelta,
    levels: Vec<Level>,
    by_default: Vec<String>,
    /// Those that rules name.
    of_rules: BTreeMap<String, Vec<String>>,
    /// Each receiver's least severity.
    receivers: BTreeMap<String, Severity>,
}

/// Why something that somebody asked for was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlertError {
    /// There is no such alert.
    #[error("no alert has this id: it never was, or is forgotten")]
    Unknown,
    /// It is over.
    #[error("the alert is over; there is nothing to acknowledge")]
    Over,
    /// There is no such silence.
    #[error("no silence has this id: it never was, or has ended")]
    UnknownSilence,
    /// There are too many.
    #[error("there are {MOST_SILENCES} silences already; delete one first")]
    TooManySilences,
}

impl Manners {
    pub(super) fn of(config: &Config, rules: &[Rule]) -> Self {
        let delta = |time: std::time::Duration| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        let receivers = config.receivers.iter();
        let of_rules = rules.iter().filter_map(|rule| {
            let receivers = rule.receivers.clone()?;
            Some((rule.name.clone(), receivers))
        });
        Self {
            group_wait: delta(config.group_wait.get()),
            group_interval: delta(config.group_interval.get()),
            levels: config.levels(),
            by_default: config.default_receivers(),
            of_rules: of_rules.collect(),
            receivers: receivers
                .map(|one| (one.name.clone(), one.severity))
                .collect(),
        }
    }

    /// Who is told of alerts: those of the rule and of the levels that were reached, as far as the severity concerns
    /// them. Nobody is told that it cannot be reached itself.
    fn receivers(&self, rule: &str, alerts: &[&Alert], severity: Severity) -> Vec<String> {
        let level = alerts.iter().map(|alert| alert.level).max().unwrap_or(0);
        let of_rule = self.of_rules.get(rule).unwrap_or(&self.by_default);
        let of_levels = self.levels.iter().take(level);
        let of_levels = of_levels.flat_map(|level| &level.receivers);
        let mut all: Vec<String> = of_rule.iter().chain(of_levels).cloned().collect();
        all.retain(|name| {
            let is_meant = |least: &Severity| *least <= severity;
            self.receivers.get(name).is_some_and(is_meant)
                && !alerts.iter().all(|alert| is_about(alert, name))
        });
        all.sort();
        all.dedup();
        all
    }
}

/// Whether an alert is about a receiver's own breaker.
fn is_about(alert: &Alert, receiver: &str) -> bool {
    let target = alert.key.subject.split_once('@').map(|(_, target)| target);
    let route = target.filter(|_| alert.signal == super::Signal::BreakerOpen);
    route.and_then(|route| route.strip_prefix(RECEIVERS)?.strip_prefix('/')) == Some(receiver)
}

impl Book {
    /// Writes down what has changed.
    pub(super) fn note(&mut self, changes: Vec<Change>, rules: &[Rule], now: DateTime<Utc>) {
        for change in changes {
            match change {
                Change::Begun(key, measured) => {
                    let rule = rules.iter().find(|rule| rule.name == key.rule);
                    if let Some(rule) = rule {
                        self.begin(key, measured, rule, now);
                    }
                }
                Change::Lasts(key, value) => {
                    if let Some(alert) = self.active_mut(&key) {
                        alert.value = value;
                    }
                }
                Change::Over(key) => self.end(&key, now),
            }
        }
    }

    fn begin(&mut self, key: Key, measured: Measured, rule: &Rule, now: DateTime<Utc>) {
        let summary = rule.signal.says(&key.subject);
        if self.active().count() >= MOST_ACTIVE {
            tracing::error!(
                rule = rule.name,
                summary,
                "an alert, beyond those that are kept"
            );
            return;
        }
        if self.active_mut(&key).is_some() {
            return;
        }
        let group = self
            .groups
            .entry(key.rule.clone())
            .or_insert_with(|| Group {
                id: Uuid::now_v7(),
                rule: key.rule.clone(),
                waiting_since: None,
                told_at: None,
                told: 0,
                first_event: None,
                receivers: Vec::new(),
            });
        group.waiting_since.get_or_insert(now);
        let alert = Alert {
            id: Uuid::now_v7(),
            signal: rule.signal,
            status: AlertStatus::Firing,
            severity: rule.severity,
            summary,
            value: measured.value,
            threshold: measured.threshold,
            baseline: measured.usual,
            since: now,
            told_at: None,
            level: 0,
            acknowledged: None,
            resolved_at: None,
            group_id: group.id,
            key,
        };
        tracing::warn!(
            alert_id = %alert.id,
            rule = rule.name,
            subject = &*alert.key.subject,
            severity = alert.severity.as_str(),
            "an alert: {}",
            alert.line()
        );
        self.alerts.push(alert);
        self.has_changed = true;
    }

    fn end(&mut self, key: &Key, now: DateTime<Utc>) {
        let Some(alert) = self.active_mut(key) else {
            return;
        };
        alert.status = AlertStatus::Resolved;
        alert.resolved_at = Some(now);
        tracing::info!(
            alert_id = %alert.id,
            rule = key.rule,
            subject = &*key.subject,
            "an alert is over: {}",
            alert.summary
        );
        self.has_changed = true;
        let ended = self
            .alerts
            .iter()
            .filter(|alert| !alert.is_active())
            .count();
        for _ in MOST_ENDED..ended {
            // Those of groups that go on are told of once more, at their end; there are as many kept for that.
            if let Some(oldest) = self.alerts.iter().position(|alert| !alert.is_active()) {
                self.alerts.remove(oldest);
            }
        }
    }

    /// Notes what there is to tell by now.
    pub(super) fn look(&mut self, manners: &Manners, now: DateTime<Utc>) {
        let before = self.silences.len();
        self.silences.retain(|silence| now < silence.until);
        self.has_changed |= before != self.silences.len();
        let rules: Vec<String> = self.groups.keys().cloned().collect();
        for rule in rules {
            self.tell_of_more(&rule, manners, now);
            self.escalate(&rule, manners, now);
            self.tell_of_the_end(&rule, manners, now);
        }
    }

    fn tell_of_more(&mut self, rule: &str, manners: &Manners, now: DateTime<Utc>) {
        let Some(group) = self.groups.get(rule) else {
            return;
        };
        let has_waited = group
            .waiting_since
            .is_some_and(|since| now - since >= manners.group_wait);
        let has_paused = group
            .told_at
            .is_none_or(|told| now - told >= manners.group_interval);
        if !has_waited || !has_paused {
            return;
        }
        let silences = &self.silences;
        let is_silent = |key: &Key| silences.iter().any(|one| one.covers(key, now));
        let mut ids = Vec::new();
        for alert in &mut self.alerts {
            let is_new = alert.group_id == group.id && alert.is_active() && alert.told_at.is_none();
            if is_new && !is_silent(&alert.key) {
                alert.told_at = Some(now);
                ids.push(alert.id);
            }
        }
        if !ids.is_empty() {
            self.tell(Kind::Raised, rule, &ids, manners, now, None);
        }
        let is_left = self.active_of(rule).any(|alert| alert.told_at.is_none());
        if let Some(group) = self.groups.get_mut(rule)
            && !is_left
        {
            group.waiting_since = None;
        }
    }

    fn escalate(&mut self, rule: &str, manners: &Manners, now: DateTime<Utc>) {
        let silences = &self.silences;
        let is_silent = |key: &Key| silences.iter().any(|one| one.covers(key, now));
        let mut ids = Vec::new();
        let alerts = self.alerts.iter_mut().filter(|alert| {
            alert.key.rule == rule && alert.status == AlertStatus::Firing && !is_silent(&alert.key)
        });
        for alert in alerts {
            let Some(age) = alert.told_at.and_then(|told| (now - told).to_std().ok()) else {
                continue;
            };
            let reached = manners
                .levels
                .iter()
                .take_while(|level| level.after.get() <= age);
            let reached = reached.count();
            if reached > alert.level {
                let severity = manners.levels[..reached].iter().map(|level| level.severity);
                alert.severity = severity.fold(alert.severity, Severity::max);
                alert.level = reached;
                tracing::warn!(
                    alert_id = %alert.id,
                    level = reached,
                    "nobody has acknowledged an alert: {}",
                    alert.summary
                );
                ids.push(alert.id);
            }
        }
        if !ids.is_empty() {
            self.tell(Kind::Escalated, rule, &ids, manners, now, None);
        }
    }

    fn tell_of_the_end(&mut self, rule: &str, manners: &Manners, now: DateTime<Utc>) {
        if self.active_of(rule).next().is_some() {
            return;
        }
        let Some(id) = self.groups.get(rule).map(|group| group.id) else {
            return;
        };
        let told = self.alerts.iter().filter(|alert| alert.group_id == id);
        let told = told.filter(|alert| alert.told_at.is_some());
        let told: Vec<Uuid> = told.map(|alert| alert.id).collect();
        if !told.is_empty() {
            self.tell(Kind::Resolved, rule, &told, manners, now, None);
        }
        self.groups.remove(rule);
        self.has_changed = true;
    }

    /// Takes notice of an alert for somebody, or of all of its group.
    ///
    /// # Errors
    /// When there is no such alert, or it is over.
    pub(super) fn acknowledge(
        &mut self,
        id: Uuid,
        whole_group: bool,
        notice: &Notice,
        manners: &Manners,
    ) -> Result<Vec<Alert>, AlertError> {
        let found = self.alerts.iter().find(|alert| alert.id == id);
        let found = found.ok_or(AlertError::Unknown)?;
        if !found.is_active() {
            return Err(AlertError::Over);
        }
        let (rule, group) = (found.key.rule.clone(), found.group_id);
        let mut newly = Vec::new();
        let mut meant = Vec::new();
        for alert in &mut self.alerts {
            let is_meant = alert.id == id || (whole_group && alert.group_id == group);
            if !is_meant || !alert.is_active() {
                continue;
            }
            if alert.acknowledged.is_none() {
                alert.status = AlertStatus::Acknowledged;
                alert.acknowledged = Some(notice.clone());
                if alert.told_at.is_some() {
                    newly.push(alert.id);
                }
                self.has_changed = true;
            }
            meant.push(alert.clone());
        }
        if !newly.is_empty() {
            self.tell(
                Kind::Acknowledged,
                &rule,
                &newly,
                manners,
                notice.at,
                Some(notice),
            );
        }
        Ok(meant)
    }

    fn tell(
        &mut self,
        kind: Kind,
        rule: &str,
        ids: &[Uuid],
        manners: &Manners,
        now: DateTime<Utc>,
        notice: Option<&Notice>,
    ) {
        let Some(group) = self.groups.get_mut(rule) else {
            return;
        };
        let about = self.alerts.iter().filter(|alert| ids.contains(&alert.id));
        let about: Vec<&Alert> = about.collect();
        let Some(first) = about.first() else {
            return;
        };
        let severity = about.iter().map(|alert| alert.severity).max();
        let severity = severity.unwrap_or_default();
        let mut receivers = manners.receivers(rule, &about, severity);
        match kind {
            Kind::Raised | Kind::Escalated => {
                for name in &receivers {
                    if !group.receivers.contains(name) {
                        group.receivers.push(name.clone());
                    }
                }
            }
            // Whoever was told that it is so is told that it is not.
            Kind::Acknowledged | Kind::Resolved => receivers.clone_from(&group.receivers),
        }
        let more = about.len() - 1;
        let title = match more {
            0 => first.summary.clone(),
            more => format!("{}, and {more} more", first.summary),
        };
        let title = match kind {
            Kind::Raised => title,
            Kind::Acknowledged => format!("acknowledged: {title}"),
            Kind::Escalated => format!("still so: {title}"),
            Kind::Resolved => format!("over: {title}"),
        };
        let named = about.iter().take(MOST_NAMED);
        let lines: Vec<String> = named.clone().map(|alert| alert.line()).collect();
        let payload = AlertNews {
            group_id: group.id,
            rule: rule.to_owned(),
            severity,
            title,
            body: lines.join("\n"),
            count: about.len(),
            alerts: named.map(|alert| alert.outline()).collect(),
            level: about.iter().map(|alert| alert.level).max().unwrap_or(0) as u32,
            receivers,
            by: notice.map(|notice| notice.by.clone()),
            note: notice.and_then(|notice| notice.note.clone()),
        };
        let event_id = Uuid::new_v5(&group.id, group.told.to_string().as_bytes());
        let news = News {
            kind,
            event_id,
            cause: group.first_event,
            payload,
        };
        group.first_event.get_or_insert(event_id);
        group.told = group.told.saturating_add(1);
        if kind == Kind::Raised {
            group.told_at = Some(now);
        }
        self.untold.push(news);
        if self.untold.len() > MOST_UNTOLD {
            self.untold.remove(0);
        }
        self.has_changed = true;
    }

    /// What is to be told next.
    pub(super) fn next_untold(&self) -> Option<News> {
        self.untold.first().cloned()
    }

    /// That was told, or never can be.
    pub(super) fn told(&mut self, event_id: Uuid) {
        self.untold.retain(|news| news.event_id != event_id);
        self.has_changed = true;
    }

    /// Adds a silence.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn silence(&mut self, silence: Silence) -> Result<(), AlertError> {
        if self.silences.len() >= MOST_SILENCES {
            return Err(AlertError::TooManySilences);
        }
        self.silences.push(silence);
        self.has_changed = true;
        Ok(())
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn unsilence(&mut self, id: Uuid) -> Result<Silence, AlertError> {
        let at = self.silences.iter().position(|silence| silence.id == id);
        let at = at.ok_or(AlertError::UnknownSilence)?;
        self.has_changed = true;
        Ok(self.silences.remove(at))
    }

    pub(super) fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// The silence that covers an alert now.
    pub(super) fn silence_of(&self, alert: &Alert, now: DateTime<Utc>) -> Option<&Silence> {
        let mut silences = self.silences.iter();
        silences.find(|silence| silence.covers(&alert.key, now))
    }

    /// Every alert that is kept, in the order in which they began.
    pub(super) fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.is_active())
    }

    fn active_of<'a>(&'a self, rule: &'a str) -> impl Iterator<Item = &'a Alert> {
        self.active().filter(move |alert| alert.key.rule == rule)
    }

    fn active_mut(&mut self, key: &Key) -> Option<&mut Alert> {
        let mut alerts = self.alerts.iter_mut();
        alerts.find(|alert| alert.is_active() && alert.key == *key)
    }

    /// Whether it has changed since it was kept.
    pub(super) fn is_changed(&self) -> bool {
        self.has_changed
    }

    /// Whether it has changed since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Asks for being kept once more.
    pub(super) fn keep_again(&mut self) {
        self.has_changed = true;
    }
}

#[cfg(test)]
mod tests;
