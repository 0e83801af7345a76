//! The same on a real clock: a hub in a process of its own, a plugin from a file, and its breaker
//! switched over HTTP.

use chrono::{DateTime, Utc};
use futures_util::future::join;
use nexus_tests::hub::{Hub, HubBuilder, eventually};
use serde_json::{Value, json};

/// How much later than planned an attempt may be on a busy machine, in milliseconds.
const SLACK: i64 = 750;

fn notify(record: Value) -> Value {
    let payload = json!({"action": "notify", "record": record});
    json!({"type": "probe.command", "source": "test", "payload": payload})
}

/// The steps of a kind in an event's journey, each with its time.
fn steps<'a>(journey: &'a Value, kinds: &[&str]) -> Vec<(DateTime<Utc>, &'a Value)> {
    let all = journey["steps"].as_array().expect("steps").iter();
    all.filter(|step| kinds.contains(&step["step"].as_str().unwrap_or_default()))
        .map(|step| (step["at"].as_str().unwrap().parse().unwrap(), step))
        .collect()
}

/// Asserts that so many milliseconds lie between the attempts, and up to a quarter more.
fn assert_gaps(journey: &Value, expected: &[i64]) {
    let attempts = steps(journey, &["delivery_failed", "delivered"]);
    let numbers: Vec<_> = attempts.iter().map(|(_, step)| &step["attempt"]).collect();
    let all: Vec<_> = (1..=expected.len() + 1).collect();
    assert_eq!(json!(numbers), json!(all), "{journey:#}");
    for (pair, base) in attempts.windows(2).zip(expected) {
        let gap = (pair[1].0 - pair[0].0).num_milliseconds();
        assert!(
            (*base..=base * 5 / 4 + SLACK).contains(&gap),
            "{gap} ms instead of {base} in {journey:#}"
        );
    }
}

#[tokio::test]
async fn attempts_are_one_two_and_four_seconds_apart_and_a_later_time_is_obeyed() {
    let hub = HubBuilder::new().plugin("probe").start();
    let fails = process(&hub, json!({"n": 1, "fail_times": 3}));
    let asks = process(
        &hub,
        json!({"n": 2, "fail_times": 1, "retry_after_ms": 3_000}),
    );
    let (fails, asks) = join(fails, asks).await;
    assert_eq!(fails["status"], "processed", "{fails:#}");
    assert_gaps(&fails, &[1_000, 2_000, 4_000]);
    assert_gaps(&asks, &[3_000]);
    assert!(steps(&fails, &["parked"]).is_empty(), "{fails:#}");
}

async fn process(hub: &Hub, record: Value) -> Value {
    hub.process(&notify(record)).await
}

async fn switch(hub: &Hub, action: &str) -> (u16, Value) {
    let path = format!("/v1/admin/breakers/probe%2Frecorder/{action}");
    hub.send(hub.request("POST", &path)).await
}

#[tokio::test]
async fn a_breaker_opened_over_http_parks_what_comes_until_it_is_closed() {
    let hub = HubBuilder::new()
        .config("[breaker]\nopen_for = \"500ms\"\nramp = \"1s\"")
        .plugin("probe")
        .start();
    let (status, problem) = switch(&hub, "open").await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
    process(&hub, json!({"n": 1})).await;

    let (status, opened) = switch(&hub, "open").await;
    assert_eq!(status, 200, "{opened:#}");
    assert_eq!(opened["name"], "probe/recorder");
    assert_eq!(
        (&opened["state"], &opened["held"]),
        (&json!("open"), &json!(true))
    );
    assert_eq!(
        (&opened["times_opened"], &opened["generation"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(opened["since"], opened["opened_at"]);
    let (_, listed) = hub.get("/v1/admin/breakers").await;
    assert_eq!(listed["breakers"], json!([opened]));
    let (_, ready) = hub.get("/readyz").await;
    assert_eq!(ready["checks"][0]["reason"], "its breaker is held open");

    let (_, receipt) = hub.publish(&notify(json!({"n": 2}))).await;
    let id = receipt["event_id"].as_str().expect("accepted").to_owned();
    let path = format!("/v1/events/{id}");
    eventually(
        "it is parked longer than the breaker would be open",
        || async {
            let (_, journey) = hub.get(&path).await;
            let waited = Utc::now() - steps(&journey, &["accepted"]).first()?.0;
            let parked = !steps(&journey, &["parked"]).is_empty();
            (parked && waited.num_milliseconds() > 1_500).then_some(())
        },
    )
    .await;
    let (status, closed) = switch(&hub, "close").await;
    assert_eq!(
        (status, &closed["state"]),
        (200, &json!("closed")),
        "{closed:#}"
    );
    assert_eq!(closed["held"], false);
    let journey = hub.finished(&id).await;
    let delivered = steps(&journey, &["delivered"]);
    assert_eq!(delivered[0].1["attempt"], 1, "waiting is no attempt");
}
