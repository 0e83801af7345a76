//! Who waits for an event's outcome: receives an interest in an id before the event is queued, and
//! the news that the event is finished. It keeps no outcome (the queue's journal does), and
//! nothing for an event that nobody waits for.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use uuid::Uuid;

/// The events that somebody waits for. Bounded by the requests that wait, each of which has its
/// own deadline.
#[derive(Debug, Default)]
pub struct Completions {
    waiting: Mutex<HashMap<Uuid, Vec<Waiter>>>,
    /// Waiters in the map, so that finishing an event costs one load while nobody waits.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    tell: oneshot::Sender<()>,
}

/// Ready when the event is finished. Dropping it ends the interest.
#[derive(Debug)]
pub struct Watch {
    completions: Arc<Completions>,
    event_id: Uuid,
    number: u64,
    told: oneshot::Receiver<()>,
}

impl Completions {
    /// Begins to wait for an event. Begin before the event is queued, or its end may be missed.
    pub fn watch(self: &Arc<Self>, event_id: Uuid) -> Watch {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.lock();
        let waiters = waiting.entry(event_id).or_default();
        let number = waiters.last().map_or(0, |last| last.number + 1);
        waiters.push(Waiter { number, tell });
        self.count.fetch_add(1, Ordering::Release);
        Watch {
            completions: self.clone(),
            event_id,
            number,
            told,
        }
    }

    /// Tells everybody who waits for the event.
    pub fn finish(&self, event_id: Uuid) {
        // A watch begins before its event is queued, so whoever finishes the event sees it.
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let told = self.lock().remove(&event_id).unwrap_or_default();
        self.count.fetch_sub(told.len(), Ordering::Release);
        for waiter in told {
            // Whoever has gone in the meantime needs no news.
            let _ = waiter.tell.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.told).poll(cx).map(|_| ())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiting = self.completions.lock();
        let Some(waiters) = waiting.get_mut(&self.event_id) else {
            return;
        };
        let before = waiters.len();
        waiters.retain(|waiter| waiter.number != self.number);
        let gone = before - waiters.len();
        if waiters.is_empty() {
            waiting.remove(&self.event_id);
        }
        self.completions.count.fetch_sub(gone, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(completions: &Completions) -> (usize, usize) {
        let waiting = completions.lock().len();
        (waiting, completions.count.load(Ordering::Acquire))
    }

    #[tokio::test]
    async fn everybody_who_waits_is_told_once() {
        let completions = Arc::new(Completions::default());
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        let (a, b) = (completions.watch(one), completions.watch(one));
        let mut elsewhere = completions.watch(other);
        completions.finish(one);
        a.await;
        b.await;
        let mut asleep = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut elsewhere).poll(&mut asleep).is_pending());
        drop(elsewhere);
        completions.finish(one);
        assert_eq!(left(&completions), (0, 0));
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_nothing_behind() {
        let completions = Arc::new(Completions::default());
        let id = Uuid::now_v7();
        let (a, b, c) = (
            completions.watch(id),
            completions.watch(id),
            completions.watch(id),
        );
        drop(b);
        let d = completions.watch(id);
        drop(a);
        assert_eq!(left(&completions), (1, 2));
        completions.finish(id);
        c.await;
        d.await;
        assert_eq!(left(&completions), (0, 0));
    }
}
