//! Whether a queue that was opened again still holds what was promised before.

use std::path::Path;
use std::time::Duration;

use nexus_host::config::ByteSize;
use nexus_host::queue::config::{Backend, Sqlite};
use nexus_host::queue::{Config, EventStatus, Queue, Settlement, SqliteQueue, Work};
use rusqlite::Connection;
use tokio::time::timeout;
use uuid::Uuid;

use super::drive::PLUGIN;
use super::{Promises, plain};

/// Longer than any work waits that [`drive`](super::drive) puts off.
const PATIENCE: Duration = Duration::from_secs(10);

/// A durable queue in a folder, with room for everything, that copies its log as often as it can.
pub fn durable(folder: &Path) -> Config {
    Config {
        backend: Backend::Sqlite,
        capacity: 100_000,
        sqlite: Sqlite {
            path: folder.join("queue.db"),
            log_size: ByteSize::from_kib(64),
        },
        ..Config::default()
    }
}

/// What is not as it was promised in the durable queue in a folder.
///
/// # Panics
/// When there is no runtime to be had.
pub fn missing_events(folder: &Path, promises: &Promises) -> Vec<String> {
    let config = durable(folder);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let mut broken = runtime.expect("a runtime").block_on(async {
        let queue = match SqliteQueue::open(&config, true) {
            Ok(queue) => queue,
            Err(error) => return vec![error.to_string()],
        };
        let broken = broken_promises(&queue, promises).await;
        queue.close_leasing();
        queue.close().await;
        broken
    });
    let database = Connection::open(&config.sqlite.path);
    let sound = database.and_then(|database| plain::check_integrity(&database));
    broken.extend(sound.err().map(|error| error.to_string()));
    broken
}

/// Works off what is in the queue, then tells what is not as it was promised:
///
/// - an accepted event is known and comes to its end,
/// - a finished one does not come again,
/// - a settlement is there as a whole or not at all: what has left its mark in the state of the
///   plugin is not routed again.
async fn broken_promises(queue: &dyn Queue, promises: &Promises) -> Vec<String> {
    let mut broken = Vec::new();
    while queue.stats().depth > 0 {
        let Ok(Some(delivery)) = timeout(PATIENCE, queue.lease()).await else {
            broken.push(format!("nothing comes, and yet {:?}", queue.stats()));
            break;
        };
        let id = delivery.event.event_id.to_string();
        if promises.finished.contains(&id) {
            broken.push(format!("finished, and comes again: {delivery:?}"));
        }
        match queue.state_get(PLUGIN, &id).await {
            Ok(Some(_)) if delivery.work == Work::Route => {
                broken.push(format!("settled in part: {delivery:?}"));
            }
            Ok(_) => {}
            Err(error) => broken.push(error.to_string()),
        }
        let settled = queue.settle(delivery.lease, Settlement::default());
        match timeout(PATIENCE, settled).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => broken.push(format!("{error}: {delivery:?}")),
            Err(_) => {
                let trouble = queue.trouble();
                broken.push(format!("not to be settled: {delivery:?}, {trouble:?}"));
                break;
            }
        }
    }
    for id in promises.accepted.union(&promises.finished) {
        let event = Uuid::parse_str(id).expect("a mark has an id");
        let journey = queue.journey(event, Box::new(|_, _| true)).await;
        match journey.map(|journey| journey.map(|journey| journey.status)) {
            Ok(Some(EventStatus::Processed | EventStatus::Dead)) => {}
            Ok(Some(status)) => broken.push(format!("accepted, and {status:?} for ever: {id}")),
            Ok(None) => broken.push(format!("accepted, and unknown: {id}")),
            Err(error) => broken.push(error.to_string()),
        }
    }
    broken
}
