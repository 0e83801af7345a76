//! What a running hub has counted and measured, as Prometheus' own parser and promtool read it.

mod examples;
mod families;
mod promtool;

use std::path::Path;
use std::process::Command;

use nexus_tests::foreign::{python_with, run};
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, client, key_hash};
use nexus_tests::skip::or_skip;
use serde_json::{Value, json};

const PARSER: &str = "prometheus-client==0.26.0";

const SCRAPER_KEY: &str = "nxk_test_scraper";

fn hub() -> Hub {
    let clients = [
        ("scraper", SCRAPER_KEY, "metrics = true"),
        ("slow", "nxk_test_slow", "rate = 1\nburst = 1"),
    ];
    let clients = clients.map(|(id, key, more)| {
        let hash = key_hash(key);
        format!(
            "[[clients]]\nid = \"{id}\"\nkey_sha256 = \"{hash}\"\nsources = [\"test\"]\n\
             types = [\"probe.*\"]\n{more}\n"
        )
    });
    HubBuilder::new()
        .config(&clients.concat())
        .config("[[webhooks]]\nname = \"shop\"\nscheme = \"none\"\ntype = \"probe.ping\"")
        .plugin("probe")
        .start()
}

fn ping(change: Value) -> Value {
    let mut event = json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } });
    for (key, value) in change.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

async fn send(hub: &Hub, key: &str, path: &str, body: &Value) -> u16 {
    let request = client().post(format!("{}{path}", hub.url()));
    let (status, _) = hub.send(request.bearer_auth(key).json(body)).await;
    status
}

async fn text(hub: &Hub, key: &str) -> (u16, String) {
    let request = client().get(format!("{}/metrics", hub.url()));
    let answer = request.bearer_auth(key).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The counts of what came in that are not zero, one line each.
fn counted(text: &str) -> Vec<&str> {
    let families = [
        "nexus_events_total",
        "nexus_contract_events",
        "nexus_auth_failures",
        "nexus_rate_limited",
    ];
    let is_meant = |line: &&str| families.iter().any(|name| line.starts_with(name));
    let lines = text.lines().filter(is_meant);
    lines.filter(|line| !line.ends_with(" 0")).collect()
}

#[tokio::test]
async fn what_comes_and_what_is_refused_is_counted_once_by_its_door_and_code() {
    let hub = hub();
    let id = "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a";
    for (key, path, body, status) in [
        (
            ADMIN_KEY,
            "/v1/events",
            ping(json!({ "event_id": id })),
            202,
        ),
        (
            ADMIN_KEY,
            "/v1/events",
            ping(json!({ "event_id": id })),
            202,
        ),
        (
            ADMIN_KEY,
            "/v1/events",
            ping(json!({ "type": "no.such" })),
            422,
        ),
        (ADMIN_KEY, "/v1/events?x=y", ping(json!({})), 400),
        (ADMIN_KEY, "/v1/events", json!([ping(json!({})), 1]), 207),
        ("nxk_unknown", "/v1/events", ping(json!({})), 401),
        (
            "nxk_test_slow",
            "/v1/events",
            ping(json!({ "source": "else" })),
            403,
        ),
        ("nxk_test_slow", "/v1/events", ping(json!({})), 429),
        ("", "/v1/hooks/shop", json!({ "n": 1 }), 202),
        ("", "/v1/hooks/shop", json!([]), 422),
    ] {
        assert_eq!(
            send(&hub, key, path, &body).await,
            status,
            "{key} {path} {body}"
        );
    }
    let letter = |version: &str, field: &str| {
        json!({ "type": "probe.letter", "source": "test", "contract_version": version,
                "payload": { (field): "hello" } })
    };
    for letter in [letter("1.0.0", "text"), letter("2.0.0", "body")] {
        assert_eq!(hub.publish(&letter).await.0, 202);
    }
    let (status, text) = text(&hub, SCRAPER_KEY).await;
    assert_eq!(status, 200, "{text}");
    let expected = [
        r#"nexus_events_total{door="http",result="accepted"} 4"#,
        r#"nexus_events_total{door="http",result="duplicate"} 1"#,
        r#"nexus_events_total{door="http",result="malformed_event"} 1"#,
        r#"nexus_events_total{door="http",result="unauthenticated"} 1"#,
        r#"nexus_events_total{door="http",result="forbidden"} 1"#,
        r#"nexus_events_total{door="http",result="contract_violation"} 1"#,
        r#"nexus_events_total{door="http",result="unknown_type"} 1"#,
        r#"nexus_events_total{door="http",result="rate_limited"} 1"#,
        r#"nexus_events_total{door="webhook",result="accepted"} 1"#,
        r#"nexus_events_total{door="webhook",result="contract_violation"} 1"#,
        r#"nexus_contract_events_total{type="probe.letter",version="1.0.0",deprecated="true"} 1"#,
        r#"nexus_contract_events_total{type="probe.letter",version="2.0.0",deprecated="false"} 1"#,
        // The duplicate is in order, and so in its contract's count.
        r#"nexus_contract_events_total{type="probe.ping",version="1.0.0",deprecated="false"} 4"#,
        r#"nexus_auth_failures_total{reason="unknown_key"} 1"#,
        r#"nexus_rate_limited_total{scope="client"} 1"#,
    ];
    assert_eq!(counted(&text), expected, "{text}");
}

#[tokio::test]
async fn only_those_who_may_read_them_read_the_metrics() {
    let hub = hub();
    for (key, status) in [
        ("", 401),
        ("nxk_test_slow", 403),
        (SCRAPER_KEY, 200),
        (ADMIN_KEY, 200),
    ] {
        assert_eq!(text(&hub, key).await.0, status, "{key}");
    }
    let admin = hub.url() + "/v1/admin/queue";
    let request = client().get(admin).bearer_auth(SCRAPER_KEY);
    assert_eq!(
        hub.send(request).await.0,
        403,
        "a scraper administers nothing"
    );
}

#[tokio::test]
async fn prometheus_own_parser_reads_the_metrics() {
    const TEST: &str = "metrics::prometheus_own_parser_reads_the_metrics";
    let Some(python) = or_skip(TEST, python_with(PARSER)) else {
        return;
    };
    let hub = hub();
    assert_eq!(hub.publish(&ping(json!({}))).await.0, 202);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/prometheus/read.py");
    let mut reading = Command::new(python);
    reading
        .arg(script)
        .arg(hub.url())
        .env("NEXUS_KEY", SCRAPER_KEY);
    let read = run(&mut reading).unwrap();
    let samples: Vec<Value> = read
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let accepted = json!(["nexus_events_total", { "door": "http", "result": "accepted" }, 1]);
    assert!(samples.contains(&accepted), "{read}");
    for name in [
        "nexus_contract_events_total",
        "nexus_auth_failures_total",
        "nexus_rate_limited_total",
    ] {
        assert!(
            samples.iter().any(|sample| sample[0] == name),
            "{name}\n{read}"
        );
    }
}
