//! Load on a queue that leaves nothing out: every kind of settlement, and a mark for every promise.

use std::sync::Arc;
use std::time::Duration;

use nexus_host::queue::{Delivery, Grave, Queue, Settlement, Work};
use nexus_plugin_api::{Event, StateWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Marks;
use crate::conformance::{effect, failure, follow_up, nack};
use crate::events::{admitted, event, number};

/// The plugin whose state says which events were routed.
pub(super) const PLUGIN: &str = "tests";

/// How long a publisher waits before it tries again what was refused.
const PAUSE: Duration = Duration::from_millis(5);

/// How long what comes later waits.
const SOON: Duration = Duration::from_millis(1);

/// How long the queue may take to come to rest.
const REST_WITHIN: Duration = Duration::from_secs(60);

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many publish at the same time, each its own source and so its own lane.
    pub producers: u64,
    /// How many events each of them publishes, one after the other.
    pub events: u64,
    /// How many work on them; with none, the events stay where they are.
    pub workers: u64,
}

/// Puts load on a queue until all of it is done, and closes the queue. `refused` is told of every
/// event that is not taken; the publisher then tries the same event again.
///
/// # Panics
/// When the queue breaks its contract.
pub async fn drive(queue: Arc<dyn Queue>, marks: Arc<Marks>, load: Load, refused: fn(&str)) {
    let mut producers = JoinSet::new();
    for producer in 0..load.producers {
        let (queue, marks) = (queue.clone(), marks.clone());
        producers.spawn(async move {
            for n in 0..load.events {
                let event = event(&format!("producer-{producer}"), n);
                publish(&*queue, &marks, event, refused).await;
            }
        });
    }
    let mut workers = JoinSet::new();
    for _ in 0..load.workers {
        let (queue, marks) = (queue.clone(), marks.clone());
        workers.spawn(async move {
            while let Some(delivery) = queue.lease().await {
                work(&*queue, &marks, delivery).await;
            }
        });
    }
    producers.join_all().await;
    if load.workers > 0 {
        queue.drained(Instant::now() + REST_WITHIN).await;
    }
    queue.close_intake();
    queue.close_leasing();
    workers.join_all().await;
    queue.close().await;
}

async fn publish(queue: &dyn Queue, marks: &Marks, event: Event, refused: fn(&str)) {
    loop {
        let mut report = queue.push(vec![admitted(event.clone())]).await;
        match report.answers.remove(0) {
            // A duplicate is a promise as well: it says that an earlier attempt is kept.
            Ok(_) => return marks.accepted(event.event_id),
            Err(error) => refused(&error.to_string()),
        }
        sleep(PAUSE).await;
    }
}

/// Settles a delivery, and the follow-ups that are leased with that.
async fn work(queue: &dyn Queue, marks: &Marks, delivery: Delivery) {
    let mut in_hand = vec![delivery];
    while let Some(delivery) = in_hand.pop() {
        let settlement = settlement(&delivery);
        let settled = queue.settle(delivery.lease, settlement).await;
        let settled = settled.expect("it is held");
        for emitted in &settled.accepted {
            marks.accepted(emitted.event().event_id);
        }
        if settled.finished.is_some() {
            marks.finished(delivery.event.event_id);
        }
        in_hand.extend(settled.leased);
    }
}

/// What becomes of a delivery, by the event's number.
fn settlement(delivery: &Delivery) -> Settlement {
    if delivery.work != Work::Route {
        return Settlement::default();
    }
    let event = &*delivery.event;
    let routed = StateWrite {
        key: event.event_id.to_string(),
        value: Some(b"routed".to_vec()),
    };
    let mut settlement = Settlement {
        state: vec![(PLUGIN.to_owned(), routed)],
        ..Settlement::default()
    };
    match number(event) % 5 {
        1 if delivery.attempt == 1 => return nack(SOON, Some(failure("tests.once_more"))),
        2 => {
            settlement.follow_ups =
                vec![follow_up(effect(0), None), follow_up(effect(1), Some(SOON))];
        }
        3 => settlement.dead.push(Grave {
            work: Work::Route,
            reason: "tests.hopeless".to_owned(),
            errors: vec![failure("tests.hopeless")],
        }),
        4 => settlement.emitted.push(admitted(self::event("emitted", 0))),
        _ => {}
    }
    settlement
}
