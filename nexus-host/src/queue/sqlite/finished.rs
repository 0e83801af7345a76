//! Where a finished event's journey is found: the newest of each id.

use std::collections::HashMap;

use parking_lot::Mutex;
use rusqlite::Connection;
use uuid::Uuid;

/// Numbers of journeys by the ids of their events, as many as journeys are kept. It may name one
/// that is not there, or not yet: who looks has to compare the id.
#[derive(Debug)]
pub(super) struct Finished(Mutex<HashMap<Uuid, i64>>);

impl Finished {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT id, seq FROM done ORDER BY seq")?;
        let rows = statement.query_map([], |row| {
            Ok((Uuid::from_bytes(row.get::<_, [u8; 16]>(0)?), row.get(1)?))
        })?;
        Ok(Self(Mutex::new(rows.collect::<rusqlite::Result<_>>()?)))
    }

    pub(super) fn insert(&self, id: Uuid, seq: i64) {
        self.0.lock().insert(id, seq);
    }

    pub(super) fn find(&self, id: Uuid) -> Option<i64> {
        self.0.lock().get(&id).copied()
    }

    /// Forgets a journey, unless a newer one has the same id.
    pub(super) fn remove(&self, id: Uuid, seq: i64) {
        let mut numbers = self.0.lock();
        if numbers.get(&id) == Some(&seq) {
            numbers.remove(&id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}
