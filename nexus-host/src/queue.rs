//! The queue: takes what admission let through, leases it as deliveries, and keeps what becomes
//! of them: journal, dead letters, plugin state, marks against duplicates.
//!
//! Receives [`Admitted`] events, hands on [`Delivery`]s, and applies each [`Settlement`] as one.
//! It never looks into a payload and never calls a plugin.

pub mod config;
mod memory;
mod work;

use std::future::Future;
use std::pin::Pin;

use chrono::{DateTime, Utc};
use nexus_plugin_api::StateWrite;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::admission::Admitted;

pub use config::Config;
pub use memory::MemoryQueue;
pub use work::{
    DeadLetter, Delivery, EventStatus, Failure, FollowUp, Grave, JournalLine, Journey, Lease,
    Settled, Settlement, Step, Verdict, Work,
};

/// A boxed future, as a backend behind `dyn` returns it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A backend. Every one passes the same conformance suite.
///
/// Order: by priority, weighted so that the lowest still gets at least 5 % while all are waiting;
/// first in, first out within a priority. Events of one lane are taken up one after the other:
/// the next when the routing of the one before, and the first attempt at its immediate follow-ups,
/// are settled. Retries and delayed work leave the lane.
pub trait Queue: Send + Sync + 'static {
    /// Puts events in, in order, each on its own. An event seen before (same source and id within
    /// the window) is answered as a duplicate and not put in.
    ///
    /// When this is ready, an accepted event is as safe as the backend makes it.
    fn push(&self, events: Vec<Admitted>) -> BoxFuture<'_, Vec<Result<Pushed, PushError>>>;

    /// Events that gave way to others since the last call, and so ended without a settlement.
    fn given_way(&self) -> Vec<Uuid>;

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

    /// The way of an event so far; `None` when it is unknown or forgotten.
    fn journey(&self, event_id: Uuid) -> BoxFuture<'_, Option<Journey>>;

    /// The dead letters, oldest first.
    fn dead_letters(&self) -> BoxFuture<'_, Vec<DeadLetter>>;

    /// Reads a plugin's state.
    fn state_get(&self, plugin: &str, key: &str) -> BoxFuture<'_, Option<Vec<u8>>>;

    /// Writes a plugin's state, outside of any settlement.
    fn state_put(&self, plugin: &str, write: StateWrite) -> BoxFuture<'_, ()>;

    /// The keys of a plugin's state that start with `prefix`, sorted.
    fn state_keys(&self, plugin: &str, prefix: &str) -> BoxFuture<'_, Vec<String>>;

    /// How full it is.
    fn stats(&self) -> QueueStats;
}

/// What happened to a pushed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the queue.
    Accepted,
    /// It was there before; nothing was put in.
    Duplicate,
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
}

/// Why a settlement was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// Settled before, or never given out.
    #[error("the lease is not, or no longer, held")]
    UnknownLease,
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
    /// When the longest waiting event was accepted.
    pub oldest: Option<DateTime<Utc>>,
}
