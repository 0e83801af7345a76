//! What is counted beside the rows: the progress of events, and the totals.

use rusqlite::{Connection, OptionalExtension, params};

use super::Report;
use crate::queue::sqlite::rows::Key;
use crate::queue::sqlite::totals::{Sum, Totals};

/// Compares what is stored with a recount, and stores the recount if asked to.
pub(super) fn check(
    connection: &Connection,
    report: &mut Report,
    repair: bool,
) -> rusqlite::Result<()> {
    let wrong = "SELECT p.key, count(t.id), count(t.due) FROM progress p
                 LEFT JOIN task t ON t.event = p.key GROUP BY p.key
                 HAVING p.open <> count(t.id) OR p.delayed <> count(t.due)";
    let found: Vec<(i64, i64, i64)> = connection
        .prepare(wrong)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (key, open, delayed) in found {
        report.note("progress", Some(key), "it does not count the work there is");
        if repair {
            let sql = "UPDATE progress SET open = ?, delayed = ? WHERE key = ?";
            connection.execute(sql, params![open, delayed, key])?;
            report.mended();
        }
    }
    let (stored, counted) = (stored(connection)?, count(connection)?);
    // Counters may be ahead of what is left.
    let is_right = stored.is_some_and(|stored| ahead(stored, counted) == stored);
    let is_new = stored.is_none() && counted == Totals::default();
    if !is_right && !is_new {
        report.note("totals", None, "they are not the sums of the rows");
        if repair {
            write(connection)?;
            report.mended();
        }
    }
    Ok(())
}

/// Stores the totals as they are counted.
pub(super) fn write(connection: &Connection) -> rusqlite::Result<()> {
    let counted = count(connection)?;
    let totals = stored(connection)?.map_or(counted, |stored| ahead(stored, counted));
    let json = serde_json::to_string(&totals)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection.execute(
        "INSERT OR REPLACE INTO totals (one, json) VALUES (1, ?)",
        [json],
    )?;
    Ok(())
}

/// What is stored, if it can be read.
fn stored(connection: &Connection) -> rusqlite::Result<Option<Totals>> {
    let json: Option<String> = connection
        .query_row("SELECT json FROM totals", [], |row| row.get(0))
        .optional()?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// The sums as they are counted, and of the counters whatever is further.
fn ahead(stored: Totals, counted: Totals) -> Totals {
    Totals {
        place: stored.place.max(counted.place),
        task: stored.task.max(counted.task),
        mark: stored.mark.max(counted.mark),
        done: stored.done.max(counted.done),
        letter: stored.letter.max(counted.letter),
        ..counted
    }
}

fn count(connection: &Connection) -> rusqlite::Result<Totals> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let positive = |sql: &str| number(sql).map(|count| u64::try_from(count).unwrap_or(0));
    let sum = |sql: &str| {
        connection.query_row(sql, [], |row| {
            let (count, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Sum {
                count: u64::try_from(count).unwrap_or(0),
                bytes: u64::try_from(bytes).unwrap_or(0),
            })
        })
    };
    let mut place = number("SELECT coalesce(max(place), 0) FROM done")?
        .max(number("SELECT coalesce(max(place), 0) FROM letter")?);
    let mut unrouted = [Sum::default(); 4];
    for (class, unrouted) in unrouted.iter_mut().enumerate() {
        let (start, end) = (Key::start_of(class).0, Key::end_of(class).0);
        let of_class = format!("FROM event WHERE key >= {start} AND key < {end}");
        let last = number(&format!("SELECT coalesce(max(key), 0) {of_class}"))?;
        place = place.max(Key(last).place());
        *unrouted = sum(&format!(
            "SELECT count(*), coalesce(sum(length(payload)), 0) {of_class}
             AND key NOT IN (SELECT key FROM progress)"
        ))?;
    }
    let open = sum("SELECT count(*), coalesce(sum(length(payload)), 0) FROM event")?;
    Ok(Totals {
        place,
        task: number("SELECT coalesce(max(id), 0) FROM task")?,
        mark: number("SELECT coalesce(max(n), 0) FROM mark")?,
        done: number("SELECT coalesce(max(seq), 0) FROM done")?,
        letter: number("SELECT coalesce(max(n), 0) FROM letter")?,
        depth: open.count,
        parked: positive("SELECT count(*) FROM progress WHERE open > 0 AND open = delayed")?,
        bytes: open.bytes,
        delayed: positive("SELECT count(*) FROM task WHERE due IS NOT NULL")?,
        unrouted,
        letters: sum("SELECT count(*), coalesce(sum(length(payload)), 0) FROM letter")?,
        ..Totals::default()
    })
}
