use serde_json::{Value, json};

use super::*;
use crate::admission::Limits;

fn open(text: &str) -> Result<Event, Rejection> {
    let fields = Fields::read(text, Bounds::new(&Limits::default()))?;
    fields.open(Supplied::default()).map(|opened| opened.event)
}

fn event(change: Value) -> Value {
    let mut event = json!({ "type": "a.b", "source": "s", "payload": {} });
    for (key, value) in change.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

/// The pointers that an event is refused for.
fn pointers(event: &Value) -> Vec<String> {
    let refused = open(&event.to_string()).unwrap_err();
    assert_eq!(refused.code(), Code::ContractViolation, "{refused}");
    refused.errors().iter().map(|e| e.pointer.clone()).collect()
}

#[test]
fn the_smallest_event_is_completed() {
    let before = Utc::now();
    let event = open(r#" {"payload": { "a" : [1, 2.50] } ,"type":"a.b","source":"s"} "#).unwrap();
    assert_eq!(event.event_id.get_version_num(), 7);
    assert!(event.timestamp >= before && event.timestamp <= Utc::now());
    assert_eq!(event.priority, Priority::Normal);
    assert_eq!(event.correlation_id, None);
    assert_eq!(event.payload.as_slice(), br#"{ "a" : [1, 2.50] }"#);
}

#[test]
fn every_field_is_taken_over() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sent = json!({
        "event_id": "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a",
        "type": "outlook.mail.received",
        "source": "outlook",
        "timestamp": "2026-01-31T12:00:00Z",
        "priority": "critical",
        "correlation_id": "thread 1",
        "contract_version": "1.2.0",
        "causation_id": "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7b",
        "partition_key": "inbox",
        "expires_at": "2027-01-31T12:00:00Z",
        "traceparent": parent,
        "tracestate": "a=b",
        "payload": { "subject": "hi" },
    });
    let event = open(&sent.to_string()).unwrap();
    assert_eq!(serde_json::to_value(&event).unwrap(), sent);
}

#[test]
fn each_field_s_rule_is_applied() {
    let wrong = [
        ("event_id", json!("x")),
        ("event_id", json!("00000000-0000-0000-0000-000000000000")),
        ("event_id", Value::Null),
        ("type", json!("A")),
        ("type", Value::Null),
        ("source", json!("a b")),
        ("timestamp", json!("yesterday")),
        ("timestamp", json!(1_700_000_000)),
        ("timestamp", Value::Null),
        ("priority", json!("urgent")),
        ("priority", json!(1)),
        ("priority", Value::Null),
        ("correlation_id", json!("a\u{1}")),
        ("correlation_id", json!("x".repeat(257))),
        ("contract_version", json!("1")),
        ("causation_id", json!("x")),
        ("partition_key", json!("")),
        ("expires_at", json!("2026")),
        ("traceparent", json!(1)),
        ("tracestate", json!({})),
        ("payload", json!([])),
        ("payload", Value::Null),
        ("surprise", json!(1)),
        ("sur/prise~", json!(1)),
    ];
    for (field, value) in wrong {
        let pointer = format!("/{}", escaped(field));
        let event = event(json!({ (field): value }));
        assert_eq!(pointers(&event), [pointer], "{event}");
    }
    for optional in [
        "correlation_id",
        "contract_version",
        "causation_id",
        "tracestate",
    ] {
        let event = event(json!({ (optional): null }));
        assert!(open(&event.to_string()).is_ok(), "{event}");
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    assert_eq!(pointers(&json!({})), ["/type", "/source", "/payload"]);
    let event = json!({ "type": 1, "source": "s", "x": 1, "y": 2, "priority": "no" });
    assert_eq!(
        pointers(&event),
        ["/type", "/priority", "/payload", "/x", "/y"]
    );
}

#[test]
fn a_field_twice_is_malformed() {
    for text in [
        r#"{"type":"a","type":"a","source":"s","payload":{}}"#,
        r#"{"type":"a","\u0074ype":"a","source":"s","payload":{}}"#,
        r#"{"type":"a","source":"s","payload":{},"payload":{}}"#,
        r#"{"type":"a","source":"s","payload":{},"p\u0061yload":{}}"#,
        r#"{"type":"a","source":"s","payload":{"a":{"b":1,"b":1}}}"#,
        r#"{"type":"a","source":"s","payload":{},"x":1,"x":2}"#,
        r#"{"type":null,"type":"a","source":"s","payload":{}}"#,
        r#"{"type":"a","source":"s","payload":{},"x":{"b":1,"b":1}}"#,
    ] {
        let refused = open(text).unwrap_err();
        assert_eq!(refused.code(), Code::MalformedJson, "{text}");
        assert!(refused.message().contains("twice"), "{refused}");
    }
}

#[test]
fn what_is_no_object_is_no_event() {
    for text in ["1", "\"x\"", "[]", "null", " [1] "] {
        assert_eq!(open(text).unwrap_err().code(), Code::ContractViolation);
    }
    for text in ["", " ", "{", "x", "{}x", "{\"a\":1}{}", "\u{feff}{}", "[1"] {
        assert_eq!(
            open(text).unwrap_err().code(),
            Code::MalformedJson,
            "{text:?}"
        );
    }
}

#[test]
fn the_place_of_a_fault_in_the_payload_is_the_event_s() {
    let text = "{\"type\":\"a\",\n \"payload\": {\"a\": 1, \"a\": 2}}";
    let refused = open(text).unwrap_err();
    assert!(
        refused.message().contains("(line 2, column 24)"),
        "{refused}"
    );
    let text = "{\"type\":\"a\",\n \"payload\": {\"a\": \"\\ud800\"}}";
    let refused = open(text).unwrap_err();
    assert!(refused.message().contains("(line 2, "), "{refused}");
}

#[test]
fn the_depth_counts_from_the_event() {
    let most = Limits::default().max_depth;
    let deep = |levels: usize| {
        let payload = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        format!(r#"{{"type":"a","source":"s","payload":{payload}}}"#)
    };
    assert!(open(&deep(most - 1)).is_ok());
    assert_eq!(open(&deep(most)).unwrap_err().code(), Code::MalformedJson);
}

#[test]
fn many_unknown_fields_and_long_names_are_cut() {
    let mut event = event(json!({}));
    for n in 0..100 {
        event[format!("{n}{}", "x".repeat(1000))] = json!(1);
    }
    let refused = open(&event.to_string()).unwrap_err();
    assert_eq!(refused.errors().len(), MAX_VIOLATIONS);
    assert!(refused.errors().iter().all(|e| e.pointer.len() < 300));
}
