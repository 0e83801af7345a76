//! What the queue holds: units of work on an event, and what becomes of them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Effect, Event, StateWrite};
use semver::Version;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::schedule::LaneKey;
use crate::admission::{Admitted, Flag};

/// One unit of work. An event starts as [`Work::Route`]; what must be tried again or later comes
/// back as one of the others, so that only the failed part is repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Work {
    /// Show the event to every processor that subscribes to it.
    Route,
    /// Show the event to one processor again.
    Process {
        /// `plugin/name`.
        processor: String,
        /// Number of the first effect it may decide; others of the event have other numbers.
        first_effect: u32,
    },
    /// Perform one effect.
    Perform {
        /// Number of the effect within its event, from 0.
        number: u32,
        /// The processor that decided it, `plugin/name`.
        processor: String,
        /// What to do.
        effect: Box<Effect>,
        /// The W3C `traceparent` of the call that decided it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
    },
}

/// A leased unit of work. Whoever holds it settles it exactly once.
#[derive(Debug)]
pub struct Delivery {
    /// Identifies the lease.
    pub lease: Lease,
    /// The event.
    pub event: Arc<Event>,
    /// What to do with it.
    pub work: Work,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// How the attempts before this one failed, oldest first.
    pub errors: Vec<Failure>,
    /// When the event was accepted.
    pub accepted_at: DateTime<Utc>,
    /// Whether another source had used the event's id when it was accepted. An idempotency key made
    /// of the id alone would be that event's.
    pub id_is_shared: bool,
}

/// Identifies a lease within its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease(pub(crate) u64);

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: DateTime<Utc>,
    /// Stable code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What became of a delivery, and everything that follows from it. Applied as one.
#[derive(Debug, Default)]
pub struct Settlement {
    /// What became of the delivery itself.
    pub verdict: Verdict,
    /// Further work on the same event.
    pub follow_ups: Vec<FollowUp>,
    /// Parts of the delivery that failed for good.
    pub dead: Vec<Grave>,
    /// Events that follow from it.
    pub emitted: Vec<Admitted>,
    /// Writes to the state of plugins.
    pub state: Vec<(String, StateWrite)>,
    /// Lines for the event's journal.
    pub steps: Vec<Step>,
}

/// What became of a delivery.
#[derive(Debug, Default)]
pub enum Verdict {
    /// Finished.
    #[default]
    Ack,
    /// The same work again, after a delay.
    Nack {
        /// How long to wait.
        after: Duration,
        /// The failure, which counts as an attempt; `None` for a parked delivery, which does not.
        failure: Option<Failure>,
    },
}

/// Further work on the event of a delivery.
#[derive(Debug)]
pub struct FollowUp {
    /// What to do.
    pub work: Work,
    /// When: `None` at once, leased to whoever settles.
    pub after: Option<Duration>,
    /// A first failed attempt, when this is a retry of something that ran already.
    pub failure: Option<Failure>,
}

/// Work that failed for good.
#[derive(Debug, Clone)]
pub struct Grave {
    /// What failed.
    pub work: Work,
    /// Why it is given up: stable code.
    pub reason: String,
    /// Every failure, oldest first.
    pub errors: Vec<Failure>,
}

/// What a settlement led to.
#[derive(Debug, Default)]
pub struct Settled {
    /// The follow-ups that were to happen at once, leased.
    pub leased: Vec<Delivery>,
    /// The emitted events that are in the queue now; a duplicate is not.
    pub accepted: Vec<Admitted>,
    /// Set when nothing more is to be done for the event.
    pub finished: Option<EventStatus>,
}

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventStatus {
    /// Waiting for its turn.
    Queued,
    /// Some of its work is done or under way.
    Processing,
    /// Everything is done.
    Processed,
    /// Nothing more will be done, and some of it is among the dead letters.
    Dead,
}

/// The way of one event through the hub.
#[derive(Debug, Clone, Serialize)]
pub struct Journey {
    /// The event.
    pub event_id: Uuid,
    /// Where it stands.
    pub status: EventStatus,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its source.
    pub source: String,
    /// What it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// When its last work ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// What happened, in order.
    pub steps: Vec<JournalLine>,
}

/// A line of an event's journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JournalLine {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub step: Step,
}

/// What can happen to an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Accepted into the queue.
    Accepted,
    /// Sent as an earlier version of its contract, and carried over to a later one.
    Migrated {
        /// The version that was sent.
        from: Version,
        /// The version that it is now.
        to: Version,
    },
    /// Something in its payload looks like an attack; it went on all the same.
    Flagged {
        /// Which patterns, and where.
        found: Vec<Flag>,
    },
    /// Taken up for routing.
    Leased,
    /// No processor subscribes to it.
    Unrouted,
    /// It had expired; what was left to do for it is not done.
    Expired,
    /// A processor has decided.
    Processed {
        /// `plugin/name`.
        processor: String,
        /// `done`, `skip`, `reject` or `retry_later`.
        decision: Cow<'static, str>,
        /// The processor's reason, if it gave one.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How many effects it decided.
        effects: usize,
        /// Which attempt this was.
        attempt: u32,
    },
    /// A processor failed.
    ProcessorFailed {
        /// `plugin/name`.
        processor: String,
        /// Which attempt this was.
        attempt: u32,
        /// Stable code.
        code: String,
        /// For people.
        message: String,
        /// Milliseconds until the next attempt; absent when there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_in_ms: Option<u64>,
    },
    /// A person was asked.
    Asked {
        /// Number of the effect.
        effect: u32,
        /// The question.
        approval_id: Uuid,
    },
    /// A question was answered, or had been before.
    Answered {
        /// Number of the effect.
        effect: u32,
        /// The question.
        approval_id: Uuid,
        /// What came of it.
        summary: String,
    },
    /// An event was emitted.
    Emitted {
        /// Number of the effect.
        effect: u32,
        /// The new event.
        event_id: Uuid,
        /// Its type.
        #[serde(rename = "type")]
        event_type: String,
    },
    /// An effect waits for its time.
    Scheduled {
        /// Number of the effect.
        effect: u32,
        /// Milliseconds until then.
        after_ms: u64,
    },
    /// An integration has done what was asked.
    Delivered {
        /// Number of the effect.
        effect: u32,
        /// `plugin/name`.
        integration: String,
        /// Which attempt this was.
        attempt: u32,
        /// The integration's note.
        #[serde(skip_serializing_if = "Option::is_none")]
        summary: Option<String>,
    },
    /// An integration failed.
    DeliveryFailed {
        /// Number of the effect.
        effect: u32,
        /// The integration.
        integration: String,
        /// Which attempt this was.
        attempt: u32,
        /// Stable code.
        code: String,
        /// For people.
        message: String,
        /// Milliseconds until the next attempt; absent when there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_in_ms: Option<u64>,
    },
    /// Held back to spare the target. Not an attempt.
    Parked {
        /// Number of the effect.
        effect: u32,
        /// The integration.
        integration: String,
        /// Why, in a few words for people.
        because: Cow<'static, str>,
        /// Milliseconds until it is looked at again.
        retry_in_ms: u64,
    },
    /// Some of the work went to the dead letters.
    Dead {
        /// The dead letter.
        dead_letter: Uuid,
        /// Stable code.
        reason: String,
    },
    /// Work from the dead letters is done once more.
    Replayed {
        /// The dead letter that it was.
        dead_letter: Uuid,
    },
    /// Nothing more will be done.
    Finished {
        /// `processed` or `dead`.
        status: EventStatus,
    },
}

/// The longest delay; a plugin may name one that no clock can hold.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// What an event weighs: the bytes of its payload.
pub(super) fn size(event: &Event) -> u64 {
    u64::try_from(event.payload.as_slice().len()).unwrap_or(u64::MAX)
}

/// The first steps of an event that was just taken in: sent as the version `sent_as` and carried over to
/// `version`, if it was, and with these marks on what it holds then.
pub(super) fn first_steps(
    sent_as: Option<Version>,
    version: Option<Version>,
    flags: Vec<Flag>,
) -> impl Iterator<Item = Step> {
    let migrated = sent_as
        .zip(version)
        .map(|(from, to)| Step::Migrated { from, to });
    let flagged = (!flags.is_empty()).then_some(Step::Flagged { found: flags });
    std::iter::once(Step::Accepted)
        .chain(migrated)
        .chain(flagged)
}

/// The lane of an event, in a queue that has lanes.
pub(super) fn lane_of(event: &Event) -> LaneKey {
    Arc::from(event.partition_key.as_deref().unwrap_or(&event.source))
}
