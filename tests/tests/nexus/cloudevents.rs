//! CloudEvents from those who make the clients: the SDKs for Python and JavaScript, unmodified,
//! against a real hub.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

use nexus_tests::foreign::{node_with, python_with, run};
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, client};
use nexus_tests::skip;
use serde_json::{Value, json};

/// Each with a client for WebSockets, which they leave to others.
const PYTHON_SDK: &str = "cloudevents==2.2.0 websockets==17.4";
const JAVASCRIPT_SDK: &str = "cloudevents@10.0.0 ws@8.23.0";

/// What is there, or nothing; the test is then skipped.
fn or_skip<T>(test: &str, found: Result<T, impl Display>) -> Option<T> {
    skip::or_skip(&format!("cloudevents::{test}"), found)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients/cloudevents")
        .join(name)
}

fn hub() -> Hub {
    HubBuilder::new().plugin("probe").start()
}

/// The lines that a script prints.
fn lines(script: &mut Command) -> Vec<Value> {
    let printed = run(script.env("NEXUS_KEY", ADMIN_KEY)).unwrap();
    let lines = printed.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Every answer is what an event of the hub's own would get, and every event is worked on.
async fn check(hub: &Hub, lines: &[Value], source: &str) {
    for line in lines.iter().filter(|line| line["mode"] != "followed") {
        if line["mode"] != "websocket" {
            assert_eq!(line["status"], 202, "{line:#}");
        }
        let expected = match line["mode"].as_str() {
            Some("binary again") => "duplicate",
            _ => "accepted",
        };
        let answers = match &line["answer"] {
            Value::Array(answers) => answers.clone(),
            one => vec![one.clone()],
        };
        for answer in answers {
            assert_eq!(answer["status"], expected, "{line:#}");
            let journey = hub.finished(answer["event_id"].as_str().unwrap()).await;
            assert_eq!(journey["status"], "processed");
            assert_eq!(journey["type"], "probe.ping");
            assert_eq!(journey["source"], source);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_for_python_publishes_and_follows() {
    let Some(python) = or_skip(
        "the_sdk_for_python_publishes_and_follows",
        python_with(PYTHON_SDK),
    ) else {
        return;
    };
    let hub = hub();
    let mut script = Command::new(python);
    let lines = lines(script.arg(fixture("publish.py")).arg(hub.url()));
    let modes: Vec<_> = lines.iter().map(|line| line["mode"].clone()).collect();
    let expected = [
        "binary",
        "binary again",
        "structured",
        "batch",
        "older binary",
        "older structured",
        "followed",
        "websocket",
        "followed",
    ];
    assert_eq!(modes, expected);
    check(&hub, &lines, "example.org-python").await;
    for (at, data) in [
        (6, json!({ "n": 1, "note": "binary" })),
        (8, json!({ "n": 6, "note": "websocket" })),
    ] {
        let expected = json!({
            "source": "example.org-python",
            "type": "probe.ping",
            "correlationid": "Euro \u{20ac} \u{1f600}",
            "data": data,
        });
        assert_eq!(lines[at]["event"], expected);
    }
    let first = lines[0]["answer"]["event_id"].as_str().unwrap();
    let journey = hub.finished(first).await;
    assert_eq!(journey["correlation_id"], "Euro \u{20ac} \u{1f600}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_for_javascript_publishes_and_follows() {
    let Some(folder) = or_skip(
        "the_sdk_for_javascript_publishes_and_follows",
        node_with(JAVASCRIPT_SDK),
    ) else {
        return;
    };
    let hub = hub();
    let mut script = Command::new("node");
    script.current_dir(folder);
    let lines = lines(script.arg(fixture("publish.mjs")).arg(hub.url()));
    let modes: Vec<_> = lines.iter().map(|line| line["mode"].clone()).collect();
    let expected = [
        "binary",
        "binary again",
        "structured",
        "batch",
        "websocket",
        "followed",
    ];
    assert_eq!(modes, expected);
    check(&hub, &lines, "javascript").await;
    let expected = json!({
        "source": "javascript", "type": "probe.ping", "correlationid": "c-1", "data": { "n": 5 },
    });
    assert_eq!(lines[5]["event"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_the_query_is_in_no_log() {
    let hub = HubBuilder::new()
        .config("[observe]\nlog_level = \"debug\"")
        .plugin("probe")
        .start();
    let url = format!("{}/v1/events?access_token={ADMIN_KEY}", hub.url());
    let event = json!({ "type": "probe.ping", "source": "s", "payload": { "n": 1 } });
    let answer = client().post(&url).json(&event).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let wrong = format!("{}/v1/events?access_token=canary-of-a-key", hub.url());
    let refused = client().post(&wrong).json(&event).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let refused = refused.text().await.unwrap();
    hub.wait_for_log("answered").await;
    for text in [hub.log(), refused] {
        assert!(
            !text.contains(ADMIN_KEY) && !text.contains("canary-of-a-key"),
            "{text}"
        );
    }
}
