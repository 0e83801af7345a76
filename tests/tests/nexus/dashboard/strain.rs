//! It bears what a hub goes through: ten thousand events a second, and its death.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nexus_tests::browser::Browser;
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, client};
use serde_json::{Value, json};

use super::{hub, look_in};

/// Events in one request.
const BATCH: usize = 500;

/// What is wanted of the hub, in events a second.
const RATE: usize = 10_000;

/// How long it is watched before and after its first look.
const WATCHED: Duration = Duration::from_secs(12);

/// Publishes at [`RATE`], as far as the machine bears it, until it is told to end: how many were taken.
fn flood(hub: &Hub, ends: Arc<AtomicBool>) -> tokio::task::JoinHandle<u64> {
    let (url, batch) = (format!("{}/v1/events", hub.url()), batch());
    tokio::spawn(async move {
        let taken = Arc::new(AtomicU64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (url, batch, ends, taken) =
                (url.clone(), batch.clone(), ends.clone(), taken.clone());
            tasks.spawn(async move {
                let client = client();
                let pause = Duration::from_secs_f64(4.0 * BATCH as f64 / RATE as f64);
                let mut ticks = tokio::time::interval(pause);
                while !ends.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let request = client.post(&url).bearer_auth(ADMIN_KEY).json(&batch);
                    let answer = request.send().await.expect("an answer");
                    if answer.status() == 202 {
                        taken.fetch_add(BATCH as u64, Ordering::Relaxed);
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
        taken.load(Ordering::Relaxed)
    })
}

fn batch() -> Value {
    let one = json!({ "type": "order.placed", "source": "shop", "payload": { "number": 1 } });
    Value::from(vec![one; BATCH])
}

#[tokio::test]
async fn ten_thousand_events_a_second_do_not_make_it_grow() {
    let busy = hub().config("[queue]\ncapacity = 1000000\n");
    let flooded = async |browser: &Browser, hub: Hub| {
        let ends = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let flood = flood(&hub, ends.clone());
        browser.wait_for_text("#tail", "events were left out").await;
        tokio::time::sleep(WATCHED).await;
        let (heap, nodes) = browser.held().await;
        tokio::time::sleep(WATCHED).await;
        let (heap_later, nodes_later) = browser.held().await;
        let rows = browser
            .run("return document.querySelectorAll('#tail tbody tr').length")
            .await;
        assert_eq!(rows, 200);
        ends.store(true, Ordering::Relaxed);
        let taken = flood.await.unwrap();
        let rate = taken as f64 / begun.elapsed().as_secs_f64();
        println!(
            "{rate:.0} events a second: heap {heap} to {heap_later}, nodes {nodes} to {nodes_later}"
        );
        assert!(
            rate > 1_000.0,
            "the machine is too busy: {rate:.0} a second"
        );
        assert!(
            heap_later < heap + 2 * 1024 * 1024,
            "{heap} to {heap_later} octets"
        );
        assert!(nodes_later < nodes + 500, "{nodes} to {nodes_later} nodes");
        browser.wait_for_text("#connection", "Live").await;
    };
    look_in("the dashboard of a busy hub", busy, flooded).await;
}

#[tokio::test]
async fn a_hub_that_was_gone_is_followed_again() {
    // The same port before and after, or the page would ask a hub that is not there any more.
    let port = nexus_tests::langgraph::free_port();
    let config = format!("[server]\nhttp = \"127.0.0.1:{port}\"\ngrpc = \"off\"\n");
    let gone = async |browser: &Browser, hub: Hub| {
        let home = hub.kill();
        browser.wait_for_text("#connection", "Disconnected").await;
        let hub = home.start();
        browser.wait_for_text("#connection", "Live").await;
        browser.wait_for_text("#tail", "Following").await;
        drop(hub);
    };
    look_in(
        "the dashboard over a restart",
        HubBuilder::new().config(&config),
        gone,
    )
    .await;
}
