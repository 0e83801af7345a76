//! Work that was under way when a process died: in company it is a suspect, alone it is to blame,
//! and blamed twice it is given up.

use std::collections::HashSet;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use super::{Store, Trouble};
use crate::queue::sqlite::attempting::Mark;
use crate::queue::sqlite::clock;
use crate::queue::sqlite::ready::{Held, Task};
use crate::queue::sqlite::store::Settling;
use crate::queue::sqlite::sum;
use crate::queue::{Failure, Grave, Settlement, Whose};

/// Deaths for which it alone is to blame, after which work goes to the dead letters.
const DEATHS: i64 = 2;

impl Store {
    /// Judges what was under way when the last process died, in a transaction of its own.
    pub(in crate::queue::sqlite) fn judge_all(
        &mut self,
        marks: &[Mark],
        whose: Whose<'_>,
        now: i64,
    ) -> Result<Vec<Task>, Trouble> {
        self.begin()?;
        // Those of earlier deaths too: they are cleared of them by whatever they come to.
        self.suspects = self.earlier_suspects()?;
        let suspects = self.judge(marks, whose, now)?;
        self.commit()?;
        Ok(suspects)
    }

    fn earlier_suspects(&self) -> Result<HashSet<Mark>, Trouble> {
        let mut statement = self.connection.prepare("SELECT event, task FROM suspect")?;
        let marks =
            statement.query_map([], |row| Ok(Mark::of_columns(row.get(0)?, row.get(1)?)))?;
        Ok(marks.collect::<rusqlite::Result<_>>()?)
    }

    /// Blames what was alone, and buries what was blamed too often. Answers those that get another
    /// chance, oldest first.
    fn judge(&mut self, marks: &[Mark], whose: Whose<'_>, now: i64) -> Result<Vec<Task>, Trouble> {
        let mut suspects = Vec::new();
        let blame = i64::from(marks.len() == 1);
        for mark in marks {
            let Some(task) = self.find_work(*mark, now)? else {
                continue;
            };
            let deaths = self.deaths(*mark)? + blame;
            let sql = "INSERT OR REPLACE INTO suspect VALUES (?, ?, ?, ?)";
            let cells = [mark.event.0, mark.task_column(), deaths].map(ValueRef::Integer);
            sum::put(&self.connection, sql, &cells)?;
            if deaths >= DEATHS {
                let whose = whose(&task.row.event, &task.work);
                self.bury_killer(task, deaths, whose.as_deref(), now)?;
                self.clear_suspect(*mark)?;
            } else {
                self.suspects.insert(*mark);
                suspects.push(task);
            }
        }
        suspects.sort_by_key(|task| (task.row.key.place(), task.id));
        Ok(suspects)
    }

    /// Deaths for which this was to blame so far. A row that cannot be believed blames nobody.
    fn deaths(&self, mark: Mark) -> Result<i64, Trouble> {
        let found = self
            .connection
            .prepare_cached("SELECT * FROM suspect WHERE event = ? AND task = ?")?
            .query_row(params![mark.event.0, mark.task_column()], |row| {
                sum::read(row, |row| row.get(2))
            })
            .optional()?;
        Ok(found.and_then(Result::ok).unwrap_or(0))
    }

    fn bury_killer(
        &mut self,
        task: Task,
        deaths: i64,
        whose: Option<&str>,
        now: i64,
    ) -> Result<(), Trouble> {
        let whose = whose.map_or_else(String::new, |whose| format!("; it is for {whose}"));
        let failure = Failure {
            at: clock::at(now),
            code: "hub_died".to_owned(),
            message: format!("the hub died {deaths} times while this alone was under way{whose}"),
        };
        let grave = Grave {
            work: task.work.clone(),
            reason: "killed_the_hub".to_owned(),
            errors: task.errors.iter().cloned().chain([failure]).collect(),
        };
        let held = Held {
            task,
            leased_at: clock::at(now),
        };
        let with = Settlement {
            dead: vec![grave],
            ..Settlement::default()
        };
        self.settle(&Settling {
            held: &held,
            with: &with,
            now,
        })?;
        Ok(())
    }

    /// Work that was a suspect has ended.
    pub(super) fn clear_suspect(&self, mark: Mark) -> Result<(), Trouble> {
        self.connection
            .prepare_cached("DELETE FROM suspect WHERE event = ? AND task = ?")?
            .execute(params![mark.event.0, mark.task_column()])?;
        Ok(())
    }
}
