//! Where a finished event's journey is found: the newest of each id.

use std::collections::HashMap;

use parking_lot::Mutex;
use rusqlite::Connection;
use uuid::Uuid;

/// Numbers of journeys by the ids of their events, as many as journeys are kept. Of several events
/// with the same id it knows the one accepted last. It may name one that is not there, or not yet:
/// who looks has to compare the id.
#[derive(Debug)]
pub(super) struct Finished(Mutex<HashMap<Uuid, Found>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    place: i64,
    seq: i64,
}

impl Finished {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement =
            connection.prepare("SELECT id, place, seq FROM done ORDER BY place, seq")?;
        let rows = statement.query_map([], |row| {
            let id = Uuid::from_bytes(row.get::<_, [u8; 16]>(0)?);
            let (place, seq) = (row.get(1)?, row.get(2)?);
            Ok((id, Found { place, seq }))
        })?;
        Ok(Self(Mutex::new(rows.collect::<rusqlite::Result<_>>()?)))
    }

    pub(super) fn insert(&self, id: Uuid, place: i64, seq: i64) {
        let new = Found { place, seq };
        let mut numbers = self.0.lock();
        let newest = numbers.entry(id).or_insert(new);
        *newest = new.max(*newest);
    }

    pub(super) fn find(&self, id: Uuid) -> Option<i64> {
        self.0.lock().get(&id).map(|found| found.seq)
    }

    /// Forgets a journey, unless a newer one has the same id.
    pub(super) fn remove(&self, id: Uuid, seq: i64) {
        let mut numbers = self.0.lock();
        if numbers.get(&id).is_some_and(|found| found.seq == seq) {
            numbers.remove(&id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}
