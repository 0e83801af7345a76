//! A durable queue whose log was damaged while no hub ran: the next one says so, keeps what it
//! found, and goes on.

use std::path::{Path, PathBuf};

use nexus_plugin_api::{Contract, Event};
use nexus_tests::hub::{Home, Hub, HubBuilder};
use probe::Order;

/// A hub that has taken events one by one, and was killed: they are in the log.
async fn killed() -> Home {
    let hub = HubBuilder::new()
        .config("[queue]\nbackend = \"sqlite\"")
        .plugin("probe")
        .start();
    for _ in 0..10 {
        publish(&hub).await;
    }
    hub.kill()
}

async fn publish(hub: &Hub) {
    let event = Event::new(Order::TYPE, "test", Order::default());
    let event = serde_json::to_value(event).unwrap();
    hub.process(&event).await;
}

fn log(home: &Home) -> PathBuf {
    home.path().join("nexus.db-wal")
}

/// Changes the log. What it says is how much of it is in use; behind that is room.
fn damage(home: &Home, change: impl FnOnce(&mut Vec<u8>, usize)) {
    let mut bytes = std::fs::read(log(home)).unwrap();
    let used = 1 + bytes.iter().rposition(|byte| *byte != 0).unwrap();
    change(&mut bytes, used);
    std::fs::write(log(home), bytes).unwrap();
}

fn copies(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("nexus.db-damaged-"))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_not_touched_is_no_news() {
    let hub = killed().await.start();
    publish(&hub).await;
    let log = hub.log();
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(copies(hub.folder()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_broken_in_the_middle_is_kept_and_told() {
    let home = killed().await;
    damage(&home, |bytes, used| bytes[used / 2] ^= 0x10);
    let hub = home.start();
    hub.wait_for_log("the log is damaged in frame").await;
    hub.wait_for_log("the queue is older than it was").await;
    assert_eq!(copies(hub.folder()), 1);
    publish(&hub).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_cut_off_is_told() {
    let home = killed().await;
    damage(&home, |bytes, used| bytes.truncate(used / 2));
    let hub = home.start();
    hub.wait_for_log("the queue is older than it was").await;
    publish(&hub).await;
}
