//! The fixture `crasher` in a hub: what it is told, and what goes on meanwhile with somebody who has nothing to do
//! with it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::hub::Hub;

/// An event for the crasher, from a source of its own number.
pub fn told(how: &str, n: u32) -> Value {
    json!({
        "event_id": Uuid::new_v4(), "type": "crasher.told", "source": format!("s{n}"),
        "payload": { "how": how },
    })
}

/// An event for the probe, likewise.
pub fn ping(n: u32) -> Value {
    json!({ "event_id": Uuid::new_v4(), "type": "probe.ping", "source": format!("s{n}"), "payload": { "n": n } })
}

/// An event's id.
///
/// # Panics
/// When it has none.
pub fn id(event: &Value) -> &str {
    event["event_id"].as_str().expect("an id")
}

/// Between two events of the load.
const GAP: Duration = Duration::from_millis(10);

/// Does something while there is a steady load on the probe, from 16 sources, and on the hub's sign of life. Answers
/// what it came to, and how many events that were, all of which were processed.
///
/// # Panics
/// When an event was not processed, or the hub was not there once.
pub async fn under_load<T>(hub: &Hub, work: impl Future<Output = T>) -> (T, usize) {
    let mut sent = Vec::new();
    let load = async {
        loop {
            let event = ping(sent.len() as u32 % 16);
            let (status, answer) = hub.publish(&event).await;
            assert_eq!(status, 202, "{answer}");
            sent.push(event);
            assert_eq!(hub.get("/healthz").await.0, 200);
            sleep(GAP).await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = load => unreachable!("it has no end"),
    };
    for one in &sent {
        let journey = hub.finished(id(one)).await;
        assert_eq!(journey["status"], "processed", "{journey}");
    }
    (done, sent.len())
}
