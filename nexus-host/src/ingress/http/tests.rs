//! What the routes answer, over a real socket.

use std::time::Duration;

use nexus_plugin_api::ContractInfo;
use serde_json::{Value, json};

use super::super::harness::{Hub, client, event, post};
use super::super::ports::ReadyStatus;
use crate::config::{ByteSize, HumanDuration};
use crate::queue::Queue;

#[tokio::test]
async fn an_event_is_accepted_once() {
    let hub = Hub::start(|_| {}).await;
    let id = "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a";
    let event = event(json!({ "event_id": id })).to_string();
    let answer = hub.post("/v1/events", &event).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        json!({ "event_id": id, "status": "accepted" })
    );
    let again = hub.post("/v1/events", &event).await.json();
    assert_eq!(
        (&again["event_id"], &again["status"]),
        (&json!(id), &json!("duplicate"))
    );
    let first = hub.get("any", again["href"].as_str().unwrap()).await.json();
    assert_eq!(
        first["accepted_at"], again["first_accepted_at"],
        "its first outcome"
    );
    assert_eq!(hub.queue.stats().depth, 1);
}

#[tokio::test]
async fn each_element_of_an_array_is_answered_in_its_place() {
    let hub = Hub::start(|_| {}).await;
    let good = || event(json!({}));
    let answer = hub
        .post("/v1/events", &json!([good(), good()]).to_string())
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json().as_array().unwrap().len(), 2);

    let mixed = json!([
        event(json!({ "payload": { "n": "x" } })),
        good(),
        event(json!({ "type": "un.known" })),
        7,
    ]);
    let answer = hub.post("/v1/events", &mixed.to_string()).await;
    assert_eq!(answer.status, 207);
    let results = answer.json();
    let codes: Vec<_> = (0..4)
        .map(|n| results[n]["error"]["code"].clone())
        .collect();
    assert_eq!(
        codes,
        [
            json!("contract_violation"),
            Value::Null,
            json!("unknown_type"),
            json!("contract_violation"),
        ]
    );
    assert_eq!(results[0]["status"], "rejected");
    assert_eq!(results[0]["error"]["errors"][0]["pointer"], "/payload/n");
    assert_eq!(results[1]["status"], "accepted");
    assert_eq!(hub.queue.stats().depth, 3);

    let twice = r#"[{"type":"test.happened","source":"s","payload":{"n":1,"n":2}}]"#;
    let answer = hub.post("/v1/events", twice).await;
    assert_eq!(answer.json()[0]["error"]["code"], "malformed_json");
    let answer = hub.post("/v1/events", "[]").await;
    assert_eq!((answer.status, answer.json()), (202, json!([])));
}

#[tokio::test]
async fn refusals_are_problems_with_their_code() {
    let hub = Hub::start(|settings| {
        settings.limits.max_body = ByteSize::from_kib(8);
        settings.limits.max_batch = 3;
        settings
            .clients
            .push(client("narrow", &["parrot"], &["parrot.*"]));
        let mut limited = client("limited", &["*"], &["*"]);
        (limited.rate, limited.burst) = (Some(0.1), Some(1));
        settings.clients.push(limited);
    })
    .await;
    let good = event(json!({})).to_string();
    let cases: [(&str, u16, &str); 9] = [
        ("", 400, "malformed_json"),
        ("{", 400, "malformed_json"),
        ("[{}", 400, "malformed_json"),
        (r#"{"type":"a","type":"b"}"#, 400, "malformed_json"),
        (r#"{"type":"test.happened"}"#, 422, "contract_violation"),
        ("\"event\"", 422, "contract_violation"),
        (
            r#"{"type":"un.known","source":"s","payload":{}}"#,
            422,
            "unknown_type",
        ),
        (
            r#"{"type":"nexus.x","source":"s","payload":{}}"#,
            403,
            "forbidden",
        ),
        ("[1,2,3,4]", 413, "payload_too_large"),
    ];
    for (body, status, code) in cases {
        let answer = hub.post("/v1/events", body).await;
        assert_eq!(answer.problem(status), code, "{body}");
        assert_eq!(answer.json()["instance"], "/v1/events");
    }
    let answer = hub.post("/v1/events", &" ".repeat(8 * 1024 + 1)).await;
    assert_eq!(answer.problem(413), "payload_too_large");

    let answer = hub.send(&post("wrong", "/v1/events", &good)).await;
    assert_eq!(answer.problem(401), "unauthenticated");
    assert!(
        answer
            .header("www-authenticate")
            .unwrap()
            .starts_with("bearer")
    );
    let answer = hub.send(&post("narrow", "/v1/events", &good)).await;
    assert_eq!(answer.problem(403), "forbidden");

    let text = post("any", "/v1/events", &good).replace("application/json", "text/plain");
    assert_eq!(hub.send(&text).await.problem(415), "unsupported_media_type");
    for query in ["?ack=yes", "?ask=processed", "?ack=processed&ack=processed"] {
        let answer = hub.post(&format!("/v1/events{query}"), &good).await;
        assert_eq!(answer.problem(400), "malformed_event", "{query}");
    }

    assert_eq!(
        hub.send(&post("limited", "/v1/events", &good)).await.status,
        202
    );
    let answer = hub.send(&post("limited", "/v1/events", &good)).await;
    assert_eq!(answer.problem(429), "rate_limited");
    assert_eq!(answer.header("retry-after"), Some("10"));
}

#[tokio::test]
async fn a_full_and_a_closed_queue_say_when_to_come_again() {
    let hub = Hub::start(|settings| settings.queue.capacity = 1).await;
    let good = event(json!({})).to_string();
    assert_eq!(hub.post("/v1/events", &good).await.status, 202);
    let answer = hub.post("/v1/events", &good).await;
    assert_eq!(answer.problem(503), "queue_full");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.json()["retry_after"], 1);
    let answer = hub.post("/v1/events", &format!("[{good}]")).await;
    assert_eq!(answer.status, 207);
    assert_eq!(answer.json()[0]["error"]["code"], "queue_full");
    assert_eq!(answer.json()[0]["error"]["retry_after"], 1);
    hub.queue.close_intake();
    let answer = hub.post("/v1/events", &good).await;
    assert_eq!(answer.problem(503), "shutting_down");
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn an_outcome_is_waited_for_but_not_for_ever() {
    let hub = Hub::start(|settings| {
        settings.server.ack_timeout = HumanDuration::from(Duration::from_millis(100));
    })
    .await;
    let good = event(json!({ "event_id": "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a" })).to_string();
    let in_time = hub.post("/v1/events?ack=processed", &good);
    let (answer, ()) = tokio::join!(in_time, hub.process_one());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "processed");
    assert!(answer.json()["steps"].is_array());
    // A duplicate of what is finished is answered from the journal.
    let answer = hub.post("/v1/events?ack=processed", &good).await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &json!("processed"))
    );

    let other = event(json!({})).to_string();
    let answer = hub.post("/v1/events?ack=processed", &other).await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (202, &json!("accepted"))
    );
    hub.process_one().await;

    let several = json!([event(json!({})), event(json!({ "type": "un.known" }))]).to_string();
    let several = hub.post("/v1/events?ack=processed", &several);
    let (answer, ()) = tokio::join!(several, hub.process_one());
    assert_eq!(answer.status, 207);
    assert_eq!(answer.json()[0]["status"], "processed");
    assert_eq!(answer.json()[1]["status"], "rejected");
}

#[tokio::test]
async fn who_waits_for_an_array_is_told_of_an_outdated_version_too() {
    let hub = Hub::start(|_| {}).await;
    let mut info = ContractInfo::new("test.old", "1.0.0".parse().unwrap(), json!({}));
    info.sunset = Some("2999-12-31T00:00:00Z".parse().unwrap());
    hub.contracts.register("test", info).unwrap();
    let both = json!([event(json!({ "type": "test.old" })), event(json!({}))]).to_string();
    let process = async {
        hub.process_one().await;
        hub.process_one().await;
    };
    let (answer, ()) = tokio::join!(hub.post("/v1/events?ack=processed", &both), process);
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer[0]["status"], "processed");
    assert_eq!(answer[0]["deprecation"]["sunset"], "2999-12-31T00:00:00Z");
    assert!(answer[1].get("deprecation").is_none(), "{answer}");
}

#[tokio::test]
async fn a_journey_is_shown_within_reach_only() {
    let hub = Hub::start(|settings| {
        settings
            .clients
            .push(client("narrow", &["elsewhere"], &["*"]));
    })
    .await;
    let answer = hub.post("/v1/events", &event(json!({})).to_string()).await;
    let path = format!("/v1/events/{}", answer.json()["event_id"].as_str().unwrap());
    for key in ["any", "root"] {
        let answer = hub.get(key, &path).await;
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (200, &json!("queued"))
        );
    }
    assert_eq!(hub.get("narrow", &path).await.problem(404), "not_found");
    assert_eq!(
        hub.get("nobody", &path).await.problem(401),
        "unauthenticated"
    );
    for unknown in [
        "/v1/events/0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a",
        "/v1/events/x",
        "/v1/events/%ff",
    ] {
        assert_eq!(hub.get("any", unknown).await.problem(404), "not_found");
    }
}

#[tokio::test]
async fn contracts_are_shown() {
    let hub = Hub::start(|_| {}).await;
    let list = hub.get("any", "/v1/contracts").await.json();
    assert_eq!(
        list,
        json!({ "contracts": [{
            "type": "test.happened",
            "version": "1.1.0",
            "versions": ["1.0.0", "1.1.0"],
            "plugin": "test",
        }] })
    );
    let newest = hub.get("any", "/v1/contracts/test.happened").await.json();
    assert_eq!(newest["version"], "1.1.0");
    assert_eq!(newest["versions"], json!(["1.0.0", "1.1.0"]));
    assert_eq!(newest["schema"]["properties"]["n"]["type"], "integer");
    let one = hub
        .get("any", "/v1/contracts/test.happened/1.0.0")
        .await
        .json();
    assert_eq!(one["version"], "1.0.0");
    for unknown in [
        "/x",
        "/x/1.0.0",
        "/test.happened/2.0.0",
        "/test.happened/x",
        "/a/b/c",
        "/%ff",
    ] {
        let answer = hub.get("any", &format!("/v1/contracts{unknown}")).await;
        assert_eq!(answer.problem(404), "not_found", "{unknown}");
    }
    assert_eq!(
        hub.get("no", "/v1/contracts").await.problem(401),
        "unauthenticated"
    );
}

#[tokio::test]
async fn administration_is_for_administrators() {
    let hub = Hub::start(|_| {}).await;
    hub.post("/v1/events", &event(json!({})).to_string()).await;
    for path in ["plugins", "queue", "breakers", "dead-letters"] {
        let path = format!("/v1/admin/{path}");
        assert_eq!(hub.get("root", &path).await.status, 200, "{path}");
        assert_eq!(hub.get("any", &path).await.problem(403), "forbidden");
        assert_eq!(
            hub.get("nobody", &path).await.problem(401),
            "unauthenticated"
        );
    }
    assert_eq!(hub.get("root", "/v1/admin/queue").await.json()["depth"], 1);
}

#[tokio::test]
async fn a_breaker_is_switched_by_name_and_by_administrators_only() {
    let hub = Hub::start(|_| {}).await;
    let path = |rest: &str| format!("/v1/admin/breakers/{rest}");
    let switched = [
        ("i/act/open", "i/act", "open"),
        ("i%2Fact/close", "i/act", "closed"),
        ("i/act@host:1/open/close", "i/act@host:1/open", "closed"),
        ("i%2Fact%40host:1%2Fopen/open", "i/act@host:1/open", "open"),
        ("i/act@50%25/open", "i/act@50%", "open"),
    ];
    for (rest, name, state) in switched {
        let answer = hub.send(&post("root", &path(rest), "")).await;
        assert_eq!(answer.status, 200, "{rest}");
        assert_eq!(answer.json(), json!({ "name": name, "state": state }));
    }
    for unknown in [
        "i/other/open",
        "i/act/toggle",
        "i/act",
        "open",
        "/open",
        "i%2Fact@host:1%2Fopen",
        "%ff/open",
    ] {
        let answer = hub.send(&post("root", &path(unknown), "")).await;
        assert_eq!(answer.problem(404), "not_found", "{unknown}");
    }
    let by = |key: &str| post(key, &path("i/act/open"), "");
    assert_eq!(hub.send(&by("any")).await.problem(403), "forbidden");
    assert_eq!(hub.send(&by("none")).await.problem(401), "unauthenticated");
    let read = hub.get("root", &path("i/act/open")).await;
    assert_eq!(read.problem(405), "method_not_allowed");
}

/// As where a program embeds the hub: these tests set up no log of the hub's own.
#[tokio::test]
async fn a_log_that_is_not_the_hub_s_own_is_neither_shown_nor_changed() {
    let hub = Hub::start(|_| {}).await;
    let shown = hub.get("root", "/v1/admin/log").await;
    assert_eq!(shown.problem(409), "conflict");
    let body = json!({ "filter": "debug" }).to_string();
    let change = |key: &str| post(key, "/v1/admin/log", &body).replacen("POST", "PUT", 1);
    assert_eq!(hub.send(&change("root")).await.problem(409), "conflict");
    assert_eq!(hub.send(&change("any")).await.problem(403), "forbidden");
}

#[tokio::test]
async fn health_is_told_to_anybody() {
    let statuses = [
        (ReadyStatus::Ready, 200, "ready"),
        (ReadyStatus::Degraded, 200, "degraded"),
        (ReadyStatus::NotReady, 503, "not_ready"),
        (ReadyStatus::ShuttingDown, 503, "shutting_down"),
    ];
    for (ready, status, word) in statuses {
        let hub = Hub::start(|settings| settings.ready = ready).await;
        let alive = hub.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(
            (alive.status, alive.json()),
            (200, json!({ "status": "ok" }))
        );
        let answer = hub.send("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (status, &json!(word))
        );
        let check = &answer.json()["checks"][0];
        assert_eq!(
            (&check["status"], check.get("reason")),
            (&json!("degraded"), None)
        );
        let told = hub.get("root", "/readyz").await;
        assert_eq!(told.json()["checks"][0]["reason"], "asleep");
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
    }
}

#[tokio::test]
async fn hooks_pass_what_came_and_what_is_answered() {
    let hub = Hub::start(|settings| settings.limits.max_body = ByteSize::from_kib(1)).await;
    let hook = |method: &str, path: &str, body: &str| {
        format!(
            "{method} /v1/hooks{path} HTTP/1.1\r\nhost: x\r\nX-Custom: seen\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = hub
        .send(&hook("POST", "/echo/a%20b/c?x=%31&y", "raw \u{e9}"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, "POST \"/a%20b/c\" \"x=%31&y\" seen raw \u{e9}");
    assert_eq!(answer.header("x-answer"), Some("yes"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    for method in ["GET", "PUT", "OPTIONS", "DELETE"] {
        let answer = hub.send(&hook(method, "/echo", "")).await;
        assert_eq!(answer.body, format!("{method} \"\" \"\" seen "));
    }
    assert_eq!(
        hub.send(&hook("POST", "/echo/", "")).await.body,
        "POST \"/\" \"\" seen "
    );
    assert_eq!(hub.send(&hook("POST", "/strange", "")).await.status, 500);
    assert_eq!(
        hub.send(&hook("POST", "/nobody", "")).await.problem(404),
        "not_found"
    );
    assert_eq!(
        hub.send(&hook("POST", "/broken", "")).await.problem(500),
        "internal"
    );
    let busy = hub.send(&hook("POST", "/busy", "")).await;
    assert_eq!(busy.problem(503), "unavailable");
    assert_eq!(busy.header("retry-after"), Some("2"));
    let large = hub.send(&hook("POST", "/echo", &"x".repeat(1025))).await;
    assert_eq!(large.problem(413), "payload_too_large");
}

#[tokio::test]
async fn live_events_are_sent_to_those_within_reach() {
    let mut hub = Hub::start(|settings| {
        settings.clients.push(client("narrow", &["s"], &["test.*"]));
    })
    .await;
    let follow = |key: &str, query: &str| {
        format!(
            "GET /v1/events/stream{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n"
        )
    };
    let mut narrow = hub.connect().await;
    narrow.write(&follow("narrow", "")).await;
    let head = narrow.read_until(": following").await;
    assert!(head.contains("text/event-stream"));
    let mut filtered = hub.connect().await;
    filtered
        .write(&follow("root", "?source=t&type=test.*"))
        .await;
    filtered.read_until(": following").await;

    for source in ["t", "s"] {
        let event = event(json!({ "source": source, "correlation_id": format!("from-{source}") }));
        hub.post("/v1/events", &event.to_string()).await;
    }
    let seen = narrow.read_until("\n\n").await;
    assert!(
        seen.contains("from-s") && !seen.contains("from-t"),
        "{seen}"
    );
    assert!(seen.contains("id: ") && seen.contains("data: {"));
    let seen = filtered.read_until("\n\n").await;
    assert!(
        seen.contains("from-t") && !seen.contains("from-s"),
        "{seen}"
    );

    // A burst beyond the channel's room, sent while no follower can run.
    let event: std::sync::Arc<nexus_plugin_api::Event> =
        std::sync::Arc::new(serde_json::from_value(event(json!({}))).unwrap());
    for _ in 0..1_030 {
        hub.live.show(&event);
    }
    narrow.read_until(": missed 6 events").await;

    hub.stop(Duration::from_secs(5));
    narrow.closed().await;
    filtered.closed().await;
    assert_eq!(hub.ended().await.cut, 0);
}

#[tokio::test]
async fn a_stream_s_filter_must_be_one() {
    let hub = Hub::start(|_| {}).await;
    for query in ["?type=a*", "?types=a", "?source="] {
        let answer = hub.get("any", &format!("/v1/events/stream{query}")).await;
        assert_eq!(answer.problem(400), "malformed_event", "{query}");
    }
    let answer = hub.get("nobody", "/v1/events/stream").await;
    assert_eq!(answer.problem(401), "unauthenticated");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_good_form() {
    let hub = Hub::start(|_| {}).await;
    for path in [
        "/assets",
        "/assets/no.js",
        "/v1",
        "/v1/event",
        "/v2/events",
        "/v1/hooks",
        "/v1/events/",
    ] {
        assert_eq!(
            hub.get("any", path).await.problem(404),
            "not_found",
            "{path}"
        );
    }
    let with = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    };
    let answer = hub.send(&with("DELETE", "/v1/events")).await;
    assert_eq!(answer.problem(405), "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("post,options"));
    let answer = hub.send(&with("OPTIONS", "/v1/contracts")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("allow"), Some("get,head"));
    let mut connection = hub.connect().await;
    let head = "HEAD /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    connection.write(head).await;
    let answer = connection.closed().await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[test]
fn secrets_in_paths_are_not_logged() {
    let loggable = |uri: &str| super::loggable(&uri.parse().unwrap()).to_owned();
    assert_eq!(
        loggable("/v1/hooks/dropbox/canary?canary"),
        "/v1/hooks/dropbox"
    );
    assert_eq!(loggable("/v1/hooks/dropbox?canary"), "/v1/hooks/dropbox");
    assert_eq!(loggable("/v1/events?key=canary"), "/v1/events");
    assert_eq!(loggable("/canary"), "(other)");
}
