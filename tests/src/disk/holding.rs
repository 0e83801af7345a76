//! Whether a queue that was opened again still holds what was promised before.

use std::time::Duration;

use nexus_host::queue::{EventStatus, Queue, Settlement, Work};
use tokio::time::timeout;
use uuid::Uuid;

use super::Promises;
use super::drive::PLUGIN;

/// Longer than any work waits that [`drive`](super::drive) puts off.
const PATIENCE: Duration = Duration::from_secs(10);

/// Works off what is in the queue, then tells what is not as it was promised:
///
/// - an accepted event is known and comes to its end,
/// - a finished one does not come again,
/// - a settlement is there as a whole or not at all: what has left its mark in the state of the
///   plugin is not routed again.
pub async fn broken_promises(queue: &dyn Queue, promises: &Promises) -> Vec<String> {
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
        let settled = queue.settle(delivery.lease, Settlement::default()).await;
        if let Err(error) = settled {
            broken.push(format!("{error}: {delivery:?}"));
        }
    }
    for id in promises.accepted.union(&promises.finished) {
        let event = Uuid::parse_str(id).expect("a mark has an id");
        let journey = queue.journey(event).await;
        match journey.map(|journey| journey.map(|journey| journey.status)) {
            Ok(Some(EventStatus::Processed | EventStatus::Dead)) => {}
            Ok(Some(status)) => broken.push(format!("accepted, and {status:?} for ever: {id}")),
            Ok(None) => broken.push(format!("accepted, and unknown: {id}")),
            Err(error) => broken.push(error.to_string()),
        }
    }
    broken
}
