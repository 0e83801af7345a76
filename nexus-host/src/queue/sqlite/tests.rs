//! A queue that works on a file in which something is damaged, or that is not where it seems to be.

use std::time::Duration;

use nexus_plugin_api::Priority::Normal;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::time::timeout;

use super::fsck::tests::{Closed, closed, killed};
use super::ready::tests::event;
use super::*;
use crate::queue::{LetterFilter, Page, Pushed};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives a text an end that no text has.
fn break_text(queue: &Closed, table: &str, column: &str) {
    queue.change(&format!(
        "UPDATE {table} SET {column} = CAST(CAST({column} AS BLOB) || x'ff' AS TEXT)
         WHERE rowid = (SELECT max(rowid) FROM {table} WHERE {column} IS NOT NULL)"
    ));
}

/// Works through everything that is due, and answers how much that was.
async fn work_off(queue: &SqliteQueue) -> usize {
    let mut count = 0;
    while let Ok(Some(delivery)) = timeout(Duration::from_millis(300), queue.lease()).await {
        // One whose end cannot be written down is put aside.
        let _ = queue.settle(delivery.lease, Settlement::default()).await;
        count += 1;
    }
    count
}

async fn accepts(queue: &SqliteQueue) -> bool {
    let push = queue.push(vec![event("new", Normal, 1_000)]);
    let report = timeout(PATIENCE, push).await.unwrap();
    matches!(report.answers[..], [Ok(Pushed::Accepted)])
}

/// An hour and a half after the queue was made everything in it is due.
fn later() -> Clock {
    Clock::ahead(Duration::from_secs(5_400))
}

#[tokio::test]
async fn a_text_that_is_none_stops_nothing_else() {
    for (table, column) in [
        ("event", "source"),
        ("event", "head"),
        ("task", "work"),
        ("task", "errors"),
        ("letter", "reason"),
        ("letter", "head"),
        ("done", "lines"),
        ("done", "status"),
        ("plugin_state", "plugin"),
    ] {
        let file = closed().await;
        break_text(&file, table, column);
        let queue = SqliteQueue::open_with_clock(&file.config, true, later()).unwrap();
        let done = work_off(&queue).await;
        assert!(done > 20, "{table}.{column}: {done}");
        assert!(accepts(&queue).await, "{table}.{column}");
        let letters = queue.dead_letters(LetterFilter::default(), Page::first(100));
        letters.await.unwrap();
        queue.close().await;
    }
}

#[tokio::test]
async fn an_event_whose_journal_is_damaged_is_put_aside_and_the_rest_goes_on() {
    let file = closed().await;
    file.change("UPDATE journal SET lines = CAST(x'5bff' AS TEXT)");
    file.change("UPDATE progress SET dead = dead + 1 WHERE key % 2 = 0");
    let queue = SqliteQueue::open_with_clock(&file.config, true, later()).unwrap();
    let mut done = 0;
    // Each that is put aside holds the others up for a moment.
    while let count @ 1.. = work_off(&queue).await {
        done += count;
    }
    assert_eq!(done, 16 + 12);
    assert!(accepts(&queue).await);
    assert_eq!(queue.stats().depth, 1);
    queue.close().await;
    let report = file.fsck(false);
    // Whether an event was parked stood in what was damaged.
    let known = |finding: &fsck::Finding| finding.table == "totals";
    assert!(report.findings.iter().all(known), "{report:?}");
    assert!(report.quarantine.iter().any(|row| row.table == "journal"));
}

#[tokio::test]
async fn totals_that_are_damaged_or_gone_are_told_and_mended() {
    for change in [
        "UPDATE totals SET json = CAST(x'7bff' AS TEXT)",
        "UPDATE totals SET json = 'x'",
        "DELETE FROM totals",
    ] {
        let file = closed().await;
        file.change(change);
        let refused = SqliteQueue::open(&file.config, true).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        assert!(!file.fsck(true).is_sound());
        let queue = SqliteQueue::open(&file.config, true).unwrap();
        assert!(accepts(&queue).await, "{change}");
        queue.close().await;
    }
}

#[tokio::test]
async fn a_damaged_letter_keeps_no_other_from_being_taken_up() {
    let file = closed().await;
    break_text(&file, "letter", "reason");
    let ids = "SELECT id FROM letter ORDER BY n";
    let ids: Vec<Uuid> = {
        let connection = schema::open_reader(&file.config.sqlite.path).unwrap();
        let mut statement = connection.prepare(ids).unwrap();
        let ids = statement.query_map([], |row| row.get(0).map(Uuid::from_bytes));
        ids.unwrap().map(Result::unwrap).collect()
    };
    let queue = SqliteQueue::open(&file.config, true).unwrap();
    let replayed = queue.replay(ids.clone()).await.unwrap();
    assert_eq!(replayed, ids[..ids.len() - 1]);
    assert!(accepts(&queue).await);
    assert_eq!(queue.stats().dead_letters, 1);
    queue.close().await;
}

#[tokio::test]
async fn the_log_of_a_later_version_is_left_alone() {
    let file = killed().await;
    {
        let connection = Connection::open(&file.config.sqlite.path).unwrap();
        let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        connection.set_db_config(keep, true).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
    }
    let log = schema::beside(&file.config.sqlite.path, "wal");
    let before = std::fs::read(&log).unwrap();
    let refused = SqliteQueue::open(&file.config, true).unwrap_err();
    assert!(matches!(refused, OpenError::TooNew { .. }), "{refused}");
    assert!(std::fs::read(&log).unwrap() == before);
}

#[tokio::test]
async fn a_log_that_somebody_reads_in_is_not_believed() {
    let file = killed().await;
    let reader = schema::open_reader(&file.config.sqlite.path).unwrap();
    let transaction = reader.unchecked_transaction().unwrap();
    let count = "SELECT count(*) FROM event";
    let _: i64 = transaction.query_row(count, [], |row| row.get(0)).unwrap();
    let refused = SqliteQueue::open(&file.config, true).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_stands_for_what_it_leads_to() {
    let file = closed().await;
    let folder = tempfile::tempdir().unwrap();
    let mut linked = file.config.clone();
    linked.sqlite.path = folder.path().join("link.db");
    let link = |to: &std::path::Path| std::os::unix::fs::symlink(to, &linked.sqlite.path);
    link(&file.config.sqlite.path).unwrap();
    let queue = SqliteQueue::open(&linked, true).unwrap();
    let second = SqliteQueue::open(&file.config, true).unwrap_err();
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    queue.close().await;
    drop(queue);

    std::fs::remove_file(&linked.sqlite.path).unwrap();
    link(&folder.path().join("not mounted")).unwrap();
    let nowhere = SqliteQueue::open(&linked, true).unwrap_err();
    assert!(matches!(nowhere, OpenError::Io { .. }), "{nowhere}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
