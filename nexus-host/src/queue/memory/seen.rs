//! Marks against duplicates: which events were accepted within the window.

use std::collections::hash_map::Entry;
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
    /// How many sources' marks have an id.
    ids: HashMap<Uuid, u32>,
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
            ids: HashMap::new(),
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

    /// Whether marks of several sources have the event's id.
    pub(super) fn is_shared(&self, event: &Event) -> bool {
        self.ids
            .get(&event.event_id)
            .is_some_and(|sources| *sources > 1)
    }

    /// Marks an event. Answers whether another source's with the same id is remembered.
    pub(super) fn insert(&mut self, event: &Event, now: Instant, at: DateTime<Utc>) -> bool {
        let mark = self.mark(event);
        let before = self.marks.insert(mark, First { instant: now, at });
        let sources = self.ids.entry(event.event_id).or_default();
        *sources += u32::from(before.is_none());
        let id_is_shared = *sources > 1;
        self.by_age.push_back((now, mark));
        self.forget_old(now);
        id_is_shared
    }

    fn forget_old(&mut self, now: Instant) {
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
                .is_none_or(|first| first.instant != at)
            {
                continue;
            }
            self.marks.remove(&mark);
            if let Entry::Occupied(mut sources) = self.ids.entry(mark.1) {
                *sources.get_mut() -= 1;
                if *sources.get() == 0 {
                    sources.remove();
                }
            }
        }
    }

    fn mark(&self, event: &Event) -> Mark {
        (self.hasher.hash_one(&event.source), event.event_id)
    }
}
