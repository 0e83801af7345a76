//! Alerts: what is wrong with the hub itself, found by looking at it once a second, and told to whoever is meant to
//! know.
//!
//! Receives what the rooms have counted and how they stand ([`Reading`]); hands on events of the hub's own, which the
//! configured receivers are shown as routes are, and a list for administrators. Numbers become samples (`gauges`),
//! samples break rules or not (`engine`, with what is usual from `baseline`), and the `book` says what there is to
//! tell. What alerts themselves lead to is in none of the numbers, so that no alert causes another.

mod alert;
mod baseline;
mod book;
pub mod config;
mod disk;
mod engine;
mod gauges;
mod keeper;
mod lookout;
mod rule;
mod signal;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nexus_plugin_api::alert::{
    AlertAcknowledged, AlertEscalated, AlertRaised, AlertResolved, Severity,
};
use nexus_plugin_api::{ContractInfo, StateWrite};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::admission::HUB;
use crate::approvals::Announce;
use crate::queue::{Queue, Unavailable};
use crate::routes;

pub use alert::{Alert, AlertStatus, Notice, Silence};
pub use baseline::Baseline;
pub use book::AlertError;
use book::Book;
pub use config::Config;
pub(crate) use disk::Disk;
pub use engine::{Key, Moment};
pub use gauges::{PluginReading, Reading};
pub use lookout::{Learnt, Lookout};
pub(crate) use rule::is_pattern;
pub use signal::Signal;

/// The types of the events that tell of alerts.
pub(crate) const TYPES: &str = "nexus.alert.*";

/// Where the alerts are kept, in the hub's own state.
const STANDING: &str = "alerts.standing";

/// Where what is usual is kept.
const LEARNT: &str = "alerts.learnt";

/// The contracts of the events that tell of alerts.
pub fn contracts() -> Vec<ContractInfo> {
    vec![
        ContractInfo::of::<AlertRaised>(),
        ContractInfo::of::<AlertAcknowledged>(),
        ContractInfo::of::<AlertEscalated>(),
        ContractInfo::of::<AlertResolved>(),
    ]
}

/// Whether a type is that of an event which tells of alerts: what such an event leads to is in no signal.
pub(crate) fn tells_of_alerts(event_type: &str) -> bool {
    event_type.starts_with("nexus.alert.")
}

/// Whether what decides about an event, by its full name, is a receiver of alerts. Each has a breaker of its own: who
/// is to know that a system cannot be reached is told although others wait for that system's breaker.
pub(crate) fn is_receiver(processor: &str) -> bool {
    let id = processor.split_once('/').map(|(id, _)| id);
    id == Some(routes::RECEIVERS)
}

/// Who knows how the rooms stand.
pub trait Rooms: Send + Sync + 'static {
    /// How they stand now. Asked once a second: it must cost little, and not wait.
    fn read(&self) -> Reading;
}

/// See the module.
pub struct Alerts {
    rooms: Arc<dyn Rooms>,
    queue: Arc<dyn Queue>,
    announce: Arc<dyn Announce>,
    disk: Disk,
    started: Instant,
    /// How many events were let in that tell of alerts.
    told: AtomicU64,
    /// How often one was not.
    refused: AtomicU64,
    lookout: Mutex<Lookout>,
    /// Rung when there is something to tell or to keep.
    changed: Notify,
    /// Rung when there is another configuration.
    reconfigured: Notify,
}

/// An alert as administrators see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// The silence that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced_by: Option<Uuid>,
}

/// What somebody wants to be silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hush {
    /// Alerts of which rules: exact, or with `*` at its end.
    pub rule: String,
    /// Alerts about what: exact, or with `*` at its end.
    pub subject: String,
    /// For how long.
    pub lasting: Duration,
    /// Why.
    pub note: Option<String>,
}

impl Alerts {
    /// Takes up the alerts, the silences and what is usual as a queue keeps them.
    ///
    /// # Errors
    /// When the queue's storage does not work.
    pub(crate) async fn open(
        config: &Config,
        disk: Disk,
        rooms: Arc<dyn Rooms>,
        queue: Arc<dyn Queue>,
        announce: Arc<dyn Announce>,
    ) -> Result<Self, Unavailable> {
        let kept = queue.state_get(HUB, LEARNT).await?;
        let learnt = kept.map_or_else(Learnt::default, |kept| {
            postcard::from_bytes(&kept).unwrap_or_else(|error| {
                tracing::warn!(%error, "what is usual is learnt anew");
                Learnt::default()
            })
        });
        let kept = queue.state_get(HUB, STANDING).await?;
        let book = kept.map_or_else(Book::default, |kept| {
            serde_json::from_slice(&kept).unwrap_or_else(|error| {
                tracing::error!(%error, "the alerts of before cannot be read");
                Book::default()
            })
        });
        Ok(Self {
            lookout: Mutex::new(Lookout::with(config, learnt, book)),
            rooms,
            queue,
            announce,
            disk,
            started: Instant::now(),
            told: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            changed: Notify::new(),
            reconfigured: Notify::new(),
        })
    }

    /// Goes by another configuration from now on. Alerts, silences and what is usual stay.
    pub(crate) fn become_those(&self, config: &Config) {
        self.lookout.lock().become_that(config, self.now());
        self.reconfigured.notify_one();
    }

    /// The alerts that are kept: what is active first, the worst and the newest first, then what is over, the last
    /// first.
    pub fn list(&self) -> Vec<Shown> {
        let now = Utc::now();
        let lookout = self.lookout.lock();
        let shown = |alert: &Alert| Shown {
            silenced_by: lookout
                .book
                .silence_of(alert, now)
                .map(|silence| silence.id),
            alert: alert.clone(),
        };
        let mut all: Vec<Shown> = lookout.book.alerts().iter().map(shown).collect();
        drop(lookout);
        all.sort_by_key(|one| {
            let alert = &one.alert;
            let at = alert.resolved_at.unwrap_or(alert.since);
            let rank = match alert.is_active() {
                true => (0, std::cmp::Reverse(Some(alert.severity))),
                false => (1, std::cmp::Reverse(None)),
            };
            (rank, std::cmp::Reverse(at))
        });
        all
    }

    /// How many of a severity are not over.
    pub(crate) fn active(&self, severity: Severity) -> usize {
        let lookout = self.lookout.lock();
        let alerts = lookout.book.alerts().iter();
        let active = alerts.filter(|alert| alert.is_active() && alert.severity == severity);
        active.count()
    }

    /// One of them.
    pub fn get(&self, id: Uuid) -> Option<Shown> {
        self.list().into_iter().find(|one| one.alert.id == id)
    }

    /// The rules, as `/v1/admin/alerts/rules` shows them.
    pub fn rules(&self) -> serde_json::Value {
        let lookout = self.lookout.lock();
        let rules: Vec<_> = lookout
            .engine
            .rules()
            .iter()
            .map(rule::Rule::shown)
            .collect();
        serde_json::json!({ "enabled": lookout.is_enabled, "rules": rules })
    }

    /// Takes notice of an alert for somebody, or of every active one of its group: it is not told with more emphasis
    /// any more. Answers with those.
    ///
    /// # Errors
    /// When there is no such alert, or it is over.
    pub fn acknowledge(
        &self,
        id: Uuid,
        whole_group: bool,
        by: &str,
        note: Option<&str>,
    ) -> Result<Vec<Alert>, AlertError> {
        let notice = Notice {
            by: by.to_owned(),
            at: Utc::now(),
            note: note.map(str::to_owned),
        };
        let mut lookout = self.lookout.lock();
        let Lookout { book, manners, .. } = &mut *lookout;
        let meant = book.acknowledge(id, whole_group, &notice, manners)?;
        drop(lookout);
        tracing::info!(alert_id = %id, by, "an alert is acknowledged");
        self.changed.notify_one();
        Ok(meant)
    }

    /// The silences that hold.
    pub fn silences(&self) -> Vec<Silence> {
        let now = Utc::now();
        let lookout = self.lookout.lock();
        let silences = lookout.book.silences().iter();
        silences.filter(|one| now < one.until).cloned().collect()
    }

    /// Has alerts told to nobody for a while.
    ///
    /// # Errors
    /// When there are too many silences.
    pub fn silence(&self, what: Hush, by: &str) -> Result<Silence, AlertError> {
        let now = Utc::now();
        let silence = Silence {
            id: Uuid::now_v7(),
            rule: what.rule,
            subject: what.subject,
            until: later(now, what.lasting),
            by: by.to_owned(),
            at: now,
            note: what.note,
        };
        self.lookout.lock().book.silence(silence.clone())?;
        tracing::info!(silence_id = %silence.id, rule = silence.rule, subject = silence.subject, by, "alerts are silenced");
        self.changed.notify_one();
        Ok(silence)
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// When there is none.
    pub fn unsilence(&self, id: Uuid, by: &str) -> Result<Silence, AlertError> {
        let ended = self.lookout.lock().book.unsilence(id)?;
        tracing::info!(silence_id = %id, by, "a silence is ended");
        self.changed.notify_one();
        Ok(ended)
    }

    fn now(&self) -> Moment {
        Moment {
            wall: Utc::now(),
            up: self.started.elapsed(),
        }
    }

    fn is_enabled(&self) -> bool {
        self.lookout.lock().is_enabled
    }

    async fn write(&self, key: &str, value: Vec<u8>) -> Result<(), Unavailable> {
        let write = StateWrite {
            key: key.to_owned(),
            value: Some(value),
        };
        self.queue.state_put(HUB, write).await
    }
}

fn later(now: DateTime<Utc>, lasting: Duration) -> DateTime<Utc> {
    let lasting = TimeDelta::from_std(lasting).ok();
    lasting
        .and_then(|lasting| now.checked_add_signed(lasting))
        .unwrap_or(now)
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts")
            .field("active", &self.lookout.lock().book.active().count())
            .finish_non_exhaustive()
    }
}
