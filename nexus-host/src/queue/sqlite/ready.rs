//! The work at hand: what can be given out, what is given out, and what lies on disk only.
//!
//! A window on the backlog, bounded in events and bytes, so that memory does not grow with it.
//! Receives what the writer has committed, hands on [`Delivery`]s. It never touches the file.

mod backlog;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nexus_plugin_api::Event;

use super::attempting::{Attempting, Mark, Slot};
use super::rows::{self, Key, TaskId};
use crate::queue::droppable::Droppable;
use crate::queue::schedule::{LaneDepth, LaneKey, Place, Schedule};
use crate::queue::work::{lane_of, size};
use crate::queue::{Delivery, Failure, Lease, SettleError, Work};
use backlog::Backlog;
pub(super) use backlog::Wanted;

/// Events of one class that wait in memory; the rest of the class waits on disk.
const WINDOW: usize = 1_024;

/// Bytes of payload that wait in memory, all classes together. One event of a class always may.
const WINDOW_BYTES: u64 = 8 * 1024 * 1024;

/// Events of one lane and class that wait in memory. A lane that is slow, or many, leaves room for
/// the others.
const LANE_WINDOW: usize = 128;

/// An event as the writer has committed it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) event: Arc<Event>,
    pub(super) accepted_at: DateTime<Utc>,
    /// The envelope as it is stored.
    pub(super) head: Arc<str>,
}

/// A unit of work that can be done now.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) row: Row,
    /// `None` for the first routing.
    pub(super) id: Option<TaskId>,
    pub(super) work: Work,
    pub(super) attempt: u32,
    pub(super) errors: Vec<Failure>,
    /// Where it stands in the order, unless it is given out at once.
    pub(super) place: Place,
}

impl Task {
    /// The first routing of an event.
    pub(super) fn route(row: Row) -> Self {
        Self {
            place: place_of(row.key),
            row,
            id: None,
            work: Work::Route,
            attempt: 1,
            errors: Vec::new(),
        }
    }

    /// What marks it in the file of work under way.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            event: self.row.key,
            task: self.id,
        }
    }
}

/// A task that was given out.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) task: Task,
    pub(super) leased_at: DateTime<Utc>,
}

#[derive(Debug)]
struct Leased {
    held: Arc<Held>,
    /// Whether the event's lane waits for it.
    in_lane: bool,
    /// Whether it is being settled.
    settling: bool,
    slot: Slot,
}

/// What a worker finds.
#[derive(Debug)]
pub(super) enum Found {
    Work(Delivery),
    Nothing,
    /// The end.
    Closed,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ready {
    lanes: bool,
    schedule: Schedule,
    waiting: BTreeMap<Place, Task>,
    droppable: Droppable,
    waiting_bytes: u64,
    backlog: [Backlog; 4],
    leased: HashMap<Lease, Leased>,
    /// Deliveries that keep an event's lane busy.
    in_lane: HashMap<Key, usize>,
    next_lease: u64,
    attempting: Attempting,
    /// Whether only suspects are given out, one at a time.
    trial: bool,
    suspects: VecDeque<Task>,
    /// Units of work that became takeable since the last look.
    fresh: usize,
    closed: bool,
    /// The storage fails: what is given out could not be settled.
    pub(super) paused: bool,
}

impl Ready {
    /// Nothing at hand, and so many events of each class on disk.
    pub(super) fn new(lanes: bool, on_disk: [u64; 4], attempting: Attempting) -> Self {
        Self {
            lanes,
            schedule: Schedule::default(),
            waiting: BTreeMap::new(),
            droppable: Droppable::default(),
            waiting_bytes: 0,
            backlog: std::array::from_fn(|class| {
                Backlog::new(Key::start_of(class), on_disk[class])
            }),
            leased: HashMap::new(),
            in_lane: HashMap::new(),
            next_lease: 0,
            attempting,
            trial: false,
            suspects: VecDeque::new(),
            fresh: 0,
            closed: false,
            paused: false,
        }
    }

    /// Gives out the next work.
    pub(super) fn take(&mut self, now: DateTime<Utc>) -> Found {
        if self.closed {
            return Found::Closed;
        }
        if self.paused {
            return Found::Nothing;
        }
        if self.trial {
            // One at a time: if the process dies now, it is clear of what.
            if !self.leased.is_empty() {
                return Found::Nothing;
            }
            if let Some(suspect) = self.suspects.pop_front() {
                return Found::Work(self.give_out(suspect, false, now));
            }
            self.end_trial();
        }
        let next = self.schedule.pop();
        let Some((task, lane)) = next.and_then(|(place, lane)| Some((self.remove(place)?, lane)))
        else {
            return Found::Nothing;
        };
        Found::Work(self.give_out(task, lane.is_some(), now))
    }

    /// Gives these out first, one at a time: they were under way when the last process died.
    pub(super) fn begin_trial(&mut self, suspects: Vec<Task>) {
        self.trial = !suspects.is_empty();
        self.suspects = suspects.into();
        self.fresh += usize::from(self.trial);
    }

    /// Everything is given out again; suspects not tried by now are treated as any other work.
    pub(super) fn end_trial(&mut self) {
        self.trial = false;
        for suspect in std::mem::take(&mut self.suspects) {
            match suspect.id {
                None => {
                    let lane = self.lane(&suspect.row.event);
                    self.line_up(suspect.row, lane);
                }
                Some(_) => self.interrupted(suspect),
            }
        }
        // Whoever came in vain comes again.
        self.fresh += self.waiting.len();
    }

    /// Takes a task out of those that wait.
    fn remove(&mut self, place: Place) -> Option<Task> {
        let task = self.waiting.remove(&place)?;
        if task.id.is_none() {
            let bytes = size(&task.row.event);
            self.droppable.remove(place, task.row.event.priority, bytes);
            self.waiting_bytes -= bytes;
        }
        Some(task)
    }

    fn give_out(&mut self, task: Task, in_lane: bool, now: DateTime<Utc>) -> Delivery {
        self.next_lease += 1;
        let lease = Lease(self.next_lease);
        if in_lane {
            *self.in_lane.entry(task.row.key).or_default() += 1;
        }
        let delivery = Delivery {
            lease,
            event: task.row.event.clone(),
            work: task.work.clone(),
            attempt: task.attempt,
            errors: task.errors.clone(),
            accepted_at: task.row.accepted_at,
            id_is_shared: rows::id_is_shared(&task.row.head),
        };
        let leased = Leased {
            slot: self.attempting.begin(task.mark()),
            held: Arc::new(Held {
                task,
                leased_at: now,
            }),
            in_lane,
            settling: false,
        };
        self.leased.insert(lease, leased);
        delivery
    }

    /// Begins to end a lease. Its lane goes on at once, unless work follows that the lane waits for.
    pub(super) fn begin_settling(
        &mut self,
        lease: Lease,
        lane_waits: bool,
    ) -> Result<Arc<Held>, SettleError> {
        let leased = self.leased.get_mut(&lease);
        let leased = leased.filter(|leased| !leased.settling);
        let leased = leased.ok_or(SettleError::UnknownLease)?;
        leased.settling = true;
        let held = leased.held.clone();
        if leased.in_lane && !lane_waits {
            leased.in_lane = false;
            self.leave_lane(&held.task.row);
        }
        Ok(held)
    }

    /// Ends a lease whose settlement is committed, and gives out what follows at once.
    pub(super) fn settled(
        &mut self,
        lease: Lease,
        at_once: Vec<Task>,
        now: DateTime<Utc>,
    ) -> Vec<Delivery> {
        let Some(leased) = self.leased.remove(&lease) else {
            return Vec::new();
        };
        self.attempting.end(leased.slot);
        self.fresh += usize::from(self.trial);
        let given_out = at_once
            .into_iter()
            .map(|task| self.give_out(task, leased.in_lane, now))
            .collect();
        if leased.in_lane {
            self.leave_lane(&leased.held.task.row);
        }
        given_out
    }

    fn leave_lane(&mut self, row: &Row) {
        let Some(deliveries) = self.in_lane.get_mut(&row.key) else {
            return;
        };
        *deliveries -= 1;
        if *deliveries == 0 {
            self.in_lane.remove(&row.key);
            if let Some(lane) = self.lane(&row.event) {
                self.fresh += usize::from(self.schedule.release(&lane));
            }
        }
    }

    fn lane(&self, event: &Event) -> Option<LaneKey> {
        self.lanes.then(|| lane_of(event))
    }

    /// Takes in an event that was accepted: into the window, if nothing of its class is on disk only
    /// and there is room.
    pub(super) fn accepted(&mut self, row: Row) {
        let class = row.key.class();
        if self.backlog[class].rest() > 0 || !self.has_room(class) {
            self.backlog[class].left_behind();
        } else {
            self.backlog[class].reached(row.key);
            self.load(row);
        }
    }

    /// Takes in the next events of a class, in order, that the writer has read from disk.
    pub(super) fn read(&mut self, class: usize, rows: Vec<Row>) {
        for row in rows {
            self.backlog[class].read(row.key);
            let is_suspect = |suspect: &Task| suspect.row.key == row.key;
            let is_held = |leased: &Leased| leased.held.task.row.key == row.key;
            // A suspect that was not tried in time waits like any other.
            if !self.suspects.iter().any(is_suspect)
                && !self.waiting.contains_key(&place_of(row.key))
                && !self.leased.values().any(is_held)
            {
                self.load(row);
            }
        }
    }

    /// The writer has read on from here, and found nothing more.
    pub(super) fn read_all(&mut self, class: usize) {
        self.backlog[class].exhausted();
    }

    /// Takes in events of a lane that were set aside; `last` is how far the writer has looked.
    pub(super) fn read_aside(&mut self, class: usize, lane: &LaneKey, rows: Vec<Row>, last: Key) {
        self.backlog[class].read_aside(lane, rows.len(), last);
        for row in rows {
            self.line_up(row, Some(lane.clone()));
        }
    }

    /// Lines an event up, or sets it aside when its lane has enough waiting here.
    fn load(&mut self, row: Row) {
        let (class, lane) = (row.key.class(), self.lane(&row.event));
        if let Some(lane) = &lane {
            let has_enough = match self.has_room(class) {
                true => self.schedule.waiting_in(lane, class) >= LANE_WINDOW,
                // The window is full of lanes that do not go on: only who has nothing here gets in.
                false => self.schedule.holds(lane),
            };
            let backlog = &mut self.backlog[class];
            if has_enough || backlog.has_aside(lane) {
                backlog.set_aside(lane, row.key);
                return;
            }
        }
        self.line_up(row, lane);
    }

    fn line_up(&mut self, row: Row, lane: Option<LaneKey>) {
        let task = Task::route(row);
        let (priority, bytes) = (task.row.event.priority, size(&task.row.event));
        self.droppable.insert(task.place, priority, bytes);
        self.waiting_bytes += bytes;
        self.wait(task, lane);
    }

    /// Takes in work whose time has come. It has left its lane.
    pub(super) fn due(&mut self, task: Task) {
        self.wait(task, None);
    }

    /// Takes in work that was under way when the last process ended. It comes before everything
    /// else; a first attempt in its lane, so that nothing of the lane passes it.
    pub(super) fn interrupted(&mut self, mut task: Task) {
        task.place = task.id.map_or(0, |id| u64::try_from(id.0).unwrap_or(0));
        let lane = self.lane(&task.row.event).filter(|_| task.attempt == 1);
        self.wait(task, lane);
    }

    /// Takes in the work of a dead letter. What goes through routing again waits in its lane.
    pub(super) fn replayed(&mut self, task: Task) {
        let lane = self.lane(&task.row.event);
        let lane = lane.filter(|_| task.work == Work::Route);
        self.wait(task, lane);
    }

    /// Lets work wait at its place.
    fn wait(&mut self, task: Task, lane: Option<LaneKey>) {
        let (place, priority) = (task.place, task.row.event.priority);
        self.waiting.insert(place, task);
        self.fresh += usize::from(self.schedule.push(place, priority, lane));
    }

    fn has_room(&self, class: usize) -> bool {
        let waiting = self.droppable.counts()[class];
        waiting == 0 || (waiting < WINDOW && self.waiting_bytes < WINDOW_BYTES)
    }

    /// Whether the window runs low while there is more on disk.
    pub(super) fn is_low(&self) -> bool {
        let counts = self.droppable.counts();
        let is_low = |class: usize| {
            let is_short = counts[class] < WINDOW / 4 || !self.schedule.has_ready_in(class);
            is_short && !self.backlog[class].is_empty()
        };
        (0..4).any(is_low) && !self.wanted().is_empty()
    }

    /// What the writer should read for the window, if anything.
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (class, backlog) in self.backlog.iter().enumerate() {
            let is_full = self.is_full(class);
            if is_full && self.schedule.has_ready_in(class) {
                continue;
            }
            let few = |lane: &LaneKey| match is_full {
                true => !self.schedule.holds(lane),
                false => self.schedule.waiting_in(lane, class) < LANE_WINDOW / 2,
            };
            wanted.extend(backlog.wanted(class, few));
        }
        wanted
    }

    /// Whether enough of a class is here: more is read only if none of it can be taken.
    fn is_full(&self, class: usize) -> bool {
        self.droppable.counts()[class] >= WINDOW / 2 || self.waiting_bytes >= WINDOW_BYTES
    }

    /// Where the oldest event of a class is that waits for its first routing.
    pub(super) fn oldest_of(&self, class: usize) -> Oldest {
        let here = self.droppable.heads()[class].and_then(|place| self.waiting.get(&place));
        Oldest {
            here: here.map(|task| task.row.key),
            behind: self.backlog[class].first(),
        }
    }

    /// Takes an event out of the window; `None` when it is not there any more.
    pub(super) fn give_way(&mut self, key: Key) -> Option<Row> {
        let place = place_of(key);
        let row = self.remove(place)?.row;
        let lane = self.lane(&row.event);
        self.schedule
            .remove(place, row.event.priority, lane.as_ref());
        Some(row)
    }

    /// An event that was on disk only is gone.
    pub(super) fn gone(&mut self, row: &Row) {
        self.backlog[row.key.class()].gone(row.key, &lane_of(&row.event));
    }

    /// Puts a victim back whose end could not be committed.
    pub(super) fn spared(&mut self, row: Row) {
        let lane = self.lane(&row.event);
        self.line_up(row, lane);
    }

    /// When an event was taken up that is being worked on, if by routing.
    pub(super) fn routed_since(&self, key: Key) -> Option<DateTime<Utc>> {
        let is_route = |leased: &&Leased| {
            leased.held.task.row.key == key && leased.held.task.work == Work::Route
        };
        let leased = self.leased.values().find(is_route)?;
        Some(leased.held.leased_at)
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Deliveries under way.
    pub(super) fn leased(&self) -> usize {
        self.leased.len()
    }

    /// Lanes with work under way.
    pub(super) fn busy_lanes(&self) -> usize {
        self.schedule.busy_lanes()
    }

    /// As [`Schedule::fullest`], of the window.
    pub(super) fn fullest_lanes(&self, most: usize) -> Vec<LaneDepth> {
        self.schedule.fullest(most)
    }

    /// Events that are being routed.
    pub(super) fn routing(&self) -> impl Iterator<Item = &Row> {
        let held = self.leased.values().map(|leased| &leased.held.task);
        held.filter(|task| task.id.is_none()).map(|task| &task.row)
    }

    /// Events that were being routed when the last process died, and are to be tried again.
    pub(super) fn suspects(&self) -> impl Iterator<Item = &Row> {
        let unrouted = self.suspects.iter().filter(|task| task.id.is_none());
        unrouted.map(|task| &task.row)
    }

    /// The process ends in order: nothing of what is under way has killed it.
    pub(super) fn acquit(&mut self) {
        self.attempting.clear();
    }

    /// What was shown is all that so many transactions on disk have changed.
    pub(super) fn written(&mut self, transactions: u64) {
        self.attempting.flush(transactions);
    }

    /// Units of work that became takeable since the last call: so many workers have to be woken.
    pub(super) fn fresh(&mut self) -> usize {
        std::mem::take(&mut self.fresh)
    }

    /// Nothing is under way and nothing waits, here or on disk, but for its time.
    pub(super) fn is_at_rest(&self) -> bool {
        self.leased.is_empty()
            && self.suspects.is_empty()
            && self.waiting.is_empty()
            && self.backlog.iter().all(Backlog::is_empty)
    }

    /// When the longest waiting event was accepted.
    pub(super) fn oldest(&self) -> Option<DateTime<Utc>> {
        let place = self.droppable.oldest()?;
        Some(self.waiting.get(&place)?.row.accepted_at)
    }
}

/// Where the oldest event of a class is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oldest {
    /// The oldest in the window.
    pub(super) here: Option<Key>,
    /// Of what is on disk only, none comes before.
    pub(super) behind: Option<Key>,
}

fn place_of(key: Key) -> Place {
    place_in_line(key.place())
}

/// A place in the order of arrival. Places before the first of them are for what was under way when
/// the last process ended, by the number of the task.
pub(super) fn place_in_line(place: i64) -> Place {
    const FIRST: Place = 1 << 63;
    FIRST + u64::try_from(place).unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests;
