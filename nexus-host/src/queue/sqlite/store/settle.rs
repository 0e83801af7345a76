//! Settlements: what becomes of a delivery, and everything that follows from it, in one transaction.

use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row as SqlRow};

use super::{Store, Trouble, count};
use crate::admission::Admitted;
use crate::queue::journal::{MAX_LINES, is_parked_again};
use crate::queue::sqlite::clock;
use crate::queue::sqlite::finished::Found;
use crate::queue::sqlite::ready::{Held, Row, Task};
use crate::queue::sqlite::rows::{self, Damage, Key, WorkColumns};
use crate::queue::sqlite::sum;
use crate::queue::sqlite::totals::Progress;
use crate::queue::work::{LONGEST_DELAY, size};
use crate::queue::{
    EventStatus, Failure, FollowUp, Grave, JournalLine, Settlement, Step, Verdict, Work,
};

/// A delivery that ends.
#[derive(Debug)]
pub(in crate::queue::sqlite) struct Settling<'a> {
    pub(in crate::queue::sqlite) held: &'a Held,
    pub(in crate::queue::sqlite) with: &'a Settlement,
    pub(in crate::queue::sqlite) now: i64,
}

/// What a settlement wrote.
#[derive(Debug, Default)]
pub(in crate::queue::sqlite) struct SettledRows {
    /// Work that follows at once.
    pub(in crate::queue::sqlite) at_once: Vec<Task>,
    /// Emitted events that are new, and where they stand.
    pub(in crate::queue::sqlite) accepted: Vec<(Admitted, Row)>,
    /// Set when nothing more is to be done for the event.
    pub(in crate::queue::sqlite) finished: Option<EventStatus>,
}

/// An event while its settlement is written.
struct Page {
    key: Key,
    /// Whether it was settled before, and so has rows of its progress and journal.
    is_known: bool,
    before: Progress,
    progress: Progress,
    lines: Vec<JournalLine>,
}

impl Page {
    /// Leaves out what the journal has no room for.
    fn keep_bounded(&mut self) {
        let written = usize::try_from(self.progress.lines).unwrap_or(usize::MAX);
        self.lines.truncate(MAX_LINES.saturating_sub(written));
    }
}

impl Store {
    /// Ends a delivery, with everything that follows from it.
    pub(in crate::queue::sqlite) fn settle(
        &mut self,
        settling: &Settling<'_>,
    ) -> Result<SettledRows, Trouble> {
        let Settling { held, with, now } = *settling;
        let row = &held.task.row;
        let mut page = self.open_page(held)?;
        let mut rows = SettledRows::default();
        for (plugin, write) in &with.state {
            self.write_state(plugin, write)?;
        }
        for event in &with.emitted {
            if self.first_accepted(event.event(), now)?.is_none() {
                let row = self.accept(event, now)?;
                rows.accepted.push((event.clone(), row));
            }
        }
        let at = clock::at(now);
        let steps = with.steps.iter().cloned();
        page.lines
            .extend(steps.map(|step| JournalLine { at, step }));
        for grave in &with.dead {
            self.bury(row, &mut page, grave, now)?;
        }
        for follow_up in &with.follow_ups {
            rows.at_once
                .extend(self.follow_up(row, &mut page, follow_up, now)?);
        }
        match &with.verdict {
            Verdict::Ack => self.drop_task(held, &mut page)?,
            Verdict::Nack { after, failure } => {
                self.put_back(held, &mut page, *after, failure.as_ref(), now)?;
            }
        }
        if self.suspects.contains(&held.task.mark()) {
            self.clear_suspect(held.task.mark())?;
        }
        rows.finished = self.close_page(row, page, now)?;
        Ok(rows)
    }

    /// Begins to write down what happens to an event.
    fn open_page(&mut self, held: &Held) -> Result<Page, Trouble> {
        let row = &held.task.row;
        let mut lines = Vec::new();
        let progress = match held.task.id {
            None => {
                self.totals.unrouted[row.key.class()].take(size(&row.event));
                lines = rows::first_lines(&row.head, row.accepted_at)?;
                Progress::NEW
            }
            Some(_) => self
                .progress(row.key)?
                .ok_or_else(|| Damage(format!("event {} has no progress", row.key.0)))?,
        };
        if held.task.work == Work::Route {
            lines.push(JournalLine {
                at: held.leased_at,
                step: Step::Leased,
            });
        }
        Ok(Page {
            key: row.key,
            is_known: held.task.id.is_some(),
            before: progress,
            progress,
            lines,
        })
    }

    fn close_page(
        &mut self,
        row: &Row,
        mut page: Page,
        now: i64,
    ) -> Result<Option<EventStatus>, Trouble> {
        self.count_parked(&page.before, &page.progress);
        if page.progress.open > 0 {
            self.note(&mut page)?;
            self.save_progress(page.key, &page.progress)?;
            return Ok(None);
        }
        let status = match page.progress.dead {
            0 => EventStatus::Processed,
            _ => EventStatus::Dead,
        };
        page.keep_bounded();
        page.lines.push(JournalLine {
            at: clock::at(now),
            step: Step::Finished { status },
        });
        self.finish(row, &page, status, now)?;
        Ok(Some(status))
    }

    /// Adds the lines to the journal of an event that goes on.
    fn note(&mut self, page: &mut Page) -> Result<(), Trouble> {
        page.keep_bounded();
        if page.lines.is_empty() || self.replace_parked(page)? {
            return Ok(());
        }
        self.insert_lines(page.key, page.progress.lines, &page.lines)?;
        page.progress.lines += u64::try_from(page.lines.len()).unwrap_or(0);
        Ok(())
    }

    /// Puts a line in the place of the last one, if it says the same anew.
    fn replace_parked(&mut self, page: &Page) -> Result<bool, Trouble> {
        let [next] = page.lines.as_slice() else {
            return Ok(false);
        };
        if !matches!(next.step, Step::Parked { .. }) {
            return Ok(false);
        }
        let last: Option<Result<(u64, String), Damage>> = self
            .connection
            .prepare_cached("SELECT * FROM journal WHERE event = ? ORDER BY part DESC LIMIT 1")?
            .query_row([page.key.0], |row| {
                sum::read(row, |row| Ok((count(row.get(1)?), row.get(2)?)))
            })
            .optional()?;
        let Some((part, lines)) = last.transpose()? else {
            return Ok(false);
        };
        let last = rows::read_lines(&lines)?;
        if !matches!(last.as_slice(), [line] if is_parked_again(&line.step, &next.step)) {
            return Ok(false);
        }
        self.insert_lines(page.key, part, &page.lines)?;
        Ok(true)
    }

    /// Moves an event to the finished ones.
    fn finish(
        &mut self,
        row: &Row,
        page: &Page,
        status: EventStatus,
        now: i64,
    ) -> Result<(), Trouble> {
        let own = rows::lines(&page.lines)?;
        let lines = if page.is_known {
            self.connection
                .prepare_cached("DELETE FROM progress WHERE key = ?")?
                .execute([page.key.0])?;
            let mut parts = self.take_lines(page.key)?;
            parts.push(own);
            join(&parts)
        } else {
            own
        };
        self.delete_event(row)?;
        self.totals.done += 1;
        self.totals.finished += 1;
        // Before the commit, so that the event is never to be found in neither place.
        let found = Found {
            place: row.key.place(),
            seq: self.totals.done,
        };
        self.finished.insert(row.event.event_id, found);
        let status = match status {
            EventStatus::Dead => "dead",
            _ => "processed",
        };
        let sql = "INSERT INTO done VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let cells = [
            ValueRef::Integer(self.totals.done),
            ValueRef::Blob(row.event.event_id.as_bytes()),
            ValueRef::Integer(row.key.place()),
            row.event.source.as_str().into(),
            status.into(),
            ValueRef::Integer(row.accepted_at.timestamp_micros()),
            ValueRef::Integer(now),
            (&*row.head).into(),
            lines.as_str().into(),
        ];
        Ok(sum::put(&self.connection, sql, &cells)?)
    }

    pub(super) fn delete_event(&mut self, row: &Row) -> Result<(), Trouble> {
        self.connection
            .prepare_cached("DELETE FROM event WHERE key = ?")?
            .execute([row.key.0])?;
        self.totals.depth = self.totals.depth.saturating_sub(1);
        self.totals.bytes = self.totals.bytes.saturating_sub(size(&row.event));
        Ok(())
    }

    /// Takes the journal of an event that ends, part by part.
    fn take_lines(&self, key: Key) -> Result<Vec<String>, Trouble> {
        let parts = self
            .connection
            .prepare_cached(PARTS)?
            .query_map([key.0], part)?
            .collect::<rusqlite::Result<Result<Vec<String>, Damage>>>()??;
        self.connection
            .prepare_cached("DELETE FROM journal WHERE event = ?")?
            .execute([key.0])?;
        Ok(parts)
    }

    fn follow_up(
        &mut self,
        row: &Row,
        page: &mut Page,
        follow_up: &FollowUp,
        now: i64,
    ) -> Result<Option<Task>, Trouble> {
        let attempt = 1 + u32::from(follow_up.failure.is_some());
        let errors: Vec<Failure> = follow_up.failure.iter().cloned().collect();
        let Some(after) = follow_up.after else {
            let id = self.insert_task(row.key, None, attempt, &follow_up.work, &errors)?;
            page.progress.open += 1;
            return Ok(Some(Task {
                row: row.clone(),
                id: Some(id),
                work: follow_up.work.clone(),
                attempt,
                errors,
                place: 0,
            }));
        };
        if self.has_parked_enough() {
            let grave = too_much_parked(follow_up.work.clone(), errors);
            self.bury(row, page, &grave, now)?;
        } else {
            let due = Some(due(now, after));
            self.insert_task(row.key, due, attempt, &follow_up.work, &errors)?;
            self.totals.delayed += 1;
            page.progress.open += 1;
            page.progress.delayed += 1;
        }
        Ok(None)
    }

    fn has_parked_enough(&self) -> bool {
        self.totals.delayed >= u64::try_from(self.config.max_parked).unwrap_or(u64::MAX)
    }

    /// The same work again, later.
    fn put_back(
        &mut self,
        held: &Held,
        page: &mut Page,
        after: Duration,
        failure: Option<&Failure>,
        now: i64,
    ) -> Result<(), Trouble> {
        let task = &held.task;
        let attempt = task.attempt + u32::from(failure.is_some());
        let errors: Vec<Failure> = task.errors.iter().chain(failure).cloned().collect();
        if self.has_parked_enough() {
            let grave = too_much_parked(task.work.clone(), errors);
            self.bury(&task.row, page, &grave, now)?;
            return self.drop_task(held, page);
        }
        let due = due(now, after);
        match task.id {
            None => {
                self.insert_task(task.row.key, Some(due), attempt, &task.work, &errors)?;
            }
            Some(id) => {
                let columns = WorkColumns::of(&task.work, &errors)?;
                self.save_task(id, task.row.key, Some(due), attempt, &columns)?;
            }
        }
        self.totals.delayed += 1;
        page.progress.delayed += 1;
        Ok(())
    }

    fn drop_task(&self, held: &Held, page: &mut Page) -> Result<(), Trouble> {
        page.progress.open = page.progress.open.saturating_sub(1);
        if let Some(id) = held.task.id {
            self.connection
                .prepare_cached("DELETE FROM task WHERE id = ?")?
                .execute([id.0])?;
        }
        Ok(())
    }

    fn bury(&mut self, row: &Row, page: &mut Page, grave: &Grave, now: i64) -> Result<(), Trouble> {
        let id = self.insert_letter(row, grave, now)?;
        page.progress.dead += 1;
        page.lines.push(JournalLine {
            at: clock::at(now),
            step: Step::Dead {
                dead_letter: id,
                reason: grave.reason.clone(),
            },
        });
        Ok(())
    }

    /// Ends an event that had to give way before anybody saw it.
    pub(in crate::queue::sqlite) fn give_way(
        &mut self,
        row: &Row,
        now: i64,
    ) -> Result<(), Trouble> {
        self.end_unrouted(row, "queue_full", Vec::new(), now)
    }

    /// Ends an event that waits for its first routing, as a dead letter.
    pub(super) fn end_unrouted(
        &mut self,
        row: &Row,
        reason: &str,
        errors: Vec<Failure>,
        now: i64,
    ) -> Result<(), Trouble> {
        self.totals.unrouted[row.key.class()].take(size(&row.event));
        let mut page = Page {
            key: row.key,
            is_known: false,
            before: Progress::NEW,
            progress: Progress::NEW,
            lines: rows::first_lines(&row.head, row.accepted_at)?,
        };
        let grave = Grave {
            work: Work::Route,
            reason: reason.to_owned(),
            errors,
        };
        self.bury(row, &mut page, &grave, now)?;
        page.progress.open = 0;
        self.close_page(row, page, now)?;
        Ok(())
    }

    /// Continues the journal of an event that is worked on, with one line.
    pub(super) fn note_step(
        &mut self,
        key: Key,
        progress: &mut Progress,
        step: Step,
        now: i64,
    ) -> Result<(), Trouble> {
        let mut page = Page {
            key,
            is_known: true,
            before: *progress,
            progress: *progress,
            lines: vec![JournalLine {
                at: clock::at(now),
                step,
            }],
        };
        self.note(&mut page)?;
        *progress = page.progress;
        Ok(())
    }
}

fn too_much_parked(work: Work, errors: Vec<Failure>) -> Grave {
    Grave {
        work,
        reason: "too_much_parked".to_owned(),
        errors,
    }
}

fn due(now: i64, after: Duration) -> i64 {
    now.saturating_add(clock::micros(after.min(LONGEST_DELAY)))
}

/// The parts of a journal, as [`part`] takes them.
pub(in crate::queue::sqlite) const PARTS: &str =
    "SELECT * FROM journal WHERE event = ? ORDER BY part";

pub(in crate::queue::sqlite) fn part(row: &SqlRow<'_>) -> rusqlite::Result<Result<String, Damage>> {
    sum::read(row, |row| row.get(2))
}

/// Several JSON arrays as one.
pub(in crate::queue::sqlite) fn join(parts: &[String]) -> String {
    let inner = parts.iter().map(|part| {
        let part = part.strip_prefix('[').unwrap_or(part);
        part.strip_suffix(']').unwrap_or(part)
    });
    let inner: Vec<&str> = inner.filter(|part| !part.is_empty()).collect();
    format!("[{}]", inner.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_are_joined_whatever_their_parts_hold() {
        let parts = ["[1,2]", "[]", "[3]"].map(str::to_owned);
        assert_eq!(join(&parts), "[1,2,3]");
        assert_eq!(join(&[]), "[]");
    }
}
