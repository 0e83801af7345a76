//! Events and work as the tables hold them: receives the hub's types, hands on columns, and back.
//! Whether a row is as it was written, [`sum`](super::sum) says.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Event, Priority, RawJson};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use semver::Version;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock;
use crate::admission::Flag;
use crate::queue::work::first_steps;
use crate::queue::{Failure, JournalLine, Step, Work};

/// Names an event with work left, and says when its turn is: the class in the two highest bits below
/// the sign, and below them the place in the order of arrival. So the events of a class are a range,
/// in order, without an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) i64);

const PLACE_BITS: u32 = 60;

impl Key {
    pub(super) fn new(priority: Priority, place: i64) -> Self {
        Self((priority as i64) << PLACE_BITS | place)
    }

    pub(super) fn class(self) -> usize {
        usize::try_from(self.0 >> PLACE_BITS).unwrap_or(0).min(3)
    }

    pub(super) fn place(self) -> i64 {
        self.0 & ((1 << PLACE_BITS) - 1)
    }

    /// Before the first of a class.
    pub(super) fn start_of(class: usize) -> Self {
        Self((class as i64) << PLACE_BITS)
    }

    /// After the last of a class.
    pub(super) fn end_of(class: usize) -> Self {
        Self::start_of(class + 1)
    }
}

/// Names work beside the first routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TaskId(pub(super) i64);

/// A row that is not what was written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Damage(pub(super) String);

impl From<serde_json::Error> for Damage {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// The envelope, but for what has a column of its own.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    #[serde(rename = "type")]
    event_type: Cow<'a, str>,
    timestamp: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "is_normal")]
    priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract_version: Option<Cow<'a, Version>>,
    /// The version that was sent, when it was carried over to a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_as: Option<Cow<'a, Version>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<Cow<'a, str>>,
    /// See [`Delivery::id_is_shared`](crate::queue::Delivery::id_is_shared).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    id_is_shared: bool,
    /// For the first lines of the journal, which is written when the event is settled.
    #[serde(default, rename = "flagged", skip_serializing_if = "<[_]>::is_empty")]
    flags: Cow<'a, [Flag]>,
}

fn is_normal(priority: &Priority) -> bool {
    *priority == Priority::Normal
}

/// What journeys tell of an event, out of its head.
#[derive(Deserialize)]
pub(super) struct Told {
    #[serde(rename = "type")]
    pub(super) event_type: String,
    #[serde(default)]
    pub(super) correlation_id: Option<String>,
    #[serde(default)]
    pub(super) causation_id: Option<Uuid>,
}

/// What a head holds beside the envelope.
#[derive(Debug, Default)]
pub(super) struct Beside<'a> {
    pub(super) sent_as: Option<&'a Version>,
    pub(super) flags: &'a [Flag],
    pub(super) id_is_shared: bool,
}

/// The envelope as one column.
pub(super) fn head(event: &Event, beside: &Beside<'_>) -> Result<String, Damage> {
    Ok(serde_json::to_string(&Head {
        event_type: event.event_type.as_str().into(),
        timestamp: event.timestamp,
        priority: event.priority,
        correlation_id: event.correlation_id.as_deref().map(Cow::from),
        contract_version: event.contract_version.as_ref().map(Cow::Borrowed),
        sent_as: beside.sent_as.map(Cow::Borrowed),
        causation_id: event.causation_id,
        expires_at: event.expires_at,
        traceparent: event.traceparent.as_deref().map(Cow::from),
        tracestate: event.tracestate.as_deref().map(Cow::from),
        id_is_shared: beside.id_is_shared,
        flags: beside.flags.into(),
    })?)
}

/// Whether a head says so. Within a text the quotes would be escaped, so this is the field; it is not
/// written when it is false.
pub(super) fn id_is_shared(head: &str) -> bool {
    head.contains("\"id_is_shared\":true")
}

/// How an event's journal begins.
pub(super) fn first_lines(
    head: &str,
    accepted_at: DateTime<Utc>,
) -> Result<Vec<JournalLine>, Damage> {
    // Within a text the quotes would be escaped, so these are the fields. Few heads have one, so most need
    // not be read.
    let is_plain = !head.contains("\"sent_as\":") && !head.contains("\"flagged\":");
    let steps = if is_plain {
        first_steps(None, None, Vec::new())
    } else {
        let head: Head<'_> = serde_json::from_str(head)?;
        first_steps(
            head.sent_as.map(Cow::into_owned),
            head.contract_version.map(Cow::into_owned),
            head.flags.into_owned(),
        )
    };
    let mut lines = Vec::with_capacity(4 + 2);
    lines.extend(steps.map(|step| JournalLine {
        at: accepted_at,
        step,
    }));
    Ok(lines)
}

/// An event's columns as they are stored: `id, source, lane, accepted_at, head, payload`, from `first`
/// on.
pub(super) struct Stored {
    id: Vec<u8>,
    source: String,
    lane: Option<String>,
    accepted_at: i64,
    head: String,
    payload: Vec<u8>,
}

impl Stored {
    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(first)?,
            source: row.get(first + 1)?,
            lane: row.get(first + 2)?,
            accepted_at: row.get(first + 3)?,
            head: row.get(first + 4)?,
            payload: row.get(first + 5)?,
        })
    }

    /// An event of which only this is known.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn with_head(head: &str) -> Self {
        Self {
            id: vec![1; 16],
            source: "a".to_owned(),
            lane: None,
            accepted_at: 0,
            head: head.to_owned(),
            payload: b"{}".to_vec(),
        }
    }

    /// When it was accepted.
    pub(super) fn accepted_at(&self) -> DateTime<Utc> {
        clock::at(self.accepted_at)
    }

    /// The envelope, but for what has a column of its own.
    pub(super) fn head(&self) -> &str {
        &self.head
    }

    pub(super) fn into_event(self) -> Result<Arc<Event>, Damage> {
        let head: Head<'_> = serde_json::from_str(&self.head)?;
        let event_id = Uuid::from_slice(&self.id).map_err(|error| Damage(error.to_string()))?;
        Ok(Arc::new(Event {
            event_id,
            event_type: head.event_type.into_owned(),
            source: self.source,
            timestamp: head.timestamp,
            priority: head.priority,
            correlation_id: head.correlation_id.map(Cow::into_owned),
            contract_version: head.contract_version.map(Cow::into_owned),
            causation_id: head.causation_id,
            partition_key: self.lane,
            expires_at: head.expires_at,
            traceparent: head.traceparent.map(Cow::into_owned),
            tracestate: head.tracestate.map(Cow::into_owned),
            payload: RawJson::from_checked(self.payload),
        }))
    }
}

/// An event's columns as [`Stored`] reads them.
pub(super) fn cells<'a>(event: &'a Event, accepted_at: i64, head: &'a str) -> [ValueRef<'a>; 6] {
    [
        ValueRef::Blob(event.event_id.as_bytes()),
        event.source.as_str().into(),
        event.partition_key.as_deref().into(),
        ValueRef::Integer(accepted_at),
        head.into(),
        ValueRef::Blob(event.payload.as_slice()),
    ]
}

/// Lines of a journal as one column: an array of pairs, each a time and a step.
pub(super) fn lines(lines: &[JournalLine]) -> Result<String, Damage> {
    let pairs = lines
        .iter()
        .map(|line| (line.at.timestamp_micros(), &line.step));
    let pairs: Vec<(i64, &Step)> = pairs.collect();
    Ok(serde_json::to_string(&pairs)?)
}

/// The lines that a column holds.
pub(super) fn read_lines(column: &str) -> Result<Vec<JournalLine>, Damage> {
    let pairs: Vec<(i64, Step)> = serde_json::from_str(column)?;
    let lines = pairs.into_iter().map(|(at, step)| JournalLine {
        at: clock::at(at),
        step,
    });
    Ok(lines.collect())
}

/// Work and what failed before, as columns: `work, errors`.
pub(super) struct WorkColumns {
    pub(super) work: String,
    pub(super) errors: String,
}

impl WorkColumns {
    pub(super) fn of(work: &Work, errors: &[Failure]) -> Result<Self, Damage> {
        Ok(Self {
            work: serde_json::to_string(work)?,
            errors: serde_json::to_string(errors)?,
        })
    }

    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            work: row.get(first)?,
            errors: row.get(first + 1)?,
        })
    }

    pub(super) fn decode(&self) -> Result<(Work, Vec<Failure>), Damage> {
        Ok((
            serde_json::from_str(&self.work)?,
            serde_json::from_str(&self.errors)?,
        ))
    }
}
