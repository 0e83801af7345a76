//! The queue: takes what admission let through, leases it as deliveries, and keeps what becomes
//! of them: journal, dead letters, plugin state, marks against duplicates.
//!
//! Receives [`Admitted`] events, hands on [`Delivery`]s, and applies each [`Settlement`] as one.
//! It never looks into a payload and never calls a plugin.

mod by_id;
pub mod config;
mod deaths;
mod droppable;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod journal;
mod letter;
mod memory;
mod schedule;
mod sqlite;
mod work;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Event, StateWrite};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::admission::Admitted;

pub use config::Config;
pub use deaths::Deaths;
pub use letter::{DeadLetter, LetterFilter, Page};
pub use memory::MemoryQueue;
pub use schedule::LaneDepth;
pub(crate) use schedule::Schedule;
pub use sqlite::{Clock, Finding, OpenError, Quarantined, Rebuilt, Report, SqliteQueue, fsck};
pub use work::{
    Delivery, EventStatus, Failure, FollowUp, Grave, JournalLine, Journey, Lease, Settled,
    Settlement, Step, Verdict, Work,
};

/// A boxed future, as a backend behind `dyn` returns it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says which of the events with one id are meant, by source and type.
pub type Meant = Box<dyn Fn(&str, &str) -> bool + Send>;

/// Says who would do a piece of work, if anybody.
pub type Whose<'a> = &'a dyn Fn(&Event, &Work) -> Option<String>;

/// A backend. Every one passes the same conformance suite.
///
/// Order: by priority, weighted so that the lowest still gets at least 5 % while all are waiting;
/// first in, first out within a priority. Events of one lane are taken up one after the other:
/// the next when the routing of the one before, and the first attempt at its immediate follow-ups,
/// are settled. Retries and delayed work leave the lane.
pub trait Queue: std::fmt::Debug + Send + Sync + 'static {
    /// Puts events in, in order, each on its own. An event seen before (same source and id within
    /// the window) is answered as a duplicate and not put in.
    ///
    /// When this is ready, an accepted event is as safe as the backend makes it.
    fn push(&self, events: Vec<Admitted>) -> BoxFuture<'_, PushReport>;

    /// Waits for the next unit of work. `None` once the queue is closed for leasing. Whoever stops
    /// waiting loses nothing.
    fn lease(&self) -> BoxFuture<'_, Option<Delivery>>;

    /// Ends a lease.
    ///
    /// # Errors
    /// [`SettleError::UnknownLease`] when it was settled before; nothing is applied then.
    fn settle(&self, lease: Lease, with: Settlement)
    -> BoxFuture<'_, Result<Settled, SettleError>>;

    /// Lets no further event in; `push` answers [`PushError::Closed`].
    fn close_intake(&self);

    /// Ends leasing: every present and later call to `lease` answers `None`.
    fn close_leasing(&self);

    /// Waits until stopping loses nothing that could still be done by `until`: no work is ready or
    /// leased, and what is delayed is kept by the backend, or due later.
    fn drained(&self, until: Instant) -> BoxFuture<'_, ()>;

    /// Ends it, once leasing is closed: what was settled is as safe as the backend makes it, and
    /// what the backend held open is free for another process. Nothing can be asked of it then.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// The way so far of the event accepted last with this id, of those that are meant: two sources
    /// may use the same id. `None` when there is none, or it is forgotten.
    fn journey(
        &self,
        event_id: Uuid,
        of: Meant,
    ) -> BoxFuture<'_, Result<Option<Journey>, Unavailable>>;

    /// The dead letters that are meant, oldest first.
    fn dead_letters(
        &self,
        filter: LetterFilter,
        page: Page,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, Unavailable>>;

    /// Takes these letters' work up once more, each with all its attempts before it, and with the
    /// idempotency keys it had. Answers which; a letter that is gone, or was taken up before, is
    /// left out.
    fn replay(&self, letters: Vec<Uuid>) -> BoxFuture<'_, Result<Vec<Uuid>, Unavailable>>;

    /// Deletes these letters. Answers which.
    fn purge(&self, letters: Vec<Uuid>) -> BoxFuture<'_, Result<Vec<Uuid>, Unavailable>>;

    /// Reads a plugin's state.
    fn state_get(
        &self,
        plugin: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, Unavailable>>;

    /// Writes a plugin's state, outside of any settlement.
    fn state_put(&self, plugin: &str, write: StateWrite) -> BoxFuture<'_, Result<(), Unavailable>>;

    /// The keys of a plugin's state that start with `prefix`, sorted.
    fn state_keys(
        &self,
        plugin: &str,
        prefix: &str,
    ) -> BoxFuture<'_, Result<Vec<String>, Unavailable>>;

    /// How full it is.
    fn stats(&self) -> QueueStats;

    /// The lanes in which work waits that is at hand, so many at most, the fullest first.
    fn fullest_lanes(&self, _most: usize) -> Vec<LaneDepth> {
        Vec::new()
    }

    /// Whether what it holds is there again after the process has ended.
    fn is_durable(&self) -> bool;

    /// Why it takes no events for the moment, if it does not.
    fn trouble(&self) -> Option<Unavailable>;

    /// What it takes of a disk, if it keeps anything there.
    fn storage(&self) -> Option<Storage> {
        None
    }
}

/// What a queue takes of a disk, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// The file that holds it.
    pub file: u64,
    /// What is not copied into that yet.
    pub log: u64,
    /// What is free there for the hub; `None` where the system does not say.
    pub available: Option<u64>,
}

/// What became of pushed events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushReport {
    /// One answer for each, in order.
    pub answers: Vec<Result<Pushed, PushError>>,
    /// Events that had to give way to them, and so ended without a settlement.
    pub given_way: Vec<Arc<Event>>,
}

/// What happened to a pushed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the queue.
    Accepted,
    /// It was there before; nothing was put in.
    Duplicate {
        /// When it was accepted, to the millisecond.
        first_accepted_at: DateTime<Utc>,
        /// Whether another source has used the id, too, so that it alone does not tell which event
        /// is meant.
        id_is_shared: bool,
    },
}

/// Why an event was not put in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// No room, and the configuration says to refuse.
    #[error("the queue is full ({capacity} events); try again later")]
    Full {
        /// The configured bound.
        capacity: usize,
    },
    /// The hub is stopping.
    #[error("the hub is shutting down")]
    Closed,
    /// The storage does not work. Nothing was put in, as far as one can know.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The storage behind a queue does not work for the moment: a full disk, an I/O error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the queue's storage does not work at the moment: {reason}")]
pub struct Unavailable {
    /// What it says of itself; holds no payload.
    pub reason: String,
}

/// Why a settlement was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// Settled before, or never given out.
    #[error("the lease is not, or no longer, held")]
    UnknownLease,
    /// The queue ended before it was written down; the work comes again with the next start.
    #[error("the queue has ended; the work will be done again")]
    Lost,
}

/// How full a queue is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    /// Events with unfinished work.
    pub depth: usize,
    /// Those of them of which all that is left waits for its time: retries, open breakers,
    /// scheduled effects.
    pub parked: usize,
    /// The bound on the others, `depth - parked`.
    pub capacity: usize,
    /// Bytes of payload held for them.
    pub bytes: u64,
    /// Events that wait for their first routing, by priority, lowest first.
    pub waiting: [usize; 4],
    /// Deliveries that are leased.
    pub leased: usize,
    /// Work that waits for its time.
    pub delayed: usize,
    /// Dead letters kept.
    pub dead_letters: usize,
    /// Events accepted since start.
    pub accepted: u64,
    /// Events finished since start, dead ones included.
    pub finished: u64,
    /// What went to the dead letters since start.
    #[serde(skip)]
    pub deaths: Deaths,
    /// Lanes with work under way. Lanes of which everything is on disk only are none of these.
    #[serde(skip)]
    pub lanes: usize,
    /// When the longest waiting event was accepted.
    pub oldest: Option<DateTime<Utc>>,
}

impl QueueStats {
    /// For how long the longest waiting event has waited; not at all when the clock was put back since.
    pub fn oldest_waits(&self) -> Option<Duration> {
        let waits = Utc::now() - self.oldest?;
        Some(waits.to_std().unwrap_or_default())
    }
}
