//! The backend on disk: what is accepted is in the file, synced, before anybody is told so.
//!
//! One file holds events, effects, dead letters, marks, journals and plugin state, so that one
//! transaction moves an event on together with everything it caused. One thread writes
//! ([`writer`]); the workers see what is on disk through [`ready`], a bounded window.

mod attempting;
mod checkpoint;
mod clock;
mod finished;
mod fsck;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod log;
mod mailbox;
mod marks;
mod quarantine;
mod reader;
mod ready;
mod rows;
mod schema;
mod store;
mod sum;
#[cfg(test)]
mod tests;
mod totals;
mod writer;

use std::future::ready as at_once;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nexus_plugin_api::StateWrite;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::config::Config;
use super::{
    BoxFuture, DeadLetter, Delivery, Journey, LaneDepth, Lease, LetterFilter, Meant, Page,
    PushError, PushReport, Queue, QueueStats, SettleError, Settled, Settlement, Storage,
    Unavailable, Whose,
};
use crate::admission::Admitted;
use crate::space;
use attempting::Attempting;
use checkpoint::Checkpointer;
pub use clock::Clock;
pub use fsck::{Finding, Quarantined, Rebuilt, Report, fsck};
use mailbox::{Mailbox, Push, Request, Settle};
use reader::{Desk, Reader};
use ready::{Found, Ready};
pub use schema::OpenError;
use store::{Store, Trouble};
use totals::Totals;
use writer::Writer;

/// What the writer and everybody else share.
#[derive(Debug)]
struct Shared {
    config: Config,
    clock: Clock,
    mailbox: Mailbox,
    ready: Mutex<Ready>,
    /// As they are on disk; changed under the lock of `ready`.
    totals: Mutex<Totals>,
    work: Notify,
    rest: Notify,
    trouble: Mutex<Option<Unavailable>>,
    intake_closed: AtomicBool,
}

impl Shared {
    fn intake_is_closed(&self) -> bool {
        self.intake_closed.load(Ordering::Acquire)
    }

    /// Shows a change of the work at hand to whom it concerns.
    fn show(&self, ready: &mut Ready, totals: &Totals) {
        *self.totals.lock() = *totals;
        self.wake(ready);
    }

    fn wake(&self, ready: &mut Ready) {
        for _ in 0..ready.fresh() {
            self.work.notify_one();
        }
        if ready.is_at_rest() {
            self.rest.notify_waiters();
        }
    }

    /// The storage works again.
    fn recovered(&self) {
        *self.trouble.lock() = None;
        self.ready.lock().paused = false;
        self.work.notify_waiters();
    }
}

/// See the module.
#[derive(Debug)]
pub struct SqliteQueue {
    shared: Arc<Shared>,
    reader: Reader,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteQueue {
    /// Opens the queue in `config.sqlite.path`, and makes it if there is none. With `lanes`, events
    /// of one lane are taken up one after the other. What was under way when the last process ended
    /// is given out again.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing was changed then.
    pub fn open(config: &Config, lanes: bool) -> Result<Self, OpenError> {
        Self::open_all(config, lanes, Clock::system(), &|_, _| None)
    }

    /// The same. `whose` says who would do a piece of work, for the dead letter of one that has killed the hub.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_knowing(config: &Config, lanes: bool, whose: Whose<'_>) -> Result<Self, OpenError> {
        Self::open_all(config, lanes, Clock::system(), whose)
    }

    /// The same, by a clock of one's own: for tests.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_with_clock(config: &Config, lanes: bool, clock: Clock) -> Result<Self, OpenError> {
        Self::open_all(config, lanes, clock, &|_, _| None)
    }

    fn open_all(
        config: &Config,
        lanes: bool,
        clock: Clock,
        whose: Whose<'_>,
    ) -> Result<Self, OpenError> {
        let mut config = config.clone();
        config.sqlite.path = schema::resolve(&config.sqlite.path)?;
        let path = &config.sqlite.path;
        let lock = schema::Lock::take(path)?;
        let mut store = Store::open(path, &config)?;
        let io = |source| OpenError::Io {
            path: path.clone(),
            source,
        };
        let unusable = |trouble| match trouble {
            Trouble::Sqlite(source) => schema::failure(path, source),
            Trouble::Row(damage) => OpenError::Damaged {
                path: path.clone(),
                reason: damage.to_string(),
            },
        };
        let beside = schema::beside(path, "attempting");
        let missing = attempting::written(&beside).map_err(io)?;
        let missing = missing.saturating_sub(store.totals.transactions);
        if missing > 0 {
            tracing::error!(
                transactions = missing,
                "the queue is older than it was when it was last used: its log was damaged or cut \
                 off, or an earlier copy of its file took its place; what was written since is lost"
            );
        }
        let (mut attempting, marks) = Attempting::open(&beside).map_err(io)?;
        let suspects = store
            .judge_all(&marks, whose, clock.micros())
            .map_err(unusable)?;
        attempting.clear();
        let unrouted = store.totals.unrouted.map(|sum| sum.count);
        let finished = store.finished();
        let desk = Desk::open(path.clone(), finished, config.journal_capacity)?;
        let reader = Reader::start(desk).map_err(io)?;
        let shared = Arc::new(Shared {
            config: config.clone(),
            clock,
            mailbox: Mailbox::default(),
            ready: Mutex::new(Ready::new(lanes, unrouted, attempting)),
            totals: Mutex::new(store.totals),
            work: Notify::new(),
            rest: Notify::new(),
            trouble: Mutex::default(),
            intake_closed: AtomicBool::new(false),
        });
        let checkpointer = Checkpointer::start(path, config.sqlite.log_size.bytes())?;
        let mut writer = Writer::new(store, shared.clone(), checkpointer);
        writer.recover(suspects).map_err(unusable)?;
        let thread = std::thread::Builder::new().name("nexus-queue".to_owned());
        let thread = thread.spawn(move || {
            writer.run();
            // Not before: the next process may open the file from here on.
            drop(lock);
        });
        Ok(Self {
            shared,
            reader,
            writer: Mutex::new(Some(thread.map_err(io)?)),
        })
    }

    /// Asks the writer for something.
    fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
        closed: T,
    ) -> BoxFuture<'_, T> {
        let (reply, answer) = oneshot::channel();
        self.shared.mailbox.put(request(reply));
        Box::pin(async move { answer.await.unwrap_or(closed) })
    }

    /// Has something read.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Desk, &Shared) -> Result<T, Unavailable> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, Unavailable>> {
        let (reply, answer) = oneshot::channel();
        let shared = self.shared.clone();
        self.reader.ask(Box::new(move |desk| {
            // Whoever has gone in the meantime needs no answer.
            let _ = reply.send(read(desk, &shared));
        }));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(gone())) })
    }

    async fn next(&self) -> Option<Delivery> {
        loop {
            let mut work = pin!(self.shared.work.notified());
            // In line before looking: from here on, work that becomes ready wakes somebody.
            work.as_mut().enable();
            let now = clock::at(self.shared.clock.micros());
            let (found, is_low) = {
                let mut ready = self.shared.ready.lock();
                let found = ready.take(now);
                self.shared.wake(&mut ready);
                (found, ready.is_low())
            };
            if is_low {
                self.shared.mailbox.nudge();
            }
            match found {
                Found::Work(delivery) => return Some(delivery),
                Found::Closed => return None,
                Found::Nothing => work.await,
            }
        }
    }
}

impl Queue for SqliteQueue {
    fn push(&self, events: Vec<Admitted>) -> BoxFuture<'_, PushReport> {
        let count = events.len();
        let patience = self.shared.config.patience(&events);
        let patience =
            patience.map(|long| (self.shared.clock.micros()).saturating_add(clock::micros(long)));
        let closed = PushReport {
            answers: vec![Err(PushError::Closed); count],
            given_way: Vec::new(),
        };
        let request = |reply| {
            Request::Push(Push {
                events,
                report: PushReport::default(),
                kept: (0, 0),
                patience,
                reply,
            })
        };
        self.ask(request, closed)
    }

    fn lease(&self) -> BoxFuture<'_, Option<Delivery>> {
        Box::pin(self.next())
    }

    fn settle(
        &self,
        lease: Lease,
        with: Settlement,
    ) -> BoxFuture<'_, Result<Settled, SettleError>> {
        let lane_waits = with.follow_ups.iter().any(|one| one.after.is_none());
        let held = {
            let mut ready = self.shared.ready.lock();
            let held = ready.begin_settling(lease, lane_waits);
            self.shared.wake(&mut ready);
            held
        };
        let held = match held {
            Ok(held) => held,
            Err(error) => return Box::pin(at_once(Err(error))),
        };
        let (reply, answer) = oneshot::channel();
        let settle = Settle {
            lease,
            held,
            with,
            reply,
        };
        self.shared.mailbox.put(Request::Settle(settle));
        Box::pin(async move { answer.await.map_err(|_| SettleError::Lost) })
    }

    fn close_intake(&self) {
        self.shared.intake_closed.store(true, Ordering::Release);
        self.shared.mailbox.nudge();
    }

    fn close_leasing(&self) {
        self.shared.ready.lock().close();
        self.shared.work.notify_waiters();
    }

    /// What is delayed is kept, so that nobody has to wait for it.
    fn drained(&self, _: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let mut rest = pin!(self.shared.rest.notified());
                rest.as_mut().enable();
                if self.shared.ready.lock().is_at_rest() {
                    return;
                }
                rest.await;
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.shared.mailbox.close();
        let writer = self.writer.lock().take();
        Box::pin(async move {
            let Some(writer) = writer else {
                return;
            };
            let ended = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::error!("the queue's writer had panicked");
            }
        })
    }

    fn journey(
        &self,
        event_id: Uuid,
        of: Meant,
    ) -> BoxFuture<'_, Result<Option<Journey>, Unavailable>> {
        self.read(move |desk, shared| desk.journey(event_id, &of, &shared.ready))
    }

    fn dead_letters(
        &self,
        filter: LetterFilter,
        page: Page,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, Unavailable>> {
        self.read(move |desk, _| desk.dead_letters(&filter, page))
    }

    fn replay(&self, letters: Vec<Uuid>) -> BoxFuture<'_, Result<Vec<Uuid>, Unavailable>> {
        let request = |reply| Request::Replay { letters, reply };
        self.ask(request, Err(gone()))
    }

    fn purge(&self, letters: Vec<Uuid>) -> BoxFuture<'_, Result<Vec<Uuid>, Unavailable>> {
        let request = |reply| Request::Purge { letters, reply };
        self.ask(request, Err(gone()))
    }

    fn state_get(
        &self,
        plugin: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, Unavailable>> {
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        self.read(move |desk, _| desk.state(&plugin, &key))
    }

    fn state_put(&self, plugin: &str, write: StateWrite) -> BoxFuture<'_, Result<(), Unavailable>> {
        let plugin = plugin.to_owned();
        let request = |reply| Request::Write {
            plugin,
            write,
            reply,
        };
        self.ask(request, Err(gone()))
    }

    fn state_keys(
        &self,
        plugin: &str,
        prefix: &str,
    ) -> BoxFuture<'_, Result<Vec<String>, Unavailable>> {
        let (plugin, prefix) = (plugin.to_owned(), prefix.to_owned());
        self.read(move |desk, _| desk.keys(&plugin, &prefix))
    }

    fn stats(&self) -> QueueStats {
        let ready = self.shared.ready.lock();
        let totals = *self.shared.totals.lock();
        let mut routing = [0; 4];
        ready
            .routing()
            .for_each(|row| routing[row.key.class()] += 1);
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        QueueStats {
            depth: count(totals.depth),
            parked: count(totals.parked),
            capacity: self.shared.config.capacity,
            bytes: totals.bytes,
            waiting: std::array::from_fn(|class| {
                let unrouted = totals.unrouted[class].count;
                count(unrouted.saturating_sub(routing[class]))
            }),
            leased: ready.leased(),
            delayed: count(totals.delayed),
            dead_letters: count(totals.letters.count),
            accepted: totals.accepted,
            finished: totals.finished,
            deaths: totals.deaths,
            lanes: ready.busy_lanes(),
            oldest: ready.oldest(),
        }
    }

    fn fullest_lanes(&self, most: usize) -> Vec<LaneDepth> {
        self.shared.ready.lock().fullest_lanes(most)
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn trouble(&self) -> Option<Unavailable> {
        self.shared.trouble.lock().clone()
    }

    fn storage(&self) -> Option<Storage> {
        let path = &self.shared.config.sqlite.path;
        let len = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        Some(Storage {
            file: len(path),
            log: len(&schema::beside(path, "wal")),
            available: space::available(path),
        })
    }
}

impl Drop for SqliteQueue {
    fn drop(&mut self) {
        self.shared.mailbox.close();
    }
}

/// What is answered once the queue is closed.
fn gone() -> Unavailable {
    Unavailable {
        reason: "the queue is closed".to_owned(),
    }
}
