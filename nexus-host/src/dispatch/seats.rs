//! Seats: how many deliveries are taken up at once, and how many calls of one component are under way. A call that
//! is slow gives its seat to somebody else and goes on without one, and so does a delivery that waits for a component
//! which is at all the calls it may have: one that blocks holds up nobody but itself.

mod turns;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nexus_plugin_api::Priority;
use parking_lot::RwLock;
use tokio::sync::{Notify, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use turns::{Turn, Turns};

/// A call that takes longer is slow.
const SLOW: Duration = Duration::from_millis(100);

/// So many deliveries may wait without a seat for components that are busy. Each holds its event in memory.
const WAITING: usize = 4_096;

/// The seats of a dispatcher.
pub(super) struct Seats {
    /// Calls of one component that may be under way.
    each: usize,
    components: RwLock<HashMap<String, Arc<Turns>>>,
    /// How many may wait without one for components that are busy.
    waiting: Semaphore,
    /// Seats that were left and nobody has taken yet.
    vacant: AtomicUsize,
    left: Notify,
}

/// One of them, while a delivery is worked on.
pub(super) struct Seat<'s> {
    seats: &'s Seats,
    /// Of the event that is worked on.
    priority: Priority,
    is_left: AtomicBool,
}

impl Seats {
    pub(super) fn new(each: usize) -> Self {
        Self {
            each,
            components: RwLock::default(),
            waiting: Semaphore::new(WAITING),
            vacant: AtomicUsize::new(0),
            left: Notify::new(),
        }
    }

    pub(super) fn take(&self, priority: Priority) -> Seat<'_> {
        Seat {
            seats: self,
            priority,
            is_left: AtomicBool::new(false),
        }
    }

    /// Waits until seats were left; how many.
    pub(super) async fn vacant(&self) -> usize {
        loop {
            let left = self.left.notified();
            let vacant = self.vacant.swap(0, Ordering::AcqRel);
            if vacant > 0 {
                return vacant;
            }
            left.await;
        }
    }

    fn of(&self, component: &str) -> Arc<Turns> {
        if let Some(known) = self.components.read().get(component) {
            return known.clone();
        }
        let mut components = self.components.write();
        let new = || Arc::new(Turns::new(self.each));
        let calls = components.entry(component.to_owned()).or_insert_with(new);
        calls.clone()
    }
}

impl Seat<'_> {
    /// Whether somebody else has it now.
    pub(super) fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Acquire)
    }

    fn leave(&self) {
        if !self.is_left.swap(true, Ordering::AcqRel) {
            self.seats.vacant.fetch_add(1, Ordering::AcqRel);
            self.seats.left.notify_one();
        }
    }

    /// Waits for one of the calls that a component may have.
    async fn turn<'t>(&self, turns: &'t Turns) -> Turn<'t> {
        if let Some(turn) = turns.free() {
            return turn;
        }
        // A component may have as many calls as there are seats, so some of its calls are slow. Where too many wait
        // already, this keeps its seat: memory is bounded before fairness is.
        let _without_seat = self.seats.waiting.try_acquire().inspect(|_| self.leave());
        turns.next(self.priority).await
    }

    /// Has a component called, once it is at fewer calls than it may be, and waits for `limit` at most.
    ///
    /// # Errors
    /// When that is over.
    pub(super) async fn call<T>(
        &self,
        component: &str,
        limit: Duration,
        call: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let turns = self.seats.of(component);
        let _turn = self.turn(&turns).await;
        let mut call = pin!(call);
        let first = timeout(limit.min(SLOW), &mut call).await;
        if first.is_ok() || limit <= SLOW {
            return first;
        }
        self.leave();
        timeout(limit - SLOW, call).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_call_leaves_its_seat_and_has_its_whole_time() {
        let seats = Seats::new(1);
        let (quick, slow) = (seats.take(Priority::Normal), seats.take(Priority::Normal));
        let limit = Duration::from_secs(5);
        assert_eq!(quick.call("p/a", limit, async { 1 }).await.ok(), Some(1));
        assert!(!quick.is_left() && seats.vacant().now_or_never().is_none());
        let begun = Instant::now();
        assert!(slow.call("p/a", limit, pending::<()>()).await.is_err());
        assert_eq!(begun.elapsed(), limit);
        assert!(slow.is_left());
        assert_eq!(seats.vacant().await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_is_at_no_more_calls_than_it_may_be() {
        let seats = Seats::new(1);
        let (one, two, other) = (
            seats.take(Priority::Normal),
            seats.take(Priority::Normal),
            seats.take(Priority::Normal),
        );
        let limit = Duration::from_secs(1);
        let hangs = one.call("p/a", limit, pending::<()>());
        let waits = two.call("p/a", limit, async {});
        let apart = other.call("p/b", limit, async {});
        let begun = Instant::now();
        let (hung, waited, passed) = tokio::join!(hangs, waits, apart);
        assert!(hung.is_err() && waited.is_ok() && passed.is_ok());
        assert_eq!(begun.elapsed(), limit);
        assert!(two.is_left(), "others need not wait for its turn");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_without_a_seat_than_memory_is_for() {
        let seats = Seats::new(1);
        let all: Vec<_> = (0..WAITING + 3)
            .map(|_| seats.take(Priority::Normal))
            .collect();
        let limit = Duration::from_secs(1_000);
        let calls = all
            .iter()
            .map(|seat| seat.call("p/a", limit, pending::<()>()));
        let calls = futures_util::future::join_all(calls);
        assert!(timeout(Duration::from_secs(1), calls).await.is_err());
        let left = all.iter().filter(|seat| seat.is_left()).count();
        assert_eq!(
            left,
            1 + WAITING,
            "the one that is slow, and those that wait for it"
        );
    }
}
