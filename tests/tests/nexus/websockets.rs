//! Many WebSockets that say nothing: each is still there when something passes, and leaves nothing behind.

use std::net::Ipv4Addr;

use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, eventually};
use nexus_tests::websocket::WebSocket;
use serde_json::{Value, json};

/// How many are open at once.
const MANY: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_silent_websockets_are_shown_what_passes_and_leave_nothing_behind() {
    let hub = HubBuilder::new().plugin("probe").start();
    // The test's own connection for requests is there from now on.
    assert_eq!(hub.get("/healthz").await.0, 200);
    let before = descriptors(&hub);
    let mut sockets = Vec::with_capacity(MANY);
    for number in 0..MANY {
        let last = u8::try_from(2 + number / 100).unwrap();
        let from = Ipv4Addr::new(127, 0, 0, last);
        let socket = WebSocket::open(hub.address(), from, ADMIN_KEY).await;
        let mut socket = socket.expect("it is opened");
        socket.subscribe().await.expect("it may follow");
        sockets.push(socket);
    }
    let letter = json!({
        "type": "probe.letter", "source": "test", "payload": { "body": "to all of you" },
    });
    let (status, receipt) = hub.publish(&letter).await;
    assert_eq!(status, 202, "{receipt}");
    for socket in &mut sockets {
        let shown: Value = serde_json::from_str(&socket.text().await.unwrap()).unwrap();
        assert_eq!(shown["event"]["event_id"], receipt["event_id"], "{shown}");
        // Nothing else was sent before the answer to this.
        socket.ping().await.unwrap();
        socket.pong().await.unwrap();
    }
    drop(sockets);
    if let Some(before) = before {
        eventually("as few descriptors as before", || async {
            (descriptors(&hub)? <= before).then_some(())
        })
        .await;
    }
}

/// How many descriptors a hub has open; nothing where the system does not tell.
fn descriptors(hub: &Hub) -> Option<usize> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", hub.pid())).ok()?;
    Some(open.count())
}
