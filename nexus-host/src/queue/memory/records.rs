//! Events and their journals: those with work left, and the last finished ones.
//!
//! Keeps count of what each event still has to come. A finished event keeps its journey only: the
//! payload goes.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nexus_plugin_api::Event;
use uuid::Uuid;

use super::Numbered;
use crate::queue::by_id::ById;
use crate::queue::journal::{MAX_LINES, is_parked_again, outstanding};
use crate::queue::schedule::LaneKey;
use crate::queue::work::size;
use crate::queue::{EventStatus, JournalLine, Journey, Meant, Step, Work};

/// Names a record. An event id alone does not: two sources may use the same one.
pub(super) type RecordKey = u64;

/// Empty places among the finished journeys, beside as many as there are journeys.
const SPARE_PLACES: usize = 64;

/// An event with work left, and what happened to it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) event: Arc<Event>,
    pub(super) accepted_at: DateTime<Utc>,
    pub(super) id_is_shared: bool,
    pub(super) lane: Option<LaneKey>,
    /// Deliveries that keep the lane busy.
    pub(super) in_lane: usize,
    /// How much of its work went to the dead letters and was not taken up again.
    pub(super) dead: usize,
    /// Units of work left.
    open: usize,
    /// How many of them wait for their time.
    delayed: usize,
    started: bool,
    lines: Vec<JournalLine>,
}

impl Record {
    /// That of an event with one unit of work.
    pub(super) fn new(
        event: Arc<Event>,
        accepted_at: DateTime<Utc>,
        id_is_shared: bool,
        lane: Option<LaneKey>,
    ) -> Self {
        Self {
            event,
            accepted_at,
            id_is_shared,
            lane,
            in_lane: 0,
            dead: 0,
            open: 1,
            delayed: 0,
            started: false,
            lines: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, step: Step, at: DateTime<Utc>) {
        self.started |= matches!(step, Step::Leased);
        let line = JournalLine { at, step };
        if let Some(last) = self.lines.last_mut()
            && is_parked_again(&last.step, &line.step)
        {
            *last = line;
        } else if self.lines.len() < MAX_LINES || matches!(line.step, Step::Finished { .. }) {
            self.lines.push(line);
        }
    }

    /// Whether all that is left of it waits for its time.
    fn is_parked(&self) -> bool {
        self.open > 0 && self.open == self.delayed
    }

    fn status(&self) -> EventStatus {
        match (self.open, self.started, self.dead) {
            (0, _, 0) => EventStatus::Processed,
            (0, _, _) => EventStatus::Dead,
            (_, true, _) => EventStatus::Processing,
            (_, false, _) => EventStatus::Queued,
        }
    }

    fn journey(&self) -> Journey {
        Journey {
            event_id: self.event.event_id,
            status: self.status(),
            event_type: self.event.event_type.clone(),
            source: self.event.source.clone(),
            correlation_id: self.event.correlation_id.clone(),
            causation_id: self.event.causation_id,
            accepted_at: self.accepted_at,
            finished_at: None,
            steps: self.lines.clone(),
        }
    }
}

/// Every record, with its bounds.
#[derive(Debug)]
pub(super) struct Records {
    open: Numbered<RecordKey, Record>,
    open_bytes: u64,
    parked: usize,
    /// Each with a number that tells when it finished.
    finished: Numbered<RecordKey, (u64, Journey)>,
    by_age: VecDeque<(u64, RecordKey)>,
    finishes: u64,
    keep_finished: usize,
    by_id: ById<RecordKey>,
    next: RecordKey,
}

impl Records {
    /// No records yet. Of the finished ones, the last `keep_finished` journeys are kept.
    pub(super) fn new(keep_finished: usize) -> Self {
        Self {
            open: Numbered::default(),
            open_bytes: 0,
            parked: 0,
            finished: Numbered::default(),
            by_age: VecDeque::new(),
            finishes: 0,
            keep_finished,
            by_id: ById::default(),
            next: 0,
        }
    }

    /// Keeps the record of an event that was taken in with these steps.
    pub(super) fn open(
        &mut self,
        mut record: Record,
        steps: impl Iterator<Item = Step>,
    ) -> RecordKey {
        record.lines.reserve_exact(4);
        let at = record.accepted_at;
        steps.for_each(|step| record.note(step, at));
        self.next += 1;
        self.insert(self.next, record);
        self.next
    }

    fn insert(&mut self, key: RecordKey, record: Record) {
        self.open_bytes += size(&record.event);
        self.by_id.insert(record.event.event_id, key);
        self.open.insert(key, record);
    }

    /// Takes up the work of a dead letter: its event has one more unit. Its journey goes on, as far as
    /// it is remembered; `anew` is its record if it has none any more.
    pub(super) fn reopen(&mut self, key: RecordKey, anew: Record, dead_letter: Uuid, work: &Work) {
        let step = Step::Replayed { dead_letter };
        self.add_work(key);
        if let Some(record) = self.open.get_mut(&key) {
            record.dead = record.dead.saturating_sub(1);
            record.note(step, Utc::now());
            return;
        }
        let before = self.recall(key);
        let mut lines = before.map_or_else(Vec::new, |journey| journey.steps);
        let dead = outstanding(&lines);
        // Even a full journal says that the event came back.
        lines.truncate(MAX_LINES - 1);
        let was_taken_up = |line: &JournalLine| matches!(line.step, Step::Leased);
        let mut record = Record {
            dead: dead.saturating_sub(1),
            started: *work != Work::Route || lines.iter().any(was_taken_up),
            lines,
            ..anew
        };
        record.note(step, Utc::now());
        self.insert(key, record);
    }

    /// Takes out a finished journey that goes on.
    fn recall(&mut self, key: RecordKey) -> Option<Journey> {
        let (_, journey) = self.finished.remove(&key)?;
        // Its place among the finished ones is left empty; a few such may stay, not ever more.
        if self.by_age.len() > 2 * self.finished.len() + SPARE_PLACES {
            let finished = &self.finished;
            self.by_age
                .retain(|(finish, key)| finished.get(key).is_some_and(|(at, _)| at == finish));
        }
        Some(journey)
    }

    pub(super) fn get(&self, key: RecordKey) -> Option<&Record> {
        self.open.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: RecordKey) -> Option<&mut Record> {
        self.open.get_mut(&key)
    }

    /// The event has a further unit of work, to be done at once.
    pub(super) fn add_work(&mut self, key: RecordKey) {
        self.count(key, |record| record.open += 1);
    }

    /// The event has a further unit of work, which waits for its time.
    pub(super) fn add_delayed(&mut self, key: RecordKey) {
        self.count(key, |record| {
            record.open += 1;
            record.delayed += 1;
        });
    }

    /// The time of a delayed unit of work has come.
    pub(super) fn end_delay(&mut self, key: RecordKey) {
        self.count(key, |record| record.delayed -= 1);
    }

    /// A unit of work is over. With the last one the event is finished.
    pub(super) fn end_work(&mut self, key: RecordKey) -> Option<EventStatus> {
        self.count(key, |record| record.open -= 1);
        if self.open.get(&key)?.open > 0 {
            return None;
        }
        let mut record = self.open.remove(&key)?;
        let status = record.status();
        let at = Utc::now();
        record.note(Step::Finished { status }, at);
        self.open_bytes -= size(&record.event);
        let journey = Journey {
            finished_at: Some(at),
            steps: std::mem::take(&mut record.lines),
            ..record.journey()
        };
        self.finishes += 1;
        self.finished.insert(key, (self.finishes, journey));
        self.by_age.push_back((self.finishes, key));
        self.forget_old();
        Some(status)
    }

    fn forget_old(&mut self) {
        while self.finished.len() > self.keep_finished {
            let Some((finish, key)) = self.by_age.pop_front() else {
                return;
            };
            // One that was taken up again since has no journey, or a younger one.
            if self.finished.get(&key).is_none_or(|(at, _)| *at != finish) {
                continue;
            }
            if let Some((_, journey)) = self.finished.remove(&key) {
                self.by_id.remove(journey.event_id, key);
            }
        }
    }

    fn count(&mut self, key: RecordKey, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.open.get_mut(&key) {
            self.parked -= usize::from(record.is_parked());
            change(record);
            self.parked += usize::from(record.is_parked());
        }
    }

    pub(super) fn journey(&self, event_id: Uuid, of: &Meant) -> Option<Journey> {
        self.by_id.newest_first(event_id).find_map(|key| {
            if let Some(record) = self.open.get(&key) {
                let event = &record.event;
                return of(&event.source, &event.event_type).then(|| record.journey());
            }
            let (_, journey) = self.finished.get(&key)?;
            of(&journey.source, &journey.event_type).then(|| journey.clone())
        })
    }

    /// Events with work left.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Events of which all that is left waits for its time.
    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    /// Bytes of payload held for the events with work left.
    pub(super) fn bytes(&self) -> u64 {
        self.open_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_plugin_api::RawJson;

    fn event() -> Arc<Event> {
        Arc::new(Event::new("test.event", "s", RawJson::from_checked("{}")))
    }

    #[test]
    fn a_journey_that_goes_on_again_and_again_leaves_no_trail_of_places() {
        let mut records = Records::new(10);
        let record = || Record::new(event(), Utc::now(), false, None);
        let other = records.open(record(), std::iter::once(Step::Accepted));
        records.end_work(other);
        for _ in 0..1_000 {
            records.reopen(other, record(), Uuid::now_v7(), &Work::Route);
            records.end_work(other);
        }
        assert_eq!(records.finished.len(), 1);
        assert!(records.by_age.len() < 100, "{}", records.by_age.len());
    }
}
