//! The one thread that writes: gathers what was asked for, writes it in one transaction, and only
//! when that is on disk answers and shows the result to the workers.
//!
//! While the storage fails, it refuses events, keeps what has to be settled, and tries again to
//! write that, from the beginning, until it can.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::attempting::Mark;
use super::checkpoint::{self, Checkpointer};
use super::clock;
use super::mailbox::{Mail, Push, Request, Settle};
use super::ready::{Ready, Row, Task, Wanted};
use super::rows::Key;
use super::store::{READ_BYTES, Read, SettledRows, Settling, Store, Trouble, size};
use super::totals::Sum;
use crate::admission::Admitted;
use crate::queue::config::WhenFull;
use crate::queue::{PushError, Pushed, Settled, Unavailable};
use nexus_plugin_api::Priority;
use uuid::Uuid;

/// Requests written in one transaction.
const MAX_GROUP: usize = 2_048;

/// How long the storage is left alone after a failure.
const PAUSE: Duration = Duration::from_millis(200);

/// From so many changes in a transaction on, the next one waits for more of them, as long as this
/// one took: many small ones cost more than a few large ones.
const CROWD: usize = 8;

/// One that took so long has let enough arrive.
const GATHERING: Duration = Duration::from_micros(500);

/// What a transaction adds to the log, by a rough estimate: so many bytes, and so many more for each
/// change in it beside its payload.
const LOGGED: (u64, u64) = (16 * 1024, 1024);

/// Journeys and marks forgotten at once: while there is much to do, beside those added meanwhile, and
/// when there is nothing.
const FORGOTTEN: (u32, u32) = (256, 1_000);

/// How long suspects may hold up everything else.
const TRIAL: Duration = Duration::from_secs(10);

/// After so long without requests there is time for upkeep.
const QUIET: Duration = Duration::from_millis(100);

/// The writer and what it has not finished.
pub(super) struct Writer {
    store: Store,
    shared: Arc<Shared>,
    /// What was asked for and is not written yet, in order.
    todo: VecDeque<Request>,
    /// Producers in the order they came: those that wait for room, and new ones.
    line: VecDeque<Push>,
    /// Whether the first of them goes on at once.
    resumes: bool,
    /// Until when the storage is left alone.
    pause: Option<i64>,
    /// When the next delayed task is due.
    next_due: Option<i64>,
    /// Whether there may be something to tidy up.
    untidy: bool,
    /// Until when suspects are tried one at a time.
    trial_until: Option<i64>,
    checkpointer: Checkpointer,
    /// Bytes in the log since it was last copied, by a rough estimate.
    logged: u64,
    /// How long the next transaction waits for more requests.
    gathering: Option<Duration>,
}

/// What a transaction changed of the work at hand, in order; shown once it is on disk.
enum News {
    Accepted(Row),
    Read(Wanted, Read),
    Due(Task),
    Replayed(Task),
    Settled(Settle, SettledRows),
}

/// A transaction under way.
#[derive(Default)]
struct Group {
    news: Vec<News>,
    /// Pushes, and what becomes of each once it is on disk.
    pushed: Vec<(Push, Then)>,
    /// Set when what follows has to see this on disk first.
    is_full: bool,
    /// A settlement that does not fit what is stored.
    unfit: Option<Settle>,
    /// Events that gave way, to be put back if it comes to nothing.
    victims: Vec<Row>,
    /// Events on disk only that gave way.
    gone: Vec<Row>,
    /// Other requests, with their answers.
    answers: Vec<Answer>,
}

impl Group {
    /// Changes in it.
    fn size(&self) -> usize {
        self.news.len() + self.answers.len()
    }

    /// The first event of a class that it accepts.
    fn first_accepted(&self, class: usize) -> Option<Key> {
        let keys = self.news.iter().flat_map(|news| match news {
            News::Accepted(row) => vec![row.key],
            News::Settled(_, rows) => rows.accepted.iter().map(|(_, row)| row.key).collect(),
            _ => Vec::new(),
        });
        keys.filter(|key| key.class() == class).min()
    }

    /// Events that are being routed and not settled by it, by class.
    fn routing(&self, ready: &Ready) -> [Sum; 4] {
        let settled = self.news.iter().filter_map(|news| match news {
            News::Settled(settle, _) => Some(settle.held.task.row.key),
            _ => None,
        });
        let settled: HashSet<Key> = settled.collect();
        let mut routing = [Sum::default(); 4];
        for row in ready.routing().filter(|row| !settled.contains(&row.key)) {
            routing[row.key.class()].add(size(&row.event));
        }
        routing
    }

    /// An event on disk only gives way.
    fn give_way(&mut self, row: &Row) {
        for news in &mut self.news {
            if let News::Read(_, read) = news {
                read.rows.retain(|one| one.key != row.key);
            }
        }
        self.gone.push(row.clone());
    }

    /// Bytes it adds to the log, by a rough estimate.
    fn logged(&self) -> u64 {
        if self.size() == 0 {
            return 0;
        }
        let (base, each) = LOGGED;
        let payloads = self.news.iter().map(|news| match news {
            News::Accepted(row) => size(&row.event),
            _ => 0,
        });
        let changes = u64::try_from(self.size()).unwrap_or(u64::MAX);
        base + each * changes + payloads.sum::<u64>()
    }
}

/// What becomes of a push.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Answered,
    /// It waits for room.
    InLine,
    /// Its next event is put in with the next transaction.
    Resumed,
}

/// What became of one event of a push.
enum Put {
    Answer(Result<Pushed, PushError>),
    /// The events that would have to give way are part of this very transaction.
    NotYet,
}

/// An event that may give way.
enum Found {
    /// In the window.
    Here(Key),
    OnDisk(Row),
    /// Part of this very transaction: not at hand yet, so it cannot give way.
    Fresh,
    Nothing,
}

impl Found {
    fn place(&self) -> i64 {
        match self {
            Self::Here(key) => key.place(),
            Self::OnDisk(row) => row.key.place(),
            Self::Fresh | Self::Nothing => i64::MAX,
        }
    }
}

/// Whether there is room now.
enum Room {
    /// This event gave way.
    Made(Uuid),
    NotYet,
    None,
}

enum Answer {
    Written(tokio::sync::oneshot::Sender<Result<(), Unavailable>>),
    Letters(
        tokio::sync::oneshot::Sender<Result<Vec<Uuid>, Unavailable>>,
        Vec<Uuid>,
    ),
}

impl Writer {
    pub(super) fn new(store: Store, shared: Arc<Shared>, checkpointer: Checkpointer) -> Self {
        Self {
            store,
            shared,
            todo: VecDeque::new(),
            line: VecDeque::new(),
            resumes: false,
            pause: None,
            next_due: None,
            untidy: true,
            trial_until: None,
            checkpointer,
            logged: 0,
            gathering: None,
        }
    }

    /// Takes up what was at hand when the last process ended.
    pub(super) fn recover(&mut self, suspects: Vec<Task>) -> Result<(), Trouble> {
        let now = self.now();
        self.store.begin()?;
        let interrupted = self.store.take_interrupted(now)?;
        self.store.commit()?;
        self.next_due = self.store.next_due()?;
        let tried: HashSet<Mark> = suspects.iter().map(Task::mark).collect();
        if !tried.is_empty() {
            tracing::warn!(
                count = tried.len(),
                "the hub died while these were under way; they are done one at a time now"
            );
            self.trial_until = Some(now + i64::try_from(TRIAL.as_micros()).unwrap_or(i64::MAX));
        }
        let mut ready = self.shared.ready.lock();
        ready.begin_trial(suspects);
        let others = interrupted.into_iter();
        let others = others.filter(|task| !tried.contains(&task.mark()));
        others.for_each(|task| ready.interrupted(task));
        drop(ready);
        self.publish(Vec::new(), &[]);
        Ok(())
    }

    /// Works until the mailbox is closed and empty, or the storage fails after that.
    pub(super) fn run(mut self) {
        loop {
            let patience = self.patience();
            let Mail {
                mut requests,
                closed,
            } = self.shared.mailbox.take(patience);
            let is_quiet = requests.is_empty();
            if let Some(gathering) = self.gathering.take().filter(|_| !is_quiet) {
                std::thread::sleep(gathering);
                let more = self.shared.mailbox.take(Some(Duration::ZERO));
                requests.extend(more.requests);
            }
            self.todo.extend(requests);
            if self.pause.is_some_and(|until| until > self.now()) && !closed {
                self.refuse_pushes();
                continue;
            }
            if self.pause.is_some()
                && let Err(error) = self.store.copy_log()
            {
                // On a full disk the log, once copied, is where there is room.
                tracing::debug!(%error, "failed to copy the queue's log");
            }
            let written = self.write_group();
            if closed && (self.todo.is_empty() && self.line.is_empty() || written.is_err()) {
                break;
            }
            if is_quiet && written.is_ok() {
                self.tidy();
            }
            self.keep_log_short();
        }
        self.shared.ready.lock().acquit();
        drop(self.checkpointer);
        // What is under way now did not kill the process.
        self.shared.ready.lock().forget_marks();
        if let Err(error) = self.store.empty_log() {
            tracing::warn!(%error, "failed to tidy the queue's file up at its end");
        }
    }

    fn now(&self) -> i64 {
        self.shared.clock.micros()
    }

    /// How long to wait for requests.
    fn patience(&self) -> Option<Duration> {
        if (self.resumes || !self.todo.is_empty()) && self.pause.is_none() {
            return Some(Duration::ZERO);
        }
        let impatient = self.line.iter().filter_map(|push| push.patience).min();
        let due = self.next_due.filter(|_| self.pause.is_none());
        let nearest = [self.pause, due, impatient, self.trial_until];
        let nearest = nearest.into_iter().flatten().min();
        let left = nearest.and_then(|at| self.shared.clock.until(at));
        let quiet = self.untidy.then_some(QUIET);
        left.into_iter().chain(quiet).min()
    }

    /// Writes what there is to write, as one.
    fn write_group(&mut self) -> Result<(), Trouble> {
        let now = self.now();
        let mut group = Group::default();
        let begun = Instant::now();
        self.resumes = false;
        let written = self
            .fill(&mut group, now)
            .and_then(|()| self.store.commit());
        let took = begun.elapsed();
        // A slow disk gathers them by itself.
        self.gathering = (group.size() >= CROWD && took < GATHERING).then_some(took);
        match written {
            Ok(()) => self.committed(group),
            Err(trouble) => {
                self.store.roll_back();
                self.failed(group, &trouble);
                return Err(trouble);
            }
        }
        Ok(())
    }

    /// Puts everything into a transaction. What was asked for moves into the group, so that a
    /// failure can put it back.
    fn fill(&mut self, group: &mut Group, now: i64) -> Result<(), Trouble> {
        self.store.begin()?;
        if self.pause.is_some() {
            // A transaction that writes nothing would prove nothing.
            self.store.touch()?;
        }
        let wanted = self.shared.ready.lock().wanted();
        let mut bytes = 0;
        for wanted in wanted {
            let read = self.store.read(&wanted, now)?;
            bytes += read.bytes();
            group.news.push(News::Read(wanted, read));
            if bytes >= READ_BYTES {
                break;
            }
        }
        if self.next_due.is_some_and(|due| due <= now) {
            let due = self.store.take_due(now)?;
            group.news.extend(due.into_iter().map(News::Due));
        }
        // What ends makes room, so it goes first.
        for _ in 0..MAX_GROUP {
            match self.todo.pop_front() {
                Some(Request::Push(push)) => self.line.push_back(push),
                Some(request) => self.write(group, request, now)?,
                None => break,
            }
        }
        for _ in 0..self.line.len() {
            if group.is_full {
                break;
            }
            let Some(push) = self.line.pop_front() else {
                break;
            };
            self.push(group, push, now)?;
        }
        if self.store.is_overdue() {
            // More than it has added.
            let added = u32::try_from(group.size()).unwrap_or(u32::MAX);
            let many = FORGOTTEN.0.saturating_add(added.saturating_mul(2));
            self.store.forget_old(now, many)?;
        }
        Ok(())
    }

    fn write(&mut self, group: &mut Group, request: Request, now: i64) -> Result<(), Trouble> {
        match request {
            Request::Push(push) => self.line.push_back(push),
            Request::Settle(settle) => {
                let settling = Settling {
                    held: &settle.held,
                    with: &settle.with,
                    now,
                };
                match self.store.settle(&settling) {
                    Ok(rows) => group.news.push(News::Settled(settle, rows)),
                    Err(trouble @ Trouble::Row(_)) => {
                        group.unfit = Some(settle);
                        return Err(trouble);
                    }
                    Err(trouble) => {
                        let rows = SettledRows::default();
                        group.news.push(News::Settled(settle, rows));
                        return Err(trouble);
                    }
                }
            }
            Request::Write {
                plugin,
                write,
                reply,
            } => {
                group.answers.push(Answer::Written(reply));
                self.store.write_state(&plugin, &write)?;
            }
            Request::Replay { letters, reply } => {
                group.answers.push(Answer::Letters(reply, Vec::new()));
                let replayed = self.store.replay(&letters, now)?;
                if let Some(Answer::Letters(_, answer)) = group.answers.last_mut() {
                    *answer = replayed.letters;
                }
                group
                    .news
                    .extend(replayed.tasks.into_iter().map(News::Replayed));
            }
            Request::Purge { letters, reply } => {
                group.answers.push(Answer::Letters(reply, Vec::new()));
                let purged = self.store.purge(&letters)?;
                if let Some(Answer::Letters(_, answer)) = group.answers.last_mut() {
                    *answer = purged;
                }
            }
        }
        Ok(())
    }

    /// Puts events in as far as there is room; who may wait for more stays in line.
    fn push(&mut self, group: &mut Group, mut push: Push, now: i64) -> Result<(), Trouble> {
        let others_wait = group.pushed.iter().any(|(_, then)| *then == Then::InLine);
        let may_wait = push.patience.is_some_and(|until| until > now);
        let mut then = Then::Answered;
        while let Some(event) = push.events.get(push.report.answers.len()) {
            if self.shared.intake_is_closed() {
                push.report.answers.push(Err(PushError::Closed));
                continue;
            }
            if others_wait && may_wait {
                then = Then::InLine;
                break;
            }
            let event = event.clone();
            match self.put(group, &event, now, &mut push.report.given_way) {
                Ok(Put::Answer(Err(PushError::Full { .. }))) if may_wait => {
                    then = Then::InLine;
                    break;
                }
                Ok(Put::Answer(answer)) => push.report.answers.push(answer),
                Ok(Put::NotYet) => {
                    group.is_full = true;
                    then = Then::Resumed;
                    break;
                }
                Err(trouble) => {
                    group.pushed.push((push, then));
                    return Err(trouble);
                }
            }
        }
        group.pushed.push((push, then));
        Ok(())
    }

    fn put(
        &mut self,
        group: &mut Group,
        event: &Admitted,
        now: i64,
        given_way: &mut Vec<Uuid>,
    ) -> Result<Put, Trouble> {
        if let Some(at) = self.store.first_accepted(event.event(), now)? {
            let first_accepted_at = clock::at(at);
            return Ok(Put::Answer(Ok(Pushed::Duplicate { first_accepted_at })));
        }
        while !self.store.has_room(event.event(), (0, 0)) {
            match self.make_room(group, event, now)? {
                Room::Made(event_id) => given_way.push(event_id),
                Room::NotYet => return Ok(Put::NotYet),
                Room::None => {
                    let capacity = self.shared.config.capacity;
                    return Ok(Put::Answer(Err(PushError::Full { capacity })));
                }
            }
        }
        let row = self.store.accept(event, now)?;
        group.news.push(News::Accepted(row));
        Ok(Put::Answer(Ok(Pushed::Accepted)))
    }

    /// Lets one event give way, if that helps in the end.
    fn make_room(
        &mut self,
        group: &mut Group,
        event: &Admitted,
        now: i64,
    ) -> Result<Room, Trouble> {
        let event = event.event();
        let (lowest_first, most) = match self.shared.config.when_full {
            WhenFull::Reject | WhenFull::Wait => return Ok(Room::None),
            WhenFull::DropOldest => (false, Priority::Critical),
            WhenFull::DropLowest => (true, event.priority),
        };
        let droppable = self
            .store
            .droppable(most, group.routing(&self.shared.ready.lock()));
        if !self.store.has_room(event, droppable) {
            return Ok(Room::None);
        }
        loop {
            let row = match self.find_victim(group, lowest_first, most, now)? {
                Found::Here(key) => {
                    let Some(row) = self.shared.ready.lock().give_way(key) else {
                        // A worker was faster.
                        continue;
                    };
                    group.victims.push(row.clone());
                    row
                }
                Found::OnDisk(row) => {
                    group.give_way(&row);
                    row
                }
                Found::Fresh => return Ok(Room::NotYet),
                Found::Nothing => return Ok(Room::None),
            };
            self.store.give_way(&row, now)?;
            return Ok(Room::Made(row.event.event_id));
        }
    }

    /// The oldest event that waits for its first routing, or the oldest of the lowest class; none
    /// above `most`.
    fn find_victim(
        &mut self,
        group: &Group,
        lowest_first: bool,
        most: Priority,
        now: i64,
    ) -> Result<Found, Trouble> {
        let (oldest, busy) = {
            let ready = self.shared.ready.lock();
            let oldest = std::array::from_fn::<_, 4, _>(|class| ready.oldest_of(class));
            let busy = ready.routing().chain(ready.suspects()).map(|row| row.key);
            (oldest, busy.collect::<Vec<_>>())
        };
        let mut victim = Found::Nothing;
        for (class, oldest) in oldest.iter().enumerate().take(most as usize + 1) {
            let fresh = group.first_accepted(class);
            let end = fresh.unwrap_or(Key::end_of(class));
            let before = oldest.here.map_or(end, |here| here.min(end));
            let behind = match oldest.behind {
                Some(from) => self.store.oldest_unrouted(from..before, &busy, now)?,
                None => None,
            };
            let found = match (behind, oldest.here, fresh) {
                (Some(row), ..) => Found::OnDisk(row),
                (_, Some(key), _) => Found::Here(key),
                (.., Some(_)) => Found::Fresh,
                _ => continue,
            };
            if lowest_first {
                return Ok(found);
            }
            if found.place() < victim.place() {
                victim = found;
            } else if matches!((&victim, &found), (Found::Nothing, Found::Fresh)) {
                victim = Found::Fresh;
            }
        }
        Ok(victim)
    }

    /// The transaction is on disk: shows it, and answers.
    fn committed(&mut self, group: Group) {
        if self.pause.take().is_some() {
            tracing::info!("the queue's storage works again");
            self.shared.recovered();
        }
        self.untidy |= group.size() > 0;
        self.logged += group.logged();
        self.next_due = match self.store.next_due() {
            Ok(due) => due,
            // Tried again with the next transaction, which comes soon.
            Err(_) => Some(self.now() + 1_000_000),
        };
        self.publish(group.news, &group.gone);
        for (mut push, then) in group.pushed {
            push.keep();
            match then {
                Then::Answered => push.answer(),
                Then::InLine => self.line.push_back(push),
                Then::Resumed => {
                    self.line.push_front(push);
                    self.resumes = true;
                }
            }
        }
        for answer in group.answers {
            match answer {
                Answer::Written(reply) => drop(reply.send(Ok(()))),
                Answer::Letters(reply, letters) => drop(reply.send(Ok(letters))),
            }
        }
    }

    /// Shows what is on disk to the workers.
    fn publish(&mut self, news: Vec<News>, gone: &[Row]) {
        let micros = self.now();
        let now = clock::at(micros);
        let mut answers = Vec::new();
        let mut ready = self.shared.ready.lock();
        if self.trial_until.is_some_and(|until| until <= micros) {
            self.trial_until = None;
            ready.end_trial();
        }
        // Before what was read: they are not among that any more.
        gone.iter().for_each(|row| ready.gone(row));
        for one in news {
            match one {
                News::Accepted(row) => ready.accepted(row),
                News::Read(wanted, read) => show_read(&mut ready, &wanted, read),
                News::Due(task) => ready.due(task),
                News::Replayed(task) => ready.replayed(task),
                News::Settled(settle, rows) => {
                    let accepted = rows.accepted.into_iter().map(|(event, row)| {
                        ready.accepted(row);
                        event
                    });
                    let accepted = accepted.collect();
                    let settled = Settled {
                        leased: ready.settled(settle.lease, rows.at_once, now),
                        accepted,
                        finished: rows.finished,
                    };
                    answers.push((settle.reply, settled));
                }
            }
        }
        let wants_more = !ready.wanted().is_empty();
        self.shared.show(&mut ready, &self.store.totals);
        drop(ready);
        if wants_more {
            self.shared.mailbox.nudge();
        }
        for (reply, settled) in answers {
            // A worker that was cancelled has taken its lease with it; the work comes again.
            let _ = reply.send(settled);
        }
    }

    /// The transaction came to nothing: refuses what is new, keeps what has to be settled.
    fn failed(&mut self, mut group: Group, trouble: &Trouble) {
        let unavailable = Unavailable {
            reason: trouble.to_string(),
        };
        if let Some(settle) = group.unfit.take() {
            // Tried again, it would keep everything else from being written.
            tracing::error!(
                event_id = %settle.held.task.row.event.event_id,
                error = %trouble,
                "what became of an event cannot be written; see `nexus queue fsck`"
            );
            self.shared
                .ready
                .lock()
                .settled(settle.lease, Vec::new(), clock::at(self.now()));
        } else if self.pause.is_none() {
            tracing::error!(
                error = %trouble,
                "the queue's storage fails: no event is taken, nothing is given out, and nothing \
                 is lost, until it works again"
            );
            if trouble.is_damage() {
                tracing::error!(
                    "the queue's file is damaged; stop the hub and see `nexus queue fsck`"
                );
            }
        }
        self.pause = Some(self.now() + i64::try_from(PAUSE.as_micros()).unwrap_or(i64::MAX));
        let mut ready = self.shared.ready.lock();
        ready.paused = true;
        for row in group.victims.into_iter().rev() {
            ready.spared(row);
        }
        drop(ready);
        *self.shared.trouble.lock() = Some(unavailable.clone());
        let settling = group.news.into_iter().rev().filter_map(|news| match news {
            News::Settled(settle, _) => Some(Request::Settle(settle)),
            _ => None,
        });
        settling.for_each(|settle| self.todo.push_front(settle));
        for (push, _) in group.pushed {
            push.refuse(&unavailable);
        }
        for answer in group.answers {
            match answer {
                Answer::Written(reply) => drop(reply.send(Err(unavailable.clone()))),
                Answer::Letters(reply, _) => drop(reply.send(Err(unavailable.clone()))),
            }
        }
        self.refuse_pushes();
    }

    /// While the storage fails, everything but settlements is refused at once.
    fn refuse_pushes(&mut self) {
        let trouble = self.shared.trouble.lock().clone();
        let Some(unavailable) = trouble else {
            return;
        };
        for request in std::mem::take(&mut self.todo) {
            match request {
                Request::Push(push) => push.refuse(&unavailable),
                Request::Settle(_) => self.todo.push_back(request),
                Request::Write { reply, .. } => drop(reply.send(Err(unavailable.clone()))),
                Request::Replay { reply, .. } | Request::Purge { reply, .. } => {
                    drop(reply.send(Err(unavailable.clone())));
                }
            }
        }
        for push in std::mem::take(&mut self.line) {
            push.refuse(&unavailable);
        }
    }

    /// Has the log copied when much was added to it.
    fn keep_log_short(&mut self) {
        if self.logged >= checkpoint::EVERY {
            self.logged = 0;
            self.checkpointer.ask();
        }
        if self.checkpointer.wants_help()
            && let Err(error) = self.store.copy_log()
        {
            tracing::warn!(%error, "failed to copy the queue's log");
        }
    }

    /// Forgets what is past its bounds, and gives space back.
    fn tidy(&mut self) {
        if self.logged >= checkpoint::QUIET {
            self.logged = 0;
            self.checkpointer.ask();
        }
        let now = self.now();
        let tidied = self.store.begin().and_then(|()| {
            let more = self.store.forget_old(now, FORGOTTEN.1)?;
            let more = self.store.give_space_back()? || more;
            self.store.commit()?;
            Ok(more)
        });
        match tidied {
            Ok(more) => self.untidy = more,
            Err(error) => {
                self.store.roll_back();
                self.untidy = false;
                tracing::warn!(%error, "failed to tidy the queue's file up");
            }
        }
    }
}

fn show_read(ready: &mut Ready, wanted: &Wanted, read: Read) {
    match wanted {
        Wanted::Next { class, .. } => {
            ready.read(*class, read.rows);
            if read.is_end {
                ready.read_all(*class);
            }
        }
        Wanted::Aside { class, lane, .. } => ready.read_aside(*class, lane, read.rows, read.last),
    }
}
