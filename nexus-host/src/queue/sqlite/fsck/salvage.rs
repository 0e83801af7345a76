//! A file whose pages are damaged: reads every row that can still be read, from both ends of each
//! table, and writes them into a new file. Never writes to the damaged one.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::Rebuilt;
use crate::queue::sqlite::schema::{self, Copying, OpenError};
use crate::queue::sqlite::sum;

/// The tables, and what orders their rows in both directions. The totals are among them so that
/// their counters do not fall back.
const TABLES: [(&str, &str); 11] = [
    ("event", "rowid"),
    ("progress", "rowid"),
    ("journal", "event DIRECTION, part"),
    ("task", "rowid"),
    ("done", "rowid"),
    ("mark", "rowid"),
    ("letter", "rowid"),
    ("plugin_state", "plugin DIRECTION, key"),
    ("suspect", "event DIRECTION, task"),
    ("quarantine", "rowid"),
    ("totals", "rowid"),
];

/// Bytes of a page.
const PAGE: usize = schema::PAGE as usize;

/// A new file, complete and synced, and how many rows of each table it has.
pub(super) struct New {
    path: PathBuf,
    saved: Vec<(&'static str, u64)>,
}

/// A folder with a copy of a file whose list of tables cannot be read, which ends with this.
pub(super) struct Graft(PathBuf);

impl Graft {
    /// Copies a file, and gives the copy the list of tables of a new queue: the tables begin in the
    /// same pages in all of them.
    pub(super) fn of(path: &Path) -> Result<Self, OpenError> {
        let folder = Self(schema::beside(path, "graft"));
        std::fs::create_dir_all(&folder.0).map_err(|error| io(path, error))?;
        let (copy, new) = (folder.0.join("copy"), folder.0.join("new"));
        let failed = |source| schema::failure(path, source);
        let empty = schema::open(&new)?;
        let roots: Vec<u32> = empty
            .prepare("SELECT rootpage FROM sqlite_schema")
            .and_then(|mut roots| roots.query_map([], |row| row.get(0))?.collect())
            .map_err(failed)?;
        drop(empty);
        let list = std::fs::read(&new).map_err(|error| io(path, error))?;
        let mut bytes = std::fs::read(path).map_err(|error| io(path, error))?;
        // Where a table began that is cut off, there is nothing to read.
        bytes.resize(bytes.len().max(list.len()), 0);
        let pages = u32::try_from(bytes.len() / PAGE).unwrap_or(u32::MAX);
        for (number, (from, to)) in (1_u32..).zip(list.chunks(PAGE).zip(bytes.chunks_mut(PAGE))) {
            // The second page says where pages belong, which nobody reads here.
            if number != 2 && !roots.contains(&number) && from.len() == to.len() {
                to.copy_from_slice(from);
            }
        }
        // How long the file is, by its header.
        if let Some(length) = bytes.get_mut(28..32) {
            length.copy_from_slice(&pages.to_be_bytes());
        }
        std::fs::write(&copy, bytes).map_err(|error| io(path, error))?;
        let log = schema::beside(path, "wal");
        if log.exists() {
            std::fs::copy(&log, schema::beside(&copy, "wal")).map_err(|error| io(path, error))?;
        }
        Ok(folder)
    }

    /// Opens the copy.
    pub(super) fn open(&self) -> Result<Connection, OpenError> {
        schema::open_reader(&self.0.join("copy"))
    }
}

impl Drop for Graft {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "failed to remove a copy");
        }
    }
}

/// Writes what can be read into a new file.
pub(super) fn rebuild(from: &Connection, path: &Path) -> Result<New, OpenError> {
    let new = schema::beside(path, "rebuilt");
    schema::remove_attempt(&new).map_err(|error| io(path, error))?;
    let to = schema::open(&new)?;
    let failed = |source| schema::failure(&new, source);
    let transaction = to.unchecked_transaction().map_err(failed)?;
    let mut saved = Vec::new();
    for (table, order) in TABLES {
        let rows = copy(from, &transaction, table, order).map_err(failed)?;
        saved.push((table, rows));
    }
    transaction.commit().map_err(failed)?;
    schema::copy_log(&to, Copying::Truncate).map_err(failed)?;
    Ok(New { path: new, saved })
}

/// Puts the new file in the place of the damaged one, which gets a name that tells when.
pub(super) fn replace(path: &Path, new: New) -> Result<Rebuilt, OpenError> {
    let damaged = schema::beside(path, &format!("damaged-{}", schema::now()));
    for suffix in ["wal", "shm"] {
        let (old, kept) = (
            schema::beside(path, suffix),
            schema::beside(&damaged, suffix),
        );
        if old.exists() {
            std::fs::rename(&old, kept).map_err(|error| io(path, error))?;
        }
    }
    // A file with the queue's name is there all the time: a hub that finds none makes a new one.
    std::fs::hard_link(path, &damaged)
        .or_else(|_| std::fs::copy(path, &damaged).map(drop))
        .map_err(|error| io(path, error))?;
    std::fs::rename(&new.path, path).map_err(|error| io(path, error))?;
    schema::sync_folder(path).map_err(|error| io(path, error))?;
    Ok(Rebuilt {
        damaged,
        saved: new.saved,
    })
}

/// Copies the rows of a table, upwards as far as they can be read, then downwards.
fn copy(from: &Connection, to: &Connection, table: &str, order: &str) -> rusqlite::Result<u64> {
    let mut saved = 0;
    for direction in ["ASC", "DESC"] {
        let by = order.replace("DIRECTION", direction);
        let sql = format!("SELECT * FROM {table} NOT INDEXED ORDER BY {by} {direction}");
        // What cannot be read is what this is about: it ends here, and goes on from the other end.
        let Ok(mut statement) = from.prepare(&sql) else {
            continue;
        };
        let width = statement.column_count();
        let places = vec!["?"; width].join(", ");
        let mut insert =
            to.prepare_cached(&format!("INSERT OR IGNORE INTO {table} VALUES ({places})"))?;
        let Ok(mut rows) = statement.query([]) else {
            continue;
        };
        let is_whole = loop {
            match rows.next() {
                Ok(Some(row)) => {
                    // As they are: a text may be none any more.
                    for column in 0..width {
                        sum::bind(&mut insert, column + 1, row.get_ref(column)?)?;
                    }
                    // A row that does not fit the table any more is left out.
                    saved += insert.raw_execute().unwrap_or(0);
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if is_whole {
            break;
        }
    }
    Ok(u64::try_from(saved).unwrap_or(u64::MAX))
}

fn io(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}
