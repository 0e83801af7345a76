//! The one thread that writes: gathers what was asked for, writes it in one transaction, and only
//! when that is on disk answers and shows the result to the workers.
//!
//! While the storage fails, it refuses events, keeps what has to be settled, and tries again to
//! write that, from the beginning, until it can.

mod group;
mod outcome;
mod push;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::attempting::Mark;
use super::checkpoint::Checkpointer;
use super::clock;
use super::log::Room;
use super::mailbox::{Mail, Push, Request};
use super::ready::Task;
use super::store::{READ_BYTES, SettledRows, Settling, Store, Trouble};
use crate::queue::Unavailable;
use group::{Answer, Group, News};

/// Requests written in one transaction.
const MAX_GROUP: usize = 2_048;

/// How long the storage is left alone after a failure.
const PAUSE: Duration = Duration::from_millis(200);

/// From so many changes in a transaction on, the next one waits for more of them, as long as this
/// one took: many small ones cost more than a few large ones.
const CROWD: usize = 8;

/// One that took so long has let enough arrive.
const GATHERING: Duration = Duration::from_micros(500);

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
    room: Room,
    /// Bytes in the log since it was last copied, by a rough estimate.
    logged: u64,
    /// How long the next transaction waits for more requests.
    gathering: Option<Duration>,
}

impl Writer {
    pub(super) fn new(store: Store, shared: Arc<Shared>, checkpointer: Checkpointer) -> Self {
        Self {
            room: Room::in_log_of(&shared.config.sqlite.path),
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
            self.trial_until = Some(now + clock::micros(TRIAL));
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
            self.tend_log();
        }
        self.shared.ready.lock().acquit();
        self.checkpointer.stop();
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
        let trial = self.trial_until.filter(|_| self.pause.is_none());
        let nearest = [self.pause, due, impatient, trial];
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
                    Err(Trouble::Row(damage)) => {
                        group.unfit = Some((settle, damage.clone()));
                        return Err(damage.into());
                    }
                    Err(trouble) => {
                        let rows = SettledRows::default();
                        group.news.push(News::Settled(settle, rows));
                        return Err(trouble);
                    }
                }
            }
            Request::PutAside { held, damage } => {
                let put_aside = self.store.put_aside(&held.task, &damage, now);
                group.news.push(News::PutAside(held, damage));
                put_aside?;
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

    /// Keeps room in the log, and has it copied when much was added to it.
    fn tend_log(&mut self) {
        self.room.keep();
        if self.logged >= self.shared.config.sqlite.log_size.bytes() {
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

impl Drop for Writer {
    /// Also when it panics: nobody may wait for an answer that does not come, and nothing is given out
    /// that could not be settled.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.ready.lock().paused = true;
            *self.shared.trouble.lock() = Some(Unavailable {
                reason: "the queue's writer has panicked; start the hub again".to_owned(),
            });
        }
        self.shared.mailbox.abandon();
    }
}
