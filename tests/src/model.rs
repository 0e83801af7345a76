//! A naive queue, slow and obvious, to hold real ones against.
//!
//! Keeps everything in plain lists and searches them. It does not say which class comes next: it
//! says what each class would give, and for how long each has been passed over.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use nexus_host::queue::config::WhenFull;
use nexus_host::queue::{Config, EventStatus, PushError, QueueStats};
use nexus_plugin_api::Event;

/// The most turns that others may have while a class has work, this one's own included.
pub const LONGEST_WAIT: u32 = 15;

/// What an event's work is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first routing, or the same again.
    Route,
    /// A follow-up, by its number.
    Effect(u32),
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Index of the event in [`Model::events`].
    pub event: usize,
    /// What it is.
    pub kind: Kind,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Whether it keeps the event's lane, or waits for it.
    pub in_lane: bool,
    /// Numbers all work but the first routing of an event, by when it came to be.
    pub id: Option<u64>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Index of the event in [`Model::events`].
    pub event: usize,
    /// What failed.
    pub kind: Kind,
}

/// How a backend sees time and its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Work is ready when somebody asks for it after its time has come; nothing survives.
    Volatile,
    /// Work is ready when [`Model::promote`] is called; [`Model::restart`] keeps what is stored.
    Durable,
}

/// What a settlement does, in the model's terms.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Put back after so long, and whether that is a failure.
    pub again: Option<(Duration, bool)>,
    /// Numbers of effects to do at once.
    pub at_once: Vec<u32>,
    /// Numbers of effects for later, with whether they failed once.
    pub later: Vec<(u32, Duration, bool)>,
    /// How many parts are given up.
    pub dead: usize,
    /// Events that follow.
    pub emitted: Vec<Event>,
}

/// An event and how it stands.
#[derive(Debug)]
pub struct Known {
    /// The event.
    pub event: Event,
    /// Where it stands.
    pub status: EventStatus,
    /// Whether a routing of it was settled.
    routed: bool,
    /// Parts that were given up and not taken up again.
    dead: usize,
}

impl Known {
    /// Where it stands with work that nobody has taken up.
    fn at_hand(&self) -> EventStatus {
        match self.routed {
            true => EventStatus::Processing,
            false => EventStatus::Queued,
        }
    }
}

/// The queue.
#[derive(Debug)]
pub struct Model {
    config: Config,
    lanes: bool,
    durability: Durability,
    now: Duration,
    /// Every event ever accepted.
    pub events: Vec<Known>,
    /// Ready or waiting for its lane, oldest first.
    waiting: Vec<Task>,
    leased: Vec<Task>,
    /// By due time, then by age.
    delayed: Vec<(Duration, Task)>,
    seen: Vec<(Duration, String, uuid::Uuid)>,
    passed_over: [u32; 4],
    /// The dead letters that are kept, oldest first.
    letters: Vec<Letter>,
    /// Work that came to be, but for first routings.
    numbered: u64,
    /// Events accepted and finished since the start, and work that died.
    since_start: (u64, u64, u64),
    intake_closed: bool,
}

impl Model {
    /// An empty one.
    pub fn new(config: Config, lanes: bool, durability: Durability) -> Self {
        Self {
            config,
            lanes,
            durability,
            now: Duration::ZERO,
            events: Vec::new(),
            waiting: Vec::new(),
            leased: Vec::new(),
            delayed: Vec::new(),
            seen: Vec::new(),
            passed_over: [0; 4],
            letters: Vec::new(),
            numbered: 0,
            since_start: (0, 0, 0),
            intake_closed: false,
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Refuses events from now on.
    pub fn close_intake(&mut self) {
        self.intake_closed = true;
    }

    /// What pushing an event must answer: whether it is new. Adds the events that have to give way.
    pub fn push(
        &mut self,
        event: &Event,
        given_way: &mut Vec<uuid::Uuid>,
    ) -> Result<bool, PushError> {
        if self.intake_closed {
            return Err(PushError::Closed);
        }
        if self.is_duplicate(event) {
            return Ok(false);
        }
        // Tries on a list of victims first, as a person would.
        let mut victims = Vec::new();
        while !self.fits(event, &victims) {
            match self.victim(event, &victims) {
                Some(victim) => victims.push(victim),
                None => {
                    return Err(PushError::Full {
                        capacity: self.config.capacity,
                    });
                }
            }
        }
        for victim in victims {
            self.waiting.retain(|task| task.event != victim);
            given_way.push(self.events[victim].event.event_id);
            self.bury(victim, Kind::Route);
            self.close(victim);
        }
        self.accept(event);
        Ok(true)
    }

    fn is_duplicate(&self, event: &Event) -> bool {
        self.seen.iter().any(|(at, source, id)| {
            self.now - *at < self.config.dedup_window.get()
                && *source == event.source
                && *id == event.event_id
        })
    }

    fn fits(&self, event: &Event, without: &[usize]) -> bool {
        let open: Vec<_> = self
            .open()
            .filter(|index| !without.contains(index))
            .collect();
        let parked = open.iter().filter(|index| self.is_parked(**index)).count();
        let bytes: u64 = open
            .iter()
            .map(|index| size(&self.events[*index].event))
            .sum();
        open.len() - parked < self.config.capacity
            && (open.is_empty() || bytes + size(event) <= self.config.max_bytes.bytes())
    }

    fn victim(&self, newcomer: &Event, without: &[usize]) -> Option<usize> {
        let routes = self.unrouted().filter(|index| !without.contains(index));
        match self.config.when_full {
            WhenFull::Reject | WhenFull::Wait => None,
            WhenFull::DropOldest => routes.min(),
            WhenFull::DropLowest => routes
                .filter(|index| self.events[*index].event.priority <= newcomer.priority)
                .min_by_key(|index| (self.events[*index].event.priority, *index)),
        }
    }

    /// Events that wait for their first routing.
    fn unrouted(&self) -> impl Iterator<Item = usize> {
        let first = self.waiting.iter().filter(|task| task.id.is_none());
        first.map(|task| task.event)
    }

    fn accept(&mut self, event: &Event) {
        self.seen
            .push((self.now, event.source.clone(), event.event_id));
        let excess = self.seen.len().saturating_sub(self.config.dedup_capacity);
        self.seen.drain(..excess);
        self.events.push(Known {
            event: event.clone(),
            status: EventStatus::Queued,
            routed: false,
            dead: 0,
        });
        self.since_start.0 += 1;
        self.waiting.push(Task {
            event: self.events.len() - 1,
            kind: Kind::Route,
            attempt: 1,
            in_lane: self.lanes,
            id: None,
        });
    }

    fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    /// What each class would give now, lowest first.
    pub fn eligible(&mut self) -> [Option<Task>; 4] {
        if self.durability == Durability::Volatile {
            self.promote();
        }
        let mut heads = [const { None }; 4];
        for task in &self.waiting {
            let head = &mut heads[self.priority(task)];
            if head.is_none() && !(task.in_lane && self.is_busy(task)) {
                *head = Some(task.clone());
            }
        }
        heads
    }

    /// Takes a task that is eligible.
    ///
    /// # Panics
    /// When it is not, or another class waited too long for it.
    pub fn lease(&mut self, task: &Task) {
        let heads = self.eligible();
        let class = self.priority(task);
        assert_eq!(
            heads[class].as_ref(),
            Some(task),
            "the oldest of its class that may go"
        );
        for (other, head) in heads.iter().enumerate() {
            if head.is_some() {
                self.passed_over[other] += 1;
            }
        }
        self.passed_over[class] = 0;
        let waited = self.passed_over;
        assert!(
            waited.iter().all(|turns| *turns < LONGEST_WAIT),
            "turns of others: {waited:?}"
        );
        let place = self
            .waiting
            .iter()
            .position(|other| other == task)
            .expect("it is eligible");
        let task = self.waiting.remove(place);
        if task.kind == Kind::Route {
            self.events[task.event].status = EventStatus::Processing;
        }
        self.leased.push(task);
    }

    /// Settles a leased task. Answers which are leased now and how the event ended, if it did.
    pub fn settle(&mut self, task: &Task, plan: &Plan) -> (Vec<Task>, Option<EventStatus>) {
        let place = self
            .leased
            .iter()
            .position(|other| other == task)
            .expect("it is leased");
        let task = self.leased.remove(place);
        let event = task.event;
        self.events[event].routed |= task.kind == Kind::Route;
        for emitted in &plan.emitted {
            if !self.is_duplicate(emitted) {
                self.accept(emitted);
            }
        }
        (0..plan.dead).for_each(|_| self.bury(event, Kind::Effect(0)));
        let effect = |number, failed: bool, in_lane| Task {
            event,
            kind: Kind::Effect(number),
            attempt: 1 + u32::from(failed),
            in_lane,
            id: None,
        };
        let mut at_once = Vec::new();
        for number in &plan.at_once {
            let id = Some(self.number());
            at_once.push(Task {
                id,
                ..effect(*number, false, task.in_lane)
            });
        }
        self.leased.extend(at_once.iter().cloned());
        for (number, after, failed) in &plan.later {
            self.delay(effect(*number, *failed, false), *after);
        }
        if let Some((after, failed)) = plan.again {
            let attempt = task.attempt + u32::from(failed);
            self.delay(
                Task {
                    attempt,
                    in_lane: false,
                    ..task
                },
                after,
            );
        }
        (at_once, self.close(event))
    }

    fn delay(&mut self, mut task: Task, after: Duration) {
        if self.delayed.len() >= self.config.max_parked {
            return self.bury(task.event, task.kind);
        }
        task.id = task.id.or_else(|| Some(self.number()));
        self.delayed.push((self.now + after, task));
        let durable = self.durability == Durability::Durable;
        // Of the same time, what was put back first; on disk, what came to be first.
        self.delayed
            .sort_by_key(|(due, task)| (*due, task.id.filter(|_| durable)));
    }

    /// Makes work ready whose time has come.
    pub fn promote(&mut self) {
        let due = self.delayed.partition_point(|(due, _)| *due <= self.now);
        self.waiting
            .extend(self.delayed.drain(..due).map(|(_, task)| task));
    }

    fn bury(&mut self, event: usize, kind: Kind) {
        self.events[event].dead += 1;
        self.since_start.2 += 1;
        self.letters.push(Letter { event, kind });
        while self.letters.len() > 1 && self.has_too_many_letters() {
            self.letters.remove(0);
        }
    }

    fn has_too_many_letters(&self) -> bool {
        let sizes = self.letters.iter();
        let bytes: u64 = sizes
            .map(|letter| size(&self.events[letter.event].event))
            .sum();
        self.letters.len() > self.config.dead_letter_capacity
            || bytes > self.config.max_bytes.bytes()
    }

    /// The dead letters that are kept, oldest first.
    pub fn letters(&self) -> &[Letter] {
        &self.letters
    }

    /// Takes letters up once more, by their places in [`Model::letters`], in ascending order.
    pub fn replay(&mut self, places: &[usize]) {
        for letter in self.purge(places) {
            let known = &mut self.events[letter.event];
            known.dead = known.dead.saturating_sub(1);
            known.status = known.at_hand();
            let id = Some(self.number());
            self.waiting.push(Task {
                event: letter.event,
                kind: letter.kind,
                attempt: 1,
                in_lane: self.lanes && letter.kind == Kind::Route,
                id,
            });
        }
    }

    /// Deletes letters, by their places in [`Model::letters`], in ascending order.
    pub fn purge(&mut self, places: &[usize]) -> Vec<Letter> {
        let removed = places.iter().rev().map(|place| self.letters.remove(*place));
        let mut removed: Vec<_> = removed.collect();
        removed.reverse();
        removed
    }

    /// The process ends, and another goes on with what is stored: what was under way comes first,
    /// oldest first; a first attempt in its lane, so that nothing of the lane passes it.
    pub fn restart(&mut self) {
        let lanes = self.lanes;
        let mut interrupted: Vec<_> = self
            .waiting
            .drain(..)
            .chain(self.leased.drain(..))
            .collect();
        interrupted.sort_by_key(|task| (task.id.is_none(), task.id, task.event));
        for task in &mut interrupted {
            task.in_lane = lanes && task.attempt == 1;
            let known = &mut self.events[task.event];
            known.status = known.at_hand();
        }
        self.waiting = interrupted;
        self.passed_over = [0; 4];
        self.since_start = (0, 0, 0);
        self.intake_closed = false;
    }

    /// Ends an event that has no work left.
    fn close(&mut self, event: usize) -> Option<EventStatus> {
        if self.tasks().any(|task| task.event == event) {
            return None;
        }
        self.since_start.1 += 1;
        let known = &mut self.events[event];
        known.status = match known.dead {
            0 => EventStatus::Processed,
            _ => EventStatus::Dead,
        };
        Some(known.status)
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        let delayed = self.delayed.iter().map(|(_, task)| task);
        self.waiting.iter().chain(&self.leased).chain(delayed)
    }

    fn open(&self) -> impl Iterator<Item = usize> {
        let finished = [EventStatus::Processed, EventStatus::Dead];
        (0..self.events.len()).filter(move |index| !finished.contains(&self.events[*index].status))
    }

    fn is_parked(&self, event: usize) -> bool {
        !self
            .waiting
            .iter()
            .chain(&self.leased)
            .any(|task| task.event == event)
    }

    fn is_busy(&self, task: &Task) -> bool {
        let lane = lane(&self.events[task.event].event);
        let mut held = self.held_lanes();
        held.any(|one| one == lane)
    }

    /// The lane of each delivery that keeps one busy.
    fn held_lanes(&self) -> impl Iterator<Item = &str> {
        let held = self.leased.iter().filter(|task| task.in_lane);
        held.map(|task| lane(&self.events[task.event].event))
    }

    fn busy_lanes(&self) -> usize {
        self.held_lanes().collect::<HashSet<_>>().len()
    }

    fn priority(&self, task: &Task) -> usize {
        self.events[task.event].event.priority as usize
    }

    /// What is leased now.
    pub fn leased(&self) -> &[Task] {
        &self.leased
    }

    /// When the next delayed work is due, from now.
    pub fn next_due(&self) -> Option<Duration> {
        self.delayed
            .first()
            .map(|(due, _)| due.saturating_sub(self.now))
    }

    /// Index of an event by source and id, the newest if there are several.
    pub fn index(&self, event: &Event) -> usize {
        let same = |known: &Known| {
            known.event.event_id == event.event_id && known.event.source == event.source
        };
        self.events.iter().rposition(same).expect("it was accepted")
    }

    /// Asserts that a queue's figures are the model's.
    ///
    /// # Panics
    /// When they are not.
    pub fn assert_figures(&self, stats: &QueueStats) {
        let open: Vec<_> = self.open().collect();
        let mut waiting = [0; 4];
        self.unrouted()
            .for_each(|index| waiting[self.events[index].event.priority as usize] += 1);
        let expected = QueueStats {
            depth: open.len(),
            parked: open.iter().filter(|index| self.is_parked(**index)).count(),
            capacity: self.config.capacity,
            bytes: open
                .iter()
                .map(|index| size(&self.events[*index].event))
                .sum(),
            waiting,
            leased: self.leased.len(),
            delayed: self.delayed.len(),
            dead_letters: self.letters.len(),
            accepted: self.since_start.0,
            finished: self.since_start.1,
            deaths: stats.deaths,
            lanes: self.busy_lanes(),
            oldest: stats.oldest,
        };
        assert_eq!(*stats, expected);
        assert_eq!(stats.deaths.total(), self.since_start.2);
        assert_eq!(stats.oldest.is_some(), waiting != [0; 4]);
        // Nothing is lost: what is not finished has work that somebody will do.
        let mut with_work: HashMap<usize, usize> = HashMap::new();
        self.tasks()
            .for_each(|task| *with_work.entry(task.event).or_default() += 1);
        assert!(open.iter().all(|index| with_work.contains_key(index)));
        assert_eq!(with_work.len(), open.len());
    }
}

fn lane(event: &Event) -> &str {
    event.partition_key.as_deref().unwrap_or(&event.source)
}

fn size(event: &Event) -> u64 {
    u64::try_from(event.payload.as_slice().len()).expect("small")
}
