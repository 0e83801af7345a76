//! The file: opens it, makes or checks its tables, and keeps every other process out of it.
//!
//! Receives a path, hands on a connection that syncs every commit. It deletes nothing.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::log;

/// Marks a file as a queue of Nexus: "NXUS".
const APPLICATION_ID: i64 = 0x4e58_5553;

/// Bytes of a page.
pub(super) const PAGE: u32 = 4096;

/// The layout that this build reads and writes.
const LAYOUT: i64 = 1;

/// What the tables hold. Times are microseconds since 1970; `sum` is described in
/// [`sum`](super::sum).
const TABLES: &str = "
    -- Events with work left. The key is the class (2 bits) and the place in the order of arrival.
    CREATE TABLE event (
        key INTEGER PRIMARY KEY, id BLOB NOT NULL, source TEXT NOT NULL, lane TEXT,
        accepted_at INTEGER NOT NULL, head TEXT NOT NULL, payload BLOB NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX event_id ON event (id);
    -- How far those of them are that were worked on.
    CREATE TABLE progress (
        key INTEGER PRIMARY KEY, open INTEGER NOT NULL, delayed INTEGER NOT NULL,
        dead INTEGER NOT NULL, lines INTEGER NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    -- Their journals so far: JSON arrays of times and steps.
    CREATE TABLE journal (
        event INTEGER NOT NULL, part INTEGER NOT NULL, lines TEXT NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (event, part)
    ) STRICT, WITHOUT ROWID;
    -- Work beside the first routing. `due` is NULL for what can be done at once.
    CREATE TABLE task (
        id INTEGER PRIMARY KEY, event INTEGER NOT NULL, due INTEGER, attempt INTEGER NOT NULL,
        work TEXT NOT NULL, errors TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX task_due ON task (due, id);
    CREATE INDEX task_event ON task (event);
    -- Finished events: their journeys.
    CREATE TABLE done (
        seq INTEGER PRIMARY KEY, id BLOB NOT NULL, place INTEGER NOT NULL, source TEXT NOT NULL,
        status TEXT NOT NULL, accepted_at INTEGER NOT NULL, finished_at INTEGER NOT NULL,
        head TEXT NOT NULL, lines TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    -- Marks against duplicates: 128 bits of SHA-256 over source and id, by order of acceptance.
    CREATE TABLE mark (
        n INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL, at INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE letter (
        n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, at INTEGER NOT NULL, place INTEGER NOT NULL,
        reason TEXT NOT NULL, work TEXT NOT NULL, errors TEXT NOT NULL, event_id BLOB NOT NULL,
        source TEXT NOT NULL, lane TEXT, accepted_at INTEGER NOT NULL, head TEXT NOT NULL,
        payload BLOB NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE plugin_state (
        plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (plugin, key)
    ) STRICT;
    -- Work that was under way when a process died, and how often it alone was.
    CREATE TABLE suspect (
        event INTEGER NOT NULL, task INTEGER NOT NULL, deaths INTEGER NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (event, task)
    ) STRICT, WITHOUT ROWID;
    -- Rows that could not be read, as they were found.
    CREATE TABLE quarantine (
        at INTEGER NOT NULL, origin TEXT NOT NULL, row INTEGER NOT NULL, reason TEXT NOT NULL,
        content TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    -- Sums over the tables above, so that none has to be counted: one row of JSON.
    CREATE TABLE totals (
        one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
";

/// Why a durable queue cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process works with it.
    #[error(
        "the queue {} is in use by another process; stop that one, or give this hub a \
         queue.sqlite.path of its own",
        .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("failed to open the queue {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: std::io::Error,
    },
    /// It is a database, but of something else.
    #[error(
        "{} is not a queue of Nexus; nothing was changed. Name another file in queue.sqlite.path",
        .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error(
        "the queue {} has layout {found}, which a later version of Nexus wrote; this one reads up \
         to {LAYOUT}. Nothing was changed",
        .path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
    },
    /// It cannot be read.
    #[error(
        "the queue {} is damaged: {reason}. Nothing was changed; `nexus queue fsck` tells what can \
         be saved",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// SQLite says no.
    #[error("failed to open the queue {}: {source}", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: rusqlite::Error,
    },
}

/// The right to work with a file, which one process has at a time. Ends with the process.
#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

impl Lock {
    /// Takes the lock that belongs to a queue's file, in a file beside it.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let file = File::create(beside(path, "lock")).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _held: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

/// Where the file is that a path means: files that belong to it lie beside it, and not beside a link.
///
/// # Errors
/// The link leads nowhere: what it should lead to may only not be there at the moment.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    match std::fs::symlink_metadata(path) {
        Ok(file) if file.is_symlink() => {
            std::fs::canonicalize(path).map_err(|source| OpenError::Io {
                path: path.to_owned(),
                source,
            })
        }
        _ => Ok(path.to_owned()),
    }
}

/// A file that belongs to the queue's.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-");
    name.push(suffix);
    name.into()
}

/// Opens the file for its one writer, and makes it if there is none. The lock must be held.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| failure(path, source);
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    if !path.try_exists().map_err(io)? {
        create(path)?;
    }
    // Whoever may write copies what is right of a log at its end, and removes it: not before it is
    // known to be a queue's, and whole, or is kept.
    check(&open_reader(path)?, path)?;
    if let Err(broken) = log::check(path).map_err(io)? {
        let copy = log::save(path).map_err(io)?;
        tracing::error!(copy = %copy.display(), "{broken}; it is kept as it was found");
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    // What a process before this one wrote, but did not sync, may be readable and yet not be on the
    // disk. Copied into the main file and synced, it is.
    copy_log(&connection, Copying::Truncate).map_err(failed)?;
    // SQLite syncs the folder too, but does not look whether that worked: a log without its name is
    // lost with the power.
    sync_folder(path).map_err(io)?;
    Ok(connection)
}

/// Looks whether it is a queue that this build reads.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| failure(path, source);
    if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Err(OpenError::Damaged {
            path: path.to_owned(),
            reason: "it has no content, and every queue has some".to_owned(),
        });
    }
    let application: i64 = pragma(connection, "application_id").map_err(failed)?;
    let layout: i64 = pragma(connection, "user_version").map_err(failed)?;
    if application != APPLICATION_ID {
        return Err(match has_its_tables(connection) {
            Ok(true) => OpenError::Damaged {
                path: path.to_owned(),
                reason: "what marks it as a queue is not in it".to_owned(),
            },
            _ => OpenError::Foreign {
                path: path.to_owned(),
            },
        });
    }
    if layout > LAYOUT {
        return Err(OpenError::TooNew {
            path: path.to_owned(),
            found: layout,
        });
    }
    Ok(())
}

/// Whether the tables are the ones that this build makes.
pub(super) fn has_its_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let tables = |connection: &Connection| {
        connection
            .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")?
            .query_map([], |row| {
                let column = |index| row.get::<_, Option<String>>(index);
                Ok([column(0)?, column(1)?, column(2)?, column(3)?])
            })?
            .collect::<rusqlite::Result<Vec<_>>>()
    };
    let new = Connection::open_in_memory()?;
    new.execute_batch(TABLES)?;
    Ok(tables(connection)? == tables(&new)?)
}

/// Whether nothing was ever accepted.
pub(super) fn is_unused(connection: &Connection) -> rusqlite::Result<bool> {
    let used = "SELECT EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM mark)
                OR EXISTS (SELECT 1 FROM done) OR EXISTS (SELECT 1 FROM letter)";
    connection.query_row(used, [], |row| row.get::<_, bool>(0).map(|used| !used))
}

/// Opens the file a second time, to read beside the writer.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |source| failure(path, source);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .busy_timeout(Duration::from_secs(5))
        .map_err(failed)?;
    connection
        .pragma_update(None, "cache_size", -1_000)
        .map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

/// Opens the file once more, to copy its log.
pub(super) fn open_checkpointer(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| failure(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    sync_fully(&connection).map_err(failed)?;
    Ok(connection)
}

/// Each commit is on the disk, and not only in its cache: macOS wants to be told that apart.
fn sync_fully(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // Before the first table, or they have no effect.
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    // Read to the end: the change is committed after the first row, and may fail only there.
    connection
        .prepare("PRAGMA journal_mode = WAL")?
        .query_map([], |_| Ok(()))?
        .collect::<rusqlite::Result<()>>()?;
    sync_fully(connection)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -8_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Makes a queue. It gets its name when it is complete and synced: whenever the power goes, a file with
/// that name is a queue.
fn create(path: &Path) -> Result<(), OpenError> {
    let new = beside(path, "new");
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    remove_attempt(&new).map_err(io)?;
    // What it says was said of another.
    remove(&beside(path, "attempting")).map_err(io)?;
    // The log of a file that was taken away would be taken for the new one's.
    let log = beside(path, "wal");
    if log.try_exists().map_err(io)? {
        let aside = beside(path, &format!("orphan-{}-wal", now()));
        tracing::warn!(aside = %aside.display(), "a log whose queue is gone is put aside");
        std::fs::rename(log, aside).map_err(io)?;
        sync_folder(path).map_err(io)?;
    }
    fill(&new).map_err(|error| failure(path, error))?;
    let file = File::options().write(true).open(&new).map_err(io)?;
    file.sync_all().map_err(io)?;
    std::fs::rename(&new, path).map_err(io)?;
    sync_folder(path).map_err(io)
}

/// Removes a file that an earlier attempt left behind, which is not complete.
pub(super) fn remove_attempt(path: &Path) -> std::io::Result<()> {
    let logs = ["wal", "shm", "journal"].map(|suffix| beside(path, suffix));
    logs.iter().try_for_each(|log| remove(log))?;
    remove(path)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The time, as it stands in the names of files that are put aside.
pub(super) fn now() -> impl std::fmt::Display {
    Utc::now().format("%Y%m%dT%H%M%SZ")
}

/// Makes the tables in a new file, and leaves nothing in its log.
fn fill(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    configure(&connection)?;
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()?;
    copy_log(&connection, Copying::Truncate)?;
    connection.close().map_err(|(_, error)| error)
}

/// How the log is copied into the main file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Copying {
    /// As far as nobody is in the way.
    Passive,
    /// All of it, and its space is given back.
    Truncate,
}

/// Copies the log into the main file and syncs it. Answers how many pages the log had. It fails when
/// all of it is to be copied and somebody who reads is in the way.
pub(super) fn copy_log(connection: &Connection, how: Copying) -> rusqlite::Result<i64> {
    let query = match how {
        Copying::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Copying::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let (is_in_the_way, pages): (bool, i64) =
        connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match how {
        Copying::Truncate if is_in_the_way => {
            let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            Err(rusqlite::Error::SqliteFailure(busy, None))
        }
        _ => Ok(pages),
    }
}

/// Whether SQLite found its own file inconsistent.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Makes sure that the names in a file's folder are on the disk.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a folder cannot be opened; its names are on the disk with the file.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Whether the application's number stands where a queue has it, whatever else is there.
fn is_marked(path: &Path) -> bool {
    let mut head = [0; 72];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head[68..] == *b"NXUS"
}

/// Sorts an error of SQLite's by what the user can do about it.
pub(super) fn failure(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) if !is_marked(&path) => OpenError::Foreign { path },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
            path,
            reason: source.to_string(),
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path },
        _ => OpenError::Sqlite { path, source },
    }
}
