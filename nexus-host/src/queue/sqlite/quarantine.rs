//! Rows that could not be read, kept as they were found: nothing is deleted because it does not parse.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::sum;

/// Moves the rows of a table with this number to the quarantine. `number` names the column. Answers how
/// many there were.
pub(super) fn set_aside(
    connection: &Connection,
    (table, number): (&str, &str),
    row: i64,
    reason: &str,
    now: i64,
) -> rusqlite::Result<usize> {
    for content in contents(connection, table, number, row)? {
        let cells = [
            ValueRef::Integer(now),
            table.into(),
            ValueRef::Integer(row),
            reason.into(),
            content.as_str().into(),
        ];
        let sql = "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?)";
        sum::put(connection, sql, &cells)?;
    }
    connection.execute(&format!("DELETE FROM {table} WHERE {number} = ?"), [row])
}

/// Rows as JSON objects, columns other than numbers in hexadecimal: text may be none.
fn contents(
    connection: &Connection,
    table: &str,
    number: &str,
    row: i64,
) -> rusqlite::Result<Vec<String>> {
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?)")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let cells = columns.iter().map(|column| {
        format!(
            "'{column}', CASE typeof({column}) WHEN 'integer' THEN {column} ELSE hex({column}) END"
        )
    });
    let cells = cells.collect::<Vec<_>>().join(", ");
    connection
        .prepare(&format!(
            "SELECT json_object({cells}) FROM {table} WHERE {number} = ?"
        ))?
        .query_map([row], |row| row.get(0))?
        .collect()
}
