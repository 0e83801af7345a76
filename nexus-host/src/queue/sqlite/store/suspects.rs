//! Work that was under way when a process died: in company it is a suspect, alone it is to blame,
//! and blamed twice it is given up.

use rusqlite::params;

use super::{Store, Trouble};
use crate::queue::sqlite::attempting::Mark;
use crate::queue::sqlite::clock;
use crate::queue::sqlite::ready::{Held, Task};
use crate::queue::sqlite::store::Settling;
use crate::queue::{Failure, Grave, Settlement};

/// Deaths for which it alone is to blame, after which work goes to the dead letters.
const DEATHS: i64 = 2;

impl Store {
    /// Judges what was under way when the last process died, in a transaction of its own.
    pub(in crate::queue::sqlite) fn judge_all(
        &mut self,
        marks: &[Mark],
        now: i64,
    ) -> Result<Vec<Task>, Trouble> {
        self.begin()?;
        let suspects = self.judge(marks, now)?;
        self.commit()?;
        Ok(suspects)
    }

    /// Blames what was alone, and buries what was blamed too often. Answers those that get another
    /// chance, oldest first.
    fn judge(&mut self, marks: &[Mark], now: i64) -> Result<Vec<Task>, Trouble> {
        let mut suspects = Vec::new();
        let blame = i64::from(marks.len() == 1);
        for mark in marks {
            let Some(task) = self.find_work(*mark, now)? else {
                continue;
            };
            let deaths: i64 = self
                .connection
                .prepare_cached(
                    "INSERT INTO suspect (event, task, deaths) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET deaths = deaths + ?3 RETURNING deaths",
                )?
                .query_row(params![mark.event.0, mark.task_column(), blame], |row| {
                    row.get(0)
                })?;
            if deaths >= DEATHS {
                self.bury_killer(task, deaths, now)?;
                self.clear_suspect(*mark)?;
            } else {
                self.suspects.insert(*mark);
                suspects.push(task);
            }
        }
        suspects.sort_by_key(|task| (task.row.key.place(), task.id));
        Ok(suspects)
    }

    fn bury_killer(&mut self, task: Task, deaths: i64, now: i64) -> Result<(), Trouble> {
        let failure = Failure {
            at: clock::at(now),
            code: "hub_died".to_owned(),
            message: format!("the hub died {deaths} times while this alone was under way"),
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
