//! Who waits for an event's outcome: receives an interest in an id before the event is queued, and
//! the news that the event is finished. It keeps no outcome (the queue's journal does), and
//! nothing for an event that nobody waits for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use nexus_plugin_api::Event;
use tokio::sync::oneshot;
use uuid::Uuid;

/// The events that somebody waits for. Bounded by the requests that wait, each of which has its
/// own deadline.
#[derive(Debug, Default)]
pub struct Completions {
    waiting: Mutex<HashMap<Uuid, Vec<Waiter>>>,
    /// Waiters in the map, so that finishing an event costs one load while nobody waits.
    count: AtomicUsize,
    /// Waiters that there were.
    begun: AtomicU64,
}

#[derive(Debug)]
struct Waiter {
    /// The event's source: another's may have the same id.
    source: String,
    number: u64,
    tell: oneshot::Sender<()>,
}

/// Ready when the event is finished. Dropping it ends the interest.
#[derive(Debug)]
pub struct Watch {
    completions: Arc<Completions>,
    event_id: Uuid,
    source: String,
    number: u64,
    told: oneshot::Receiver<()>,
}

impl Completions {
    /// Begins to wait for an event. Begin before the event is queued, or its end may be missed.
    pub fn watch(self: &Arc<Self>, source: &str, event_id: Uuid) -> Watch {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.lock();
        let waiters = waiting.entry(event_id).or_default();
        // No two have the same: one that was told and is dropped later takes nobody else out.
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        waiters.push(Waiter {
            source: source.to_owned(),
            number,
            tell,
        });
        self.count.fetch_add(1, Ordering::Release);
        Watch {
            completions: self.clone(),
            event_id,
            source: source.to_owned(),
            number,
            told,
        }
    }

    /// Tells everybody who waits for the event.
    pub fn finish(&self, event: &Event) {
        // A watch begins before its event is queued, so whoever finishes the event sees it.
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let told = self.take(event);
        self.count.fetch_sub(told.len(), Ordering::Release);
        for waiter in told {
            // Whoever has gone in the meantime needs no news.
            let _ = waiter.tell.send(());
        }
    }

    fn take(&self, event: &Event) -> Vec<Waiter> {
        let mut waiting = self.lock();
        let Entry::Occupied(mut of_id) = waiting.entry(event.event_id) else {
            return Vec::new();
        };
        let is_told = |waiter: &mut Waiter| waiter.source == event.source;
        let told = of_id.get_mut().extract_if(.., is_told).collect();
        if of_id.get().is_empty() {
            of_id.remove();
        }
        told
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// The source of the event.
    pub fn source(&self) -> &str {
        &self.source
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
    use nexus_plugin_api::RawJson;

    fn event(source: &str, id: Uuid) -> Event {
        Event {
            event_id: id,
            ..Event::new("test.event", source, RawJson::from_checked("{}"))
        }
    }

    fn left(completions: &Completions) -> (usize, usize) {
        let waiting = completions.lock().len();
        (waiting, completions.count.load(Ordering::Acquire))
    }

    #[tokio::test]
    async fn everybody_who_waits_is_told_once() {
        let completions = Arc::new(Completions::default());
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        let (a, b) = (completions.watch("a", one), completions.watch("a", one));
        let mut elsewhere = completions.watch("a", other);
        completions.finish(&event("a", one));
        a.await;
        b.await;
        let mut asleep = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut elsewhere).poll(&mut asleep).is_pending());
        drop(elsewhere);
        completions.finish(&event("a", one));
        assert_eq!(left(&completions), (0, 0));
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_nothing_behind() {
        let completions = Arc::new(Completions::default());
        let id = Uuid::now_v7();
        let (a, b, c) = (
            completions.watch("a", id),
            completions.watch("a", id),
            completions.watch("a", id),
        );
        drop(b);
        let d = completions.watch("a", id);
        drop(a);
        assert_eq!(left(&completions), (1, 2));
        completions.finish(&event("a", id));
        c.await;
        d.await;
        assert_eq!(left(&completions), (0, 0));
    }

    #[tokio::test]
    async fn who_was_told_takes_nobody_else_out() {
        let completions = Arc::new(Completions::default());
        let id = Uuid::now_v7();
        let told = completions.watch("a", id);
        completions.finish(&event("a", id));
        let mut other = completions.watch("b", id);
        drop(told);
        let mut asleep = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut other).poll(&mut asleep).is_pending());
        drop(other);
        assert_eq!(left(&completions), (0, 0));
    }

    #[tokio::test]
    async fn the_end_of_another_sources_event_is_not_told() {
        let completions = Arc::new(Completions::default());
        let id = Uuid::now_v7();
        let (mut own, others) = (completions.watch("a", id), completions.watch("b", id));
        completions.finish(&event("b", id));
        others.await;
        let mut asleep = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut own).poll(&mut asleep).is_pending());
        completions.finish(&event("a", id));
        own.await;
        assert_eq!(left(&completions), (0, 0));
    }
}
