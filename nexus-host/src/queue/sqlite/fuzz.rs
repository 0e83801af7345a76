//! The fuzz targets of this room: what a queue finds on disk. Others may have written there, and disks
//! forget.

mod damaged;
mod log;

use std::collections::HashSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attempting::{self, Mark};
use super::rows::{self, Beside, Stored, WorkColumns};
use super::totals::Totals;
use crate::fuzz::parts;

pub use damaged::queue_file;
pub use log::queue_log;

/// What a column holds, by the word on the first line: `head`, `lines`, `work` (and what failed before) or
/// `totals`; or `attempting`, a file of that name.
pub fn queue_rows(bytes: &[u8]) {
    let [what, column, other] = parts(bytes);
    if what == b"attempting" {
        return under_way(column);
    }
    // A column that is no text is refused before it is read.
    let (Ok(column), Ok(other)) = (str::from_utf8(column), str::from_utf8(other)) else {
        return;
    };
    match what {
        b"head" => head(column),
        b"lines" => lines(column),
        b"work" => work(column, other),
        b"totals" => drop(same::<Totals>(column)),
        _ => {}
    }
}

/// What a column is read as can be written, and is read as the same.
fn same<T: Serialize + DeserializeOwned>(column: &str) -> Option<String> {
    let read: T = serde_json::from_str(column).ok()?;
    let written = serde_json::to_string(&read).expect("it can be written");
    let again: T = serde_json::from_str(&written).expect("it was written here");
    assert_eq!(serde_json::to_string(&again).ok().as_ref(), Some(&written));
    Some(written)
}

fn head(column: &str) {
    let first_lines = rows::first_lines(column, chrono::DateTime::UNIX_EPOCH);
    let Ok(event) = Stored::with_head(column).into_event() else {
        return;
    };
    // What has marks must say so in its journal, and everything else begins in one way.
    assert!(first_lines.is_ok_and(|lines| (1..=3).contains(&lines.len())));
    let written = rows::head(&event, &Beside::default()).expect("it can be written");
    let again = Stored::with_head(&written).into_event();
    assert_eq!(again.ok(), Some(event));
}

fn lines(column: &str) {
    let Ok(lines) = rows::read_lines(column) else {
        return;
    };
    let written = rows::lines(&lines).expect("they can be written");
    let again = rows::read_lines(&written).expect("they were written here");
    assert_eq!(rows::lines(&again).ok(), Some(written));
}

fn work(work: &str, errors: &str) {
    let columns = WorkColumns {
        work: work.to_owned(),
        errors: errors.to_owned(),
    };
    let Ok((work, errors)) = columns.decode() else {
        return;
    };
    let written = WorkColumns::of(&work, &errors).expect("it can be written");
    assert_eq!(written.decode().ok(), Some((work, errors)));
}

/// Marks name events, and each is written as it was found.
fn under_way(file: &[u8]) {
    let marks = attempting::marks(file);
    assert!(marks.len() <= file.len() / attempting::ENTRY);
    for mark in &marks {
        assert!(mark.event.0 > 0 && mark.task.is_none_or(|task| task.0 > 0));
        assert_eq!(Mark::of_columns(mark.event.0, mark.task_column()), *mark);
    }
    let written: Vec<u8> = marks.iter().flat_map(|mark| mark.encode()).collect();
    let written = [&[0; attempting::ENTRY], &*written].concat();
    let again = attempting::marks(&written);
    let (again, marks): (HashSet<_>, HashSet<_>) =
        (again.into_iter().collect(), marks.into_iter().collect());
    assert_eq!(again, marks);
}
