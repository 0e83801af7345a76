//! Clients of every kind that is in the way, all at once and beside honest ones: whoever is honest is
//! served, and the hub ends each of the others, by the deadline that is its own.

use std::net::Ipv4Addr;
use std::time::Duration;

use nexus_tests::attack::Attack;
use nexus_tests::hub::{ADMIN_KEY, HubBuilder, PATIENCE};
use nexus_tests::wire::{Wire, post};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Attackers of each kind.
const OF_EACH: usize = 3;

/// Connections that publish, one event after the other.
const HONEST: usize = 4;

/// How long a header may take, and how long a body, here. Nothing else ends a connection within what
/// the test waits.
const HEADER: Duration = Duration::from_secs(1);
const BODY: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_clients_are_served_and_each_attacker_is_closed_by_its_deadline() {
    let hub = HubBuilder::new()
        .config(&format!(
            "server.header_timeout = \"{HEADER:?}\"\nserver.body_timeout = \"{BODY:?}\"\n\
             server.idle_timeout = \"1h\"\nserver.websocket.idle_timeout = \"1h\"\n\
             queue.capacity = 1_000_000"
        ))
        .plugin("probe")
        .start();
    let address = hub.address();
    let over = watch::Sender::new(false);
    let mut honest = JoinSet::new();
    for publisher in 0..HONEST {
        let over = over.subscribe();
        honest.spawn(async move {
            let payload = json!({ "body": "long ".repeat(1_000) });
            let letter = json!({ "type": "probe.letter", "source": "test", "payload": payload });
            let request = post("/v1/events", ADMIN_KEY, &letter);
            let mut wire = Wire::open(address).await.expect("the hub listens");
            let mut sent = 0;
            while !*over.borrow() {
                let answer = wire.exchange(&request).await.expect("an answer");
                assert_eq!(answer.status, 202, "{publisher}, {sent}: {:?}", answer.body);
                sent += 1;
            }
            sent
        });
    }
    let mut attackers = JoinSet::new();
    for (attack, last) in Attack::ALL.into_iter().zip(66..) {
        for _ in 0..OF_EACH {
            let from = Ipv4Addr::new(127, 0, 0, last);
            let run = async move { attack.run(address, from, ADMIN_KEY).await };
            attackers.spawn(async move { (attack, timeout(PATIENCE, run).await) });
        }
    }
    for (attack, ended) in attackers.join_all().await {
        let closed = ended.unwrap_or_else(|_| panic!("{attack:?} goes on"));
        let after = closed.expect("it may begin");
        let deadline = match attack {
            Attack::Silence | Attack::SlowHeader => HEADER,
            Attack::SlowBody | Attack::NoWindow | Attack::Deaf | Attack::DeafWebSocket => BODY,
            // Whoever floods is closed for what it does, or for not asking in time.
            Attack::PingFlood | Attack::RapidReset => Duration::ZERO,
        };
        println!("{attack:?}: closed after {after:?}");
        assert!(after >= deadline, "{attack:?} was closed after {after:?}");
    }
    over.send_replace(true);
    let sent: Vec<usize> = honest.join_all().await;
    println!("honest: {sent:?}");
    assert!(sent.iter().all(|sent| *sent > 0), "{sent:?}");
    // Also when all are gone.
    assert_eq!(hub.get("/v1/admin/queue").await.0, 200);
}
