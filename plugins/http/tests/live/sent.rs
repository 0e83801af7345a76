//! What is sent, and what becomes of the answer.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_plugin_testkit::EventStatus;
use ring::hmac;
use serde_json::{Value, json};

use crate::scene::{Scene, Seen};

#[tokio::test]
async fn a_request_is_filled_in_and_its_answer_comes_back_as_an_event() {
    let config = r#"
        [plugins.http.config.targets.refund]
        url = "SERVER/orders/{values.order.id}/refunds?reason={values.why}"
        auth = { bearer = "token" }
        headers = { "X-Case" = "case {values.order.id}" }
        body = '{"amount": "{values.amount}", "note": "Order {values.order.id}"}'
        reply_event = "http.answered"
    "#;
    let scene = Scene::new(config, &[("token", "s3cret-token")]).await;
    scene.server.answer(201, "", r#"{"refund": 4}"#);
    let values = json!({"order": {"id": "a/b"}, "why": "too late & broken", "amount": 2.5});
    let request = json!({"target": "refund", "values": values, "query": {"dry": true, "n": 3}});
    let journey = scene.ask(request).await;
    assert_eq!(journey.status, EventStatus::Processed);
    let seen = scene.server.only();
    assert_eq!(
        seen.line,
        "POST /orders/a%2Fb/refunds?reason=too%20late%20%26%20broken&dry=true&n=3 HTTP/1.1"
    );
    assert_eq!(seen.header("authorization"), Some("Bearer s3cret-token"));
    assert_eq!(seen.header("x-case"), Some("case a/b"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.json(), json!({"amount": 2.5, "note": "Order a/b"}));
    assert!(seen.header("idempotency-key").is_some());
    let answered = scene.hub.first_of("http.answered").await.unwrap();
    let payload: Value = answered.payload.parse().unwrap();
    let expected = json!({"target": "refund", "status": 201, "body": {"refund": 4}});
    assert_eq!(payload, expected);
    assert_eq!(answered.causation_id, Some(journey.event_id));
}

#[tokio::test]
async fn each_way_to_sign_in_is_the_one_that_is_named() {
    let config = r#"
        [plugins.http.config.targets.basic]
        url = "SERVER/"
        auth = { basic = { user = "nexus", secret = "password" } }
        [plugins.http.config.targets.header]
        url = "SERVER/"
        auth = { header = { name = "X-Api-Key", secret = "password" } }
        [plugins.http.config.targets.hmac]
        url = "SERVER/"
        auth = { hmac = "signing" }
        body = '{"test": 1}'
        [plugins.http.config.targets.none]
        url = "SERVER/"
        method = "GET"
        idempotency_header = ""
    "#;
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let scene = Scene::new(config, &[("password", "pass word"), ("signing", key)]).await;
    for target in ["basic", "header", "hmac", "none"] {
        let journey = scene.ask_of(json!({}), Some(target)).await;
        assert_eq!(
            journey.status,
            EventStatus::Processed,
            "{target}: {journey:?}"
        );
    }
    let seen = scene.server.seen();
    assert_eq!(
        seen[0].header("authorization"),
        Some("Basic bmV4dXM6cGFzcyB3b3Jk")
    );
    assert_eq!(seen[1].header("x-api-key"), Some("pass word"));
    assert!(is_signed(&seen[2], key));
    assert!(seen[3].line.starts_with("GET / "));
    for header in ["authorization", "idempotency-key", "content-type"] {
        assert_eq!(seen[3].header(header), None);
    }
}

/// What a receiver of Standard Webhooks checks.
fn is_signed(seen: &Seen, secret: &str) -> bool {
    let header = |name| seen.header(name).unwrap();
    let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
    assert!(!id.contains('.') && time.parse::<i64>().is_ok());
    let key = STANDARD.decode(&secret["whsec_".len()..]).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = format!("{id}.{time}.{}", seen.body);
    let tag = header("webhook-signature").strip_prefix("v1,").unwrap();
    hmac::verify(&key, signed.as_bytes(), &STANDARD.decode(tag).unwrap()).is_ok()
}

#[tokio::test]
async fn the_key_is_the_same_for_every_attempt() {
    let config = r#"
        [plugins.http.config.targets.t]
        url = "SERVER/"
        idempotency_header = "X-Key"
        auth = { hmac = "signing" }
    "#;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let scene = Scene::new(config, &[("signing", secret)]).await;
    scene.server.answer(503, "retry-after: 0\r\n", "");
    scene.server.answer(429, "retry-after: 0\r\n", "");
    let journey = scene.ask(json!({"target": "t"})).await;
    assert_eq!(journey.status, EventStatus::Processed);
    scene.ask(json!({"target": "t"})).await;
    let seen = scene.server.seen();
    assert_eq!(seen.len(), 4);
    for name in ["x-key", "webhook-id"] {
        let keys: Vec<_> = seen.iter().map(|seen| seen.header(name).unwrap()).collect();
        assert_eq!(keys[..3].iter().collect::<BTreeSet<_>>().len(), 1, "{name}");
        assert_ne!(keys[3], keys[0], "{name}");
    }
    assert!(seen.iter().all(|seen| is_signed(seen, secret)));
}

#[tokio::test]
async fn who_is_busy_is_asked_again_when_it_says() {
    let scene = Scene::new("[plugins.http.config.targets.t]\nurl = \"SERVER/\"", &[]).await;
    for status in [429, 503] {
        scene.server.answer(status, "retry-after: 1\r\n", "");
        let before = scene.server.seen().len();
        let journey = scene.ask(json!({"target": "t"})).await;
        assert_eq!(journey.status, EventStatus::Processed);
        let seen = &scene.server.seen()[before..];
        assert_eq!(seen.len(), 2, "{status}");
        // Without having been asked it would have waited 10 ms.
        let waited = seen[1].at - seen[0].at;
        assert!(waited >= Duration::from_secs(1), "{status}: {waited:?}");
    }
}

#[tokio::test]
async fn a_status_means_what_the_target_says() {
    let config = "[plugins.http.config.targets.t]\nurl = \"SERVER/\"\nmethod = \"DELETE\"\nexpect = [204, 404]\n\
                  [plugins.http.config.targets.plain]\nurl = \"SERVER/\"";
    let scene = Scene::new(config, &[]).await;
    scene.server.answer(404, "", "gone");
    let journey = scene.ask(json!({"target": "t"})).await;
    assert_eq!(journey.status, EventStatus::Processed);
    for (target, status, code) in [
        ("t", 200, "unexpected_status"),
        ("plain", 404, "not_found"),
        ("plain", 401, "not_signed_in"),
        ("plain", 422, "refused"),
    ] {
        scene.server.answer(status, "", "because");
        let (found, told) = scene.refused(json!({"target": target})).await;
        assert_eq!(found, code, "{status}");
        assert!(
            told.contains(&format!("{target}: answered {status}: because")),
            "{told}"
        );
    }
    // Not followed, wherever it leads.
    let before = scene.server.seen().len();
    let location = format!("location: http://{}/there\r\n", scene.server.address);
    scene.server.answer(307, &location, "");
    assert_eq!(
        scene.refused(json!({"target": "plain"})).await.0,
        "redirected"
    );
    assert_eq!(scene.server.seen().len(), before + 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_for_good() {
    let config = r#"
        [plugins.http.config.targets.t]
        url = "SERVER/{values.a}"
        headers = { "X-A" = "{values.b}" }
        [plugins.http.config.targets.get]
        url = "SERVER/"
        method = "GET"
    "#;
    let scene = Scene::new(config, &[]).await;
    for (request, code, said) in [
        (json!({"target": "x"}), "unknown_target", "no target `x`"),
        (json!({}), "invalid_request", "`target` is missing"),
        (json!({"target": "t"}), "missing_value", "{values.a}"),
        (
            json!({"target": "t", "values": {"a": 1}}),
            "missing_value",
            "{values.b}",
        ),
        (
            json!({"target": "t", "values": {"a": "..", "b": 1}}),
            "invalid_value",
            "{values.a}",
        ),
        (
            json!({"target": "get", "body": 1}),
            "invalid_request",
            "`body`",
        ),
        (
            json!({"target": "get", "method": "POST"}),
            "invalid_request",
            "`method`",
        ),
        (
            json!({"target": "get", "query": {"a": [1]}}),
            "invalid_request",
            "`query.a`",
        ),
        (
            json!({"target": "get", "url": "https://example.org"}),
            "not_allowed",
            "allow_any_url",
        ),
    ] {
        let (found, told) = scene.refused(request.clone()).await;
        assert_eq!(found, code, "{request}: {told}");
        assert!(told.contains(said), "{request}: {told}");
    }
    assert!(scene.server.seen().is_empty());
    // No value makes a header of its own.
    for value in ["a\r\nX-Evil: 1", "a\nb", "a\u{1b}b", "a\u{7f}", "ä"] {
        let request = json!({"target": "t", "values": {"a": 1, "b": value}});
        let (code, told) = scene.refused(request).await;
        assert_eq!(code, "invalid_value", "{value:?}: {told}");
    }
    assert!(scene.server.seen().is_empty());
}

#[tokio::test]
async fn a_long_answer_is_cut_and_an_odd_one_is_text() {
    let config =
        "[plugins.http.config.targets.t]\nurl = \"SERVER/\"\nreply_event = \"http.answered\"";
    let scene = Scene::new(config, &[]).await;
    scene
        .server
        .answer(200, "", &format!("\"{}é\"", "x".repeat(65_535)));
    scene.ask(json!({"target": "t"})).await;
    let payload: Value = scene
        .hub
        .first_of("http.answered")
        .await
        .unwrap()
        .payload
        .parse()
        .unwrap();
    assert_eq!(payload["is_cut"], true);
    assert_eq!(payload["body"].as_str().unwrap().len(), 65_535);
    scene.server.answer(200, "", "not json");
    let journey = scene.ask(json!({"target": "t"})).await;
    let emitted = scene.hub.emitted(journey.event_id).await.unwrap();
    let payload: Value = emitted[0].payload.parse().unwrap();
    assert_eq!(
        payload,
        json!({"target": "t", "status": 200, "body": "not json"})
    );
}

#[tokio::test]
async fn no_secret_is_told_even_when_a_server_sends_it_back() {
    let config = r#"
        [plugins.http.config.targets.basic]
        url = "SERVER/"
        auth = { basic = { user = "nexus", secret = "password" } }
        reply_event = "http.answered"
        [plugins.http.config.targets.bearer]
        url = "SERVER/"
        auth = { bearer = "password" }
    "#;
    let scene = Scene::new(config, &[("password", "hunter2-hunter2")]).await;
    let pair = "bmV4dXM6aHVudGVyMi1odW50ZXIy";
    // Cut in the middle of the secret, no half of it is told either.
    let echo = format!("you sent {pair} {} hunter2-hunter2", "x".repeat(240));
    for target in ["basic", "bearer"] {
        scene.server.answer(400, "", &echo);
        let (_, told) = scene.refused(json!({"target": target})).await;
        let clean = !told.contains("hunter2");
        assert!(
            clean && (target == "bearer" || !told.contains(pair)),
            "{told}"
        );
    }
    scene.server.answer(
        200,
        "",
        &json!({"got": pair, "and": "hunter2-hunter2"}).to_string(),
    );
    scene.ask(json!({"target": "basic"})).await;
    let answered = scene.hub.first_of("http.answered").await.unwrap();
    let payload: Value = answered.payload.parse().unwrap();
    assert_eq!(
        payload["body"],
        json!({"got": "[redacted]", "and": "[redacted]"})
    );
}

#[tokio::test]
async fn no_secret_is_told_in_another_spelling() {
    let config = r#"
        [plugins.http.config.targets.t]
        url = "SERVER/"
        auth = { header = { name = "X-Api-Key", secret = "key" } }
        reply_event = "http.answered"
        [plugins.http.config.targets.pin]
        url = "SERVER/"
        auth = { bearer = "pin" }
        reply_event = "http.answered"
    "#;
    let scene = Scene::new(config, &[("key", r#"hunter"2/x"#), ("pin", "40719055")]).await;
    // As JSON writes it, and as some write JSON.
    let echo = r#"{"hunter\"2\/x": ["\u0068unter\"2/x", 1]}"#;
    scene.server.answer(400, "", echo);
    let (_, told) = scene.refused(json!({"target": "t"})).await;
    assert!(
        !told.contains("unter") && told.contains("[redacted]"),
        "{told}"
    );
    for (target, echo, expected) in [
        ("t", echo, json!({"[redacted]": ["[redacted]", 1]})),
        ("pin", r#"{"pin": 40719055}"#, json!({"pin": "[redacted]"})),
    ] {
        scene.server.answer(200, "", echo);
        let journey = scene.ask(json!({"target": target})).await;
        let emitted = scene.hub.emitted(journey.event_id).await.unwrap();
        let payload: Value = emitted[0].payload.parse().unwrap();
        assert_eq!(payload["body"], expected, "{target}");
    }
}

#[tokio::test]
async fn who_is_slow_is_tried_again_and_then_given_up() {
    let config = "[plugins.http.config.targets.t]\nurl = \"http://SILENT/\"\ntimeout = \"30ms\"";
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let scene = Scene::new(&config.replace("SILENT", &address), &[]).await;
    let (code, told) = scene.refused(json!({"target": "t"})).await;
    assert_eq!(code, "timeout");
    assert!(told.contains("retries_exhausted"), "{told}");
}

#[tokio::test]
async fn forms_and_texts_are_sent_as_what_they_are() {
    let config = r#"
        [plugins.http.config.targets.form]
        url = "SERVER/"
        form = { amount = "{values.amount}", "metadata[order]" = "No. {values.id}", mode = "payment" }
        [plugins.http.config.targets.text]
        url = "SERVER/"
        text = "<order id='{values.id}'/>"
        [plugins.http.config.targets.xml]
        url = "SERVER/"
        headers = { Content-Type = "application/xml" }
        text = "<order/>"
    "#;
    let scene = Scene::new(config, &[]).await;
    let values = json!({"amount": 250, "id": "7&mode=é"});
    for target in ["form", "text", "xml"] {
        let journey = scene.ask(json!({"target": target, "values": values})).await;
        assert_eq!(journey.status, EventStatus::Processed, "{journey:?}");
    }
    let sent: Vec<(String, String)> = scene
        .server
        .seen()
        .into_iter()
        .map(|seen| (seen.header("content-type").unwrap().to_owned(), seen.body))
        .collect();
    let expected = [
        (
            "application/x-www-form-urlencoded",
            "amount=250&metadata%5Border%5D=No.+7%26mode%3D%C3%A9&mode=payment",
        ),
        ("text/plain; charset=utf-8", "<order id='7&mode=é'/>"),
        ("application/xml", "<order/>"),
    ];
    assert_eq!(
        sent,
        expected.map(|(kind, body)| (kind.to_owned(), body.to_owned()))
    );
    let (code, _) = scene.refused(json!({"target": "form"})).await;
    assert_eq!(code, "missing_value");
    let brought = json!({"target": "form", "body": {"amount": 1}});
    let (code, told) = scene.refused(brought).await;
    assert_eq!(code, "invalid_request");
    assert!(told.contains("bring `values`"), "{told}");
}

#[tokio::test]
async fn an_answer_of_any_shape_becomes_an_event() {
    let config =
        "[plugins.http.config.targets.t]\nurl = \"SERVER/\"\nreply_event = \"http.answered\"";
    let scene = Scene::new(config, &[]).await;
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let long = json!(vec![0; 12_000]).to_string();
    for (answer, body) in [
        (deep.as_str(), json!(deep)),
        (&long, json!(long)),
        ("a\0b", json!("a\u{fffd}b")),
        (r#"{"k\n": "v\u0000"}"#, json!({"k\u{fffd}": "v\u{fffd}"})),
    ] {
        scene.server.answer(200, "", answer);
        let journey = scene.ask(json!({"target": "t"})).await;
        let emitted = scene.hub.emitted(journey.event_id).await.unwrap();
        let payload: Value = emitted[0].payload.parse().unwrap();
        assert_eq!(payload["body"], body);
    }
    assert!(scene.hub.dead_letters().await.is_empty());
}
