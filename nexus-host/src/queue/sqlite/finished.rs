//! Where a finished event's journey is found.

use parking_lot::Mutex;
use rusqlite::Connection;
use uuid::Uuid;

use crate::queue::by_id::ById;

/// Numbers of journeys by the ids of their events, as many as journeys are kept. It may name one that is
/// not there, or not yet: who looks has to compare the id.
#[derive(Debug)]
pub(super) struct Finished(Mutex<ById<Found>>);

/// One that was accepted later sorts after one that was accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) place: i64,
    pub(super) seq: i64,
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
        let mut found = ById::default();
        for row in rows {
            let (id, one) = row?;
            found.insert(id, one);
        }
        Ok(Self(Mutex::new(found)))
    }

    /// An event has finished; again, when its journey had gone on.
    pub(super) fn insert(&self, id: Uuid, found: Found) {
        let mut all = self.0.lock();
        let before = all.newest_first(id).find(|one| one.place == found.place);
        if let Some(before) = before {
            all.remove(id, before);
        }
        all.insert(id, found);
    }

    /// Those of an id, the one accepted last first.
    pub(super) fn find(&self, id: Uuid) -> Vec<Found> {
        self.0.lock().newest_first(id).collect()
    }

    pub(super) fn remove(&self, id: Uuid, found: Found) {
        self.0.lock().remove(id, found);
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}
