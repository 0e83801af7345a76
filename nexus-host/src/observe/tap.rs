//! The live view: every accepted event, for whoever listens at the moment or comes back soon.
//!
//! The last events are kept once, bounded in number and bytes, and every listener reads them there at
//! its own pace: a slow one costs nobody anything, and misses what has gone meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::Utc;
use nexus_plugin_api::Event;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;

/// Events that are kept, and bytes of their payloads.
const KEPT: usize = 1_024;
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// Events, and bytes of their payloads, that a listener takes at once.
const TAKEN: usize = 32;
const TAKEN_BYTES: usize = 64 * 1024;

/// Where accepted events pass by.
#[derive(Debug, Clone)]
pub struct Tap {
    recent: Arc<Mutex<Recent>>,
    /// Wakes those who listen.
    passing: watch::Sender<()>,
    /// How many were missed, by all listeners together.
    missed: Arc<AtomicU64>,
}

/// An event that has passed by.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Where it stands in the order of acceptance: each is one higher than the one before. A process
    /// begins above those before it, unless the system's clock was put back.
    pub position: u64,
    /// The event.
    pub event: Arc<Event>,
}

/// Somebody who listens.
#[derive(Debug)]
pub struct Listener {
    recent: Arc<Mutex<Recent>>,
    passing: watch::Receiver<()>,
    missed: Arc<AtomicU64>,
    /// The position of the next event that is not taken yet.
    next: u64,
    taken: VecDeque<Passed>,
}

/// What a listener hears.
#[derive(Debug)]
pub enum Heard {
    /// An event.
    Event(Passed),
    /// So many have gone before they were read.
    Missed(u64),
    /// Nothing will pass any more.
    End,
}

/// What came after a position is not remembered, or it was never given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten;

#[derive(Debug)]
struct Recent {
    next: u64,
    events: VecDeque<Passed>,
    bytes: usize,
}

impl Tap {
    /// Nothing has passed yet.
    pub fn new() -> Self {
        Self {
            recent: Arc::new(Mutex::new(Recent {
                next: u64::try_from(Utc::now().timestamp_micros()).unwrap_or(1),
                events: VecDeque::new(),
                bytes: 0,
            })),
            passing: watch::Sender::new(()),
            missed: Arc::default(),
        }
    }

    /// Shows an accepted event.
    pub fn show(&self, event: &Arc<Event>) {
        self.recent.lock().push(event.clone());
        if self.passing.receiver_count() > 0 {
            self.passing.send_replace(());
        }
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        let passing = self.passing.subscribe();
        let next = self.recent.lock().next;
        self.listener(passing, next)
    }

    /// Listens on behind a position: to what has passed since, and what comes.
    ///
    /// # Errors
    /// [`Forgotten`].
    pub fn resume(&self, after: u64) -> Result<Listener, Forgotten> {
        let passing = self.passing.subscribe();
        let recent = self.recent.lock();
        if after >= recent.next || after + 1 < recent.oldest() {
            return Err(Forgotten);
        }
        drop(recent);
        Ok(self.listener(passing, after + 1))
    }

    /// How many listen now.
    pub fn listeners(&self) -> usize {
        self.passing.receiver_count()
    }

    /// How many events were gone before a listener had read them, for each of them.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    fn listener(&self, passing: watch::Receiver<()>, next: u64) -> Listener {
        Listener {
            recent: self.recent.clone(),
            passing,
            missed: self.missed.clone(),
            next,
            taken: VecDeque::new(),
        }
    }
}

impl Listener {
    /// Waits for what passes next. Whoever stops waiting loses nothing.
    pub async fn hear(&mut self) -> Heard {
        // Whoever looks for few events among many leaves others their turn.
        consume_budget().await;
        loop {
            if let Some(passed) = self.taken.pop_front() {
                return Heard::Event(passed);
            }
            // Before looking: what passes from here on wakes.
            self.passing.mark_unchanged();
            if let Some(missed) = self.take() {
                return Heard::Missed(missed);
            }
            if self.taken.is_empty() && self.passing.changed().await.is_err() {
                return Heard::End;
            }
        }
    }

    /// Takes what has passed, a little at once. Answers how much has gone before, if any has.
    fn take(&mut self) -> Option<u64> {
        let recent = self.recent.lock();
        let oldest = recent.oldest();
        let missed = oldest.checked_sub(self.next).filter(|missed| *missed > 0);
        if let Some(missed) = missed {
            self.next = oldest;
            self.missed.fetch_add(missed, Ordering::Relaxed);
            return Some(missed);
        }
        let begin = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        let mut bytes = 0;
        for passed in recent.events.iter().skip(begin).take(TAKEN) {
            bytes += size(passed);
            if bytes > TAKEN_BYTES && !self.taken.is_empty() {
                break;
            }
            self.next = passed.position + 1;
            self.taken.push_back(passed.clone());
        }
        None
    }
}

impl Recent {
    fn push(&mut self, event: Arc<Event>) {
        let passed = Passed {
            position: self.next,
            event,
        };
        self.next += 1;
        self.bytes += size(&passed);
        self.events.push_back(passed);
        while self.events.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= size(&oldest);
        }
    }

    /// The position of the oldest that is kept; of the next, while none is.
    fn oldest(&self) -> u64 {
        let oldest = self.events.front();
        oldest.map_or(self.next, |passed| passed.position)
    }
}

fn size(passed: &Passed) -> usize {
    passed.event.payload.as_slice().len()
}

impl Default for Tap {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use nexus_plugin_api::RawJson;

    use super::*;

    fn event(bytes: usize) -> Arc<Event> {
        let payload = RawJson::from_checked("x".repeat(bytes));
        Arc::new(Event::new("a.b", "s", payload))
    }

    /// The positions of what can be heard at once, and how many were missed.
    fn heard(listener: &mut Listener) -> (Vec<u64>, u64) {
        let (mut positions, mut missed) = (Vec::new(), 0);
        while let Some(heard) = listener.hear().now_or_never() {
            match heard {
                Heard::Event(passed) => positions.push(passed.position),
                Heard::Missed(count) => missed += count,
                Heard::End => break,
            }
        }
        (positions, missed)
    }

    #[test]
    fn whoever_comes_back_misses_nothing_and_gets_nothing_twice() {
        let tap = Tap::new();
        let mut live = tap.listen();
        (0..3).for_each(|_| tap.show(&event(1)));
        let (all, _) = heard(&mut live);
        assert_eq!(all, [all[0], all[0] + 1, all[0] + 2]);
        let mut again = tap.resume(all[0]).unwrap();
        tap.show(&event(1));
        assert_eq!(heard(&mut again), ((all[0] + 1..=all[0] + 3).collect(), 0));
        assert_eq!(heard(&mut live), (vec![all[0] + 3], 0));
        assert_eq!(heard(&mut live), (vec![], 0));
    }

    #[tokio::test]
    async fn who_waits_is_woken_and_told_of_the_end() {
        let tap = Tap::new();
        let mut live = tap.listen();
        let (heard, ()) = tokio::join!(live.hear(), async { tap.show(&event(1)) });
        assert!(matches!(heard, Heard::Event(_)));
        tap.show(&event(1));
        drop(tap);
        assert!(
            matches!(live.hear().await, Heard::Event(_)),
            "the rest is heard"
        );
        assert!(matches!(live.hear().await, Heard::End));
    }

    #[test]
    fn what_is_forgotten_is_told() {
        let tap = Tap::new();
        let mut live = tap.listen();
        tap.show(&event(1));
        let first = heard(&mut live).0[0];
        assert!(tap.resume(first).is_ok());
        assert_eq!(tap.resume(first + 1).unwrap_err(), Forgotten);
        assert_eq!(tap.resume(0).unwrap_err(), Forgotten);
        assert_eq!(tap.resume(u64::MAX).unwrap_err(), Forgotten);
        (0..KEPT).for_each(|_| tap.show(&event(1)));
        assert!(tap.resume(first).is_ok());
        tap.show(&event(1));
        assert_eq!(tap.resume(first).unwrap_err(), Forgotten);
        let (positions, missed) = heard(&mut live);
        assert_eq!((positions.len(), missed), (KEPT, 1));
    }

    #[test]
    fn large_events_are_forgotten_sooner_and_a_slow_listener_holds_few() {
        let tap = Tap::new();
        let mut slow = tap.listen();
        tap.show(&event(1024 * 1024));
        assert!(slow.hear().now_or_never().is_some());
        for _ in 0..20 {
            tap.show(&event(1024 * 1024));
        }
        assert!(matches!(slow.hear().now_or_never(), Some(Heard::Missed(4))));
        assert_eq!((tap.listeners(), tap.missed()), (1, 4));
        assert!(slow.hear().now_or_never().is_some());
        assert!(
            slow.taken.is_empty(),
            "one of them is more than enough at once"
        );
        let recent = tap.recent.lock();
        assert_eq!((recent.events.len(), recent.bytes), (16, KEPT_BYTES));
    }
}
