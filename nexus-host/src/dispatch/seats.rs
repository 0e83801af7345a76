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
use tokio::time::{Instant, timeout};

use crate::observe::Measures;
use crate::observe::measures::{Meter, Meters};
use turns::{Turn, Turns};

/// A call that takes longer is slow.
const SLOW: Duration = Duration::from_millis(100);

/// So many deliveries may wait without a seat for components that are busy. Each holds its event in memory.
const WAITING: usize = 4_096;

/// The seats of a dispatcher.
pub(super) struct Seats {
    /// Calls of one component that may be under way.
    each: usize,
    processors: Known,
    integrations: Known,
    measures: Arc<Measures>,
    /// How many may wait without one for components that are busy.
    waiting: Semaphore,
    /// Seats that were left and nobody has taken yet.
    vacant: AtomicUsize,
    left: Notify,
}

/// Components of one kind that were called, by name.
type Known = RwLock<HashMap<String, Arc<Component>>>;

/// What is kept of a component that is called.
pub(super) struct Component {
    turns: Turns,
    pub(super) meter: Arc<Meter>,
}

/// What a call has come to.
pub(super) struct Called<T> {
    /// Its answer, or that it has not come in time.
    pub(super) answer: Result<T, Elapsed>,
    /// How long it took, without the wait for its turn.
    pub(super) took: Duration,
}

/// One of them, while a delivery is worked on.
pub(super) struct Seat<'s> {
    seats: &'s Seats,
    /// Of the event that is worked on.
    priority: Priority,
    is_left: AtomicBool,
}

impl Seats {
    pub(super) fn new(each: usize, measures: Arc<Measures>) -> Self {
        Self {
            each,
            processors: Known::default(),
            integrations: Known::default(),
            measures,
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

    /// What is kept of a processor.
    pub(super) fn processor(&self, name: &str) -> Arc<Component> {
        self.of(&self.processors, name, &self.measures.processors)
    }

    /// What is kept of an integration.
    pub(super) fn integration(&self, name: &str) -> Arc<Component> {
        self.of(&self.integrations, name, &self.measures.integrations)
    }

    fn of(&self, all: &Known, name: &str, meters: &Meters) -> Arc<Component> {
        if let Some(known) = all.read().get(name) {
            return known.clone();
        }
        let mut all = all.write();
        let new = || {
            Arc::new(Component {
                turns: Turns::new(self.each),
                meter: meters.of(name),
            })
        };
        all.entry(name.to_owned()).or_insert_with(new).clone()
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
    pub(super) async fn call<T>(
        &self,
        component: &Component,
        limit: Duration,
        call: impl Future<Output = T>,
    ) -> Called<T> {
        let _turn = self.turn(&component.turns).await;
        let begun = Instant::now();
        Called {
            answer: self.within(limit, call).await,
            took: begun.elapsed(),
        }
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
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

    use super::*;

    fn one() -> Seats {
        Seats::new(1, Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_call_leaves_its_seat_and_has_its_whole_time() {
        let seats = one();
        let (quick, slow) = (seats.take(Priority::Normal), seats.take(Priority::Normal));
        let limit = Duration::from_secs(5);
        let one = seats.processor("p/a");
        let called = quick.call(&one, limit, async { 1 }).await;
        assert_eq!(called.answer.ok(), Some(1));
        assert!(!quick.is_left() && seats.vacant().now_or_never().is_none());
        let called = slow.call(&one, limit, pending::<()>()).await;
        assert!(called.answer.is_err());
        assert_eq!(called.took, limit);
        assert!(slow.is_left());
        assert_eq!(seats.vacant().await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_is_at_no_more_calls_than_it_may_be() {
        let seats = one();
        let (one, two, other) = (
            seats.take(Priority::Normal),
            seats.take(Priority::Normal),
            seats.take(Priority::Normal),
        );
        let limit = Duration::from_secs(1);
        let (a, b) = (seats.processor("p/a"), seats.processor("p/b"));
        let hangs = one.call(&a, limit, pending::<()>());
        let waits = two.call(&a, limit, async {});
        let apart = other.call(&b, limit, async {});
        let begun = Instant::now();
        let (hung, waited, passed) = tokio::join!(hangs, waits, apart);
        assert!(hung.answer.is_err() && waited.answer.is_ok() && passed.answer.is_ok());
        assert_eq!(begun.elapsed(), limit);
        assert_eq!(
            waited.took,
            Duration::ZERO,
            "its turn came late, and it was quick"
        );
        assert!(two.is_left(), "others need not wait for its turn");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_without_a_seat_than_memory_is_for() {
        let seats = one();
        let all: Vec<_> = (0..WAITING + 3)
            .map(|_| seats.take(Priority::Normal))
            .collect();
        let limit = Duration::from_secs(1_000);
        let one = seats.processor("p/a");
        let calls = all
            .iter()
            .map(|seat| seat.call(&one, limit, pending::<()>()));
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
