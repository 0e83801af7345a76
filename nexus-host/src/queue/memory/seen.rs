//! Marks against duplicates: which events were accepted within the window.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::Event;
use tokio::time::Instant;
use uuid::Uuid;

/// Remembers accepted events, bounded in time and count.
#[derive(Debug)]
pub(super) struct Seen {
    marks: HashMap<Mark, First>,
    by_age: VecDeque<(Instant, Mark)>,
    window: Duration,
    capacity: usize,
    hasher: RandomState,
}

/// When an event was accepted: by the clock that bounds the window, and by the one people read.
#[derive(Debug, Clone, Copy)]
struct First {
    instant: Instant,
    at: DateTime<Utc>,
}

/// Source and id. The source is hashed with this process's own key: a mark is 24 bytes whatever
/// producers call themselves, and a false match needs the same id too.
type Mark = (u64, Uuid);

impl Seen {
    pub(super) fn new(window: Duration, capacity: usize) -> Self {
        Self {
            marks: HashMap::new(),
            by_age: VecDeque::new(),
            window,
            capacity,
            hasher: RandomState::new(),
        }
    }

    /// When the event was accepted, if it was within the window.
    pub(super) fn first(&self, event: &Event, now: Instant) -> Option<DateTime<Utc>> {
        let first = self.marks.get(&self.mark(event))?;
        (now.duration_since(first.instant) < self.window).then_some(first.at)
    }

    pub(super) fn insert(&mut self, event: &Event, now: Instant, at: DateTime<Utc>) {
        let mark = self.mark(event);
        self.marks.insert(mark, First { instant: now, at });
        self.by_age.push_back((now, mark));
        while let Some((at, mark)) = self.by_age.front().copied() {
            let old = now.duration_since(at) >= self.window;
            if !old && self.by_age.len() <= self.capacity {
                break;
            }
            self.by_age.pop_front();
            // A mark that was renewed since is younger than this entry.
            if self
                .marks
                .get(&mark)
                .is_some_and(|first| first.instant == at)
            {
                self.marks.remove(&mark);
            }
        }
    }

    fn mark(&self, event: &Event) -> Mark {
        (self.hasher.hash_one(&event.source), event.event_id)
    }
}
