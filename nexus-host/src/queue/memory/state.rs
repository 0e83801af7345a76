//! The queue's state and its transitions, each complete under one lock.
//!
//! Receives the caller's clock reading, so that nothing here waits or looks at the time.

mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use nexus_plugin_api::{Event, Priority};
use tokio::time::Instant;
use uuid::Uuid;

use super::Numbered;
use super::graves::{Buried, Graves};
use super::plugin_state::PluginState;
use super::records::{Record, RecordKey, Records};
use super::seen::Seen;
use crate::admission::Admitted;
use crate::queue::config::{Config, WhenFull};
use crate::queue::droppable::Droppable;
use crate::queue::schedule::{LaneDepth, LaneKey, Place, Schedule};
use crate::queue::work::{first_steps, lane_of, size};
use crate::queue::{
    DeadLetter, Delivery, Failure, Grave, Journey, Lease, LetterFilter, Meant, Page, PushError,
    Pushed, QueueStats, Step, Work,
};

/// One unit of work and what happened to it so far.
#[derive(Debug)]
struct Task {
    record: RecordKey,
    work: Work,
    attempt: u32,
    errors: Vec<Failure>,
}

/// A task that has been given out.
#[derive(Debug)]
struct Leased {
    task: Task,
    /// Whether the event's lane waits for it.
    in_lane: bool,
}

#[derive(Debug)]
pub(super) struct State {
    config: Config,
    lanes: bool,
    next: Place,
    schedule: Schedule,
    waiting: BTreeMap<Place, Task>,
    droppable: Droppable,
    delayed: BTreeMap<(Instant, Place), Task>,
    leased: Numbered<Lease, Leased>,
    records: Records,
    seen: Seen,
    graves: Graves,
    pub(super) plugins: PluginState,
    accepted: u64,
    finished: u64,
    /// Events that gave way to what is being pushed.
    given_way: Vec<Arc<Event>>,
    intake_closed: bool,
    leasing_closed: bool,
}

/// What a transition made possible for others.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Wake {
    /// Units of work that became ready.
    pub(super) workers: usize,
    /// Whether the nearest due time is nearer now.
    pub(super) clock: bool,
    /// Whether there is room for a waiting producer.
    pub(super) room: bool,
}

/// What a worker finds.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "moved once, from the lock to the worker"
)]
pub(super) enum Found {
    Work(Delivery),
    /// Nothing, until then at the latest if something is delayed.
    Nothing(Option<Instant>),
    /// The end.
    Closed,
}

impl State {
    pub(super) fn new(config: Config, lanes: bool) -> Self {
        Self {
            seen: Seen::new(config.dedup_window.get(), config.dedup_capacity),
            records: Records::new(config.journal_capacity),
            graves: Graves::new(config.dead_letter_capacity, config.max_bytes.bytes()),
            config,
            lanes,
            next: 0,
            schedule: Schedule::default(),
            waiting: BTreeMap::new(),
            droppable: Droppable::default(),
            delayed: BTreeMap::new(),
            leased: Numbered::default(),
            plugins: PluginState::default(),
            accepted: 0,
            finished: 0,
            given_way: Vec::new(),
            intake_closed: false,
            leasing_closed: false,
        }
    }

    /// Puts one event in, making room as configured. `Err(Full)` may be tried again later.
    pub(super) fn push(
        &mut self,
        event: &Admitted,
        now: Instant,
        wake: &mut Wake,
    ) -> Result<Pushed, PushError> {
        if self.intake_closed {
            return Err(PushError::Closed);
        }
        if let Some(first_accepted_at) = self.seen.first(event.event(), now) {
            return Ok(Pushed::Duplicate {
                first_accepted_at,
                id_is_shared: self.seen.is_shared(event.event()),
            });
        }
        if !self.make_room(event.event(), wake) {
            return Err(PushError::Full {
                capacity: self.config.capacity,
            });
        }
        self.accept(event, now, wake);
        Ok(Pushed::Accepted)
    }

    /// Sees to it that there is room. Drops nothing unless that makes enough of it.
    fn make_room(&mut self, event: &Event, wake: &mut Wake) -> bool {
        let (events, bytes) = match self.config.when_full {
            WhenFull::Reject | WhenFull::Wait => (0, 0),
            WhenFull::DropOldest => self.droppable.up_to(Priority::Critical),
            WhenFull::DropLowest => self.droppable.up_to(event.priority),
        };
        if !self.has_room(event, events, bytes) {
            return false;
        }
        while !self.has_room(event, 0, 0) {
            let victim = match self.config.when_full {
                WhenFull::DropOldest => self.droppable.oldest(),
                _ => self.droppable.oldest_of_lowest(),
            };
            let Some(victim) = victim else {
                return false;
            };
            self.drop_waiting(victim, wake);
        }
        true
    }

    /// Whether there is room for an event, once so many events with so many bytes are gone.
    fn has_room(&self, event: &Event, fewer_events: usize, fewer_bytes: u64) -> bool {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let events = count(self.records.depth() - fewer_events);
        let bytes = self.records.bytes() - fewer_bytes;
        self.config
            .has_room(event, events, count(self.records.parked()), bytes)
    }

    fn drop_waiting(&mut self, place: Place, wake: &mut Wake) {
        let Some(task) = self.waiting.remove(&place) else {
            return;
        };
        let Some(record) = self.records.get(task.record) else {
            return;
        };
        let priority = record.event.priority;
        self.schedule.remove(place, priority, record.lane.as_ref());
        self.droppable.remove(place, priority, size(&record.event));
        let grave = Grave {
            work: task.work,
            reason: "queue_full".to_owned(),
            errors: task.errors,
        };
        let event = record.event.clone();
        self.bury(task.record, grave);
        self.end_task(task.record, wake);
        self.given_way.push(event);
    }

    /// Events that gave way since the last call.
    pub(super) fn take_given_way(&mut self) -> Vec<Arc<Event>> {
        std::mem::take(&mut self.given_way)
    }

    /// Takes an event in, room or not: events that follow from accepted ones are never refused.
    fn accept(&mut self, event: &Admitted, now: Instant, wake: &mut Wake) {
        let (sent_as, flags) = (event.sent_as().cloned(), event.flags().to_vec());
        let event = event.event().clone();
        let accepted_at = Utc::now();
        let id_is_shared = self.seen.insert(&event, now, accepted_at);
        self.accepted += 1;
        let lane = self.lane(&event);
        let (priority, bytes) = (event.priority, size(&event));
        let version = event.contract_version.clone();
        let record = Record::new(event, accepted_at, id_is_shared, lane);
        let steps = first_steps(sent_as, version, flags);
        let record = self.records.open(record, steps);
        if let Some(place) = self.await_turn(record, Work::Route, wake) {
            self.droppable.insert(place, priority, bytes);
        }
    }

    fn lane(&self, event: &Event) -> Option<LaneKey> {
        self.lanes.then(|| lane_of(event))
    }

    /// Lines work up as new. An event that waits for its routing waits in its lane.
    fn await_turn(&mut self, key: RecordKey, work: Work, wake: &mut Wake) -> Option<Place> {
        let record = self.records.get(key)?;
        let priority = record.event.priority;
        let lane = record.lane.clone().filter(|_| work == Work::Route);
        let task = Task {
            record: key,
            work,
            attempt: 1,
            errors: Vec::new(),
        };
        Some(self.enqueue(task, priority, lane, wake))
    }

    /// Takes the work of dead letters up once more. Answers which there were. It does not give way
    /// again: somebody has asked for it.
    pub(super) fn replay(&mut self, letters: &[Uuid], wake: &mut Wake) -> Vec<Uuid> {
        let mut replayed = Vec::new();
        for Buried {
            record: key,
            id_is_shared,
            letter,
        } in self.graves.take(letters)
        {
            let lane = self.lane(&letter.event);
            let record = Record::new(letter.event, letter.accepted_at, id_is_shared, lane);
            self.records.reopen(key, record, letter.id, &letter.work);
            self.await_turn(key, letter.work, wake);
            replayed.push(letter.id);
        }
        replayed
    }

    /// Deletes dead letters. Answers which there were.
    pub(super) fn purge(&mut self, letters: &[Uuid]) -> Vec<Uuid> {
        let purged = self.graves.take(letters);
        purged.iter().map(|buried| buried.letter.id).collect()
    }

    fn enqueue(
        &mut self,
        task: Task,
        priority: Priority,
        lane: Option<LaneKey>,
        wake: &mut Wake,
    ) -> Place {
        self.next += 1;
        self.waiting.insert(self.next, task);
        wake.workers += usize::from(self.schedule.push(self.next, priority, lane));
        self.next
    }

    /// Gives out the next work.
    pub(super) fn take(&mut self, now: Instant, wake: &mut Wake) -> Found {
        if self.leasing_closed {
            return Found::Closed;
        }
        let due = self.promote(now, wake);
        self.lease().map_or(Found::Nothing(due), Found::Work)
    }

    /// Moves due work to the ready ones. Says when the next is due.
    fn promote(&mut self, now: Instant, wake: &mut Wake) -> Option<Instant> {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                return Some(entry.key().0);
            }
            let task = entry.remove();
            self.records.end_delay(task.record);
            let priority = self
                .records
                .get(task.record)
                .map_or(Priority::Normal, |record| record.event.priority);
            self.enqueue(task, priority, None, wake);
        }
        None
    }

    fn lease(&mut self) -> Option<Delivery> {
        let (place, lane) = self.schedule.pop()?;
        let task = self.waiting.remove(&place)?;
        if task.work == Work::Route
            && let Some(record) = self.records.get_mut(task.record)
        {
            record.note(Step::Leased, Utc::now());
            let event = &record.event;
            self.droppable.remove(place, event.priority, size(event));
        }
        self.give_out(task, lane.is_some())
    }

    fn give_out(&mut self, task: Task, in_lane: bool) -> Option<Delivery> {
        let record = self.records.get_mut(task.record)?;
        record.in_lane += usize::from(in_lane);
        self.next += 1;
        let lease = Lease(self.next);
        let delivery = Delivery {
            lease,
            event: record.event.clone(),
            work: task.work.clone(),
            attempt: task.attempt,
            errors: task.errors.clone(),
            accepted_at: record.accepted_at,
            id_is_shared: record.id_is_shared,
        };
        self.leased.insert(lease, Leased { task, in_lane });
        Some(delivery)
    }

    pub(super) fn close_intake(&mut self) {
        self.intake_closed = true;
    }

    pub(super) fn close_leasing(&mut self) {
        self.leasing_closed = true;
    }

    /// Nothing is ready and nothing is leased.
    pub(super) fn is_at_rest(&self) -> bool {
        self.leased.is_empty() && !self.schedule.has_ready()
    }

    /// Nothing is left that will be done by `until`.
    pub(super) fn is_drained(&self, until: Instant) -> bool {
        let next_due = self.delayed.first_key_value().map(|(key, _)| key.0);
        self.is_at_rest() && self.waiting.is_empty() && next_due.is_none_or(|due| due > until)
    }

    pub(super) fn journey(&self, event_id: Uuid, of: &Meant) -> Option<Journey> {
        self.records.journey(event_id, of)
    }

    pub(super) fn dead_letters(&self, filter: &LetterFilter, page: Page) -> Vec<DeadLetter> {
        self.graves.select(filter, page)
    }

    pub(super) fn stats(&self) -> QueueStats {
        let oldest = self
            .droppable
            .oldest()
            .and_then(|place| self.records.get(self.waiting.get(&place)?.record))
            .map(|record| record.accepted_at);
        QueueStats {
            depth: self.records.depth(),
            parked: self.records.parked(),
            capacity: self.config.capacity,
            bytes: self.records.bytes(),
            waiting: self.droppable.counts(),
            leased: self.leased.len(),
            delayed: self.delayed.len(),
            dead_letters: self.graves.len(),
            accepted: self.accepted,
            finished: self.finished,
            deaths: self.graves.deaths(),
            lanes: self.schedule.busy_lanes(),
            oldest,
        }
    }

    /// As [`Schedule::fullest`].
    pub(super) fn fullest_lanes(&self, most: usize) -> Vec<LaneDepth> {
        self.schedule.fullest(most)
    }
}
