//! `nexus queue fsck`: looks at a queue's file that nobody works with, tells what is damaged, and
//! mends it when asked to.
//!
//! Receives a path, hands on a [`Report`]. Nothing is deleted because it cannot be read: it goes to
//! the quarantine. A file whose pages are damaged is not written to; what can be read of it goes
//! into a new one, and the damaged one stays beside it.

mod rows;
mod salvage;
mod sums;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde::Serialize;

use super::schema::{self, Lock, OpenError};
use super::totals::Totals;
use super::{attempting, clock, log};

/// What is told of SQLite's own findings, at most.
const MOST_PAGES: u32 = 100;

/// What was found in a queue's file.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What is damaged, in the order of the tables.
    pub findings: Vec<Finding>,
    /// Rows that are in the quarantine now.
    pub quarantine: Vec<Quarantined>,
    /// Set when the file had to be written anew.
    pub rebuilt: Option<Rebuilt>,
}

impl Report {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Something that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The table; `file` for the pages underneath, `log` for what was not copied into them yet.
    pub table: &'static str,
    /// The number of the row, if it is one row.
    pub row: Option<i64>,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it was mended.
    pub is_mended: bool,
}

/// A row in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// When it was put there.
    pub at: DateTime<Utc>,
    /// The table it comes from.
    pub table: String,
    /// Its number.
    pub row: i64,
    /// What is wrong with it.
    pub reason: String,
}

/// A file that was written anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Where the damaged one is now.
    pub damaged: PathBuf,
    /// Rows that could be read, by table.
    pub saved: Vec<(&'static str, u64)>,
}

/// Checks the queue in a file, and with `repair` mends it. No hub may work with it meanwhile.
///
/// # Errors
/// See [`OpenError`]: another process works with it, or it is no queue, or is not there.
pub fn fsck(path: &Path, repair: bool) -> Result<Report, OpenError> {
    std::fs::metadata(path).map_err(|source| OpenError::Io {
        path: path.to_owned(),
        source,
    })?;
    let path = &schema::resolve(path)?;
    let _lock = Lock::take(path)?;
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let (mut report, mut lost) = (Report::default(), Report::default());
    if let Err(broken) = log::check(path).map_err(io)? {
        lost.note("log", None, &broken.to_string());
        if repair {
            log::save(path).map_err(io)?;
        }
    }
    let is_readable = look(path, &mut report)?;
    if let Some(missing) = missing(path).map_err(io)? {
        lost.note("log", None, &missing);
    }
    let is_damaged = report
        .findings
        .iter()
        .any(|finding| finding.table == "file");
    if repair && is_damaged {
        let new = if is_readable {
            salvage::rebuild(&schema::open_reader(path)?, path)?
        } else {
            salvage::rebuild(&salvage::Graft::of(path)?.open()?, path)?
        };
        report.rebuilt = Some(salvage::replace(path, new)?);
        let findings = report.findings.iter_mut();
        findings.for_each(|finding| finding.is_mended = true);
    }
    if repair && !(report.is_sound() && lost.is_sound()) {
        if !is_damaged {
            // They are found again, and mended.
            report.findings.clear();
        }
        mend(path, &mut report, is_damaged).map_err(|error| schema::failure(path, error))?;
        // Nothing of the log is left, and what it had lost is known.
        attempting::forget(&schema::beside(path, "attempting")).map_err(io)?;
        let findings = lost.findings.iter_mut();
        findings.for_each(|finding| finding.is_mended = true);
    }
    report.findings.splice(0..0, lost.findings);
    if repair || !is_damaged {
        let connection = schema::open_reader(path)?;
        report.quarantine =
            quarantine(&connection).map_err(|error| schema::failure(path, error))?;
    }
    Ok(report)
}

/// Looks at everything, and changes nothing. Says whether the list of the tables can be read.
fn look(path: &Path, report: &mut Report) -> Result<bool, OpenError> {
    let opened = schema::open_reader(path)
        .and_then(|connection| schema::check(&connection, path).map(|()| connection));
    let connection = match opened {
        Ok(connection) => connection,
        Err(OpenError::Damaged { reason, .. }) => {
            report.note("file", None, &reason);
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    pages(&connection, report);
    let has_its_tables = schema::has_its_tables(&connection).unwrap_or(false);
    if !has_its_tables {
        report.note("file", None, "its tables are not those of a queue");
    }
    if report.is_sound() {
        match rows::check(&connection, report, false) {
            Err(error) if schema::is_damage(&error) => {
                report.note("file", None, &error.to_string())
            }
            checked => checked.map_err(|error| schema::failure(path, error))?,
        }
    }
    Ok(has_its_tables)
}

/// What of the log is not there any more, if it is known how long it was.
fn missing(path: &Path) -> std::io::Result<Option<String>> {
    let written = attempting::written(&schema::beside(path, "attempting"))?;
    let found = schema::open_reader(path).map(|connection| Totals::load(&connection));
    let Ok(Ok(Ok(found))) = found else {
        // That is told of the file, or of the table.
        return Ok(None);
    };
    let found = found.unwrap_or_default().transactions;
    let missing = written.saturating_sub(found);
    Ok((missing > 0).then(|| format!("{missing} of its transactions are missing at the end")))
}

fn mend(path: &Path, report: &mut Report, is_new: bool) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.unchecked_transaction()?;
    rows::check(&transaction, report, true)?;
    if is_new {
        sums::write(&transaction)?;
    }
    transaction.commit()
}

impl Report {
    fn note(&mut self, table: &'static str, row: Option<i64>, reason: &str) {
        self.findings.push(Finding {
            table,
            row,
            reason: reason.to_owned(),
            is_mended: false,
        });
    }

    /// What was noted last is mended.
    fn mended(&mut self) {
        if let Some(finding) = self.findings.last_mut() {
            finding.is_mended = true;
        }
    }
}

/// What SQLite says of its own pages.
fn pages(connection: &Connection, report: &mut Report) {
    let lines = connection
        .prepare(&format!("PRAGMA integrity_check({MOST_PAGES})"))
        .and_then(|mut statement| {
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<rusqlite::Result<Vec<_>>>()
        });
    match lines {
        Ok(lines) => {
            let wrong = lines.iter().filter(|line| *line != "ok");
            wrong.for_each(|line| report.note("file", None, line));
        }
        Err(error) => report.note("file", None, &error.to_string()),
    }
}

fn quarantine(connection: &Connection) -> rusqlite::Result<Vec<Quarantined>> {
    connection
        .prepare("SELECT at, origin, row, reason FROM quarantine ORDER BY rowid")?
        .query_map([], |row| {
            Ok(Quarantined {
                at: clock::at(row.get(0)?),
                table: row.get(1)?,
                row: row.get(2)?,
                reason: row.get(3)?,
            })
        })?
        .collect()
}

#[cfg(test)]
pub(super) mod tests;
