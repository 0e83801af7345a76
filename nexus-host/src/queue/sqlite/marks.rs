//! Marks against duplicates: which events were accepted within the window.
//!
//! On disk 128 bits of SHA-256 over source and id, in order of acceptance; in memory half of them,
//! to find the row: 16 bytes a mark, bounded by the configured number.

use std::collections::HashMap;

use nexus_plugin_api::Event;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::sum;
use super::totals::Totals;

/// Source and id, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Print {
    low: i64,
    high: i64,
}

impl Print {
    fn of(event: &Event) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(event.event_id.as_bytes());
        hasher.update(event.source.as_bytes());
        let digest = hasher.finalize();
        let half = |from: usize| {
            let bytes = std::array::from_fn(|index| digest[from + index]);
            i64::from_le_bytes(bytes)
        };
        Self {
            low: half(0),
            high: half(8),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Marks {
    /// The newest mark whose print begins so.
    rows: HashMap<i64, i64>,
    /// Marks of the transaction under way, with their numbers and times.
    fresh: HashMap<Print, (i64, i64)>,
    window: i64,
    capacity: i64,
}

impl Marks {
    /// Reads the marks that are kept. `window` in microseconds.
    pub(super) fn load(
        connection: &Connection,
        window: i64,
        capacity: i64,
        totals: &Totals,
    ) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT low, n FROM mark WHERE n > ? ORDER BY n")?;
        let oldest = totals.mark - capacity;
        let rows = statement.query_map([oldest], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self {
            rows: rows.collect::<rusqlite::Result<_>>()?,
            fresh: HashMap::new(),
            window,
            capacity,
        })
    }

    /// When an event was accepted, if it was within the window.
    pub(super) fn first(
        &self,
        connection: &Connection,
        event: &Event,
        now: i64,
        totals: &Totals,
    ) -> rusqlite::Result<Option<i64>> {
        let print = Print::of(event);
        let oldest = totals.mark - self.capacity;
        if let Some((n, at)) = self.fresh.get(&print) {
            return Ok((*n > oldest).then_some(*at));
        }
        let Some(n) = self.rows.get(&print.low) else {
            return Ok(None);
        };
        if *n <= oldest {
            return Ok(None);
        }
        let found = connection
            .prepare_cached("SELECT * FROM mark WHERE n = ?")?
            .query_row([n], |row| {
                sum::read(row, |row| Ok((row.get(2)?, row.get(3)?)))
            })
            .optional()?;
        let is_first = |(high, at): &(i64, i64)| *high == print.high && now - at < self.window;
        match found.transpose() {
            Ok(found) => Ok(found.filter(is_first).map(|(_, at)| at)),
            // Better twice than never.
            Err(damage) => {
                tracing::error!(
                    row = n,
                    reason = %damage,
                    "a mark against duplicates is damaged; see `nexus queue fsck`"
                );
                Ok(None)
            }
        }
    }

    /// Marks an event that is being accepted.
    pub(super) fn insert(
        &mut self,
        connection: &Connection,
        event: &Event,
        now: i64,
        totals: &mut Totals,
    ) -> rusqlite::Result<()> {
        let print = Print::of(event);
        totals.mark += 1;
        let cells = [totals.mark, print.low, print.high, now].map(ValueRef::Integer);
        sum::put(
            connection,
            "INSERT INTO mark VALUES (?, ?, ?, ?, ?)",
            &cells,
        )?;
        self.fresh.insert(print, (totals.mark, now));
        Ok(())
    }

    /// The transaction is on disk.
    pub(super) fn committed(&mut self) {
        let fresh = self.fresh.drain();
        self.rows
            .extend(fresh.map(|(print, (n, _))| (print.low, n)));
    }

    /// The transaction came to nothing.
    pub(super) fn rolled_back(&mut self) {
        self.fresh.clear();
    }

    /// Forgets so many at most of those no longer looked at. Says whether there may be more.
    pub(super) fn forget_old(
        &mut self,
        connection: &Connection,
        now: i64,
        many: u32,
        totals: &Totals,
    ) -> rusqlite::Result<bool> {
        let mut statement = connection.prepare_cached(
            "DELETE FROM mark WHERE n < (SELECT min(n) FROM mark) + ?1
             AND (n <= ?2 OR at <= ?3) RETURNING low, n",
        )?;
        let bounds = params![many, totals.mark - self.capacity, now - self.window];
        let old = statement.query_map(bounds, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let old: Vec<(i64, i64)> = old.collect::<rusqlite::Result<_>>()?;
        for (low, n) in &old {
            if self.rows.get(low) == Some(n) {
                self.rows.remove(low);
            }
        }
        Ok(!old.is_empty())
    }

    /// Whether much more is kept than is looked at.
    pub(super) fn is_overdue(&self) -> bool {
        let kept = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        kept > self.capacity + self.capacity / 4 + 1_000
    }
}
