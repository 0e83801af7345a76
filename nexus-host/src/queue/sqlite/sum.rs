//! The sum over a row, since SQLite has none: the last column of every table is a CRC-32 over the
//! others, in the order of the table.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Statement};

use super::rows::Damage;

/// Writes a row with its sum. The statement takes the columns in the order of the table, and the sum
/// last.
pub(super) fn put(
    connection: &Connection,
    sql: &str,
    cells: &[ValueRef<'_>],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    for (place, cell) in (1..).zip(cells) {
        bind(&mut statement, place, *cell)?;
    }
    let sum = ValueRef::Integer(of(cells.iter().copied()));
    bind(&mut statement, cells.len() + 1, sum)?;
    statement.raw_execute().map(drop)
}

/// Binds a column as it is, whether or not it is a text where it should be one.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    place: usize,
    cell: ValueRef<'_>,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(cell))
}

/// The sum over columns in the order of the table.
pub(super) fn of<'a>(cells: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    // Each with its kind and length, so that none can pass for another's end.
    let mut add = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(bytes);
    };
    for cell in cells {
        match cell {
            ValueRef::Null => add(0, &[]),
            ValueRef::Integer(number) => add(1, &number.to_le_bytes()),
            ValueRef::Real(number) => add(2, &number.to_le_bytes()),
            ValueRef::Text(text) => add(3, text),
            ValueRef::Blob(bytes) => add(4, bytes),
        }
    }
    i64::from(hasher.finalize())
}

/// Checks a row that was read with all columns of its table, in their order.
pub(super) fn check(row: &Row<'_>) -> rusqlite::Result<Result<(), Damage>> {
    let last = row.as_ref().column_count().saturating_sub(1);
    let cells = (0..last).map(|column| row.get_ref(column));
    let cells: Vec<ValueRef<'_>> = cells.collect::<rusqlite::Result<_>>()?;
    Ok(match row.get_ref(last)? == ValueRef::Integer(of(cells)) {
        true => Ok(()),
        false => Err(Damage("its sum is wrong".to_owned())),
    })
}

/// Reads columns of such a row, if it is as it was written: only then are they of their types.
pub(super) fn read<T>(
    row: &Row<'_>,
    columns: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Result<T, Damage>> {
    Ok(match check(row)? {
        Ok(()) => columns(row).map_err(|error| Damage(error.to_string())),
        Err(damage) => Err(damage),
    })
}

/// Bytes of a column of which nothing is known.
pub(super) fn len(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let bytes = match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        _ => 0,
    };
    Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// A count as a column holds it. Columns have a sign; counts do not.
pub(super) fn count(count: u64) -> ValueRef<'static> {
    ValueRef::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
