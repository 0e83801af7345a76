//! Marks against duplicates: which events were accepted within the window.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::Event;
use smallvec::SmallVec;
use tokio::time::Instant;
use uuid::Uuid;

/// Remembers accepted events, bounded in time and count.
#[derive(Debug)]
pub(super) struct Seen {
    marks: HashMap<Uuid, SmallVec<[Mark; 1]>>,
    by_age: VecDeque<(Instant, u64, Uuid)>,
    window: Duration,
    capacity: usize,
    hasher: RandomState,
}

/// When an event was accepted: by the clock that bounds the window, and by the one people read.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Hashed with this process's own key, so that a mark is as small whatever producers call
    /// themselves. A false match needs the same id too.
    source: u64,
    instant: Instant,
    at: DateTime<Utc>,
}

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
        let source = self.hasher.hash_one(&event.source);
        let marks = self.marks.get(&event.event_id)?;
        let first = marks.iter().find(|mark| mark.source == source)?;
        (now.duration_since(first.instant) < self.window).then_some(first.at)
    }

    /// Marks an event. Answers whether another source's with the same id is remembered.
    pub(super) fn insert(&mut self, event: &Event, now: Instant, at: DateTime<Utc>) -> bool {
        let source = self.hasher.hash_one(&event.source);
        let marks = self.marks.entry(event.event_id).or_default();
        marks.retain(|mark| mark.source != source);
        let id_is_shared = !marks.is_empty();
        marks.push(Mark {
            source,
            instant: now,
            at,
        });
        self.by_age.push_back((now, source, event.event_id));
        self.forget_old(now);
        id_is_shared
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((at, source, id)) = self.by_age.front().copied() {
            let old = now.duration_since(at) >= self.window;
            if !old && self.by_age.len() <= self.capacity {
                break;
            }
            self.by_age.pop_front();
            let Some(marks) = self.marks.get_mut(&id) else {
                continue;
            };
            // A mark that was renewed since is younger than this entry.
            marks.retain(|mark| mark.source != source || mark.instant != at);
            if marks.is_empty() {
                self.marks.remove(&id);
            }
        }
    }
}
