//! What of one class lies on disk only: everything behind the window, and of lanes that have enough
//! waiting in the window, what was passed over.
//!
//! Holds ranges of keys, bounded in number, so that it does not grow with the backlog.

use std::collections::{HashMap, VecDeque};

use super::super::rows::Key;
use crate::queue::schedule::LaneKey;

/// Keys that one range may span. The longer, the more of other lanes is looked at in vain when a
/// lane is read; the shorter, the more ranges there are.
const SPAN: i64 = 1_024;

/// Ranges kept. Beyond it, nothing more is read before one of these lanes has gone on: only then
/// does a lane hold up others.
const MAX_RANGES: usize = 32_768;

/// Rows read at once.
const CHUNK: u32 = 256;

/// Rows of one lane read at once.
const LANE_CHUNK: u32 = 64;

/// Events of one lane within a range of keys, which may hold others too.
#[derive(Debug)]
struct Range {
    first: Key,
    last: Key,
    count: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Backlog {
    /// All up to here were read.
    reached: Key,
    /// Events behind it.
    rest: u64,
    aside: HashMap<LaneKey, VecDeque<Range>>,
    ranges: usize,
}

/// Something to read from disk.
#[derive(Debug, Clone)]
pub(in super::super) enum Wanted {
    /// The next events of a class.
    Next {
        class: usize,
        after: Key,
        limit: u32,
    },
    /// Events of a lane that were set aside.
    Aside {
        class: usize,
        lane: LaneKey,
        first: Key,
        last: Key,
        limit: u32,
    },
}

impl Backlog {
    pub(super) fn new(start: Key, rest: u64) -> Self {
        Self {
            reached: Key(start.0 - 1),
            rest,
            aside: HashMap::new(),
            ranges: 0,
        }
    }

    /// Events behind the window.
    pub(super) fn rest(&self) -> u64 {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest == 0 && self.aside.is_empty()
    }

    /// An event came and stays on disk.
    pub(super) fn left_behind(&mut self) {
        self.rest += 1;
    }

    /// An event came and was taken straight into the window.
    pub(super) fn reached(&mut self, key: Key) {
        self.reached = key;
    }

    /// An event was read.
    pub(super) fn read(&mut self, key: Key) {
        self.reached = key;
        self.rest = self.rest.saturating_sub(1);
    }

    /// There is nothing behind what was read.
    pub(super) fn exhausted(&mut self) {
        self.rest = 0;
    }

    pub(super) fn has_aside(&self, lane: &LaneKey) -> bool {
        self.aside.contains_key(lane)
    }

    /// Notes an event that was read and not kept.
    pub(super) fn set_aside(&mut self, lane: &LaneKey, key: Key) {
        let ranges = self.aside.entry(lane.clone()).or_default();
        match ranges.back_mut() {
            Some(range) if key.0 - range.first.0 < SPAN => {
                range.last = key;
                range.count += 1;
            }
            _ => {
                self.ranges += 1;
                ranges.push_back(Range {
                    first: key,
                    last: key,
                    count: 1,
                });
            }
        }
    }

    /// So many of a lane's set-aside events were read, from its first range, up to `last`.
    pub(super) fn read_aside(&mut self, lane: &LaneKey, count: usize, last: Key) {
        let Some(ranges) = self.aside.get_mut(lane) else {
            return;
        };
        if let Some(range) = ranges.front_mut() {
            range.count = range.count.saturating_sub(count);
            range.first = Key(last.0 + 1);
            if range.count == 0 || range.first > range.last {
                ranges.pop_front();
                self.ranges -= 1;
            }
        }
        if ranges.is_empty() {
            self.aside.remove(lane);
        }
    }

    /// What to read next. `few` says whether a lane has few events in the window.
    pub(super) fn wanted(&self, class: usize, few: impl Fn(&LaneKey) -> bool) -> Vec<Wanted> {
        let lanes = self.aside.iter().filter(|(lane, _)| few(lane));
        let aside = lanes.filter_map(|(lane, ranges)| {
            let range = ranges.front()?;
            Some(Wanted::Aside {
                class,
                lane: lane.clone(),
                first: range.first,
                last: range.last,
                limit: LANE_CHUNK,
            })
        });
        let next = (self.rest > 0 && self.ranges < MAX_RANGES).then_some(Wanted::Next {
            class,
            after: self.reached,
            limit: CHUNK,
        });
        aside.chain(next).collect()
    }

    /// The least key that an event on disk only can have.
    pub(super) fn first(&self) -> Option<Key> {
        let aside = self.aside.values().filter_map(|ranges| ranges.front());
        let aside = aside.map(|range| range.first);
        let behind = (self.rest > 0).then_some(Key(self.reached.0 + 1));
        aside.chain(behind).min()
    }

    /// An event is gone that was here only.
    pub(super) fn gone(&mut self, key: Key, lane: &LaneKey) {
        if key > self.reached {
            self.rest = self.rest.saturating_sub(1);
            return;
        }
        let Some(ranges) = self.aside.get_mut(lane) else {
            return;
        };
        if let Some(index) = ranges.iter().position(|range| range.last >= key) {
            ranges[index].count = ranges[index].count.saturating_sub(1);
            if ranges[index].count == 0 {
                ranges.remove(index);
                self.ranges -= 1;
            }
        }
        if ranges.is_empty() {
            self.aside.remove(lane);
        }
    }
}
