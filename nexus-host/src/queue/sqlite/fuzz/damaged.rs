//! A queue's file in which bytes were changed.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use nexus_plugin_api::{Event, Priority, RawJson};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tempfile::TempDir;
use uuid::Uuid;

use super::super::rows::{self, Key, Stored, WorkColumns};
use super::super::totals::Progress;
use super::super::{fsck, schema, sum};
use crate::fuzz::Dice;
use crate::queue::{JournalLine, Step, Work};

/// A time in 2027, in microseconds.
const NOW: i64 = 1_800_000_000_000_000;

static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = scratch();
    let path = folder.path().join("queue.db");
    fill(&path).expect("a new file can be filled");
    // What counts its rows is written.
    fsck(&path, true).expect("a new file can be mended");
    let report = fsck(&path, false).expect("a new file can be checked");
    assert!(report.is_sound(), "{report:?}");
    fs::read(&path).expect("it is there")
});

fn scratch() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("a folder")
}

/// Changes to a whole file, each four bytes: the place of a byte in it, and what is changed in that.
pub fn queue_file(bytes: &[u8]) {
    let mut file = WHOLE.clone();
    let mut dice = Dice(bytes);
    while !dice.0.is_empty() {
        let place = (0..3).fold(0, |place, _| place << 8 | usize::from(dice.byte()));
        let length = file.len();
        file[place % length] ^= dice.byte();
    }
    let folder = scratch();
    let path = folder.path().join("queue.db");
    fs::write(&path, &file).expect("it can be written");
    let found = fsck(&path, false);
    assert!(
        fs::read(&path).is_ok_and(|after| after == file),
        "it was only looked at"
    );
    if found.is_ok_and(|report| report.is_sound()) {
        read(&path);
    }
    // A file of something else is left alone.
    if fsck(&path, true).is_ok() {
        let report = fsck(&path, false).expect("it was mended");
        assert!(report.is_sound(), "{report:?}");
        read(&path);
    }
}

/// Every event in a file that is sound can be read.
fn read(path: &Path) {
    let connection = schema::open_reader(path).expect("it is sound");
    let mut statement = connection
        .prepare("SELECT * FROM event")
        .expect("it is sound");
    let events = statement.query_map([], |row| sum::read(row, |row| Stored::read(row, 1)));
    for event in events.expect("it is sound") {
        let stored = event.expect("it is sound").expect("its sum is right");
        stored.into_event().expect("it was an event");
    }
}

fn fill(path: &Path) -> rusqlite::Result<()> {
    let connection = schema::open(path).expect("a new file can be made");
    let text = |damage: rows::Damage| rusqlite::Error::ToSqlConversionFailure(Box::new(damage));
    let columns = WorkColumns::of(&Work::Route, &[]).map_err(text)?;
    let lines = [JournalLine {
        at: super::super::clock::at(NOW),
        step: Step::Accepted,
    }];
    let lines = rows::lines(&lines).map_err(text)?;
    for place in 1..=6 {
        let key = Key::new(Priority::Normal, place);
        let event = event(place);
        let head = rows::head(&event, &rows::Beside::default()).map_err(text)?;
        let cells = rows::cells(&event, NOW, &head);
        let row = [&[ValueRef::Integer(key.0)], &cells[..]].concat();
        put(&connection, "event", &row)?;
        if place % 2 == 0 {
            Progress {
                lines: 1,
                ..Progress::NEW
            }
            .save(&connection, key)?;
            let (key, due) = (ValueRef::Integer(key.0), ValueRef::Integer(NOW + place));
            let one = ValueRef::Integer(1);
            let (work, errors) = (columns.work.as_str().into(), columns.errors.as_str().into());
            put(
                &connection,
                "task",
                &[ValueRef::Integer(place), key, due, one, work, errors],
            )?;
            put(&connection, "journal", &[key, one, lines.as_str().into()])?;
        }
        let letter = Uuid::from_u128(place as u128);
        let own = [
            ValueRef::Integer(place),
            ValueRef::Blob(letter.as_bytes()),
            ValueRef::Integer(NOW),
            ValueRef::Integer(place),
            "for_a_test".into(),
            columns.work.as_str().into(),
            columns.errors.as_str().into(),
        ];
        put(&connection, "letter", &[&own[..], &cells].concat())?;
        let mark = [place, place * 3, place * 5, NOW].map(ValueRef::Integer);
        put(&connection, "mark", &mark)?;
        let done = [
            ValueRef::Integer(place),
            cells[0],
            ValueRef::Integer(place),
            cells[1],
            "processed".into(),
            ValueRef::Integer(NOW),
            ValueRef::Integer(NOW),
            head.as_str().into(),
            lines.as_str().into(),
        ];
        put(&connection, "done", &done)?;
    }
    let state = ["plugin".into(), "key".into(), ValueRef::Blob(b"value")];
    put(&connection, "plugin_state", &state)
}

fn put(connection: &Connection, table: &str, cells: &[ValueRef<'_>]) -> rusqlite::Result<()> {
    let places = vec!["?"; cells.len() + 1].join(", ");
    let sql = format!("INSERT INTO {table} VALUES ({places})");
    sum::put(connection, &sql, cells)
}

fn event(place: i64) -> Event {
    let payload = format!("{{\"number\":{place}}}");
    Event {
        event_id: Uuid::from_u128(1 << 100 | place as u128),
        timestamp: super::super::clock::at(NOW),
        partition_key: (place % 3 == 0).then(|| "a lane".to_owned()),
        ..Event::new("shop.placed", "shop", RawJson::from_checked(payload))
    }
}
