//! Every row by itself, and what rows say of each other. What cannot be read, or belongs to nothing,
//! is told; mending moves it to the quarantine and recounts what counts it.

use std::collections::HashSet;

use chrono::Utc;
use rusqlite::{Connection, Row, params};

use super::{Report, sums};
use crate::queue::sqlite::rows::{Stored, Told, WorkColumns};
use crate::queue::sqlite::schema;
use crate::queue::sqlite::store::{FoundLetter, LETTER};
use crate::queue::{JournalLine, Work};

/// Says of a row why it cannot be read, if it cannot.
type Judge = fn(&Row<'_>) -> rusqlite::Result<Option<String>>;

/// Tables whose rows are read, the name of their number, their columns, and how each is judged.
const TABLES: [(&str, &str, &str, Judge); 5] = [
    (
        "event",
        "key",
        "sum, id, source, lane, head, payload",
        event,
    ),
    ("task", "id", "sum, work, errors", task),
    ("journal", "event", "lines", lines),
    ("letter", "n", LETTER, letter),
    ("done", "seq", "lines, head, id, status", done),
];

/// Rows that belong to an event that is not there.
const ORPHANS: [(&str, &str); 3] = [("task", "event"), ("journal", "event"), ("progress", "key")];

/// Checks everything, and mends it if asked to.
pub(super) fn check(
    connection: &Connection,
    report: &mut Report,
    repair: bool,
) -> rusqlite::Result<()> {
    for (table, number, columns, judge) in TABLES {
        let sql = format!("SELECT {columns}, {number} FROM {table} ORDER BY {number}");
        let mut statement = connection.prepare(&sql)?;
        let last = statement.column_count() - 1;
        let found = statement.query_map([], |row| Ok((row.get(last)?, judge(row))))?;
        let mut wrong: Vec<(i64, String)> = Vec::new();
        for row in found {
            match row? {
                (_, Ok(None)) => {}
                (number, Ok(Some(reason))) => wrong.push((number, reason)),
                // A column that is not of its type is the row's affair; a page is the file's.
                (_, Err(error)) if schema::is_damage(&error) => return Err(error),
                (number, Err(error)) => wrong.push((number, error.to_string())),
            }
        }
        wrong.dedup_by_key(|(number, _)| *number);
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
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?)")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    // Text is kept as its bytes: it may be none.
    let content = columns.iter().map(|column| {
        format!(
            "'{column}', CASE typeof({column}) WHEN 'integer' THEN {column} ELSE hex({column}) END"
        )
    });
    let content = content.collect::<Vec<_>>().join(", ");
    connection.execute(
        &format!(
            "INSERT INTO quarantine (at, origin, row, reason, content)
             SELECT ?, '{table}', {number}, ?, json_object({content}) FROM {table}
             WHERE {number} = ?"
        ),
        params![Utc::now().timestamp_micros(), reason, row],
    )?;
    connection.execute(&format!("DELETE FROM {table} WHERE {number} = ?"), [row])?;
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
        connection.execute(
            "INSERT INTO task (id, event, due, attempt, sum, work, errors)
             SELECT coalesce(max(id), 0) + 1, ?, NULL, 1, ?, ?, ? FROM task",
            params![key, columns.sum, columns.work, columns.errors],
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
            connection.execute(
                "INSERT INTO progress (key, open, delayed, dead, lines) VALUES (?, 0, 0, 0, 0)",
                [key],
            )?;
            report.mended();
        }
    }
    Ok(())
}

fn unlikely(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn event(row: &Row<'_>) -> rusqlite::Result<Option<String>> {
    let (sum, stored): (i64, _) = (row.get(0)?, Stored::read(row, 1)?);
    Ok(match stored.sum() == sum {
        true => stored.into_event().err().map(|damage| damage.to_string()),
        false => Some("its sum is wrong".to_owned()),
    })
}

fn task(row: &Row<'_>) -> rusqlite::Result<Option<String>> {
    let columns = WorkColumns::read(row, 0)?;
    Ok(columns.decode().err().map(|damage| damage.to_string()))
}

fn lines(row: &Row<'_>) -> rusqlite::Result<Option<String>> {
    let json: String = row.get(0)?;
    let lines = serde_json::from_str::<Vec<JournalLine>>(&json);
    Ok(lines.err().map(|error| error.to_string()))
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Option<String>> {
    let found = FoundLetter::read(row)?;
    Ok(found.check().err().map(|damage| damage.to_string()))
}

fn done(row: &Row<'_>) -> rusqlite::Result<Option<String>> {
    let (head, id): (String, Vec<u8>) = (row.get(1)?, row.get(2)?);
    let status: String = row.get(3)?;
    if id.len() != 16 || !matches!(status.as_str(), "dead" | "processed") {
        return Ok(Some("its id or status is none".to_owned()));
    }
    let told = serde_json::from_str::<Told>(&head).err();
    match told {
        Some(error) => Ok(Some(error.to_string())),
        None => lines(row),
    }
}
