//! Stopping: nothing acknowledged is lost, and the process is gone in time.

use std::time::{Duration, Instant};

use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, client};
use serde_json::json;

fn slow(lane: usize, ms: u64) -> serde_json::Value {
    json!({
        "type": "probe.command",
        "source": "test",
        "partition_key": format!("lane-{lane}"),
        "payload": {"action": "sleep_ms", "ms": ms},
    })
}

fn hub(config: &str) -> Hub {
    HubBuilder::new().config(config).plugin("probe").start()
}

#[tokio::test]
async fn what_was_accepted_is_finished_before_the_end() {
    for signal in ["TERM", "INT"] {
        let mut hub = hub("");
        for lane in 0..200 {
            assert_eq!(hub.publish(&slow(lane, 300)).await.0, 202);
        }
        let status = hub.stop_by(signal, Duration::from_secs(30));
        assert_eq!(status.code(), Some(0), "{}", hub.log());
        assert!(hub.log().contains("200 events finished"), "{}", hub.log());
    }
}

#[tokio::test]
async fn a_request_that_waits_for_its_outcome_is_answered_and_its_event_finished() {
    let mut hub = hub("");
    let request = hub
        .request("POST", "/v1/events?ack=processed")
        .json(&slow(0, 1_500));
    let waiting = tokio::spawn(async move {
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.text().await.expect("a body"),
        )
    });
    hub.wait_for_events(1).await;
    let status = hub.stop(Duration::from_secs(30));
    assert_eq!(status.code(), Some(0));
    let (status, body) = waiting.await.unwrap();
    // Accepted is all that can be said while the hub stops; the work goes on.
    assert_eq!(status, 202, "{body}");
    assert!(hub.log().contains("1 events finished"), "{}", hub.log());
}

#[tokio::test]
async fn a_hung_plugin_does_not_keep_the_process() {
    let mut hub = hub(
        "[dispatch]\nprocessor_timeout = \"10m\"\n[shutdown]\ntimeout = \"4s\"\ndrain_timeout = \"1s\"",
    );
    for action in ["hang", "block_ms"] {
        let event = json!({
            "type": "probe.command", "source": "test", "partition_key": action,
            "payload": {"action": action, "ms": 600_000},
        });
        assert_eq!(hub.publish(&event).await.0, 202);
    }
    hub.wait_for_events(2).await;
    let begun = Instant::now();
    hub.stop(Duration::from_secs(10));
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    assert!(hub.log().contains("2 unfinished"), "{}", hub.log());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut hub = hub("[dispatch]\nprocessor_timeout = \"10m\"");
    let event = json!({
        "type": "probe.command", "source": "test", "payload": {"action": "hang"},
    });
    assert_eq!(hub.publish(&event).await.0, 202);
    hub.wait_for_events(1).await;
    hub.signal("TERM");
    hub.wait_for_log("asked to stop").await;
    let begun = Instant::now();
    hub.stop(Duration::from_secs(10));
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn nothing_is_accepted_while_it_stops() {
    let mut hub = hub("");
    assert_eq!(hub.publish(&slow(0, 2_000)).await.0, 202);
    hub.wait_for_events(1).await;
    // A connection from before, which the hub closes or answers, but never with an acceptance.
    let client = client();
    let url = format!("{}/v1/events", hub.url());
    let send = || {
        client
            .post(&url)
            .bearer_auth(ADMIN_KEY)
            .json(&slow(1, 1))
            .send()
    };
    assert_eq!(send().await.unwrap().status(), 202);
    hub.signal("TERM");
    hub.wait_for_log("asked to stop").await;
    // What comes between the line and the stop is accepted, and finished as well.
    let mut accepted = 2;
    while let Ok(answer) = send().await {
        if answer.status() == 503 {
            break;
        }
        assert_eq!(answer.status(), 202);
        accepted += 1;
        assert!(accepted < 100, "it goes on accepting");
    }
    if let Ok(answer) = send().await {
        assert_eq!(answer.status(), 503, "accepted while stopping");
    }
    let status = hub.wait_for_end(Duration::from_secs(30));
    assert_eq!(status.code(), Some(0), "{}", hub.log());
    let finished = format!("{accepted} events finished");
    assert!(hub.log().contains(&finished), "{}", hub.log());
}
