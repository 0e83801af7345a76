//! Reading work from disk: the window's next events, tasks whose time has come, and at the start
//! what was under way. What cannot be read goes to the quarantine; it is never deleted.

use std::ops::Range;
use std::sync::Arc;

use nexus_plugin_api::Event;
use rusqlite::{OptionalExtension, Row as SqlRow, params};

use super::{Store, Trouble};
use crate::queue::sqlite::attempting::Mark;
use crate::queue::sqlite::ready::{Row, Task, Wanted, place_in_line};
use crate::queue::sqlite::rows::{Damage, Key, Stored, TaskId, WorkColumns};
use crate::queue::sqlite::totals::Progress;
use crate::queue::sqlite::{quarantine, sum};
use crate::queue::work::size;

/// Columns of an event, as [`Found::read`] takes them.
const EVENT: &str = "key, id, source, lane, accepted_at, head, payload, sum";

/// Columns of a task, as [`FoundTask::read`] takes them.
const TASK: &str = "id, event, due, attempt, work, errors, sum";

/// Tasks taken up at once.
const MANY: u32 = 1_000;

/// Bytes of payload read at once; one event may have more.
pub(in crate::queue::sqlite) const READ_BYTES: u64 = 4 * 1024 * 1024;

/// Says of an event that nobody has worked on it.
const UNROUTED: &str = "NOT EXISTS (SELECT 1 FROM progress p WHERE p.key = event.key)";

/// An event as it was found on disk.
struct Found {
    key: Key,
    /// Bytes of its payload.
    bytes: u64,
    stored: Result<Stored, Damage>,
}

impl Found {
    fn read(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: Key(row.get(0)?),
            bytes: sum::len(row, 6)?,
            stored: sum::read(row, |row| Stored::read(row, 1))?,
        })
    }

    fn check(self) -> Result<Row, Damage> {
        let stored = self.stored?;
        let accepted_at = stored.accepted_at();
        let head = Arc::from(stored.head());
        let event: Arc<Event> = stored.into_event()?;
        Ok(Row {
            key: self.key,
            head,
            event,
            accepted_at,
        })
    }
}

/// What was read for the window.
#[derive(Debug)]
pub(in crate::queue::sqlite) struct Read {
    pub(in crate::queue::sqlite) rows: Vec<Row>,
    /// How far was looked.
    pub(in crate::queue::sqlite) last: Key,
    /// Whether there is nothing more of the class.
    pub(in crate::queue::sqlite) is_end: bool,
}

impl Read {
    /// Bytes of payload.
    pub(in crate::queue::sqlite) fn bytes(&self) -> u64 {
        self.rows.iter().map(|row| size(&row.event)).sum()
    }
}

impl Store {
    /// Reads events that wait for their first routing.
    pub(in crate::queue::sqlite) fn read(
        &mut self,
        wanted: &Wanted,
        now: i64,
    ) -> Result<Read, Trouble> {
        let ((found, is_all), limit, upto) = match wanted {
            Wanted::Next {
                class,
                after,
                limit,
            } => {
                let end = Key::end_of(*class);
                let sql = format!(
                    "SELECT {EVENT} FROM event WHERE key > ? AND key < ? AND {UNROUTED}
                     ORDER BY key LIMIT ?"
                );
                (
                    self.events(&sql, params![after.0, end.0, limit])?,
                    *limit,
                    end,
                )
            }
            Wanted::Aside {
                lane,
                first,
                last,
                limit,
                ..
            } => {
                let sql = format!(
                    "SELECT {EVENT} FROM event WHERE key BETWEEN ? AND ?
                     AND coalesce(lane, source) = ? AND {UNROUTED} ORDER BY key LIMIT ?"
                );
                let bounds = params![first.0, last.0, &**lane, limit];
                (self.events(&sql, bounds)?, *limit, *last)
            }
        };
        let is_end = is_all && u32::try_from(found.len()).is_ok_and(|found| found < limit);
        let last = match found.last() {
            Some(last) if !is_end => last.key,
            _ => upto,
        };
        let mut rows = Vec::with_capacity(found.len());
        for one in found {
            let (key, bytes) = (one.key, one.bytes);
            match one.check() {
                Ok(row) => rows.push(row),
                Err(damage) => self.quarantine_event(key, bytes, true, &damage, now)?,
            }
        }
        Ok(Read { rows, last, is_end })
    }

    /// Events as they are found, and whether these are all that were asked for.
    fn events(
        &self,
        sql: &str,
        bounds: &[&dyn rusqlite::ToSql],
    ) -> Result<(Vec<Found>, bool), Trouble> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for row in statement.query_map(bounds, Found::read)? {
            let one = row?;
            bytes += one.bytes;
            found.push(one);
            if bytes >= READ_BYTES {
                return Ok((found, false));
            }
        }
        Ok((found, true))
    }

    /// The first event in a range of keys that waits for its first routing, but for these.
    pub(in crate::queue::sqlite) fn oldest_unrouted(
        &mut self,
        range: Range<Key>,
        except: &[Key],
        now: i64,
    ) -> Result<Option<Row>, Trouble> {
        let sql =
            format!("SELECT key FROM event WHERE key >= ? AND key < ? AND {UNROUTED} ORDER BY key");
        let mut from = range.start;
        loop {
            let key = {
                let mut statement = self.connection.prepare_cached(&sql)?;
                let keys = statement.query_map([from.0, range.end.0], |row| row.get(0).map(Key))?;
                let mut keys =
                    keys.filter(|key| !key.as_ref().is_ok_and(|key| except.contains(key)));
                match keys.next() {
                    Some(key) => key?,
                    None => return Ok(None),
                }
            };
            let sql = format!("SELECT {EVENT} FROM event WHERE key = ?");
            for one in self.events(&sql, params![key.0])?.0 {
                let bytes = one.bytes;
                match one.check() {
                    Ok(row) => return Ok(Some(row)),
                    Err(damage) => self.quarantine_event(key, bytes, true, &damage, now)?,
                }
            }
            from = Key(key.0 + 1);
        }
    }

    /// Takes up the tasks whose time has come, at the end of the order.
    pub(in crate::queue::sqlite) fn take_due(&mut self, now: i64) -> Result<Vec<Task>, Trouble> {
        let condition = "WHERE due <= ? ORDER BY due, id LIMIT ?";
        let found = self.tasks(condition, params![now, MANY])?;
        let mut tasks = Vec::with_capacity(found.len());
        for one in found {
            if let Ok((attempt, columns)) = &one.work {
                self.save_task(one.id, one.event, None, *attempt, columns)?;
            }
            self.totals.delayed = self.totals.delayed.saturating_sub(1);
            if let Ok(Some(before)) = self.progress(one.event) {
                let after = Progress {
                    delayed: before.delayed.saturating_sub(1),
                    ..before
                };
                self.count_parked(&before, &after);
                self.save_progress(one.event, &after)?;
            }
            tasks.extend(self.take_up(one, now)?);
        }
        Ok(tasks)
    }

    /// Takes up what was at hand when the last process ended. Called once, at the start.
    pub(in crate::queue::sqlite) fn take_interrupted(
        &mut self,
        now: i64,
    ) -> Result<Vec<Task>, Trouble> {
        let condition = "WHERE due IS NULL ORDER BY id";
        let mut tasks = Vec::new();
        for one in self.tasks(condition, params![])? {
            tasks.extend(self.take_up(one, now)?);
        }
        Ok(tasks)
    }

    /// The work that a mark names, if it is still to be done.
    pub(super) fn find_work(&mut self, mark: Mark, now: i64) -> Result<Option<Task>, Trouble> {
        let Some(id) = mark.task else {
            let after = Key(mark.event.0 - 1);
            let wanted = Wanted::Next {
                class: mark.event.class(),
                after,
                limit: 1,
            };
            let found = self.read(&wanted, now)?.rows.into_iter().next();
            return Ok(found.filter(|row| row.key == mark.event).map(Task::route));
        };
        let condition = "WHERE id = ? AND event = ? AND due IS NULL";
        match self.tasks(condition, params![id.0, mark.event.0])?.pop() {
            Some(found) => self.take_up(found, now),
            None => Ok(None),
        }
    }

    /// When the next task is due; `None` when none waits.
    pub(in crate::queue::sqlite) fn next_due(&self) -> Result<Option<i64>, Trouble> {
        Ok(self
            .connection
            .prepare_cached("SELECT min(due) FROM task")?
            .query_row([], |row| row.get(0))?)
    }

    fn tasks(
        &self,
        condition: &str,
        bounds: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<FoundTask>, Trouble> {
        let sql = format!("SELECT {TASK} FROM task {condition}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(bounds, FoundTask::read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A task with its event, at the end of the order; `None` when either cannot be read.
    fn take_up(&mut self, found: FoundTask, now: i64) -> Result<Option<Task>, Trouble> {
        let event = self
            .connection
            .prepare_cached(&format!("SELECT {EVENT} FROM event WHERE key = ?"))?
            .query_row([found.event.0], Found::read)
            .optional()?;
        let bytes = event.as_ref().map_or(0, |event| event.bytes);
        let missing = || Damage("its event is missing".to_owned());
        let row = event.ok_or_else(missing).and_then(Found::check);
        let decoded = row.and_then(|row| {
            let (attempt, columns) = found.work?;
            Ok((row, attempt, columns.decode()?))
        });
        let (row, attempt, (work, errors)) = match decoded {
            Ok(decoded) => decoded,
            Err(damage) => {
                // Also when what it says of its event is not true.
                let task = ("task", "id");
                quarantine::set_aside(&self.connection, task, found.id.0, &damage.0, now)?;
                self.quarantine_event(found.event, bytes, false, &damage, now)?;
                return Ok(None);
            }
        };
        self.totals.place += 1;
        Ok(Some(Task {
            row,
            id: Some(found.id),
            work,
            attempt,
            errors,
            place: place_in_line(self.totals.place),
        }))
    }

    /// Puts an event aside that cannot be read, or whose work cannot be written down, with all that
    /// belongs to it.
    fn quarantine_event(
        &mut self,
        key: Key,
        bytes: u64,
        is_unrouted: bool,
        damage: &Damage,
        now: i64,
    ) -> Result<(), Trouble> {
        tracing::error!(
            row = key.0,
            reason = %damage,
            "an event in the queue is damaged and goes to the quarantine; see `nexus queue fsck`"
        );
        let progress = self.progress(key).ok().flatten().unwrap_or(Progress::NEW);
        let put_aside =
            |origin| quarantine::set_aside(&self.connection, origin, key.0, &damage.0, now);
        for origin in [("task", "event"), ("journal", "event"), ("progress", "key")] {
            put_aside(origin)?;
        }
        if put_aside(("event", "key"))? == 0 {
            return Ok(());
        }
        self.totals.parked -= u64::from(progress.is_parked()).min(self.totals.parked);
        self.totals.delayed = self.totals.delayed.saturating_sub(progress.delayed);
        if is_unrouted {
            self.totals.unrouted[key.class()].take(bytes);
        }
        self.totals.depth = self.totals.depth.saturating_sub(1);
        self.totals.bytes = self.totals.bytes.saturating_sub(bytes);
        Ok(())
    }

    /// Puts the event of a delivery aside whose end cannot be written down.
    pub(in crate::queue::sqlite) fn put_aside(
        &mut self,
        task: &Task,
        damage: &Damage,
        now: i64,
    ) -> Result<(), Trouble> {
        let bytes = size(&task.row.event);
        self.quarantine_event(task.row.key, bytes, task.id.is_none(), damage, now)
    }
}

/// A task as it was found on disk.
struct FoundTask {
    id: TaskId,
    event: Key,
    /// Which attempt is the next, and at what.
    work: Result<(u32, WorkColumns), Damage>,
}

impl FoundTask {
    fn read(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: TaskId(row.get(0)?),
            event: Key(row.get_ref(1)?.as_i64().unwrap_or_default()),
            work: sum::read(row, |row| Ok((row.get(3)?, WorkColumns::read(row, 4)?)))?,
        })
    }
}
