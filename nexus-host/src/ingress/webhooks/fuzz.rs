//! The fuzz target of this room: a webhook's request, proven and then read.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use ring::hmac;
use serde_json::Value;

use super::*;
use crate::admission::fuzz::{HUB_WITH_CONTRACTS, expect_in_order};
use crate::admission::{Code, Origin};
use crate::config::Secret;
use crate::fuzz::{expect_told, headers, lines, parts};

const SECRET: &str = "twenty-four bytes or more";
const NOW: i64 = 1_800_000_000;

static WEBHOOKS: LazyLock<Webhooks> = LazyLock::new(|| {
    let shared = format!("whsec_{}", STANDARD.encode(SECRET));
    let webhook = |name: &str, scheme, secret: &str| Webhook {
        name: name.to_owned(),
        scheme,
        secrets: vec![Secret::new(secret)],
        type_from: place("/type"),
        type_prefix: Some("any".to_owned()),
        ..Webhook::default()
    };
    let webhooks = [
        Webhook {
            timestamp_from: place("/at"),
            correlation_from: place("/a/b"),
            payload: "/data".parse().ok(),
            ..webhook("standard", Scheme::Standard, &shared)
        },
        Webhook {
            type_from: None,
            partition_from: place("header:X-Lane"),
            ..webhook("github", Scheme::Github, SECRET)
        },
        Webhook {
            header: Some("X-Signature".to_owned()),
            prefix: Some("v1=".to_owned()),
            timestamp_header: Some("X-Time".to_owned()),
            id_from: place("/id"),
            challenge_from: "/challenge".parse().ok(),
            ..webhook("hmac", Scheme::Hmac, SECRET)
        },
        webhook("bearer", Scheme::Bearer, SECRET),
        Webhook {
            secrets: Vec::new(),
            type_prefix: Some(String::new()),
            ..webhook("none", Scheme::None, "")
        },
    ];
    Webhooks::new(&webhooks)
});

fn place(text: &str) -> Option<Pick> {
    Some(text.parse().expect("a place"))
}

/// The name of a webhook, `signed` behind it or nothing, lines of headers, and a body; or `pointer`, lines
/// of pointers, and a text.
pub fn webhook(bytes: &[u8]) {
    let [what, head, body] = parts(bytes);
    if what == b"pointer" {
        return lines(head).for_each(|pointer| point(pointer, body));
    }
    let what = str::from_utf8(what).unwrap_or_default();
    let (name, is_signed) = match what.strip_suffix(" signed") {
        Some(name) => (name, true),
        None => (what, false),
    };
    let Some(receiver) = WEBHOOKS.get(name) else {
        return;
    };
    let mut headers = headers(head);
    if is_signed {
        sign(name, &mut headers, body);
    }
    let now = DateTime::from_timestamp(NOW, 0).expect("a constant");
    let verified = receiver.verify(&headers, body, now);
    assert_eq!(verified.is_ok(), is_signed || name == "none");
    let Ok(verified) = verified else {
        return;
    };
    if receiver.needs_body() {
        assert!(
            receiver
                .verify(&headers, &[body, b" "].concat(), now)
                .is_err()
        );
    }
    read(&receiver, &verified, &headers, body);
}

/// Puts in what proves it.
fn sign(name: &str, headers: &mut HeaderMap, body: &[u8]) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = |parts: &[&[u8]]| hmac::sign(&key, &parts.concat());
    let time = NOW.to_string();
    let mut put = |name: &'static str, value: String| {
        let value = HeaderValue::try_from(value).expect("visible ASCII");
        headers.insert(name, value);
    };
    match name {
        "standard" => {
            let signed = tag(&[b"id.", time.as_bytes(), b".", body]);
            put("webhook-id", "id".to_owned());
            put(
                "webhook-signature",
                format!("v1,{}", STANDARD.encode(signed)),
            );
            put("webhook-timestamp", time);
        }
        "github" => put(
            "x-hub-signature-256",
            format!("sha256={}", hex::encode(tag(&[body]))),
        ),
        "hmac" => {
            let signed = tag(&[time.as_bytes(), b".", body]);
            put("x-signature", format!("v1={}", hex::encode(signed)));
            put("x-time", time);
        }
        "bearer" => put("authorization", format!("bearer {SECRET}")),
        _ => {}
    }
}

/// What is made of it is within the webhook's scope, or refused.
fn read(receiver: &Receiver, verified: &Verified, headers: &HeaderMap, body: &[u8]) {
    let (admission, _) = &*HUB_WITH_CONTRACTS;
    let read = admission
        .json(body)
        .and_then(|json| receiver.read(verified, headers, json, admission.contracts()));
    let event = match read {
        Ok(Message::Event(event)) => *event,
        Ok(Message::Challenge(_)) => return assert_eq!(receiver.name(), "hmac"),
        Ok(Message::Ping) => return assert_eq!(receiver.webhook.scheme, Scheme::Github),
        Err(refused) => return expect_told(&refused),
    };
    assert_eq!(event.source, receiver.name());
    match admission.admit_event(event, Origin::Client(receiver.scope())) {
        Ok(admitted) => expect_in_order(&admitted),
        Err(refused) => {
            expect_told(&refused);
            assert!(refused.code() != Code::Forbidden || receiver.webhook.scheme == Scheme::None);
        }
    }
}

/// A pointer is written as it was, and leads where another reader is led.
fn point(pointer: &str, json: &[u8]) {
    let (admission, _) = &*HUB_WITH_CONTRACTS;
    let _ = pointer.parse::<Pick>();
    let Ok(parsed) = pointer.parse::<Pointer>() else {
        return;
    };
    assert_eq!(parsed.to_string(), pointer);
    let Ok(json) = admission.json(json) else {
        return;
    };
    let value: Value = serde_json::from_str(json).expect("it was read");
    let found = parsed
        .find(json)
        .map(|found| serde_json::from_str::<Value>(found).ok());
    assert_eq!(
        found,
        value.pointer(pointer).map(|value| Some(value.clone()))
    );
}
