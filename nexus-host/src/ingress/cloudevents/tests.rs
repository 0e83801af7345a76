//! What becomes of CloudEvents, and of events as CloudEvents.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::admission::{Admission, Contracts, Limits};

fn read(text: &str) -> Result<Event, Rejection> {
    let admission = Admission::new(&Limits::default(), &[], &[], Arc::new(Contracts::default()));
    structured_of(&admission, text.as_bytes())
}

fn with(change: Value) -> String {
    let mut event = json!({
        "specversion": "1.0", "id": "1", "source": "/parrot", "type": "a.b", "data": { "n": 1 },
    });
    for (key, value) in change.as_object().unwrap() {
        match value {
            Value::Null => event.as_object_mut().unwrap().remove(key),
            value => event
                .as_object_mut()
                .unwrap()
                .insert(key.clone(), value.clone()),
        };
    }
    event.to_string()
}

#[test]
fn every_field_has_its_attribute() {
    let event = read(&with(json!({
        "id": "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a",
        "source": "https://github.com/o/r",
        "time": "2026-01-31T12:00:00.5+01:00",
        "subject": "s",
        "datacontenttype": "application/vnd.x+json; charset=UTF-8",
        "partitionkey": "p", "expirytime": "2027-01-01T00:00:00Z", "correlationid": "c",
        "causationid": "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7b", "traceparent": "t",
        "tracestate": "u", "priority": "high", "contractversion": "1.2.3",
        "myextension": 5, "another1": true,
    })))
    .unwrap();
    let expected = json!({
        "event_id": "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a",
        "type": "a.b", "source": "github.com-o-r", "timestamp": "2026-01-31T11:00:00.500Z",
        "priority": "high", "correlation_id": "c", "contract_version": "1.2.3",
        "causation_id": "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7b", "partition_key": "p",
        "expires_at": "2027-01-01T00:00:00Z", "traceparent": "t", "tracestate": "u",
        "payload": { "n": 1 },
    });
    assert_eq!(serde_json::to_value(&event).unwrap(), expected);
    // And back, with nothing lost.
    let text = write_structured(&event).unwrap();
    assert_eq!(read(&text).unwrap(), event);
}

#[test]
fn data_is_carried_as_it_stands() {
    let raw = "{ \"n\" :\t1.0, \"m\":\"\\u0041\" }";
    let text = with(json!({})).replace(r#"{"n":1}"#, raw);
    let event = read(&text).unwrap();
    assert_eq!(event.payload.as_slice(), raw.as_bytes());
    let back = read(&write_structured(&event).unwrap()).unwrap();
    assert_eq!(back.payload.as_slice(), raw.as_bytes());

    let encoded = json!({ "data": null, "data_base64": "eyJuIjogMX0=" });
    let event = read(&with(encoded)).unwrap();
    assert_eq!(event.payload.as_slice(), br#"{"n": 1}"#);

    for none in [
        with(json!({ "data": null })),
        with(json!({ "data": 7 })).replace('7', "null"),
    ] {
        let event = read(&none).unwrap();
        assert_eq!(event.payload.as_slice(), b"{}", "{none}");
    }
}

#[test]
fn what_is_no_cloudevent_is_told_with_its_places() {
    let refused = |change: Value, pointer: &str| {
        let text = with(change);
        let rejection = read(&text).unwrap_err();
        assert_eq!(rejection.code(), Code::MalformedEvent, "{text}");
        let pointers: Vec<_> = rejection.errors().iter().map(|e| &*e.pointer).collect();
        assert_eq!(pointers, [pointer], "{text}");
    };
    for name in ["specversion", "id", "source", "type"] {
        refused(json!({ name: null }), &format!("/{name}"));
        refused(json!({ name: "" }), &format!("/{name}"));
        refused(json!({ name: {} }), &format!("/{name}"));
    }
    refused(json!({ "specversion": "0.3" }), "/specversion");
    refused(json!({ "source": "a b" }), "/source");
    refused(json!({ "time": "yesterday" }), "/time");
    refused(json!({ "expirytime": "1" }), "/expirytime");
    refused(json!({ "correlationid": "" }), "/correlationid");
    refused(json!({ "partitionkey": "" }), "/partitionkey");
    refused(json!({ "causationid": "" }), "/causationid");
    refused(json!({ "priority": "urgent" }), "/priority");
    refused(json!({ "contractversion": "1" }), "/contractversion");
    refused(
        json!({ "dataschema": "/v1/contracts/a.c/1.0.0" }),
        "/dataschema",
    );
    refused(
        json!({ "dataschema": "/v1/contracts/a.b/1" }),
        "/dataschema",
    );
    let both = json!({ "dataschema": "/v1/contracts/a.b/1.0.0", "contractversion": "2.0.0" });
    refused(both, "/dataschema");
    refused(json!({ "data_base64": "e30=" }), "/data");
    refused(json!({ "data": null, "data_base64": "?" }), "/data_base64");
    refused(json!({ "data": null, "data_base64": 1 }), "/data_base64");
    refused(json!({ "My_Ext": "x" }), "/My_Ext");
    refused(json!({ "a/b": "x" }), "/a~1b");
    refused(json!({ "ext": [1] }), "/ext");
    refused(json!({ "ext": 2_147_483_648_u64 }), "/ext");
    refused(json!({ "ext": "a\u{7}" }), "/ext");
    let everything = read("{}").unwrap_err();
    assert_eq!(everything.errors().len(), 4);
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    for twice in [
        r#""id":"2""#,
        r#""ext":1,"ext":1"#,
        r#""\u0069d":"2""#,
        r#""data":{}"#,
    ] {
        let text = with(json!({})).replacen('{', &format!("{{{twice},"), 1);
        assert_eq!(
            read(&text).unwrap_err().code(),
            Code::MalformedJson,
            "{text}"
        );
    }
}

#[test]
fn data_that_is_not_json_is_not_read() {
    for bad in [
        "text/plain",
        "application/xml",
        "application/json; charset=latin1",
        "json",
        "",
    ] {
        let rejection = read(&with(json!({ "datacontenttype": bad }))).unwrap_err();
        assert_eq!(rejection.code(), Code::UnsupportedMediaType, "{bad}");
    }
    // Nothing is said of data that is not there.
    let none = json!({ "datacontenttype": "text/plain", "data": null });
    assert!(read(&with(none)).is_ok());
}

#[test]
fn the_contract_may_be_named_by_its_address() {
    for (schema, version) in [
        ("https://hub.example/v1/contracts/a.b/1.2.0", Some("1.2.0")),
        ("/v1/contracts/a.b/1.2.0", Some("1.2.0")),
        ("/v1/contracts/a.b", None),
        ("https://example.org/schema.json", None),
    ] {
        let event = read(&with(json!({ "dataschema": schema }))).unwrap();
        let found = event.contract_version.map(|v| v.to_string());
        assert_eq!(found.as_deref(), version, "{schema}");
    }
}

#[test]
fn severity_counts_where_no_priority_is_given() {
    for (change, expected) in [
        (json!({ "severity": "low" }), Priority::Low),
        (json!({ "severitytext": "ERROR" }), Priority::High),
        (json!({ "severitynumber": 21 }), Priority::Critical),
        (
            json!({ "severity": "sev1", "severitynumber": 5 }),
            Priority::Low,
        ),
        (json!({ "severity": "sev1" }), Priority::Normal),
        (
            json!({ "severity": "critical", "priority": "low" }),
            Priority::Low,
        ),
    ] {
        assert_eq!(read(&with(change)).unwrap().priority, expected);
    }
}

#[test]
fn a_batch_is_read_one_by_one() {
    let admission = Admission::new(&Limits::default(), &[], &[], Arc::new(Contracts::default()));
    assert!(batch_of(&admission, b" [] ").unwrap().is_empty());
    let text = format!("[{}, 7, {}]", with(json!({})), with(json!({ "id": null })));
    let events = batch_of(&admission, text.as_bytes()).unwrap();
    let taken: Vec<_> = events.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, false]);
    for (body, code) in [
        ("", Code::MalformedJson),
        ("[", Code::MalformedJson),
        ("{\"a\":1,\"a\":1}", Code::MalformedJson),
        ("{}", Code::MalformedEvent),
    ] {
        let refused = batch_of(&admission, body.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), code, "{body}");
    }
    let refused = structured_of(&admission, b"[]").unwrap_err();
    assert_eq!(refused.code(), Code::MalformedEvent);
}
