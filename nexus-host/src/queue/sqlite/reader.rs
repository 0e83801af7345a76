//! Reading beside the writer: journeys, dead letters, the state of plugins. Sees what is committed,
//! and holds nobody up.
//!
//! On a thread of its own: the disk may be slow, and who asks may be a plugin's thread, which knows
//! nothing of the host's runtime.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::clock;
use super::finished::{Finished, Found};
use super::ready::Ready;
use super::rows::{self, Damage, Key, Told};
use super::schema::{self, OpenError};
use super::store::{FoundLetter, LETTER, PARTS, Trouble, join, part};
use super::sum;
use crate::queue::{
    DeadLetter, EventStatus, JournalLine, Journey, LetterFilter, Meant, Page, Step, Unavailable,
};

/// The first routing of an event, as the tables hold it.
const ROUTE: &str = "\"route\"";

/// Something to read.
type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// See the module. Dropping it ends its thread, after what was asked.
#[derive(Debug)]
pub(super) struct Reader(Arc<Jobs>);

/// What is to be read. Bounded by those who ask: each waits for its answer.
#[derive(Default)]
struct Jobs {
    inside: Mutex<Inside>,
    arrived: Condvar,
}

#[derive(Default)]
struct Inside {
    waiting: VecDeque<Job>,
    closed: bool,
}

impl Reader {
    pub(super) fn start(desk: Desk) -> std::io::Result<Self> {
        let jobs = Arc::new(Jobs::default());
        let thread = std::thread::Builder::new().name("nexus-queue-read".to_owned());
        let of_thread = jobs.clone();
        thread.spawn(move || of_thread.run(desk))?;
        Ok(Self(jobs))
    }

    /// Has something read.
    pub(super) fn ask(&self, job: Job) {
        self.0.inside.lock().waiting.push_back(job);
        self.0.arrived.notify_one();
    }
}

impl Jobs {
    fn run(&self, mut desk: Desk) {
        loop {
            let mut inside = self.inside.lock();
            self.arrived.wait_while(&mut inside, |inside| {
                inside.waiting.is_empty() && !inside.closed
            });
            let Some(job) = inside.waiting.pop_front() else {
                return;
            };
            drop(inside);
            job(&mut desk);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.inside.lock().closed = true;
        self.0.arrived.notify_one();
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jobs(..)")
    }
}

/// Where it is read.
#[derive(Debug)]
pub(super) struct Desk {
    path: PathBuf,
    /// Opened anew after an error.
    connection: Option<Connection>,
    finished: Arc<Finished>,
    /// Finished journeys that are told; more may be there.
    journeys: i64,
}

impl Desk {
    pub(super) fn open(
        path: PathBuf,
        finished: Arc<Finished>,
        journeys: usize,
    ) -> Result<Self, OpenError> {
        let connection = schema::open_reader(&path)?;
        Ok(Self {
            path,
            connection: Some(connection),
            finished,
            journeys: i64::try_from(journeys).unwrap_or(i64::MAX),
        })
    }

    fn with<T>(
        &mut self,
        read: impl FnOnce(&Self, &Connection) -> Result<T, Trouble>,
    ) -> Result<T, Unavailable> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => schema::open_reader(&self.path).map_err(unavailable)?,
        };
        let answer = read(self, &connection).map_err(unavailable)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// The way so far of the event accepted last with this id, of those that are meant.
    pub(super) fn journey(
        &mut self,
        id: Uuid,
        of: &Meant,
        ready: &Mutex<Ready>,
    ) -> Result<Option<Journey>, Unavailable> {
        self.with(|desk, connection| {
            // One view of all tables.
            let view = connection.unchecked_transaction()?;
            let open = open_events(&view, id)?.into_iter();
            let open = open.map(|event| (event.key.place(), Place::Open(event)));
            let finished = desk.finished.find(id).into_iter();
            let finished = finished.map(|found| (found.place, Place::Finished(found)));
            let mut places: Vec<(i64, Place)> = open.chain(finished).collect();
            places.sort_by_key(|(place, _)| Reverse(*place));
            for (_, place) in places {
                let journey = match place {
                    Place::Open(event) => open_journey(&view, id, event, of, ready)?,
                    Place::Finished(found) => desk.finished_journey(&view, id, found, of)?,
                };
                if journey.is_some() {
                    return Ok(journey);
                }
            }
            Ok(None)
        })
    }

    fn finished_journey(
        &self,
        connection: &Connection,
        id: Uuid,
        found: Found,
        of: &Meant,
    ) -> Result<Option<Journey>, Trouble> {
        let found = connection
            .prepare_cached(
                "SELECT * FROM done
                 WHERE seq = ?1 AND id = ?2 AND seq > (SELECT max(seq) FROM done) - ?3",
            )?
            .query_row(params![found.seq, id.as_bytes(), self.journeys], |row| {
                sum::read(row, |row| {
                    Ok((
                        (row.get::<_, String>(3)?, row.get(4)?),
                        (row.get(5)?, row.get(6)?),
                        (row.get::<_, String>(7)?, row.get::<_, String>(8)?),
                    ))
                })
            })
            .optional()?;
        let Some(((source, status), (accepted_at, finished_at), (head, lines))) =
            found.transpose()?
        else {
            return Ok(None);
        };
        let status: String = status;
        let status = match status.as_str() {
            "dead" => EventStatus::Dead,
            _ => EventStatus::Processed,
        };
        let told: Told = decode(&head)?;
        if !of(&source, &told.event_type) {
            return Ok(None);
        }
        let steps = rows::read_lines(&lines)?;
        let finished_at = Some(finished_at);
        Ok(Some(told.journey(
            id,
            status,
            source,
            accepted_at,
            finished_at,
            steps,
        )))
    }

    /// The dead letters that are meant. One that is damaged is left out, and told to the log.
    pub(super) fn dead_letters(
        &mut self,
        filter: &LetterFilter,
        page: Page,
    ) -> Result<Vec<DeadLetter>, Unavailable> {
        self.with(|_, connection| {
            let after = page.after.unwrap_or_default();
            let sql = format!("SELECT {LETTER} FROM letter WHERE id > ? ORDER BY id");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([after.as_bytes()], FoundLetter::read)?;
            let mut letters = Vec::new();
            for row in rows {
                if letters.len() >= page.limit {
                    break;
                }
                match row?.check() {
                    Ok(letter) if filter.matches(&letter) => letters.push(letter),
                    Ok(_) => {}
                    Err(damage) => tracing::error!(
                        reason = %damage,
                        "a dead letter is damaged; see `nexus queue fsck`"
                    ),
                }
            }
            Ok(letters)
        })
    }

    pub(super) fn state(
        &mut self,
        plugin: &str,
        key: &str,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        self.with(|_, connection| {
            let value = connection
                .prepare_cached("SELECT * FROM plugin_state WHERE plugin = ? AND key = ?")?
                .query_row([plugin, key], |row| sum::read(row, |row| row.get(2)))
                .optional()?;
            Ok(value.transpose()?)
        })
    }

    pub(super) fn keys(&mut self, plugin: &str, prefix: &str) -> Result<Vec<String>, Unavailable> {
        self.with(|_, connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key FROM plugin_state WHERE plugin = ? AND key >= ? ORDER BY key",
            )?;
            let rows = statement.query_map([plugin, prefix], |row| row.get::<_, String>(0))?;
            let mut keys = Vec::new();
            for key in rows {
                let key = key?;
                if !key.starts_with(prefix) {
                    break;
                }
                keys.push(key);
            }
            Ok(keys)
        })
    }
}

/// Where the journey of an event stands.
enum Place {
    Open(OpenEvent),
    Finished(Found),
}

/// An event with work left.
struct OpenEvent {
    key: Key,
    source: String,
    accepted_at: i64,
    head: String,
}

fn open_events(connection: &Connection, id: Uuid) -> Result<Vec<OpenEvent>, Trouble> {
    let found = connection
        .prepare_cached("SELECT * FROM event WHERE id = ?")?
        .query_map([id.as_bytes()], |row| {
            sum::read(row, |row| {
                Ok(OpenEvent {
                    key: Key(row.get(0)?),
                    source: row.get(2)?,
                    accepted_at: row.get(4)?,
                    head: row.get(5)?,
                })
            })
        })?
        .collect::<rusqlite::Result<Result<_, Damage>>>()??;
    Ok(found)
}

fn open_journey(
    connection: &Connection,
    id: Uuid,
    event: OpenEvent,
    of: &Meant,
    ready: &Mutex<Ready>,
) -> Result<Option<Journey>, Trouble> {
    let OpenEvent {
        key: Key(key),
        source,
        accepted_at,
        head,
    } = event;
    let told: Told = decode(&head)?;
    if !of(&source, &told.event_type) {
        return Ok(None);
    }
    let parts: Vec<String> = connection
        .prepare_cached(PARTS)?
        .query_map([key], part)?
        .collect::<rusqlite::Result<Result<_, Damage>>>()??;
    let mut steps = rows::read_lines(&join(&parts))?;
    if steps.is_empty() {
        steps = rows::first_lines(&head, clock::at(accepted_at))?;
    }
    let taken_up = ready.lock().routed_since(Key(key));
    steps.extend(taken_up.map(|at| JournalLine {
        at,
        step: Step::Leased,
    }));
    let is_past_routing: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM task WHERE event = ? AND work <> ?)")?
        .query_row(params![key, ROUTE], |row| row.get(0))?;
    let was_taken_up = steps.iter().any(|line| line.step == Step::Leased);
    let status = match was_taken_up || is_past_routing {
        true => EventStatus::Processing,
        false => EventStatus::Queued,
    };
    let journey = told.journey(id, status, source, accepted_at, None, steps);
    Ok(Some(journey))
}

impl Told {
    fn journey(
        self,
        event_id: Uuid,
        status: EventStatus,
        source: String,
        accepted_at: i64,
        finished_at: Option<i64>,
        steps: Vec<JournalLine>,
    ) -> Journey {
        Journey {
            event_id,
            status,
            event_type: self.event_type,
            source,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            accepted_at: clock::at(accepted_at),
            finished_at: finished_at.map(clock::at),
            steps,
        }
    }
}

fn decode<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, Trouble> {
    Ok(serde_json::from_str(json).map_err(Damage::from)?)
}

fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    Unavailable {
        reason: error.to_string(),
    }
}
