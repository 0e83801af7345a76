//! The live view: every accepted event, for whoever listens at the moment or comes back soon.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::Utc;
use nexus_plugin_api::Event;
use parking_lot::Mutex;
use tokio::sync::broadcast;

/// Events a slow listener may be behind before it loses the oldest.
const BEHIND: usize = 1_024;

/// Events that are remembered for those who come back, and bytes of their payloads.
const REMEMBERED: usize = 1_000;
const REMEMBERED_BYTES: usize = 8 * 1024 * 1024;

/// Where accepted events pass by.
#[derive(Debug, Clone)]
pub struct Tap {
    sender: broadcast::Sender<Passed>,
    recent: Arc<Mutex<Recent>>,
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
            sender: broadcast::Sender::new(BEHIND),
            recent: Arc::new(Mutex::new(Recent {
                next: u64::try_from(Utc::now().timestamp_micros()).unwrap_or(1),
                events: VecDeque::new(),
                bytes: 0,
            })),
        }
    }

    /// Shows an accepted event.
    pub fn show(&self, event: &Arc<Event>) {
        // Under the lock, so that whoever comes back finds each event once: remembered, or live.
        let mut recent = self.recent.lock();
        let passed = recent.push(event.clone());
        if self.sender.receiver_count() > 0 {
            // It fails when the last listener has just left, which is all the same.
            let _ = self.sender.send(passed);
        }
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Passed> {
        self.sender.subscribe()
    }

    /// Listens on behind a position: what has passed since, and what comes.
    ///
    /// # Errors
    /// [`Forgotten`].
    pub fn resume(
        &self,
        after: u64,
    ) -> Result<(Vec<Passed>, broadcast::Receiver<Passed>), Forgotten> {
        let recent = self.recent.lock();
        let oldest = recent
            .events
            .front()
            .map_or(recent.next, |one| one.position);
        if after >= recent.next || after + 1 < oldest {
            return Err(Forgotten);
        }
        let since = recent.events.iter().filter(|one| one.position > after);
        Ok((since.cloned().collect(), self.sender.subscribe()))
    }
}

impl Recent {
    fn push(&mut self, event: Arc<Event>) -> Passed {
        let passed = Passed {
            position: self.next,
            event,
        };
        self.next += 1;
        self.bytes += size(&passed);
        self.events.push_back(passed.clone());
        while self.events.len() > REMEMBERED || self.bytes > REMEMBERED_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= size(&oldest);
        }
        passed
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
    use nexus_plugin_api::RawJson;

    use super::*;

    fn event(bytes: usize) -> Arc<Event> {
        let payload = RawJson::from_checked("x".repeat(bytes));
        Arc::new(Event::new("a.b", "s", payload))
    }

    #[test]
    fn whoever_comes_back_misses_nothing_and_gets_nothing_twice() {
        let tap = Tap::new();
        let mut live = tap.listen();
        (0..3).for_each(|_| tap.show(&event(1)));
        let first = live.try_recv().unwrap().position;
        let (since, mut live) = tap.resume(first).unwrap();
        let positions: Vec<u64> = since.iter().map(|one| one.position).collect();
        assert_eq!(positions, [first + 1, first + 2]);
        tap.show(&event(1));
        assert_eq!(live.try_recv().unwrap().position, first + 3);
    }

    #[test]
    fn what_is_forgotten_is_told() {
        let tap = Tap::new();
        let mut live = tap.listen();
        tap.show(&event(1));
        let first = live.try_recv().unwrap().position;
        assert!(tap.resume(first).is_ok());
        assert_eq!(tap.resume(first + 1).unwrap_err(), Forgotten);
        assert_eq!(tap.resume(0).unwrap_err(), Forgotten);
        assert_eq!(tap.resume(u64::MAX).unwrap_err(), Forgotten);
        (0..REMEMBERED).for_each(|_| tap.show(&event(1)));
        assert!(tap.resume(first).is_ok());
        tap.show(&event(1));
        assert_eq!(tap.resume(first).unwrap_err(), Forgotten);
    }

    #[test]
    fn large_events_are_forgotten_sooner() {
        let tap = Tap::new();
        (0..20).for_each(|_| tap.show(&event(1024 * 1024)));
        let recent = tap.recent.lock();
        assert_eq!(recent.events.len(), 8);
        assert_eq!(recent.bytes, 8 * 1024 * 1024);
    }
}
