//! The backend in memory: fast, bounded, and gone with the process.
//!
//! One lock round a [`State`] whose transitions are complete in themselves; what is left to do
//! here is to wait: for work, for a due time, for room, for rest.

mod graves;
mod plugin_state;
mod records;
mod seen;
mod state;

use std::collections::HashMap;
use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_plugin_api::StateWrite;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::config::Config;
use super::{
    BoxFuture, DeadLetter, Delivery, Journey, LaneDepth, Lease, LetterFilter, Meant, Page,
    PushError, PushReport, Pushed, Queue, QueueStats, SettleError, Settled, Settlement,
    Unavailable,
};
use crate::admission::Admitted;
use state::{Found, State, Wake};

/// A map by numbers that the queue gives out itself. Nobody chooses them, so they may be hashed the fast way.
type Numbered<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// See the module.
#[derive(Debug)]
pub struct MemoryQueue {
    state: Mutex<State>,
    work: Notify,
    /// Tells the timekeeper that something is due earlier.
    clock: Notify,
    /// Whether a worker watches the clock for the next due time. One is enough.
    timekeeper: AtomicBool,
    /// Producers that wait for room stand in line here; the first one watches `room`.
    line: tokio::sync::Mutex<()>,
    room: Notify,
    config: Config,
    rest: Notify,
}

impl MemoryQueue {
    /// An empty queue. With `lanes`, events of one lane are taken up one after the other.
    pub fn new(config: &Config, lanes: bool) -> Self {
        Self {
            state: Mutex::new(State::new(config.clone(), lanes)),
            work: Notify::new(),
            clock: Notify::new(),
            timekeeper: AtomicBool::new(false),
            line: tokio::sync::Mutex::default(),
            room: Notify::new(),
            config: config.clone(),
            rest: Notify::new(),
        }
    }

    /// Runs one transition, then wakes whom it concerns.
    fn change<T>(&self, transition: impl FnOnce(&mut State, &mut Wake) -> T) -> T {
        let mut wake = Wake::default();
        let (result, at_rest) = {
            let mut state = self.state.lock();
            let result = transition(&mut state, &mut wake);
            (result, state.is_at_rest())
        };
        if wake.clock {
            // The timekeeper, and a worker in case there is none: it takes the duty on.
            self.clock.notify_one();
            self.work.notify_one();
        }
        for _ in 0..wake.workers {
            self.work.notify_one();
        }
        if wake.room {
            self.room.notify_waiters();
        }
        if at_rest {
            self.rest.notify_waiters();
        }
        result
    }

    /// Puts events in, one by one, as long as there comes room within `patience`.
    async fn push_waiting(
        &self,
        events: &[Admitted],
        patience: Duration,
    ) -> Vec<Result<Pushed, PushError>> {
        let deadline = Instant::now() + patience;
        // Who came first gets the room, and a finished event wakes one producer, not all of them.
        let _turn = timeout_at(deadline, self.line.lock()).await;
        let mut results = Vec::with_capacity(events.len());
        for event in events {
            results.push(self.push_by(event, deadline).await);
        }
        results
    }

    async fn push_by(&self, event: &Admitted, deadline: Instant) -> Result<Pushed, PushError> {
        loop {
            let room = self.room.notified();
            match self.change(|state, wake| state.push(event, Instant::now(), wake)) {
                Err(PushError::Full { .. }) if timeout_at(deadline, room).await.is_ok() => {}
                pushed => return pushed,
            }
        }
    }

    async fn next(&self) -> Option<Delivery> {
        let mut duty = None;
        loop {
            let mut work = pin!(self.work.notified());
            // In line before looking: from here on, work that becomes ready wakes somebody.
            work.as_mut().enable();
            let due = match self.change(|state, wake| state.take(Instant::now(), wake)) {
                Found::Work(delivery) => return Some(delivery),
                Found::Closed => return None,
                Found::Nothing(due) => due,
            };
            // Kept until there is work: given up sooner, the call for a successor would only come
            // back to this worker, again and again.
            if duty.is_none() && due.is_some() {
                duty = self.keep_time();
            }
            if duty.is_none() {
                work.await;
                continue;
            }
            tokio::select! {
                () = work => {}
                () = self.clock.notified() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// Takes on the duty to watch the clock, unless another worker has it.
    fn keep_time(&self) -> Option<Timekeeper<'_>> {
        let is_free = !self.timekeeper.swap(true, Ordering::AcqRel);
        // Made only if it is free: to drop one gives the duty back.
        is_free.then(|| Timekeeper(self))
    }
}

/// Gives the duty back when its holder has found work or goes away, and calls a successor.
struct Timekeeper<'a>(&'a MemoryQueue);

impl Drop for Timekeeper<'_> {
    fn drop(&mut self) {
        self.0.timekeeper.store(false, Ordering::Release);
        self.0.work.notify_one();
    }
}

impl Queue for MemoryQueue {
    fn push(&self, events: Vec<Admitted>) -> BoxFuture<'_, PushReport> {
        if let Some(patience) = self.config.patience(&events) {
            return Box::pin(async move {
                PushReport {
                    answers: self.push_waiting(&events, patience).await,
                    given_way: Vec::new(),
                }
            });
        }
        let report = self.change(|state, wake| {
            let now = Instant::now();
            let push = |event| state.push(event, now, wake);
            PushReport {
                answers: events.iter().map(push).collect(),
                given_way: state.take_given_way(),
            }
        });
        Box::pin(ready(report))
    }

    fn lease(&self) -> BoxFuture<'_, Option<Delivery>> {
        Box::pin(self.next())
    }

    fn settle(
        &self,
        lease: Lease,
        with: Settlement,
    ) -> BoxFuture<'_, Result<Settled, SettleError>> {
        Box::pin(ready(self.change(|state, wake| {
            state.settle(lease, with, Instant::now(), wake)
        })))
    }

    fn close_intake(&self) {
        self.state.lock().close_intake();
        self.room.notify_waiters();
    }

    fn close_leasing(&self) {
        self.state.lock().close_leasing();
        self.work.notify_waiters();
    }

    fn drained(&self, until: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let rest = self.rest.notified();
                if self.state.lock().is_drained(until) {
                    return;
                }
                rest.await;
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn journey(
        &self,
        event_id: Uuid,
        of: Meant,
    ) -> BoxFuture<'_, Result<Option<Journey>, Unavailable>> {
        Box::pin(ready(Ok(self.state.lock().journey(event_id, &of))))
    }

    fn dead_letters(
        &self,
        filter: LetterFilter,
        page: Page,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, Unavailable>> {
        Box::pin(ready(Ok(self.state.lock().dead_letters(&filter, page))))
    }

    fn replay(&self, letters: Vec<Uuid>) -> BoxFuture<'_, Result<Vec<Uuid>, Unavailable>> {
        let replayed = self.change(|state, wake| state.replay(&letters, wake));
        Box::pin(ready(Ok(replayed)))
    }

    fn purge(&self, letters: Vec<Uuid>) -> BoxFuture<'_, Result<Vec<Uuid>, Unavailable>> {
        Box::pin(ready(Ok(self.state.lock().purge(&letters))))
    }

    fn state_get(
        &self,
        plugin: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, Unavailable>> {
        Box::pin(ready(Ok(self.state.lock().plugins.read(plugin, key))))
    }

    fn state_put(&self, plugin: &str, write: StateWrite) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.state.lock().plugins.write(plugin, write);
        Box::pin(ready(Ok(())))
    }

    fn state_keys(
        &self,
        plugin: &str,
        prefix: &str,
    ) -> BoxFuture<'_, Result<Vec<String>, Unavailable>> {
        Box::pin(ready(Ok(self.state.lock().plugins.keys(plugin, prefix))))
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn trouble(&self) -> Option<Unavailable> {
        None
    }

    fn stats(&self) -> QueueStats {
        self.state.lock().stats()
    }

    fn fullest_lanes(&self, most: usize) -> Vec<LaneDepth> {
        self.state.lock().fullest_lanes(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_watches_the_clock_until_it_gives_the_duty_back() {
        let queue = MemoryQueue::new(&Config::default(), true);
        let duty = queue.keep_time();
        assert!(duty.is_some());
        assert!(queue.keep_time().is_none());
        assert!(
            queue.keep_time().is_none(),
            "asking in vain changed something"
        );
        drop(duty);
        assert!(queue.keep_time().is_some());
    }
}
