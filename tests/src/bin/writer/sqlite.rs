//! A database in write-ahead mode, which moves its log into the database time and again.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::thread::sleep;

use nexus_tests::disk::{Marks, ROWS};
use rusqlite::Connection;

use crate::{PAUSE, refused};

/// Pages of log after which they are moved: few, so that it happens often.
const CHECKPOINT_AFTER: u32 = 20;

pub(crate) fn write(
    folder: &Path,
    marks: &Marks,
    events: u32,
    synchronous: &str,
) -> Result<(), Box<dyn Error>> {
    let database = Connection::open(folder.join(ROWS))?;
    log_ahead(&database)?;
    database.pragma_update(None, "synchronous", synchronous)?;
    database.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_AFTER)?;
    database.execute_batch("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, text TEXT)")?;
    // SQLite syncs the folder as well, but it does not look whether that worked.
    File::open(folder)?.sync_all()?;
    for n in 0..events {
        let text = "x".repeat(usize::try_from(n * 37 % 3_000)?);
        // A row that is there already is promised as well.
        while let Err(error) =
            database.execute("INSERT OR IGNORE INTO rows VALUES (?, ?)", (n, &text))
        {
            refused(&error.to_string());
            sleep(PAUSE);
        }
        marks.accepted(n);
    }
    Ok(())
}

/// Switches to write-ahead mode. The answer is read to its end: it says `wal` before the change is
/// committed, and who stops there never hears that this failed.
fn log_ahead(database: &Connection) -> Result<(), Box<dyn Error>> {
    let mut switch = database.prepare("PRAGMA journal_mode = wal")?;
    let modes = switch.query_map([], |row| row.get::<_, String>(0))?;
    let modes: Vec<_> = modes.collect::<Result<_, _>>()?;
    match modes == ["wal"] {
        true => Ok(()),
        false => Err(format!("the journal stays in mode {modes:?}").into()),
    }
}
