//! The tables, and every change to them: each complete within the writer's transaction.
//!
//! Receives events, settlements and times, hands on what the work at hand has to learn of them once
//! the transaction is on disk. It never waits, and knows no lease.

mod letters;
mod load;
mod settle;
mod suspects;
mod upkeep;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use nexus_plugin_api::{Event, Priority, StateWrite};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::attempting::Mark;
use super::clock;
use super::finished::Finished;
use super::marks::Marks;
use super::ready::Row;
use super::rows::{self, Beside, Damage, Key, TaskId, WorkColumns};
use super::schema::{self, OpenError};
use super::sum;
use super::totals::{Progress, Sum, Totals};
use crate::admission::Admitted;
use crate::queue::config::Config;
use crate::queue::work::size;
use crate::queue::{Failure, JournalLine, Work};

pub(super) use letters::{FoundLetter, LETTER};
pub(super) use load::{READ_BYTES, Read};
pub(super) use settle::{PARTS, SettledRows, Settling, join, part};

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// What was to be stored cannot be, or what was stored cannot be read.
    #[error("a row does not hold what it should: {0}")]
    Row(#[from] Damage),
}

impl Trouble {
    /// Whether SQLite found its own file inconsistent.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite(error) => schema::is_damage(error),
            Self::Row(_) => true,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    config: Config,
    pub(super) totals: Totals,
    /// As they are on disk.
    saved: Totals,
    /// Rows that SQLite had changed by the last commit.
    changes: u64,
    marks: Marks,
    finished: Arc<Finished>,
    /// Work that was under way when a process died; some of it may have ended since.
    suspects: HashSet<Mark>,
}

impl Store {
    /// Opens the file for writing; the lock must be held.
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self, OpenError> {
        let connection = schema::open(path)?;
        let failed = |source| schema::failure(path, source);
        let damaged = |damage: Damage| OpenError::Damaged {
            path: path.to_owned(),
            reason: damage.to_string(),
        };
        let totals = Totals::load(&connection).map_err(failed)?;
        let totals = match totals.map_err(damaged)? {
            Some(totals) => totals,
            None if schema::is_unused(&connection).map_err(failed)? => Totals::default(),
            None => return Err(damaged(Damage("its totals are missing".to_owned()))),
        };
        let window = clock::micros(config.dedup_window.get());
        let capacity = i64::try_from(config.dedup_capacity).unwrap_or(i64::MAX);
        let marks = Marks::load(&connection, window, capacity, &totals).map_err(failed)?;
        let finished = Arc::new(Finished::load(&connection).map_err(failed)?);
        Ok(Self {
            connection,
            config: config.clone(),
            totals,
            saved: totals,
            changes: 0,
            marks,
            finished,
            suspects: HashSet::new(),
        })
    }

    /// Where finished events are found.
    pub(super) fn finished(&self) -> Arc<Finished> {
        self.finished.clone()
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<(), Trouble> {
        self.execute("BEGIN IMMEDIATE")
    }

    /// Makes sure that the transaction writes something.
    pub(super) fn touch(&self) -> Result<(), Trouble> {
        self.save_totals()
    }

    fn save_totals(&self) -> Result<(), Trouble> {
        Ok(self.totals.save(&self.connection)?)
    }

    /// Ends the transaction: once this is ready, it is on disk.
    pub(super) fn commit(&mut self) -> Result<(), Trouble> {
        if self.connection.total_changes() != self.changes || self.totals != self.saved {
            self.totals.transactions += 1;
            self.save_totals()?;
        }
        self.execute("COMMIT")?;
        self.saved = self.totals;
        self.changes = self.connection.total_changes();
        self.marks.committed();
        Ok(())
    }

    /// Ends a transaction that came to nothing. What failed is never taken for stored: it is
    /// written anew, if at all.
    pub(super) fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(%error, "failed to roll a transaction of the queue back");
        }
        self.totals = self.saved;
        self.changes = self.connection.total_changes();
        self.marks.rolled_back();
    }

    fn execute(&self, sql: &str) -> Result<(), Trouble> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// When an event was accepted, if it was within the window.
    pub(super) fn first_accepted(&self, event: &Event, now: i64) -> Result<Option<i64>, Trouble> {
        Ok(self
            .marks
            .first(&self.connection, event, now, &self.totals)?)
    }

    /// Whether there is room for an event, once so many events with so many bytes are gone.
    pub(super) fn has_room(&self, event: &Event, fewer: (u64, u64)) -> bool {
        let totals = &self.totals;
        let events = totals.depth.saturating_sub(fewer.0);
        let bytes = totals.bytes.saturating_sub(fewer.1);
        self.config.has_room(event, events, totals.parked, bytes)
    }

    /// How many events, and bytes of theirs, wait for their first routing and are not above a
    /// priority; without those that are being routed.
    pub(super) fn droppable(&self, most: Priority, routing: [Sum; 4]) -> (u64, u64) {
        let classes = self.totals.unrouted.iter().zip(&routing);
        let classes = classes.take(most as usize + 1);
        classes.fold((0, 0), |(events, bytes), (all, routing)| {
            (
                events + all.count.saturating_sub(routing.count),
                bytes + all.bytes.saturating_sub(routing.bytes),
            )
        })
    }

    /// Whether another source's event with the same id is remembered.
    pub(super) fn id_is_shared(&self, event: &Event) -> bool {
        self.marks.is_shared(event)
    }

    /// Takes an event in at the end of its class, room or not.
    pub(super) fn accept(&mut self, event: &Admitted, now: i64) -> Result<Row, Trouble> {
        let (sent_as, flags) = (event.sent_as(), event.flags());
        let event = event.event();
        let id_is_shared = self
            .marks
            .insert(&self.connection, event, now, &mut self.totals)?;
        self.totals.accepted += 1;
        self.totals.place += 1;
        let key = Key::new(event.priority, self.totals.place);
        let beside = Beside {
            sent_as,
            flags,
            id_is_shared,
        };
        let head = rows::head(event, &beside)?;
        self.insert_event(key, event, now, &head)?;
        self.totals.unrouted[key.class()].add(size(event));
        Ok(Row {
            key,
            head: head.into(),
            event: event.clone(),
            accepted_at: clock::at(now),
        })
    }

    /// `head`: the envelope as it is to be stored.
    fn insert_event(
        &mut self,
        key: Key,
        event: &Event,
        accepted_at: i64,
        head: &str,
    ) -> Result<(), Trouble> {
        let mut cells = vec![ValueRef::Integer(key.0)];
        cells.extend(rows::cells(event, accepted_at, head));
        let sql = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        sum::put(&self.connection, sql, &cells)?;
        self.totals.depth += 1;
        self.totals.bytes += size(event);
        Ok(())
    }

    fn insert_task(
        &mut self,
        event: Key,
        due: Option<i64>,
        attempt: u32,
        work: &Work,
        errors: &[Failure],
    ) -> Result<TaskId, Trouble> {
        self.totals.task += 1;
        let id = TaskId(self.totals.task);
        let columns = WorkColumns::of(work, errors)?;
        self.save_task(id, event, due, attempt, &columns)?;
        Ok(id)
    }

    fn save_task(
        &self,
        id: TaskId,
        event: Key,
        due: Option<i64>,
        attempt: u32,
        columns: &WorkColumns,
    ) -> Result<(), Trouble> {
        let sql = "INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?, ?, ?, ?)";
        let cells = [
            ValueRef::Integer(id.0),
            ValueRef::Integer(event.0),
            due.map_or(ValueRef::Null, ValueRef::Integer),
            ValueRef::Integer(attempt.into()),
            columns.work.as_str().into(),
            columns.errors.as_str().into(),
        ];
        Ok(sum::put(&self.connection, sql, &cells)?)
    }

    fn progress(&self, key: Key) -> Result<Option<Progress>, Trouble> {
        let found = self
            .connection
            .prepare_cached("SELECT * FROM progress WHERE key = ?")?
            .query_row([key.0], |row| {
                sum::read(row, |row| {
                    Ok(Progress {
                        open: count(row.get(1)?),
                        delayed: count(row.get(2)?),
                        dead: count(row.get(3)?),
                        lines: count(row.get(4)?),
                    })
                })
            })
            .optional()?;
        Ok(found.transpose()?)
    }

    fn save_progress(&self, key: Key, progress: &Progress) -> Result<(), Trouble> {
        Ok(progress.save(&self.connection, key)?)
    }

    /// Keeps the sum of parked events true across a change of one.
    fn count_parked(&mut self, before: &Progress, after: &Progress) {
        self.totals.parked += u64::from(after.is_parked());
        self.totals.parked -= u64::from(before.is_parked()).min(self.totals.parked);
    }

    fn insert_lines(&self, key: Key, part: u64, lines: &[JournalLine]) -> Result<(), Trouble> {
        let json = rows::lines(lines)?;
        let sql = "INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?)";
        let cells = [
            ValueRef::Integer(key.0),
            sum::count(part),
            json.as_str().into(),
        ];
        Ok(sum::put(&self.connection, sql, &cells)?)
    }

    /// Writes a plugin's state.
    pub(super) fn write_state(&self, plugin: &str, write: &StateWrite) -> Result<(), Trouble> {
        match &write.value {
            Some(value) => {
                let sql = "INSERT OR REPLACE INTO plugin_state VALUES (?, ?, ?, ?)";
                let cells = [
                    plugin.into(),
                    write.key.as_str().into(),
                    ValueRef::Blob(value),
                ];
                sum::put(&self.connection, sql, &cells)?;
            }
            None => {
                self.connection
                    .prepare_cached("DELETE FROM plugin_state WHERE plugin = ? AND key = ?")?
                    .execute(params![plugin, write.key])?;
            }
        }
        Ok(())
    }
}

/// A count out of a column. Columns have a sign; counts do not.
fn count(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// An id as a column holds it.
fn blob(id: &Uuid) -> &[u8] {
    id.as_bytes()
}
