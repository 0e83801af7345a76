//! One alert, a group of them, and a silence, as they are kept. Plain data.

use chrono::{DateTime, Utc};
use nexus_plugin_api::alert::{AlertOutline, Severity};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::engine::{Key, Measured};
use super::rule::covers;
use super::signal::Signal;

/// Something that is wrong, or was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Which one it is.
    pub id: Uuid,
    /// The rule that is broken, and for what.
    #[serde(flatten)]
    pub key: Key,
    /// What the rule watches.
    pub signal: Signal,
    /// Where it stands.
    pub status: AlertStatus,
    /// How bad it is.
    pub severity: Severity,
    /// In a few words.
    pub summary: String,
    /// The value, as it was last, in the signal's unit.
    pub value: f64,
    /// Where trouble began when it did.
    pub threshold: f64,
    /// What was usual then; absent where a number is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it was told of; absent while a silence covers it, or its group waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<DateTime<Utc>>,
    /// How many levels of escalation it has reached.
    #[serde(default)]
    pub level: usize,
    /// Who has taken notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Notice>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<DateTime<Utc>>,
    /// Which group it belongs to.
    pub group_id: Uuid,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// It is so, and nobody has said that they know.
    Firing,
    /// It is so, and somebody knows.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl AlertStatus {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Firing, Self::Acknowledged, Self::Resolved];

    /// Its name in the interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// Who has taken notice of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// A client's id.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What was said beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Alerts of one rule that are told of together, from the first until none is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: Uuid,
    pub(super) rule: String,
    /// When something came that has not been told.
    pub(super) waiting_since: Option<DateTime<Utc>>,
    /// When something of it was told last.
    pub(super) told_at: Option<DateTime<Utc>>,
    /// How much was told of it: each piece of news has an id made of that.
    pub(super) told: u32,
    /// The event that told of it first, which caused those after it.
    pub(super) first_event: Option<Uuid>,
    /// Who was told.
    pub(super) receivers: Vec<String>,
}

/// Alerts that nobody is told of for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Which one it is.
    pub id: Uuid,
    /// Alerts of which rules: exact, or with `*` at its end.
    pub rule: String,
    /// Alerts about what: exact, or with `*` at its end.
    pub subject: String,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Who said so: a client's id.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Silence {
    /// Whether nobody is told of an alert at this time.
    pub(super) fn covers(&self, key: &Key, now: DateTime<Utc>) -> bool {
        now < self.until && covers(&self.rule, &key.rule) && covers(&self.subject, &key.subject)
    }
}

impl Alert {
    /// Whether it is not over.
    pub fn is_active(&self) -> bool {
        self.status != AlertStatus::Resolved
    }

    pub(super) fn measured(&self) -> Measured {
        Measured {
            value: self.value,
            threshold: self.threshold,
            usual: self.baseline,
        }
    }

    pub(super) fn outline(&self) -> AlertOutline {
        AlertOutline {
            alert_id: self.id,
            subject: self.key.subject.to_string(),
            severity: self.severity,
            summary: self.summary.clone(),
            value: self.value,
            threshold: self.threshold,
            since: self.since,
        }
    }

    /// In a line.
    pub(super) fn line(&self) -> String {
        let Some(value) = self.signal.shown(self.value) else {
            return self.summary.clone();
        };
        match self.baseline.and_then(|usual| self.signal.shown(usual)) {
            Some(usual) => format!("{}: {value}, usual is {usual}", self.summary),
            None => format!("{}: {value}", self.summary),
        }
    }
}
