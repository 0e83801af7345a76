//! What a hub lists, told one way: receives entries, prints all of them as JSON, or a table of what people look for.

use serde_json::Value;

use crate::cli::Common;
use crate::{output, table};

/// Prints entries, each as a row under this header; `none` where there are none.
pub(crate) fn tell<const N: usize>(
    common: &Common,
    entries: &[Value],
    none: &str,
    header: [&str; N],
    row: impl Fn(&Value) -> [String; N],
) {
    if common.json {
        output::json(entries);
    } else if entries.is_empty() {
        output::line(none);
    } else {
        let rows: Vec<_> = entries.iter().map(row).collect();
        output::line(&table::render(header, &rows));
    }
}

/// A text of an entry.
pub(crate) fn text(entry: &Value, key: &str) -> String {
    entry[key].as_str().unwrap_or("?").to_owned()
}
