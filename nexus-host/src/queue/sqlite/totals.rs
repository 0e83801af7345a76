//! Sums over the tables, and the counters that give out numbers: changed with every transaction,
//! stored once in each, and taken back with it when it fails.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::rows::{Damage, Key};
use super::sum;
use crate::queue::Deaths;

/// See the module. Counters name the last number given out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Places in the order of arrival.
    pub(super) place: i64,
    /// Tasks.
    pub(super) task: i64,
    /// Marks against duplicates.
    pub(super) mark: i64,
    /// Finished events.
    pub(super) done: i64,
    /// Dead letters.
    pub(super) letter: i64,
    /// Transactions that wrote something.
    pub(super) transactions: u64,

    /// Events with work left.
    pub(super) depth: u64,
    /// Those of them of which all that is left waits for its time.
    pub(super) parked: u64,
    /// Bytes of their payloads.
    pub(super) bytes: u64,
    /// Tasks that wait for their time.
    pub(super) delayed: u64,
    /// Events that wait for their first routing, or are being routed, by class.
    pub(super) unrouted: [Sum; 4],
    /// Dead letters kept.
    pub(super) letters: Sum,

    /// Events accepted since the start of this process.
    #[serde(skip)]
    pub(super) accepted: u64,
    /// Events finished since then.
    #[serde(skip)]
    pub(super) finished: u64,
    /// What went to the dead letters since then.
    #[serde(skip)]
    pub(super) deaths: Deaths,
}

impl Totals {
    /// As they are stored, if they are.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Result<Option<Self>, Damage>> {
        let stored = connection
            .prepare("SELECT * FROM totals WHERE one = 1")?
            .query_row([], |row| sum::read(row, |row| row.get(1)))
            .optional()?;
        let decode = |json: String| Ok(serde_json::from_str(&json)?);
        Ok(stored.map(|json| json.and_then(decode)).transpose())
    }

    pub(super) fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        let json = serde_json::to_string(self)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let sql = "INSERT OR REPLACE INTO totals VALUES (?, ?, ?)";
        sum::put(
            connection,
            sql,
            &[ValueRef::Integer(1), json.as_str().into()],
        )
    }
}

/// So many, with so many bytes of payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub(super) fn take(&mut self, bytes: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// How far an event is that was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Units of work left.
    pub(super) open: u64,
    /// How many of them wait for their time.
    pub(super) delayed: u64,
    /// How much of its work is among the dead letters.
    pub(super) dead: u64,
    /// Lines of its journal.
    pub(super) lines: u64,
}

impl Progress {
    /// An event that waits for its first routing, or is being routed.
    pub(super) const NEW: Self = Self {
        open: 1,
        delayed: 0,
        dead: 0,
        lines: 0,
    };

    pub(super) fn save(&self, connection: &Connection, key: Key) -> rusqlite::Result<()> {
        let counts = [self.open, self.delayed, self.dead, self.lines].map(sum::count);
        let [open, delayed, dead, lines] = counts;
        let sql = "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?, ?)";
        let cells = [ValueRef::Integer(key.0), open, delayed, dead, lines];
        sum::put(connection, sql, &cells)
    }

    /// Whether all that is left of it waits for its time.
    pub(super) fn is_parked(&self) -> bool {
        self.open > 0 && self.open == self.delayed
    }
}
