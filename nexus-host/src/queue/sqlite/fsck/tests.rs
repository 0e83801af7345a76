//! Files that were damaged on purpose: by row, by byte, by length.
//!
//! `NEXUS_DAMAGE_CASES` says how many files are damaged (default 60), `NEXUS_DAMAGE_SEED` repeats a
//! run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nexus_plugin_api::{Event, StateWrite};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::queue::config::Config;
use crate::queue::sqlite::SqliteQueue;
use crate::queue::sqlite::ready::tests::event;
use crate::queue::sqlite::rows::Stored;
use crate::queue::sqlite::sum;
use crate::queue::{Failure, FollowUp, Grave, Queue, Settlement, Verdict, Work};
use nexus_plugin_api::Priority::Normal;

/// A queue that was closed: events that wait, that are worked on, that died and that are done.
pub(in crate::queue::sqlite) struct Closed {
    pub(in crate::queue::sqlite) config: Config,
    folder: TempDir,
    events: HashMap<Uuid, Arc<Event>>,
    finished: Vec<Uuid>,
}

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.sqlite.path = folder.join("queue.db");
    config
}

pub(in crate::queue::sqlite) async fn closed() -> Closed {
    let (queue, closed) = in_use().await;
    queue.close_leasing();
    queue.close().await;
    closed
}

/// The same of a process that was killed: much is in the log only.
pub(in crate::queue::sqlite) async fn killed() -> Closed {
    let (queue, mut closed) = in_use().await;
    let folder = scratch();
    for name in ["queue.db", "queue.db-wal", "queue.db-attempting"] {
        std::fs::copy(closed.folder.path().join(name), folder.path().join(name)).unwrap();
    }
    queue.close_leasing();
    queue.close().await;
    closed.config = config(folder.path());
    closed.folder = folder;
    closed
}

fn scratch() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.unwrap()
}

async fn in_use() -> (SqliteQueue, Closed) {
    let folder = scratch();
    let config = config(folder.path());
    let queue = SqliteQueue::open(&config, true).unwrap();
    let pushed: Vec<_> = (0..40)
        .map(|n| event(&format!("s{n}"), Normal, n))
        .collect();
    let events = pushed
        .iter()
        .map(|one| (one.event().event_id, one.event().clone()));
    let events = events.collect();
    queue.push(pushed).await;
    let failure = || Failure {
        at: Utc::now(),
        code: "no".to_owned(),
        message: "for a test".to_owned(),
    };
    let mut finished = Vec::new();
    for n in 0..24 {
        let delivery = queue.lease().await.unwrap();
        let mut with = Settlement::default();
        let later = std::time::Duration::from_secs(3_600);
        match n % 4 {
            0 => finished.push(delivery.event.event_id),
            1 => {
                with.verdict = Verdict::Nack {
                    after: later,
                    failure: Some(failure()),
                }
            }
            2 => {
                finished.push(delivery.event.event_id);
                with.dead.push(Grave {
                    work: Work::Route,
                    reason: "for_a_test".to_owned(),
                    errors: vec![failure()],
                });
            }
            _ => with.follow_ups.push(FollowUp {
                work: Work::Route,
                after: Some(later),
                failure: None,
            }),
        }
        queue.settle(delivery.lease, with).await.unwrap();
    }
    let write = StateWrite {
        key: "key".to_owned(),
        value: Some(b"value".to_vec()),
    };
    queue.state_put("plugin", write).await.unwrap();
    let closed = Closed {
        config,
        folder,
        events,
        finished,
    };
    (queue, closed)
}

impl Closed {
    fn path(&self) -> &Path {
        &self.config.sqlite.path
    }

    pub(in crate::queue::sqlite) fn change(&self, sql: &str) {
        let connection = Connection::open(self.path()).unwrap();
        // Damage asks for no leave.
        let unchecked = connection.pragma_update(None, "ignore_check_constraints", true);
        unchecked.unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0);
    }

    pub(in crate::queue::sqlite) fn fsck(&self, repair: bool) -> Report {
        fsck(self.path(), repair).unwrap()
    }

    /// Opens it, and answers which events have work left, each as it was pushed.
    async fn open_events(&self) -> Vec<Uuid> {
        let queue = SqliteQueue::open(&self.config, true).unwrap();
        queue.close().await;
        let connection = Connection::open(self.path()).unwrap();
        let mut statement = connection.prepare("SELECT * FROM event").unwrap();
        let rows = statement.query_map([], |row| {
            Ok(sum::check(row)?.and(Stored::read(row, 1)?.into_event()))
        });
        let mut found = Vec::new();
        for row in rows.unwrap() {
            let event = row.unwrap().unwrap();
            assert_eq!(self.events.get(&event.event_id), Some(&event), "changed");
            found.push(event.event_id);
        }
        found
    }
}

#[tokio::test]
async fn a_sound_queue_is_sound() {
    let queue = closed().await;
    let report = queue.fsck(false);
    assert_eq!(report.findings, []);
    assert_eq!(report.quarantine, []);
    assert_eq!(queue.fsck(true).findings, []);
}

#[tokio::test]
async fn damaged_rows_are_told_and_go_to_the_quarantine() {
    let changes = [
        (
            "event",
            "UPDATE event SET payload = x'7b7d' WHERE key = (SELECT max(key) FROM event)",
        ),
        (
            "task",
            "UPDATE task SET errors = '[]' WHERE errors <> '[]' AND id < 3",
        ),
        (
            "letter",
            "UPDATE letter SET reason = reason, head = head || ' ' WHERE n = 1",
        ),
        (
            "journal",
            "UPDATE journal SET lines = '[' WHERE event = (SELECT min(event) FROM journal)",
        ),
        ("done", "UPDATE done SET lines = 'x' WHERE seq = 1"),
    ];
    for (table, change) in changes {
        let queue = closed().await;
        queue.change(change);
        let found = queue.fsck(false).findings;
        assert!(
            found.iter().any(|one| one.table == table),
            "{table}: {found:?}"
        );
        assert!(found.iter().all(|one| !one.is_mended));
        assert_eq!(queue.fsck(false).findings, found, "it was only looked at");
        let report = queue.fsck(true);
        assert!(
            report.findings.iter().all(|one| one.is_mended),
            "{report:?}"
        );
        assert_eq!(report.quarantine[0].table, table);
        let after = queue.fsck(false);
        assert_eq!(
            (after.findings, after.quarantine.len()),
            (vec![], report.quarantine.len())
        );
        queue.open_events().await;
    }
}

#[tokio::test]
async fn what_is_counted_wrong_is_counted_again() {
    let changes = [
        "UPDATE progress SET open = open + 3",
        "UPDATE totals SET json = replace(json, '\"depth\":', '\"depth\":9')",
        "UPDATE totals SET json = 'x'",
        "DELETE FROM totals",
        "UPDATE totals SET one = -1",
        "UPDATE totals SET one = 2",
        "DELETE FROM task WHERE id < 4",
        "DELETE FROM progress WHERE key = (SELECT min(key) FROM progress)",
        "DELETE FROM event WHERE key = (SELECT min(key) FROM progress)",
    ];
    for change in changes {
        let queue = closed().await;
        queue.change(change);
        assert!(!queue.fsck(false).is_sound(), "{change}");
        assert!(queue.fsck(true).findings.iter().all(|one| one.is_mended));
        assert_eq!(queue.fsck(false).findings, [], "{change}");
        queue.open_events().await;
    }
}

#[tokio::test]
async fn a_file_in_use_is_left_alone() {
    let queue = closed().await;
    let open = SqliteQueue::open(&queue.config, true).unwrap();
    let refused = fsck(queue.path(), true);
    assert!(matches!(refused, Err(OpenError::InUse { .. })));
    open.close().await;
    assert!(queue.fsck(true).is_sound());
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    assert!(matches!(fsck(&path, true), Err(OpenError::Io { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Numbers below what is asked for, the same for the same seed.
fn chance(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    }
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Whatever is damaged: every event that can still be read is as it was, and every accepted one is
/// there, or finished, or in the quarantine, or the damage is told.
#[tokio::test]
async fn no_damage_goes_unnoticed_where_it_changes_an_event() {
    let cases = from_env("NEXUS_DAMAGE_CASES").unwrap_or(60);
    let seed = from_env("NEXUS_DAMAGE_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().1);
    println!("{cases} files, NEXUS_DAMAGE_SEED={seed}");
    let queue = closed().await;
    let whole = std::fs::read(queue.path()).unwrap();
    let mut chance = chance(seed);
    let before = contents(queue.path());
    let (mut unnoticed, mut refused) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for case in 0..cases {
        let mut bytes = whole.clone();
        match case % 4 {
            0 => bytes.truncate(chance(whole.len())),
            1 => bytes[chance(4_096)..][..1][0] ^= 1 << chance(8),
            _ => (0..=chance(4)).for_each(|_| bytes[chance(whole.len())] ^= 1 << chance(8)),
        }
        for one in std::fs::read_dir(queue.folder.path()).unwrap() {
            std::fs::remove_file(one.unwrap().path()).unwrap();
        }
        std::fs::write(queue.path(), &bytes).unwrap();
        let report = match fsck(queue.path(), true) {
            Ok(report) => report,
            Err(error) => {
                assert_eq!(std::fs::read(queue.path()).unwrap(), bytes, "changed");
                let is_told = matches!(error, OpenError::Foreign { .. } | OpenError::TooNew { .. });
                assert!(is_told, "{error}, case {case}, NEXUS_DAMAGE_SEED={seed}");
                let text = error
                    .to_string()
                    .replace(&queue.path().display().to_string(), "it");
                let text = text.split(" - ").next().unwrap_or_default().to_owned();
                *refused.entry(text).or_default() += 1;
                continue;
            }
        };
        if let Some(rebuilt) = &report.rebuilt {
            assert_eq!(std::fs::read(&rebuilt.damaged).unwrap(), bytes, "changed");
        }
        if report.is_sound() {
            let after = contents(queue.path());
            for column in before
                .keys()
                .filter(|key| before.get(*key) != after.get(*key))
            {
                *unnoticed.entry(column.clone()).or_default() += 1;
            }
        } else {
            assert!(report.findings.iter().all(|one| one.is_mended));
        }
        let open = queue.open_events().await;
        if report.is_sound() {
            let is_lost = |id: &&Uuid| !open.contains(id) && !queue.finished.contains(id);
            let lost = queue.events.keys().filter(is_lost);
            assert_eq!(lost.count(), 0, "case {case}, NEXUS_DAMAGE_SEED={seed}");
        }
    }
    println!("refused: {refused:#?}");
    println!("changed, and not noticed: {unnoticed:#?}");
    assert!(unnoticed.is_empty(), "NEXUS_DAMAGE_SEED={seed}");
}

/// The same for what is in the log only: whatever is missing afterwards, somebody is told.
#[tokio::test]
async fn no_damage_to_the_log_goes_unnoticed() {
    let cases = from_env("NEXUS_DAMAGE_CASES").unwrap_or(60);
    let seed = from_env("NEXUS_DAMAGE_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().1);
    println!("{cases} logs, NEXUS_DAMAGE_SEED={seed}");
    let queue = killed().await;
    let names = ["queue.db", "queue.db-wal", "queue.db-attempting"];
    let [database, log, attempting] = names.map(|name| {
        let bytes = std::fs::read(queue.folder.path().join(name)).unwrap();
        (queue.folder.path().join(name), bytes)
    });
    // Behind that is room.
    let used = 1 + log.1.iter().rposition(|byte| *byte != 0).unwrap();
    let before = contents(queue.path());
    let mut chance = chance(seed);
    for case in 0..cases {
        for one in std::fs::read_dir(queue.folder.path()).unwrap() {
            std::fs::remove_file(one.unwrap().path()).unwrap();
        }
        let mut bytes = log.1.clone();
        // After a power failure nothing tells how long the log was; what is broken and has more behind
        // it is found all the same.
        let knows_length = case % 3 != 0;
        match (case % 3, chance(8)) {
            (0, bit) => bytes[chance(used / 2)] ^= 1 << bit,
            (1, bit) => bytes[chance(used)] ^= 1 << bit,
            _ => bytes.truncate(chance(used)),
        }
        std::fs::write(&database.0, &database.1).unwrap();
        std::fs::write(&log.0, &bytes).unwrap();
        if knows_length {
            std::fs::write(&attempting.0, &attempting.1).unwrap();
        }
        let report = queue.fsck(false);
        if report.is_sound() {
            assert!(
                contents(queue.path()) == before,
                "something is gone and nobody is told: case {case}, NEXUS_DAMAGE_SEED={seed}"
            );
            continue;
        }
        assert_eq!(
            std::fs::read(&log.0).unwrap(),
            bytes,
            "it was only looked at"
        );
        let report = queue.fsck(true);
        assert!(
            report.findings.iter().all(|one| one.is_mended),
            "{report:?}"
        );
        assert!(
            queue.fsck(false).is_sound(),
            "case {case}, NEXUS_DAMAGE_SEED={seed}"
        );
        queue.open_events().await;
    }
}

/// Every column as one text.
fn contents(path: &Path) -> BTreeMap<String, Vec<String>> {
    let connection = schema::open_reader(path).unwrap();
    let columns = "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                   WHERE t.type = 'table'";
    let mut statement = connection.prepare(columns).unwrap();
    let columns = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    let columns: Vec<_> = columns.unwrap().map(Result::unwrap).collect();
    let mut contents = BTreeMap::new();
    for (table, column) in columns {
        let sql = format!("SELECT typeof({column}) || hex({column}) FROM {table} NOT INDEXED");
        let mut statement = connection.prepare(&sql).unwrap();
        let values = statement.query_map([], |row| row.get(0)).unwrap();
        let values = values.map(Result::unwrap).collect();
        contents.insert(format!("{table}.{column}"), values);
    }
    contents
}
