//! The conventions by which events may be published, over a real socket.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use nexus_plugin_api::Event;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::admission::Client;
use crate::config::ByteSize;
use crate::ingress::harness::{Answer, Hub, client, event};
use crate::queue::{Queue, Settlement};

const ID: &str = "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a";
const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Sends a body with headers of choice.
async fn send(hub: &Hub, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: x\r\n").into_bytes();
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    write!(request, "content-length: {}\r\n\r\n", body.len()).unwrap();
    request.extend_from_slice(body);
    let mut connection = hub.connect().await;
    connection.0.write_all(&request).await.unwrap();
    connection.answer().await
}

/// As the client `any`.
async fn publish(hub: &Hub, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let headers = [headers, &[("authorization", "Bearer any")]].concat();
    send(hub, "/v1/events", &headers, body).await
}

fn cloudevent(change: Value) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": ID, "source": "/parrot", "type": "test.happened",
        "data": { "n": 1 },
    });
    for (key, value) in change.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

/// The event that was accepted first of those that are left.
async fn taken(hub: &Hub) -> Arc<Event> {
    let lease = tokio::time::timeout(Duration::from_secs(5), hub.queue.lease());
    let delivery = lease.await.expect("nothing is queued").unwrap();
    let settled = hub.queue.settle(delivery.lease, Settlement::default());
    settled.await.unwrap();
    delivery.event
}

#[tokio::test]
async fn a_cloudevent_comes_in_headers() {
    let hub = Hub::start(|_| {}).await;
    let raw = b"{ \"n\" : 7 }";
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", ID),
        ("ce-source", "https://github.com/o/r"),
        ("ce-type", "test.happened"),
        ("ce-time", "2026-01-31T12:00:00Z"),
        ("ce-correlationid", "Euro%20%E2%82%AC"),
        ("ce-priority", "high"),
        ("CE-Subject", "something"),
        ("ce-anything", "else"),
        JSON,
    ];
    let answer = publish(&hub, &headers, raw).await;
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({ "event_id": ID, "status": "accepted" }))
    );
    let again = publish(&hub, &headers, raw).await;
    assert_eq!(again.json()["status"], "duplicate");
    let event = taken(&hub).await;
    assert_eq!(event.payload.as_slice(), raw);
    let event = serde_json::to_value(&*event).unwrap();
    assert_eq!(event["source"], "github.com-o-r");
    assert_eq!(event["timestamp"], "2026-01-31T12:00:00Z");
    assert_eq!(event["correlation_id"], "Euro \u{20ac}");
    assert_eq!(event["priority"], "high");
    assert_eq!(event["contract_version"], "1.1.0");
}

#[tokio::test]
async fn headers_that_make_no_cloudevent_are_refused() {
    let hub = Hub::start(|_| {}).await;
    let good = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "test.happened"),
    ];
    for missing in 0..good.len() {
        let mut headers = good.to_vec();
        let (name, _) = headers.remove(missing);
        let answer = publish(&hub, &headers, b"{}").await;
        assert_eq!(answer.problem(400), "malformed_event");
        let pointer = format!("/{}", &name[3..]);
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
    }
    for (bad, pointer) in [
        (("ce-specversion", "0.3"), "/specversion"),
        (("ce-id", "2"), "/id"),
        (
            ("ce-datacontenttype", "application/json"),
            "/datacontenttype",
        ),
        (("ce-time", "now"), "/time"),
        (("ce-ext", "%FF"), "/ext"),
        (("ce-ext", "a%0Ab"), "/ext"),
        (("ce-my-ext", "x"), "/my-ext"),
        (("ce-", "x"), "/"),
    ] {
        let headers = [&good[..], &[bad]].concat();
        let answer = publish(&hub, &headers, b"{}").await;
        assert_eq!(answer.problem(400), "malformed_event", "{bad:?}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{bad:?}");
    }
    let text = [&good[..], &[("content-type", "text/plain")]].concat();
    assert_eq!(
        publish(&hub, &text, b"hi").await.problem(415),
        "unsupported_media_type"
    );
    let not_json = [&good[..], &[JSON]].concat();
    for (body, status, code) in [
        (&b"hi"[..], 400, "malformed_json"),
        (br#"{"n":1,"n":2}"#, 400, "malformed_json"),
        (b"[1]", 422, "contract_violation"),
        (br#"{"n":"x"}"#, 422, "contract_violation"),
    ] {
        let answer = publish(&hub, &not_json, body).await;
        assert_eq!(answer.problem(status), code);
    }
    assert_eq!(hub.queue.stats().depth, 0);
}

#[tokio::test]
async fn a_cloudevent_comes_as_json() {
    let hub = Hub::start(|_| {}).await;
    let body = cloudevent(json!({ "id": "not a uuid" })).to_string();
    let answer = publish(&hub, &[STRUCTURED], body.as_bytes()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let again = publish(&hub, &[STRUCTURED], body.as_bytes()).await.json();
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["event_id"], answer.json()["event_id"]);
    assert_eq!(taken(&hub).await.source, "parrot");

    for (body, status, code) in [
        (
            cloudevent(json!({ "specversion": "2" })),
            400,
            "malformed_event",
        ),
        (
            cloudevent(json!({ "datacontenttype": "text/xml" })),
            415,
            "unsupported_media_type",
        ),
        (
            cloudevent(json!({ "data": { "n": "x" } })),
            422,
            "contract_violation",
        ),
        (
            cloudevent(json!({ "type": "un.known" })),
            422,
            "unknown_type",
        ),
        (cloudevent(json!({ "type": "nexus.x" })), 403, "forbidden"),
        (json!([cloudevent(json!({}))]), 400, "malformed_event"),
        (json!(7), 400, "malformed_event"),
    ] {
        let answer = publish(&hub, &[STRUCTURED], body.to_string().as_bytes()).await;
        assert_eq!(answer.problem(status), code, "{body}");
    }
    let xml = [("content-type", "application/cloudevents+xml")];
    assert_eq!(
        publish(&hub, &xml, b"<e/>").await.problem(415),
        "unsupported_media_type"
    );
}

#[tokio::test]
async fn each_cloudevent_of_a_batch_is_answered() {
    let hub = Hub::start(|settings| settings.limits.max_batch = 3).await;
    let answer = publish(&hub, &[BATCH], b"[]").await;
    assert_eq!((answer.status, answer.json()), (202, json!([])));
    let good = || cloudevent(json!({ "id": "1" }));
    let bad = cloudevent(json!({ "time": 7 }));
    let batch = json!([good(), bad, good()]).to_string();
    let answer = publish(&hub, &[BATCH], batch.as_bytes()).await;
    assert_eq!(answer.status, 207);
    let results = answer.json();
    assert_eq!(results[0]["status"], "accepted");
    assert_eq!(results[1]["error"]["code"], "malformed_event");
    assert_eq!(results[1]["error"]["errors"][0]["pointer"], "/time");
    assert_eq!(results[2]["status"], "duplicate");
    let many = json!([1, 2, 3, 4]).to_string();
    let answer = publish(&hub, &[BATCH], many.as_bytes()).await;
    assert_eq!(answer.problem(413), "payload_too_large");
    let one = good().to_string();
    assert_eq!(
        publish(&hub, &[BATCH], one.as_bytes()).await.problem(400),
        "malformed_event"
    );

    let body = cloudevent(json!({ "id": "2" })).to_string();
    let headers = [STRUCTURED, ("authorization", "Bearer any")];
    hub.process_one().await;
    let waiting = send(&hub, "/v1/events?ack=processed", &headers, body.as_bytes());
    let (answer, ()) = tokio::join!(waiting, hub.process_one());
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &json!("processed"))
    );
}

/// Ids are a source's own: neither sees, nor waits for, what another sent under the same one.
#[tokio::test]
async fn clients_that_use_the_same_id_are_told_of_their_own_events() {
    let hub = Hub::start(|settings| {
        for id in ["one", "two"] {
            settings.clients.push(client(id, &[id], &["*"]));
        }
    })
    .await;
    let path = format!("/v1/events/{ID}");
    let post = async |key: &str, path: &str| {
        let body = json!({
            "event_id": ID, "type": "test.happened", "source": key, "payload": {"n": 1},
        });
        let authorization = format!("Bearer {key}");
        let headers = [JSON, ("authorization", authorization.as_str())];
        send(&hub, path, &headers, body.to_string().as_bytes()).await
    };
    let status = |answer: Answer| {
        let told = answer.json();
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        (answer.status, text("source"), text("status"))
    };
    let of = |source: &str, status: &str| (200, source.to_owned(), status.to_owned());

    assert_eq!(post("one", "/v1/events").await.status, 202);
    assert_eq!(hub.get("two", &path).await.problem(404), "not_found");
    assert_eq!(post("two", "/v1/events").await.status, 202);
    hub.process_one().await;
    assert_eq!(status(hub.get("one", &path).await), of("one", "processed"));
    assert_eq!(status(hub.get("two", &path).await), of("two", "queued"));
    assert_eq!(status(hub.get("any", &path).await), of("two", "queued"));
    let first = hub.get("any", &format!("{path}?source=one")).await;
    assert_eq!(status(first), of("one", "processed"));
    let others = hub.get("two", &format!("{path}?source=one")).await;
    assert_eq!(others.problem(404), "not_found");
    let unknown = hub.get("any", &format!("{path}?sauce=one")).await;
    assert_eq!(unknown.problem(400), "malformed_event");

    // The way to what became of a duplicate leads to its own.
    let again = post("one", "/v1/events").await.json();
    let there = hub.get("any", again["href"].as_str().unwrap()).await;
    assert_eq!(status(there), of("one", "processed"));

    // Sent again, the first is finished, and the second is waited for.
    let again = post("one", "/v1/events?ack=processed").await;
    assert_eq!(status(again), of("one", "processed"));
    let waiting = post("two", "/v1/events?ack=processed");
    let (again, ()) = tokio::join!(waiting, hub.process_one());
    assert_eq!(status(again), of("two", "processed"));
}

#[tokio::test]
async fn cloudevents_that_cannot_be_read_count_against_the_rate() {
    let hub = Hub::start(|settings| {
        let mut limited = client("limited", &["*"], &["*"]);
        (limited.rate, limited.burst) = (Some(0.1), Some(1));
        settings.clients.push(limited);
    })
    .await;
    let headers = [STRUCTURED, ("authorization", "Bearer limited")];
    let answer = send(&hub, "/v1/events", &headers, b"{}").await;
    assert_eq!(answer.problem(400), "malformed_event");
    let answer = send(&hub, "/v1/events", &headers, b"{}").await;
    assert_eq!(answer.problem(429), "rate_limited");
}

#[tokio::test]
async fn events_are_followed_as_cloudevents() {
    let hub = Hub::start(|_| {}).await;
    let mut follower = hub.connect().await;
    let path = "/v1/events/stream?format=cloudevents";
    follower
        .write(&format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer any\r\n\r\n"
        ))
        .await;
    follower.read_until(": following").await;
    let body = cloudevent(json!({})).to_string();
    publish(&hub, &[STRUCTURED], body.as_bytes()).await;
    let read = follower.read_until("\n\n").await;
    let data = read.lines().find_map(|line| line.strip_prefix("data: "));
    let sent: Value = serde_json::from_str(data.unwrap()).unwrap();
    assert_eq!(
        (
            &sent["specversion"],
            &sent["id"],
            &sent["source"],
            &sent["data"]
        ),
        (
            &json!("1.0"),
            &json!(ID),
            &json!("parrot"),
            &json!({ "n": 1 })
        )
    );
    let answer = hub.get("any", "/v1/events/stream?format=xml").await;
    assert_eq!(answer.problem(400), "malformed_event");
}

#[tokio::test]
async fn only_those_that_are_allowed_may_deliver() {
    let ask = |origin: &str| {
        format!(
            "OPTIONS /v1/events HTTP/1.1\r\nhost: x\r\nwebhook-request-origin: {origin}\r\n\r\n"
        )
    };
    let hub = Hub::start(|settings| {
        settings.server.webhook_origins = vec!["eventgrid.example".to_owned()];
    })
    .await;
    let answer = hub.send(&ask("EventGrid.example")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("webhook-allowed-origin"),
        Some("eventgrid.example")
    );
    assert_eq!(answer.header("webhook-allowed-rate"), Some("*"));
    for origin in ["eventgrid.example.org", "x.eventgrid.example", "*", ""] {
        let answer = hub.send(&ask(origin)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("webhook-allowed-origin"), None, "{origin}");
    }
    let plain = "OPTIONS /v1/events HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = hub.send(plain).await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (204, Some("post,options"))
    );

    let hub = Hub::start(|_| {}).await;
    let answer = hub.send(&ask("eventgrid.example")).await;
    assert_eq!(
        (answer.status, answer.header("webhook-allowed-origin")),
        (200, None)
    );
    let hub = Hub::start(|settings| settings.server.webhook_origins = vec!["*".to_owned()]).await;
    let answer = hub.send(&ask("anybody")).await;
    assert_eq!(answer.header("webhook-allowed-origin"), Some("*"));
}

#[tokio::test]
async fn a_key_may_come_in_the_query_but_once() {
    let hub = Hub::start(|_| {}).await;
    let good = || event(json!({})).to_string();
    let answer = send(
        &hub,
        "/v1/events?access_token=any",
        &[JSON],
        good().as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 202);
    let wrong = send(
        &hub,
        "/v1/events?access_token=wrong",
        &[JSON],
        good().as_bytes(),
    )
    .await;
    assert_eq!(wrong.problem(401), "unauthenticated");
    let key = ("authorization", "Bearer any");
    for (path, headers) in [
        ("/v1/events?access_token=any", &[JSON, key][..]),
        ("/v1/events?access_token=any&access_token=any", &[JSON]),
    ] {
        let answer = send(&hub, path, headers, good().as_bytes()).await;
        assert_eq!(answer.problem(400), "malformed_event");
        assert!(
            !answer.body.contains("access_token=any"),
            "the key is told to nobody"
        );
    }
    // Nowhere else.
    let elsewhere = "GET /v1/contracts?access_token=any HTTP/1.1\r\nhost: x\r\n\r\n";
    assert_eq!(hub.send(elsewhere).await.problem(401), "unauthenticated");
}

#[tokio::test]
async fn a_request_sent_again_with_its_key_is_known() {
    let hub = Hub::start(|settings| {
        settings.clients.push(client("other", &["*"], &["*"]));
    })
    .await;
    let body = event(json!({})).to_string();
    let keyed = |key: &'static str| [JSON, ("idempotency-key", key)];
    let first = publish(&hub, &keyed("k1"), body.as_bytes()).await;
    assert_eq!(
        (first.status, &first.json()["status"]),
        (202, &json!("accepted"))
    );
    let again = publish(&hub, &keyed("\"k1\""), body.as_bytes())
        .await
        .json();
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["event_id"], first.json()["event_id"]);
    let changed = event(json!({ "payload": { "n": 2 } })).to_string();
    let answer = publish(&hub, &keyed("k1"), changed.as_bytes()).await;
    assert_eq!(answer.problem(409), "conflict");
    // Another key, another client: another request.
    let other = publish(&hub, &keyed("k2"), body.as_bytes()).await.json();
    assert_eq!(other["status"], "accepted");
    let headers = [
        JSON,
        ("idempotency-key", "k1"),
        ("authorization", "Bearer other"),
    ];
    let other = send(&hub, "/v1/events", &headers, changed.as_bytes())
        .await
        .json();
    assert_eq!(other["status"], "accepted");

    let several = json!([event(json!({})), event(json!({ "event_id": ID }))]).to_string();
    let first = publish(&hub, &keyed("k3"), several.as_bytes()).await.json();
    let again = publish(&hub, &keyed("k3"), several.as_bytes()).await.json();
    assert_eq!(first[1]["event_id"], ID, "its own id comes first");
    for place in [0, 1] {
        assert_eq!(first[place]["status"], "accepted");
        assert_eq!(again[place]["status"], "duplicate");
        assert_eq!(first[place]["event_id"], again[place]["event_id"]);
    }
    // What came to nothing may be mended.
    let broken = event(json!({ "payload": { "n": "x" } })).to_string();
    let answer = publish(&hub, &keyed("k4"), broken.as_bytes()).await;
    assert_eq!(answer.problem(422), "contract_violation");
    assert_eq!(
        publish(&hub, &keyed("k4"), body.as_bytes()).await.status,
        202
    );
    for bad in ["", "\"\"", "a b", "\"a"] {
        let answer = publish(&hub, &keyed(bad), body.as_bytes()).await;
        assert_eq!(answer.problem(400), "malformed_event", "{bad:?}");
    }
    let twice = [JSON, ("idempotency-key", "a"), ("idempotency-key", "a")];
    assert_eq!(
        publish(&hub, &twice, body.as_bytes()).await.problem(400),
        "malformed_event"
    );
}

#[tokio::test]
async fn the_headers_of_a_cloudevent_belong_to_its_key() {
    let hub = Hub::start(|_| {}).await;
    let headers = |id: &'static str| {
        [
            ("ce-specversion", "1.0"),
            ("ce-id", id),
            ("ce-source", "/s"),
            ("ce-type", "test.happened"),
            ("idempotency-key", "k"),
        ]
    };
    assert_eq!(publish(&hub, &headers("1"), b"{}").await.status, 202);
    assert_eq!(publish(&hub, &headers("1"), b"{}").await.status, 202);
    assert_eq!(
        publish(&hub, &headers("2"), b"{}").await.problem(409),
        "conflict"
    );
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    let hub = Hub::start(|settings| settings.limits.max_body = ByteSize::from_kib(64)).await;
    let text = event(json!({})).to_string();
    let gzip = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(text.as_bytes()).unwrap();
    let zlib = zlib.finish().unwrap();
    let encoded = |name: &'static str| [JSON, ("content-encoding", name)];
    let small = gzip(text.as_bytes());
    assert_eq!(publish(&hub, &encoded("gzip"), &small).await.status, 202);
    assert_eq!(publish(&hub, &encoded("deflate"), &zlib).await.status, 202);
    let bomb = gzip(&vec![b' '; 64 * 1024 * 100]);
    assert!(bomb.len() < 64 * 1024);
    for (encoding, body, status, code) in [
        ("gzip", &bomb[..], 413, "payload_too_large"),
        ("gzip", &small[..small.len() - 1], 400, "malformed_event"),
        ("gzip", &[&small[..], b"x"].concat(), 400, "malformed_event"),
        ("deflate", &zlib[..zlib.len() - 1], 400, "malformed_event"),
        ("gzip", text.as_bytes(), 400, "malformed_event"),
        ("gzip, gzip", &gzip(&small), 415, "unsupported_media_type"),
        ("br", &small, 415, "unsupported_media_type"),
    ] {
        let answer = publish(&hub, &encoded(encoding), body).await;
        assert_eq!(answer.problem(status), code, "{encoding} {}", body.len());
    }
    // An array of CloudEvents in headers and compression is a body like any other.
    let batch = json!([cloudevent(json!({}))]).to_string();
    let headers = [BATCH, ("content-encoding", "gzip")];
    let answer = publish(&hub, &headers, &gzip(batch.as_bytes())).await;
    assert_eq!(answer.json()[0]["status"], "accepted");
}

/// A client that may send one event, and then none for a long time.
fn limited(id: &str) -> Client {
    Client {
        rate: Some(0.001),
        burst: Some(1),
        ..client(id, &["*"], &["*"])
    }
}

#[tokio::test]
async fn a_body_that_is_refused_counts_as_an_event() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&[b' '; 2 * 1024 * 1024]).unwrap();
    let bomb = bomb.finish().unwrap();
    let gzip = [JSON, ("content-encoding", "gzip")];
    let bad_key = [JSON, ("idempotency-key", "")];
    let large = vec![b' '; 1024 * 1024 + 1];
    let refused: [(&[_], &[u8], u16); 9] = [
        (&[JSON], b"[{}", 400),
        (&[JSON], b"", 400),
        (&[JSON], b"\xff", 400),
        (&[JSON], &large, 413),
        (&gzip, &bomb, 413),
        (&gzip, b"{}", 400),
        (&[("content-type", "text/plain")], b"{}", 415),
        (&[BATCH], b"{}", 400),
        (&bad_key, b"{}", 400),
    ];
    let names: Vec<String> = (0..refused.len()).map(|n| format!("limited{n}")).collect();
    let clients = names.iter().map(|name| limited(name));
    let hub = Hub::start(|settings| settings.clients.extend(clients)).await;
    for (name, (headers, body, status)) in names.iter().zip(refused) {
        let key = format!("Bearer {name}");
        let headers = [headers, &[("authorization", &key)]].concat();
        let answer = send(&hub, "/v1/events", &headers, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        let again = send(&hub, "/v1/events", &headers, body).await;
        assert_eq!(again.problem(429), "rate_limited", "{headers:?}");
    }
}

#[tokio::test]
async fn a_cloudevent_that_was_not_sent_as_one_is_told_how_to_be() {
    let hub = Hub::start(|_| {}).await;
    let sent = cloudevent(json!({})).to_string();
    let answer = publish(&hub, &[JSON], sent.as_bytes()).await;
    assert_eq!(answer.problem(422), "contract_violation");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("application/cloudevents+json"), "{detail}");
    let array = json!([cloudevent(json!({})), event(json!({ "colour": 1 }))]).to_string();
    let answer = publish(&hub, &[JSON], array.as_bytes()).await.json();
    let detail = |place: usize| {
        answer[place]["error"]["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(detail(0).contains("application/cloudevents-batch+json"));
    assert!(!detail(1).contains("CloudEvent"), "{answer}");
}

#[tokio::test]
async fn a_conflict_counts_as_an_event() {
    let two = Client {
        burst: Some(2),
        ..limited("two")
    };
    let hub = Hub::start(|settings| settings.clients.push(two)).await;
    let headers = [
        JSON,
        ("authorization", "Bearer two"),
        ("idempotency-key", "k"),
    ];
    let taken = event(json!({})).to_string();
    for (body, status) in [(&*taken, 202), ("{}", 409), ("{}", 429), ("{}", 429)] {
        let answer = send(&hub, "/v1/events", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn the_trace_of_a_request_is_its_events_unless_they_have_their_own() {
    let hub = Hub::start(|_| {}).await;
    let trace = |n: u8| format!("00-{n:032x}-00000000000000aa-01");
    let (outer, inner) = (trace(1), trace(2));
    let state = [("tracestate", "a=b"), ("tracestate", "c=d,e=f")];
    let headers = |media_type| [media_type, ("traceparent", &*outer), state[0], state[1]];
    let plain = event(json!({})).to_string();
    let own = event(json!({ "traceparent": inner })).to_string();
    let ce = cloudevent(json!({})).to_string();
    for (media_type, body, parent, state) in [
        (JSON, &plain, &outer, Some("a=b,c=d,e=f")),
        (JSON, &own, &inner, None),
        (STRUCTURED, &ce, &outer, Some("a=b,c=d,e=f")),
    ] {
        let answer = publish(&hub, &headers(media_type), body.as_bytes()).await;
        assert_eq!(answer.status, 202);
        let event = taken(&hub).await;
        assert_eq!(event.traceparent.as_ref(), Some(parent));
        assert_eq!(event.tracestate.as_deref(), state);
    }
    let broken = [JSON, ("traceparent", "nonsense")];
    let again = event(json!({})).to_string();
    assert_eq!(publish(&hub, &broken, again.as_bytes()).await.status, 202);
    assert_eq!(taken(&hub).await.traceparent, None);
}
