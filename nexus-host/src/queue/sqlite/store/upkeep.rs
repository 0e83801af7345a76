//! Upkeep: forgets what is past its bounds, and gives space back. Done in portions, mostly when
//! nothing else is to be done.

use rusqlite::params;
use uuid::Uuid;

use super::{Store, Trouble};
use crate::queue::sqlite::finished::Found;
use crate::queue::sqlite::schema::{self, Copying};

/// Free pages given back at once: 1 MiB.
const PAGES: u32 = 256;

impl Store {
    /// Forgets so many journeys and marks at most that are past their bounds. Says whether there may
    /// be more.
    pub(in crate::queue::sqlite) fn forget_old(
        &mut self,
        now: i64,
        many: u32,
    ) -> Result<bool, Trouble> {
        let oldest = self.oldest_journey();
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM done WHERE seq < ?1 AND seq < (SELECT min(seq) FROM done) + ?2
             RETURNING id, place, seq",
        )?;
        let forgotten = statement.query_map(params![oldest, many], |row| {
            let id = Uuid::from_bytes(row.get(0)?);
            let (place, seq) = (row.get(1)?, row.get(2)?);
            Ok((id, Found { place, seq }))
        })?;
        let forgotten = forgotten.collect::<rusqlite::Result<Vec<_>>>()?;
        drop(statement);
        for (id, found) in forgotten.iter().copied() {
            self.finished.remove(id, found);
        }
        let more = self
            .marks
            .forget_old(&self.connection, now, many, &self.totals)?;
        Ok(more || !forgotten.is_empty())
    }

    /// The number of the oldest journey that is told.
    pub(in crate::queue::sqlite) fn oldest_journey(&self) -> i64 {
        let kept = i64::try_from(self.config.journal_capacity).unwrap_or(i64::MAX);
        self.totals.done - kept + 1
    }

    /// Whether so much is past its bounds that it cannot wait for a quiet moment.
    pub(in crate::queue::sqlite) fn is_overdue(&self) -> bool {
        let capacity = self.config.journal_capacity;
        self.marks.is_overdue() || self.finished.len() > capacity + capacity / 4 + 1_000
    }

    /// Gives some free pages back to the file system. Says whether there are more.
    pub(in crate::queue::sqlite) fn give_space_back(&mut self) -> Result<bool, Trouble> {
        let free = |connection: &rusqlite::Connection| {
            connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, u32>(0))
        };
        // Some are kept: the next events need them.
        if free(&self.connection)? < 8 * PAGES {
            return Ok(false);
        }
        self.connection
            .prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES})"))?
            .query_map([], |_| Ok(()))?
            .for_each(drop);
        Ok(free(&self.connection)? >= 8 * PAGES)
    }

    /// Copies the rest of the log, so that it begins anew with the next transaction, unless somebody
    /// reads in it.
    pub(in crate::queue::sqlite) fn copy_log(&self) -> Result<(), Trouble> {
        schema::copy_log(&self.connection, Copying::Passive)?;
        Ok(())
    }

    /// Copies the log and gives its space back.
    pub(in crate::queue::sqlite) fn empty_log(&self) -> Result<(), Trouble> {
        schema::copy_log(&self.connection, Copying::Truncate)?;
        Ok(())
    }
}
