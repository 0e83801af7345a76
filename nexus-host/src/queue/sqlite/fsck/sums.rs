//! What is counted beside the rows: the progress of events, and the totals.

use rusqlite::Connection;

use super::Report;
use crate::queue::sqlite::rows::Key;
use crate::queue::sqlite::totals::{Progress, Sum, Totals};

/// Compares what is stored with a recount, and stores the recount if asked to.
pub(super) fn check(
    connection: &Connection,
    report: &mut Report,
    repair: bool,
) -> rusqlite::Result<()> {
    let wrong = "SELECT p.key, count(t.id), count(t.due), p.dead, p.lines FROM progress p
                 LEFT JOIN task t ON t.event = p.key GROUP BY p.key
                 HAVING p.open <> count(t.id) OR p.delayed <> count(t.due)";
    let found: Vec<(i64, [i64; 4])> = connection
        .prepare(wrong)?
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
            ))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (key, counts) in found {
        report.note("progress", Some(key), "it does not count the work there is");
        if repair {
            let [open, delayed, dead, lines] =
                counts.map(|count| u64::try_from(count).unwrap_or(0));
            let progress = Progress {
                open,
                delayed,
                dead,
                lines,
            };
            progress.save(connection, Key(key))?;
            report.mended();
        }
    }
    let (stored, counted) = (Totals::load(connection)?, count(connection)?);
    let sql = "SELECT count(*) FROM totals WHERE one <> 1";
    let strangers: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    let is_right = match stored {
        _ if strangers > 0 => false,
        // Counters may be ahead of what is left.
        Ok(Some(stored)) => ahead(stored, counted) == stored,
        Ok(None) => counted == Totals::default(),
        Err(_) => false,
    };
    if !is_right {
        report.note("totals", None, "they are not the sums of the rows");
        if repair {
            write(connection)?;
            report.mended();
        }
    }
    Ok(())
}

/// Stores the totals as they are counted, in their one row.
pub(super) fn write(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM totals WHERE one <> 1", [])?;
    let counted = count(connection)?;
    let stored = Totals::load(connection)?.ok().flatten();
    let totals = stored.map_or(counted, |stored| ahead(stored, counted));
    totals.save(connection)
}

/// The sums as they are counted, and of the counters whatever is further.
fn ahead(stored: Totals, counted: Totals) -> Totals {
    Totals {
        place: stored.place.max(counted.place),
        task: stored.task.max(counted.task),
        mark: stored.mark.max(counted.mark),
        done: stored.done.max(counted.done),
        letter: stored.letter.max(counted.letter),
        transactions: stored.transactions.max(counted.transactions),
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
