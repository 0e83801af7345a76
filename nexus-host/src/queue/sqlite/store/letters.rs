//! Dead letters: kept within their bounds, taken up once more, deleted.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row as SqlRow, params};
use uuid::Uuid;

use super::{Store, Trouble, blob, count};
use crate::observe::Ids;
use crate::queue::journal::{MAX_LINES, outstanding};
use crate::queue::sqlite::clock;
use crate::queue::sqlite::ready::{Row, Task, place_in_line};
use crate::queue::sqlite::rows::{self, Beside, Damage, Key, Stored, Told, WorkColumns};
use crate::queue::sqlite::sum;
use crate::queue::sqlite::totals::Progress;
use crate::queue::work::size;
use crate::queue::{DeadLetter, Grave, JournalLine, Step};

/// Columns of a letter, as [`FoundLetter::read`] takes them.
pub(in crate::queue::sqlite) const LETTER: &str = "n, id, at, place, reason, work, errors, event_id, source, lane, accepted_at, head, payload, sum";

/// A letter as it was found on disk.
pub(in crate::queue::sqlite) struct FoundLetter {
    /// Bytes of its event's payload.
    bytes: u64,
    columns: Result<Columns, Damage>,
}

struct Columns {
    id: Vec<u8>,
    at: i64,
    place: i64,
    reason: String,
    work: WorkColumns,
    event: Stored,
}

impl FoundLetter {
    pub(in crate::queue::sqlite) fn read(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        let columns = sum::read(row, |row| {
            Ok(Columns {
                id: row.get(1)?,
                at: row.get(2)?,
                place: row.get(3)?,
                reason: row.get(4)?,
                work: WorkColumns::read(row, 5)?,
                event: Stored::read(row, 7)?,
            })
        })?;
        Ok(Self {
            bytes: sum::len(row, 12)?,
            columns,
        })
    }

    pub(in crate::queue::sqlite) fn check(self) -> Result<DeadLetter, Damage> {
        Ok(self.open()?.letter)
    }

    fn open(self) -> Result<OpenedLetter, Damage> {
        let columns = self.columns?;
        let id_is_shared = rows::id_is_shared(columns.event.head());
        let (work, errors) = columns.work.decode()?;
        let letter = DeadLetter {
            id: Uuid::from_slice(&columns.id).map_err(|error| Damage(error.to_string()))?,
            at: clock::at(columns.at),
            accepted_at: columns.event.accepted_at(),
            event: columns.event.into_event()?,
            work,
            reason: columns.reason,
            errors,
        };
        Ok(OpenedLetter {
            letter,
            place: columns.place,
            id_is_shared,
        })
    }
}

/// A letter, and what the queue knows of its event beside.
struct OpenedLetter {
    letter: DeadLetter,
    place: i64,
    id_is_shared: bool,
}

/// What taking letters up once more led to.
#[derive(Debug, Default)]
pub(in crate::queue::sqlite) struct Replayed {
    pub(in crate::queue::sqlite) letters: Vec<Uuid>,
    /// Their work.
    pub(in crate::queue::sqlite) tasks: Vec<Task>,
}

impl Store {
    /// Keeps a letter. The oldest make room for it.
    pub(super) fn insert_letter(
        &mut self,
        row: &Row,
        grave: &Grave,
        now: i64,
    ) -> Result<Uuid, Trouble> {
        let (id, event) = (Uuid::now_v7(), &row.event);
        Ids::of(event).span().in_scope(|| {
            tracing::warn!(dead_letter = %id, reason = grave.reason, "work goes to the dead letters");
        });
        let columns = WorkColumns::of(&grave.work, &grave.errors)?;
        self.totals.letter += 1;
        let mut cells = vec![
            ValueRef::Integer(self.totals.letter),
            ValueRef::Blob(id.as_bytes()),
            ValueRef::Integer(now),
            ValueRef::Integer(row.key.place()),
            grave.reason.as_str().into(),
            columns.work.as_str().into(),
            columns.errors.as_str().into(),
        ];
        let accepted_at = row.accepted_at.timestamp_micros();
        cells.extend(rows::cells(event, accepted_at, &row.head));
        let sql = "INSERT INTO letter VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        sum::put(&self.connection, sql, &cells)?;
        self.totals.letters.add(size(event));
        self.totals.deaths.add(&grave.reason);
        self.discard_old_letters()?;
        Ok(id)
    }

    fn discard_old_letters(&mut self) -> Result<(), Trouble> {
        let most = u64::try_from(self.config.dead_letter_capacity).unwrap_or(u64::MAX);
        while self.totals.letters.count > 1
            && (self.totals.letters.count > most
                || self.totals.letters.bytes > self.config.max_bytes.bytes())
        {
            let oldest: Option<(Vec<u8>, String, i64)> = self
                .connection
                .prepare_cached(
                    "DELETE FROM letter WHERE n = (SELECT min(n) FROM letter)
                     RETURNING event_id, head, length(payload)",
                )?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((event_id, head, bytes)) = oldest else {
                return Ok(());
            };
            self.totals.letters.take(count(bytes));
            let told: Option<Told> = serde_json::from_str(&head).ok();
            let ids = Ids {
                event_id: Uuid::from_slice(&event_id).ok(),
                correlation_id: told
                    .as_ref()
                    .and_then(|told| told.correlation_id.as_deref()),
            };
            ids.span().in_scope(|| {
                tracing::error!(
                    kept = self.totals.letters.count,
                    "the oldest dead letter is discarded: too many are kept; raise \
                     queue.dead_letter_capacity or queue.max_bytes"
                );
            });
        }
        Ok(())
    }

    /// Deletes letters. Answers which there were.
    pub(in crate::queue::sqlite) fn purge(&mut self, ids: &[Uuid]) -> Result<Vec<Uuid>, Trouble> {
        let mut purged = Vec::new();
        for id in ids {
            if self.take_letter(*id)?.is_some() {
                purged.push(*id);
            }
        }
        Ok(purged)
    }

    /// Takes the work of letters up once more. Answers which there were; one that cannot be read, or
    /// whose event cannot, stays as it is.
    pub(in crate::queue::sqlite) fn replay(
        &mut self,
        ids: &[Uuid],
        now: i64,
    ) -> Result<Replayed, Trouble> {
        let mut replayed = Replayed::default();
        for id in ids {
            let totals = self.totals;
            self.execute("SAVEPOINT letter")?;
            match self.replay_one(*id, now) {
                Ok(task) => {
                    replayed.letters.extend(task.as_ref().map(|_| *id));
                    replayed.tasks.extend(task);
                }
                Err(Trouble::Row(damage)) => {
                    self.execute("ROLLBACK TO letter")?;
                    self.totals = totals;
                    tracing::error!(
                        dead_letter = %id,
                        reason = %damage,
                        "a dead letter cannot be taken up; see `nexus queue fsck`"
                    );
                }
                Err(trouble) => return Err(trouble),
            }
            self.execute("RELEASE letter")?;
        }
        Ok(replayed)
    }

    fn replay_one(&mut self, id: Uuid, now: i64) -> Result<Option<Task>, Trouble> {
        let Some(found) = self.take_letter(id)? else {
            return Ok(None);
        };
        let opened = found.open()?;
        self.take_up_letter(&opened, now).map(Some)
    }

    fn take_letter(&mut self, id: Uuid) -> Result<Option<FoundLetter>, Trouble> {
        let found = self
            .connection
            .prepare_cached(&format!(
                "DELETE FROM letter WHERE id = ? RETURNING {LETTER}"
            ))?
            .query_row([blob(&id)], FoundLetter::read)
            .optional()?;
        if let Some(found) = &found {
            self.totals.letters.take(found.bytes);
        }
        Ok(found)
    }

    /// Gives the event of a letter one more unit of work. Its journey goes on, as far as it is
    /// remembered.
    fn take_up_letter(&mut self, opened: &OpenedLetter, now: i64) -> Result<Task, Trouble> {
        let (letter, place) = (&opened.letter, opened.place);
        let beside = Beside {
            id_is_shared: opened.id_is_shared,
            ..Beside::default()
        };
        let head = rows::head(&letter.event, &beside)?;
        let accepted_at = letter.accepted_at.timestamp_micros();
        let step = Step::Replayed {
            dead_letter: letter.id,
        };
        // The place it had: nothing else has it, and it stands in no order any more.
        let key = Key::new(letter.event.priority, place);
        let (before, mut progress) = match self.progress(key)? {
            Some(before) => {
                let dead = before.dead.saturating_sub(1);
                (before, Progress { dead, ..before })
            }
            None => {
                self.insert_event(key, &letter.event, accepted_at, &head)?;
                let mut lines = self.take_journey(letter, place)?;
                let dead = outstanding(&lines).saturating_sub(1);
                // Even a full journal says that the event came back.
                lines.truncate(MAX_LINES - 1);
                let reopened = Progress {
                    open: 0,
                    delayed: 0,
                    dead: u64::try_from(dead).unwrap_or(0),
                    lines: u64::try_from(lines.len()).unwrap_or(0),
                };
                if !lines.is_empty() {
                    self.insert_lines(key, 0, &lines)?;
                }
                (reopened, reopened)
            }
        };
        progress.open += 1;
        self.count_parked(&before, &progress);
        self.note_step(key, &mut progress, step, now)?;
        self.save_progress(key, &progress)?;
        let id = self.insert_task(key, None, 1, &letter.work, &[])?;
        self.totals.place += 1;
        Ok(Task {
            row: Row {
                key,
                head: head.into(),
                event: letter.event.clone(),
                accepted_at: letter.accepted_at,
            },
            id: Some(id),
            work: letter.work.clone(),
            attempt: 1,
            errors: Vec::new(),
            place: place_in_line(self.totals.place),
        })
    }

    /// Takes the journey of a finished event back, if it is remembered.
    fn take_journey(&self, letter: &DeadLetter, place: i64) -> Result<Vec<JournalLine>, Trouble> {
        let id = letter.event.event_id;
        let found = self.finished.find(id);
        let Some(found) = found.into_iter().find(|found| found.place == place) else {
            return Ok(Vec::new());
        };
        let lines = self
            .connection
            .prepare_cached("DELETE FROM done WHERE seq = ? AND place = ? AND id = ? RETURNING *")?
            .query_row(params![found.seq, place, blob(&id)], |row| {
                sum::read(row, |row| row.get::<_, String>("lines"))
            })
            .optional()?;
        let lines = lines.map(|lines| rows::read_lines(&lines?));
        Ok(lines.transpose()?.unwrap_or_default())
    }
}
