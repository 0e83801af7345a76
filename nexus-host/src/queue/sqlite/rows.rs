//! Events and work as the tables hold them: receives the hub's types, hands on columns, and back.
//! What it reads it checks: every row of these carries a sum.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Event, Priority, RawJson};
use rusqlite::Row;
use semver::Version;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::queue::{Failure, Work};

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<Cow<'a, str>>,
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

/// The envelope as one column.
pub(super) fn head(event: &Event) -> Result<String, Damage> {
    Ok(serde_json::to_string(&Head {
        event_type: event.event_type.as_str().into(),
        timestamp: event.timestamp,
        priority: event.priority,
        correlation_id: event.correlation_id.as_deref().map(Cow::from),
        contract_version: event.contract_version.as_ref().map(Cow::Borrowed),
        causation_id: event.causation_id,
        expires_at: event.expires_at,
        traceparent: event.traceparent.as_deref().map(Cow::from),
        tracestate: event.tracestate.as_deref().map(Cow::from),
    })?)
}

/// An event's columns as they are stored: `id, source, lane, head, payload`, from `first` on.
pub(super) struct Stored {
    id: Vec<u8>,
    source: String,
    lane: Option<String>,
    head: String,
    payload: Vec<u8>,
}

impl Stored {
    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(first)?,
            source: row.get(first + 1)?,
            lane: row.get(first + 2)?,
            head: row.get(first + 3)?,
            payload: row.get(first + 4)?,
        })
    }

    /// The sum over the columns.
    pub(super) fn sum(&self) -> i64 {
        event_sum(
            &self.id,
            &self.source,
            self.lane.as_deref(),
            &self.head,
            &self.payload,
        )
    }

    /// Bytes of the payload.
    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.payload.len()).unwrap_or(u64::MAX)
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

/// The sum over an event's columns.
pub(super) fn event_sum(
    id: &[u8],
    source: &str,
    lane: Option<&str>,
    head: &str,
    payload: &[u8],
) -> i64 {
    let lane = lane.unwrap_or_default();
    sum(&[
        id,
        source.as_bytes(),
        lane.as_bytes(),
        head.as_bytes(),
        payload,
    ])
}

/// A CRC-32 over parts, none of which can pass for another's end.
pub(super) fn sum(parts: &[&[u8]]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    i64::from(hasher.finalize())
}

/// Work and what failed before, as columns: `sum, work, errors`.
pub(super) struct WorkColumns {
    pub(super) sum: i64,
    pub(super) work: String,
    pub(super) errors: String,
}

impl WorkColumns {
    pub(super) fn of(work: &Work, errors: &[Failure]) -> Result<Self, Damage> {
        let work = serde_json::to_string(work)?;
        let errors = serde_json::to_string(errors)?;
        Ok(Self {
            sum: sum(&[work.as_bytes(), errors.as_bytes()]),
            work,
            errors,
        })
    }

    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            sum: row.get(first)?,
            work: row.get(first + 1)?,
            errors: row.get(first + 2)?,
        })
    }

    pub(super) fn decode(&self) -> Result<(Work, Vec<Failure>), Damage> {
        if self.sum != sum(&[self.work.as_bytes(), self.errors.as_bytes()]) {
            return Err(Damage("its sum is wrong".to_owned()));
        }
        Ok((
            serde_json::from_str(&self.work)?,
            serde_json::from_str(&self.errors)?,
        ))
    }
}
