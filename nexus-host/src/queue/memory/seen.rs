//! Marks against duplicates: which events were accepted within the window.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use nexus_plugin_api::Event;
use tokio::time::Instant;
use uuid::Uuid;

/// Remembers accepted events, bounded in time and count.
#[derive(Debug)]
pub(super) struct Seen {
    marks: HashMap<Mark, Instant>,
    by_age: VecDeque<(Instant, Mark)>,
    window: Duration,
    capacity: usize,
    hasher: RandomState,
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

    pub(super) fn contains(&self, event: &Event, now: Instant) -> bool {
        self.marks
            .get(&self.mark(event))
            .is_some_and(|at| now.duration_since(*at) < self.window)
    }

    pub(super) fn insert(&mut self, event: &Event, now: Instant) {
        let mark = self.mark(event);
        self.marks.insert(mark, now);
        self.by_age.push_back((now, mark));
        while let Some((at, mark)) = self.by_age.front().copied() {
            let old = now.duration_since(at) >= self.window;
            if !old && self.by_age.len() <= self.capacity {
                break;
            }
            self.by_age.pop_front();
            // A mark that was renewed since is younger than this entry.
            if self.marks.get(&mark) == Some(&at) {
                self.marks.remove(&mark);
            }
        }
    }

    fn mark(&self, event: &Event) -> Mark {
        (self.hasher.hash_one(&event.source), event.event_id)
    }
}
