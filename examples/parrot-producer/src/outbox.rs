//! The outbox: receives lines that were read, keeps each on disk until the hub has answered for it, and hands on what an
//! earlier run has left. It is an SQLite file, so that a line and how far its file was read are written together.
//!
//! It stays small: nothing more is read while what it holds is not delivered.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use crate::input::{Line, Place};

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, text BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, lines INTEGER NOT NULL);
";

/// See the module. Cheap to clone; clones are the same outbox.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    file: Arc<PathBuf>,
    connection: Arc<Mutex<Connection>>,
}

/// Why the outbox does not work.
#[derive(Debug, thiserror::Error)]
#[error("the outbox {} does not work: {source}", .file.display())]
pub(crate) struct OutboxError {
    file: PathBuf,
    source: Box<dyn Error + Send + Sync>,
}

impl Outbox {
    /// Opens it, and makes it where there is none.
    ///
    /// # Errors
    /// When the file is none, or cannot be written.
    pub(crate) fn open(file: &Path) -> Result<Self, OutboxError> {
        let opened = Connection::open(file).and_then(|connection| {
            connection.execute_batch(TABLES)?;
            Ok(connection)
        });
        let connection = opened.map_err(|source| OutboxError {
            file: file.to_owned(),
            source: source.into(),
        })?;
        Ok(Self {
            file: Arc::new(file.to_owned()),
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// What an earlier run has left, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn left(&self) -> Result<Vec<Line>, OutboxError> {
        let connection = self.connection.lock();
        let left = || {
            let mut all = connection.prepare("SELECT id, number, text FROM lines ORDER BY id")?;
            let rows = all.query_map([], |row| {
                Ok(Line {
                    kept: Some(row.get(0)?),
                    number: row.get(1)?,
                    text: row.get(2)?,
                })
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        left().map_err(|error| self.error(error))
    }

    /// How far a file was read.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub(crate) fn place(&self, file: &Path) -> Result<Place, OutboxError> {
        let connection = self.connection.lock();
        let known = connection.query_row(
            "SELECT bytes, lines FROM files WHERE path = ?1",
            [file.to_string_lossy()],
            |row| {
                Ok(Place {
                    bytes: row.get(0)?,
                    lines: row.get(1)?,
                })
            },
        );
        let known = known.optional().map_err(|error| self.error(error))?;
        Ok(known.unwrap_or_default())
    }

    /// Keeps lines and how far their file was read: all of it or nothing. They are on disk when this ends.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) async fn keep(
        &self,
        mut lines: Vec<Line>,
        place: Option<(&Path, &Place)>,
    ) -> Result<Vec<Line>, OutboxError> {
        let place = place.map(|(file, place)| (file.to_string_lossy().into_owned(), place.clone()));
        self.write(move |connection| {
            let transaction = connection.transaction()?;
            {
                let mut insert = transaction
                    .prepare_cached("INSERT INTO lines (number, text) VALUES (?1, ?2)")?;
                for line in &mut lines {
                    line.kept = Some(insert.insert(params![line.number, line.text])?);
                }
            }
            if let Some((file, place)) = place {
                transaction.execute(
                    "INSERT OR REPLACE INTO files (path, bytes, lines) VALUES (?1, ?2, ?3)",
                    params![file, place.bytes, place.lines],
                )?;
            }
            transaction.commit()?;
            Ok(lines)
        })
        .await
    }

    /// Forgets lines for which the hub has answered.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) async fn forget(&self, kept: Vec<i64>) -> Result<(), OutboxError> {
        self.write(move |connection| {
            let transaction = connection.transaction()?;
            {
                let mut delete = transaction.prepare_cached("DELETE FROM lines WHERE id = ?1")?;
                for id in kept {
                    delete.execute([id])?;
                }
            }
            transaction.commit()
        })
        .await
    }

    /// Writes where waiting for a disk holds up nobody else.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let connection = self.connection.clone();
        match tokio::task::spawn_blocking(move || work(&mut connection.lock())).await {
            Ok(written) => written.map_err(|error| self.error(error)),
            Err(given_up) => Err(self.error(given_up)),
        }
    }

    fn error(&self, source: impl Into<Box<dyn Error + Send + Sync>>) -> OutboxError {
        OutboxError {
            file: self.file.to_path_buf(),
            source: source.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Line {
        Line {
            text: format!("line {number}").into_bytes(),
            number,
            kept: None,
        }
    }

    #[tokio::test]
    async fn what_is_not_forgotten_is_there_for_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("outbox");
        let outbox = Outbox::open(&file).unwrap();
        let kept = outbox
            .keep(vec![line(1), line(2), line(3)], None)
            .await
            .unwrap();
        outbox.forget(vec![kept[1].kept.unwrap()]).await.unwrap();
        drop(outbox);
        let left = Outbox::open(&file).unwrap().left().unwrap();
        assert_eq!(left, [kept[0].clone(), kept[2].clone()]);
    }

    #[test]
    fn a_file_that_is_something_else_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "captured notifications, precious ".repeat(40)).unwrap();
        let error = Outbox::open(file.path()).unwrap_err().to_string();
        assert!(error.contains("not a database"), "{error}");
        assert!(
            std::fs::read_to_string(file.path())
                .unwrap()
                .starts_with("captured")
        );
    }
}
