//! What senders of webhooks are answered, over a real socket.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use futures_util::future::select_all;
use nexus_plugin_api::ContractInfo;
use ring::hmac;
use serde_json::json;

use crate::admission::config::Rate;
use crate::config::Secret;
use crate::ingress::harness::{Answer, Connection, Hub};
use crate::ingress::webhooks::Webhook;
use crate::ingress::webhooks::config::Scheme;
use crate::queue::Queue;

const KEY: [u8; 32] = [7; 32];
const MIB: usize = 1024 * 1024;

fn webhook(name: &str, scheme: Scheme, secret: &str) -> Webhook {
    Webhook {
        name: name.to_owned(),
        scheme,
        secrets: vec![Secret::new(secret)],
        ..Webhook::default()
    }
}

fn standard(change: impl FnOnce(&mut Webhook)) -> Webhook {
    let secret = format!("whsec_{}", STANDARD.encode(KEY));
    let mut webhook = webhook("billing", Scheme::Standard, &secret);
    webhook.r#type = Some("test.happened".to_owned());
    change(&mut webhook);
    webhook
}

fn github() -> Webhook {
    let mut webhook = webhook("github", Scheme::Github, "shared");
    webhook.type_prefix = Some("test".to_owned());
    webhook
}

async fn hub(webhooks: &[Webhook]) -> Hub {
    Hub::start(|settings| settings.webhooks = webhooks.to_vec()).await
}

async fn send(hub: &Hub, name: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = format!("POST /v1/hooks/{name} HTTP/1.1\r\nhost: x\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    hub.send(&request).await
}

/// Sends a delivery as Standard Webhooks has it.
async fn deliver(hub: &Hub, id: &str, body: &str) -> Answer {
    let time = Utc::now().timestamp().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    let tag = hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(tag));
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", &time),
        ("webhook-signature", &signature),
        ("content-type", "application/json"),
    ];
    send(hub, "billing", &headers, body).await
}

/// Sends what GitHub would.
async fn push(hub: &Hub, event: &str, content_type: &str, body: &str) -> Answer {
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, b"shared"),
        body.as_bytes(),
    );
    let signature = format!("sha256={}", hex::encode(tag));
    let headers = [
        ("x-hub-signature-256", signature.as_str()),
        ("x-github-event", event),
        ("x-github-delivery", "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a"),
        ("content-type", content_type),
    ];
    send(hub, "github", &headers, body).await
}

#[tokio::test]
async fn a_signed_delivery_becomes_an_event_once() {
    let hub = hub(&[standard(|_| {})]).await;
    let answer = deliver(&hub, "msg_1", r#" {"n": 1} "#).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["status"], "accepted");
    let again = deliver(&hub, "msg_1", r#" {"n": 1} "#).await;
    assert_eq!(again.status, 202, "{again:?}");
    assert_eq!(again.json()["status"], "duplicate");
    assert_eq!(again.json()["event_id"], answer.json()["event_id"]);
    assert!(again.json()["first_accepted_at"].is_string());
    assert_eq!(hub.queue.stats().depth, 1);
    let event = hub.queue.lease().await.unwrap().event;
    assert_eq!(
        (&*event.source, &*event.event_type),
        ("billing", "test.happened")
    );
    assert_eq!(event.payload.as_slice(), br#"{"n": 1}"#, "byte for byte");
    let other = deliver(&hub, "msg_2", r#"{"n": 1}"#).await;
    assert_eq!(other.json()["status"], "accepted");
}

/// Begins a body of 1 MiB and holds the rest of it back.
async fn hold_back(hub: &Hub, name: &str, begun: usize) -> Connection {
    let mut connection = hub.connect().await;
    let head =
        format!("POST /v1/hooks/{name} HTTP/1.1\r\nhost: x\r\ncontent-length: {MIB}\r\n\r\n");
    connection.write(&head).await;
    connection.write(&"x".repeat(begun)).await;
    connection
}

#[tokio::test]
async fn whoever_holds_bodies_back_shuts_out_nobody_of_the_same_address() {
    let hub = hub(&[standard(|_| {})]).await;
    let mut idle = Vec::new();
    // An address may hold a fifth of 64 MiB: the last one has no room beside all others.
    for begun in [vec![MIB - 1; 12], vec![MIB - MIB / 10]].concat() {
        idle.push(hold_back(&hub, "billing", begun).await);
    }
    let answers = idle
        .iter_mut()
        .map(|connection| Box::pin(connection.answer()));
    let (told, ..) = select_all(answers).await;
    assert_eq!(told.problem(429), "rate_limited");
    assert!(told.header("retry-after").is_some(), "{told:?}");
    assert!(told.body.contains("gave way"), "{told:?}");
    let body = format!("{{\"n\": 1{}}}", " ".repeat(MIB - 9));
    for id in ["msg_1", "msg_2", "msg_3"] {
        let answer = deliver(&hub, id, &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}

#[tokio::test]
async fn what_a_plugin_works_with_takes_no_room_of_what_is_still_to_come() {
    let hub = hub(&[]).await;
    let mut coming = hold_back(&hub, "echo", MIB - 1).await;
    let mut at_work = Vec::new();
    for _ in 0..12 {
        at_work.push(hold_back(&hub, "endless", MIB).await);
        hub.at_work.acquire().await.unwrap().forget();
    }
    coming.write("x").await;
    let answer = coming.answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn an_unsigned_request_is_refused_before_anything_of_it_is_read() {
    let hub = hub(&[standard(|_| {})]).await;
    let now = Utc::now().timestamp().to_string();
    for body in ["{}", "not json", "[[[["] {
        let headers = [
            ("webhook-id", "a"),
            ("webhook-timestamp", &*now),
            ("webhook-signature", "v1,AAAA"),
            ("content-type", "text/csv"),
        ];
        let answer = send(&hub, "billing", &headers, body).await;
        assert_eq!(answer.problem(401), "unauthenticated");
        assert!(!answer.body.contains("signature"), "{answer:?}");
        assert_eq!(
            send(&hub, "billing", &[], body).await.problem(401),
            "unauthenticated"
        );
    }
    assert_eq!(hub.queue.stats().depth, 0);
}

#[tokio::test]
async fn what_is_signed_is_judged_as_any_event() {
    let from_body = standard(|webhook| {
        webhook.r#type = None;
        webhook.type_from = Some("/type".parse().unwrap());
        webhook.type_prefix = Some("test.".to_owned());
        webhook.payload = Some("/data".parse().unwrap());
        webhook.timestamp_from = Some("/at".parse().unwrap());
        webhook.correlation_from = Some("/order".parse().unwrap());
        webhook.partition_from = Some("header:x-shop".parse().unwrap());
    });
    let hub = hub(&[from_body]).await;
    for (body, status, code) in [
        (
            r#"{"type": "happened", "data": {"n": "x"}}"#,
            422,
            "contract_violation",
        ),
        (r#"{"type": "unheard/of", "data": {}}"#, 422, "unknown_type"),
        (r#"{"data": {}}"#, 422, "contract_violation"),
        (r#"{"type": "", "data": {}}"#, 422, "contract_violation"),
        (r#"{"type": "happened"}"#, 422, "contract_violation"),
        (
            r#"{"type": "happened", "data": [1]}"#,
            422,
            "contract_violation",
        ),
        (
            r#"{"type": "happened", "data": {}, "at": "soon"}"#,
            422,
            "contract_violation",
        ),
        (
            r#"{"type": "happened", "data": {}, "order": ""}"#,
            422,
            "contract_violation",
        ),
        (
            r#"{"type": "happened", "type": "happened", "data": {}}"#,
            400,
            "malformed_json",
        ),
        (r#"{"type": "happened", "data": {}"#, 400, "malformed_json"),
        ("", 400, "malformed_json"),
    ] {
        let answer = deliver(&hub, body, body).await;
        assert_eq!(answer.problem(status), code, "{body}");
    }
    let answer = deliver(
        &hub,
        "good",
        r#"{"type": "Happened", "data": {"n": 2}, "at": 1614265330, "order": 17, "type2": null}"#,
    )
    .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let event = hub.queue.lease().await.unwrap().event;
    assert_eq!(event.event_type, "test.happened");
    assert_eq!(event.payload.as_slice(), br#"{"n": 2}"#);
    assert_eq!(event.timestamp.timestamp(), 1_614_265_330);
    assert_eq!(event.correlation_id.as_deref(), Some("17"));
    assert_eq!(event.partition_key, None);
}

#[tokio::test]
async fn a_sender_cannot_reach_the_hub_s_own_types() {
    let open = standard(|webhook| {
        webhook.r#type = None;
        webhook.type_from = Some("/type".parse().unwrap());
        webhook.type_prefix = Some(String::new());
    });
    let hub = hub(&[open]).await;
    let answer = deliver(&hub, "a", r#"{"type": "nexus.approval.answered"}"#).await;
    assert_eq!(answer.problem(403), "forbidden");
    let answer = deliver(&hub, "b", r#"{"type": "test.happened"}"#).await;
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn github_is_understood_in_both_of_its_formats() {
    let hub = hub(&[github()]).await;
    let pong = push(&hub, "ping", "application/json", r#"{"zen": "x"}"#).await;
    assert_eq!(
        (pong.status, pong.json()),
        (200, json!({ "status": "pong" }))
    );
    assert_eq!(hub.queue.stats().depth, 0);

    let form = "payload=%7B%22n%22%3A+1%7D";
    let answer = push(&hub, "happened", "application/x-www-form-urlencoded", form).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(
        answer.json()["event_id"],
        "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a"
    );
    let again = push(
        &hub,
        "happened",
        "application/json; charset=utf-8",
        r#"{"n": 1}"#,
    )
    .await;
    assert_eq!(again.json()["status"], "duplicate");
    let event = hub.queue.lease().await.unwrap().event;
    assert_eq!(event.payload.as_slice(), br#"{"n": 1}"#);

    for (content_type, body, status) in [
        ("application/x-www-form-urlencoded", "other=%7B%7D", 400),
        (
            "application/x-www-form-urlencoded",
            "payload=%7B%7D&payload=%7B%7D",
            400,
        ),
        ("application/x-www-form-urlencoded", "payload=%7B", 400),
        (
            "application/x-www-form-urlencoded",
            "payload=%7B%22a%22%3A%22%FF%FE%22%7D",
            400,
        ),
        ("text/plain", "{}", 415),
        ("application/json; charset=utf-16", "{}", 415),
    ] {
        let answer = push(&hub, "happened", content_type, body).await;
        assert_eq!(answer.status, status, "{content_type} {body}");
    }
    let unknown = push(&hub, "star", "application/json", "{}").await;
    assert_eq!(unknown.problem(422), "unknown_type");
}

#[tokio::test]
async fn only_post_and_only_at_its_own_path() {
    let hub = hub(&[github()]).await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{method} /v1/hooks/github HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = hub.send(&request).await;
        assert_eq!(answer.problem(405), "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("post"));
    }
    let request = "POST /v1/hooks/github/more HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(hub.send(request).await.problem(404), "not_found");
    let answer = send(&hub, "other", &[], "{}").await;
    assert_eq!(answer.problem(404), "not_found");
    let answer = send(&hub, "echo", &[], "{}").await;
    assert_eq!(answer.status, 200, "plugins are where they were");
}

#[tokio::test]
async fn a_body_is_bounded_before_its_signature_is_looked_at() {
    let hub = hub(&[github()]).await;
    let request = "POST /v1/hooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n";
    assert_eq!(hub.send(request).await.problem(413), "payload_too_large");
}

#[tokio::test]
async fn a_secret_in_a_header_is_asked_for_before_the_body_comes() {
    let mut bearer = webhook("token", Scheme::Bearer, "shared");
    bearer.r#type = Some("test.happened".to_owned());
    let hub = hub(&[bearer]).await;
    let request = "POST /v1/hooks/token HTTP/1.1\r\nhost: x\r\n\
        authorization: Bearer wrong\r\ncontent-length: 100\r\n\r\n";
    assert_eq!(hub.send(request).await.problem(401), "unauthenticated");
    let good = send(&hub, "token", &[("authorization", "Bearer shared")], "{}").await;
    assert_eq!(good.status, 202);
}

#[tokio::test]
async fn a_full_queue_and_a_used_up_rate_tell_when_to_come_again() {
    let limited = standard(|webhook| {
        webhook.rate = Some(0.001);
        webhook.burst = Some(3);
    });
    let hub = Hub::start(|settings| {
        settings.webhooks = vec![limited];
        settings.queue.capacity = 1;
    })
    .await;
    assert_eq!(deliver(&hub, "a", "{}").await.status, 202);
    let full = deliver(&hub, "b", "{}").await;
    assert_eq!(full.problem(503), "queue_full");
    assert!(full.header("retry-after").is_some());
    assert_eq!(
        deliver(&hub, "a", "{}").await.status,
        202,
        "a duplicate needs no room"
    );
    let held_back = deliver(&hub, "c", "{}").await;
    assert_eq!(held_back.problem(429), "rate_limited");
    assert!(held_back.header("retry-after").is_some());
}

#[tokio::test]
async fn the_rates_of_all_clients_hold_for_webhooks_as_well() {
    let hub = Hub::start(|settings| {
        settings.webhooks = vec![standard(|_| {})];
        settings.limits.rates = vec![Rate {
            source: Some("billing".parse().unwrap()),
            rate: 0.001,
            burst: Some(1),
            ..Rate::default()
        }];
    })
    .await;
    assert_eq!(deliver(&hub, "a", "{}").await.status, 202);
    let held_back = deliver(&hub, "b", "{}").await;
    assert_eq!(held_back.problem(429), "rate_limited");
    assert!(held_back.header("retry-after").is_some());
}

#[tokio::test]
async fn unsigned_requests_are_held_back_and_signed_ones_are_not() {
    let hub = hub(&[standard(|_| {}), github()]).await;
    let unsigned = async |name| send(&hub, name, &[], "{}").await;
    for _ in 0..20 {
        assert_eq!(unsigned("billing").await.problem(401), "unauthenticated");
    }
    let held_back = unsigned("billing").await;
    assert_eq!(held_back.problem(429), "rate_limited");
    assert_eq!(held_back.header("retry-after"), Some("3"));
    let answer = deliver(&hub, "msg_1", r#"{"n": 1}"#).await;
    assert_eq!(
        answer.status, 202,
        "the same address, but signed: {answer:?}"
    );
    assert_eq!(unsigned("github").await.problem(401), "unauthenticated");
    assert_eq!(hub.get("unknown", "/v1/contracts").await.status, 401);
}

#[tokio::test]
async fn what_a_plugin_answers_with_401_is_held_back_in_the_end() {
    let hub = hub(&[]).await;
    for _ in 0..20 {
        let answer = send(&hub, "strict", &[], "{}").await;
        assert_eq!(
            (answer.status, answer.header("x-why")),
            (401, Some("unsigned"))
        );
    }
    let held_back = send(&hub, "strict", &[], "{}").await;
    assert_eq!(held_back.problem(429), "rate_limited");
    assert_eq!(send(&hub, "echo", &[], "{}").await.status, 200);
}

#[tokio::test]
async fn the_sender_of_a_type_that_is_given_up_is_told() {
    let hub = hub(&[standard(|webhook| {
        webhook.r#type = Some("test.old".to_owned())
    })])
    .await;
    let mut info = ContractInfo::new("test.old", "1.0.0".parse().unwrap(), json!({}));
    info.deprecated = Some("2026-01-01T00:00:00Z".parse().unwrap());
    info.sunset = Some("2999-12-31T00:00:00Z".parse().unwrap());
    hub.contracts.register("test", info).unwrap();
    for status in ["accepted", "duplicate"] {
        let answer = deliver(&hub, "msg_1", "{}").await;
        assert_eq!(answer.json()["status"], status);
        assert_eq!(answer.header("deprecation"), Some("@1767225600"));
        assert_eq!(
            answer.header("sunset"),
            Some("tue, 31 dec 2999 00:00:00 gmt")
        );
    }
}

#[tokio::test]
async fn what_its_sender_sends_and_is_no_event_counts_as_one() {
    for (body, status) in [("{", 400), (r#"{"n": 1, "n": 2}"#, 400), ("[]", 422)] {
        let hub = hub(&[standard(|webhook| {
            webhook.rate = Some(0.001);
            webhook.burst = Some(1);
        })])
        .await;
        assert_eq!(deliver(&hub, "msg_1", body).await.status, status);
        let answer = deliver(&hub, "msg_2", body).await;
        assert_eq!(answer.problem(429), "rate_limited");
    }
}

#[tokio::test]
async fn a_challenge_is_answered_once_its_sender_is_proven_and_makes_no_event() {
    let slack = Webhook {
        header: Some("X-Slack-Signature".to_owned()),
        prefix: Some("v0=".to_owned()),
        timestamp_header: Some("X-Slack-Request-Timestamp".to_owned()),
        signed: Some("v0:{timestamp}:{body}".to_owned()),
        r#type: Some("test.happened".to_owned()),
        challenge_from: Some("/challenge".parse().unwrap()),
        ..webhook("slack", Scheme::Hmac, "shared")
    };
    let hub = hub(&[slack]).await;
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"shared");
    let sent = async |key: &hmac::Key, body: &str| {
        let time = Utc::now().timestamp().to_string();
        let tag = hmac::sign(key, format!("v0:{time}:{body}").as_bytes());
        let headers = [
            ("x-slack-signature", &*format!("v0={}", hex::encode(tag))),
            ("x-slack-request-timestamp", &time),
            ("content-type", "application/json"),
        ];
        send(&hub, "slack", &headers, body).await
    };
    let asks = r#"{"type": "url_verification", "challenge": "3eZ\u0062\"", "token": "t"}"#;
    let answer = sent(&key, asks).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), json!({ "challenge": "3eZb\"" }));
    assert_eq!(hub.queue.stats().depth, 0);
    let other = hmac::Key::new(hmac::HMAC_SHA256, b"guessed");
    let guessed = sent(&other, asks).await;
    assert_eq!(guessed.problem(401), "unauthenticated");
    assert!(!guessed.body.contains("3eZ"));
    for event in [
        r#"{"type": "event_callback", "n": 1}"#,
        r#"{"challenge": null}"#,
    ] {
        assert_eq!(sent(&key, event).await.status, 202);
    }
    assert_eq!(hub.queue.stats().depth, 2);
}
