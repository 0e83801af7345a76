//! Every row by itself, and what rows say of each other. What cannot be read, or belongs to nothing,
//! is told; mending moves it to the quarantine and recounts what counts it.

use std::collections::HashSet;

use chrono::Utc;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;

use super::{Report, sums};
use crate::queue::Work;
use crate::queue::sqlite::rows::{self, Damage, Key, Stored, Told, WorkColumns};
use crate::queue::sqlite::store::FoundLetter;
use crate::queue::sqlite::totals::Progress;
use crate::queue::sqlite::{quarantine, schema, sum};

/// Says of a row that is as it was written why it cannot be read, if it cannot.
type Judge = fn(&Row<'_>) -> rusqlite::Result<Result<(), Damage>>;

/// Every table but the totals, the column that names its rows, and how each is judged. Its columns are
/// read in the order of the table.
const TABLES: [(&str, &str, Judge); 10] = [
    ("event", "key", event),
    ("progress", "key", sound),
    ("journal", "event", journal),
    ("task", "id", task),
    ("done", "seq", done),
    ("mark", "n", sound),
    ("letter", "n", letter),
    ("plugin_state", "rowid", sound),
    ("suspect", "event", sound),
    ("quarantine", "rowid", sound),
];

/// Rows that belong to an event that is not there.
const ORPHANS: [(&str, &str); 3] = [("task", "event"), ("journal", "event"), ("progress", "key")];

/// Checks everything, and mends it if asked to.
pub(super) fn check(
    connection: &Connection,
    report: &mut Report,
    repair: bool,
) -> rusqlite::Result<()> {
    for (table, number, judge) in TABLES {
        let mut wrong = Vec::new();
        let names = numbers(
            connection,
            &format!("SELECT {number} FROM {table} ORDER BY {number}"),
        )?;
        let mut statement =
            connection.prepare(&format!("SELECT * FROM {table} ORDER BY {number}"))?;
        let mut rows = statement.query([])?;
        for name in names {
            let Some(row) = rows.next()? else {
                break;
            };
            match sum::check(row)
                .and_then(|whole| whole.map_or_else(|no| Ok(Err(no)), |()| judge(row)))
            {
                Ok(Ok(())) => {}
                Ok(Err(damage)) => wrong.push((name, damage.to_string())),
                // A column that is not of its type is the row's affair; a page is the file's.
                Err(error) if schema::is_damage(&error) => return Err(error),
                Err(error) => wrong.push((name, error.to_string())),
            }
        }
        drop(rows);
        wrong.dedup_by_key(|(name, _)| *name);
        for (row, reason) in wrong {
            set_aside(connection, report, (table, number), row, &reason, repair)?;
        }
    }
    for (table, number) in ORPHANS {
        let sql = format!(
            "SELECT DISTINCT {number} FROM {table} WHERE {number} NOT IN (SELECT key FROM event)"
        );
        for row in numbers(connection, &sql)? {
            let reason = "its event is missing";
            set_aside(connection, report, (table, number), row, reason, repair)?;
        }
    }
    idle(connection, report, repair)?;
    sums::check(connection, report, repair)
}

fn numbers(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare(sql)?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Moves rows to the quarantine.
fn set_aside(
    connection: &Connection,
    report: &mut Report,
    (table, number): (&'static str, &str),
    row: i64,
    reason: &str,
    repair: bool,
) -> rusqlite::Result<()> {
    report.note(table, Some(row), reason);
    if !repair {
        return Ok(());
    }
    let now = Utc::now().timestamp_micros();
    quarantine::set_aside(connection, (table, number), row, reason, now)?;
    report.mended();
    Ok(())
}

/// Events that were worked on and have no work left are routed once more: better twice than never.
fn idle(connection: &Connection, report: &mut Report, repair: bool) -> rusqlite::Result<()> {
    let sql = "SELECT key FROM progress WHERE key IN (SELECT key FROM event)
               AND key NOT IN (SELECT event FROM task)";
    for key in numbers(connection, sql)? {
        report.note(
            "event",
            Some(key),
            "it has no work left and is not finished",
        );
        if !repair {
            continue;
        }
        let columns = WorkColumns::of(&Work::Route, &[]).map_err(unlikely)?;
        let last: i64 =
            connection.query_row("SELECT coalesce(max(id), 0) FROM task", [], |row| {
                row.get(0)
            })?;
        let cells = [
            ValueRef::Integer(last + 1),
            ValueRef::Integer(key),
            ValueRef::Null,
            ValueRef::Integer(1),
            columns.work.as_str().into(),
            columns.errors.as_str().into(),
        ];
        sum::put(
            connection,
            "INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?)",
            &cells,
        )?;
        report.mended();
    }
    // Work of an event that seems untouched would be done, and the event routed beside it.
    let sql = "SELECT DISTINCT event FROM task WHERE event IN (SELECT key FROM event)
               AND event NOT IN (SELECT key FROM progress)";
    let without: HashSet<i64> = numbers(connection, sql)?.into_iter().collect();
    for key in without {
        report.note("progress", Some(key), "it is missing, and there is work");
        if repair {
            // What is open is counted afterwards.
            let progress = Progress {
                open: 0,
                ..Progress::NEW
            };
            progress.save(connection, Key(key))?;
            report.mended();
        }
    }
    Ok(())
}

fn unlikely(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn sound(_: &Row<'_>) -> rusqlite::Result<Result<(), Damage>> {
    Ok(Ok(()))
}

fn event(row: &Row<'_>) -> rusqlite::Result<Result<(), Damage>> {
    Ok(Stored::read(row, 1)?.into_event().map(drop))
}

fn task(row: &Row<'_>) -> rusqlite::Result<Result<(), Damage>> {
    Ok(WorkColumns::read(row, 4)?.decode().map(drop))
}

fn journal(row: &Row<'_>) -> rusqlite::Result<Result<(), Damage>> {
    Ok(rows::read_lines(&row.get::<_, String>("lines")?).map(drop))
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Result<(), Damage>> {
    Ok(FoundLetter::read(row)?.check().map(drop))
}

fn done(row: &Row<'_>) -> rusqlite::Result<Result<(), Damage>> {
    let (id, status): (Vec<u8>, String) = (row.get("id")?, row.get("status")?);
    if id.len() != 16 || !matches!(status.as_str(), "dead" | "processed") {
        return Ok(Err(Damage("its id or status is none".to_owned())));
    }
    let told = decode::<Told>(&row.get::<_, String>("head")?);
    Ok(told.and(journal(row)?))
}

fn decode<T: DeserializeOwned>(json: &str) -> Result<(), Damage> {
    Ok(serde_json::from_str::<T>(json).map(drop)?)
}
