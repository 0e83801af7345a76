//! Marks against duplicates: which events were accepted within the window.
//!
//! On disk 128 bits of SHA-256, in order of acceptance; in memory half of them, to find the row, and how
//! many begin like an id: 24 bytes a mark, bounded by the configured number.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use nexus_plugin_api::Event;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::sum;
use super::totals::Totals;

/// The first 32 bits of an id's hash. Two ids may have the same.
type Beginning = u32;

/// A hash of the id, 32 bits of it, and then one of id and source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Print {
    low: i64,
    high: i64,
}

impl Print {
    fn of(event: &Event) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(event.event_id.as_bytes());
        let of_id = hasher.clone().finalize();
        hasher.update(event.source.as_bytes());
        let mut print = hasher.finalize();
        print[4..8].copy_from_slice(&of_id[..4]);
        let half = |from: usize| {
            let bytes = std::array::from_fn(|index| print[from + index]);
            i64::from_le_bytes(bytes)
        };
        Self {
            low: half(0),
            high: half(8),
        }
    }
}

/// That of the id in the first half of a print.
fn beginning(low: i64) -> Beginning {
    (low.cast_unsigned() >> 32) as Beginning
}

/// See the module.
#[derive(Debug)]
pub(super) struct Marks {
    /// The newest mark whose print begins so.
    rows: HashMap<i64, i64>,
    /// How many of those, and of the fresh ones, begin with an id.
    ids: HashMap<Beginning, u32>,
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
        let mut marks = Self {
            rows: HashMap::new(),
            ids: HashMap::new(),
            fresh: HashMap::new(),
            window,
            capacity,
        };
        for row in rows {
            let (low, n) = row?;
            if marks.rows.insert(low, n).is_none() {
                marks.count(low);
            }
        }
        Ok(marks)
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

    /// Marks an event that is being accepted. Answers whether its id is shared, as
    /// [`is_shared`](Self::is_shared) does.
    pub(super) fn insert(
        &mut self,
        connection: &Connection,
        event: &Event,
        now: i64,
        totals: &mut Totals,
    ) -> rusqlite::Result<bool> {
        let print = Print::of(event);
        let id_is_shared = self.has_others(print);
        totals.mark += 1;
        let cells = [totals.mark, print.low, print.high, now].map(ValueRef::Integer);
        sum::put(
            connection,
            "INSERT INTO mark VALUES (?, ?, ?, ?, ?)",
            &cells,
        )?;
        if self.fresh.insert(print, (totals.mark, now)).is_none() {
            self.count(print.low);
        }
        Ok(id_is_shared)
    }

    /// Whether another source's event with the same id is remembered, or, rarely, seems to be.
    pub(super) fn is_shared(&self, event: &Event) -> bool {
        self.has_others(Print::of(event))
    }

    fn has_others(&self, print: Print) -> bool {
        // Marks of its own may be there, of an earlier time: those are no other source's.
        let own = u32::from(self.rows.contains_key(&print.low));
        let own = own + u32::from(self.fresh.contains_key(&print));
        let of_id = self.ids.get(&beginning(print.low)).copied();
        of_id.unwrap_or(0) > own
    }

    fn count(&mut self, low: i64) {
        *self.ids.entry(beginning(low)).or_default() += 1;
    }

    fn uncount(&mut self, low: i64) {
        if let Entry::Occupied(mut count) = self.ids.entry(beginning(low)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// The transaction is on disk.
    pub(super) fn committed(&mut self) {
        for (print, (n, _)) in std::mem::take(&mut self.fresh) {
            if self.rows.insert(print.low, n).is_some() {
                self.uncount(print.low);
            }
        }
    }

    /// The transaction came to nothing.
    pub(super) fn rolled_back(&mut self) {
        for print in std::mem::take(&mut self.fresh).into_keys() {
            self.uncount(print.low);
        }
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
                self.uncount(*low);
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
