//! Whether what the plain writers left still holds what they promised: lines of a file, rows of a
//! database.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::Promises;

/// Where the writer of lines puts them.
pub const LINES: &str = "log";

/// Where the writer of rows puts its database.
pub const ROWS: &str = "rows.db";

/// Which promised lines are missing.
pub fn missing_lines(folder: &Path, promises: &Promises) -> Vec<String> {
    let bytes = fs::read(folder.join(LINES)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    missing(
        promises,
        &whole.map(|line| line.trim_end().to_owned()).collect(),
    )
}

/// Which promised rows are missing, and what else is wrong with the database. Repairs it.
pub fn missing_rows(folder: &Path, promises: &Promises) -> Vec<String> {
    match rows(&folder.join(ROWS)) {
        Ok(rows) => missing(promises, &rows),
        // It was not complete yet.
        Err(_) if promises.accepted.is_empty() => Vec::new(),
        Err(error) => vec![error.to_string()],
    }
}

fn missing(promises: &Promises, found: &BTreeSet<String>) -> Vec<String> {
    promises.accepted.difference(found).cloned().collect()
}

fn rows(path: &Path) -> rusqlite::Result<BTreeSet<String>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check_integrity(&database)?;
    let mut rows = database.prepare("SELECT n FROM rows")?;
    let rows = rows.query_map([], |row| row.get::<_, i64>(0).map(|n| n.to_string()))?;
    rows.collect()
}

pub(super) fn check_integrity(database: &Connection) -> rusqlite::Result<()> {
    database.query_row("PRAGMA integrity_check", [], |row| {
        match row.get::<_, String>(0)? {
            ok if ok == "ok" => Ok(()),
            problem => Err(rusqlite::Error::InvalidColumnName(problem)),
        }
    })
}
