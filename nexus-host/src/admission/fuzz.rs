//! The fuzz targets of this room: admission as a whole, and what other rooms' targets hold against it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use jsonschema::json::Node;
use jsonschema::{PatternOptions, Validator};
use nexus_plugin_api::{ContractInfo, RuleInfo};
use regex::Regex;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::strict_json::Borrowed;
use super::*;
use crate::fuzz::expect_told;

pub(crate) use super::auth::fuzz::anybody;
pub use super::auth::fuzz::authorization;
pub use super::contract::fuzz::{contract_diff, contract_file, rule};

/// A hub that knows some contracts, and whoever may publish all of them.
pub(crate) static HUB_WITH_CONTRACTS: LazyLock<(Admission, Arc<ClientScope>)> =
    LazyLock::new(|| {
        let contracts = Contracts::default();
        for info in infos() {
            contracts.register("fuzz", info).expect("a contract");
        }
        let admission = Admission::new(&Limits::default(), &[], &[], Arc::new(contracts));
        (admission, anybody())
    });

/// The same contracts, compiled by themselves for values that another parser has read.
static VALIDATORS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let compile = |info: ContractInfo| {
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .build(&info.schema);
        (
            format!("{} {}", info.event_type, info.version),
            validator.expect("a schema"),
        )
    };
    infos().into_iter().map(compile).collect()
});

fn infos() -> Vec<ContractInfo> {
    let version = |text: &str| text.parse().expect("a version");
    let order = json!({
        "type": "object",
        "required": ["number", "lines"],
        "properties": {
            "number": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]+$", "maxLength": 20 },
            "placed": { "type": "string", "format": "date-time" },
            "mail": { "type": "string", "format": "email" },
            "paid": { "enum": [true, false, null, "partly"] },
            "lines": { "type": "array", "minItems": 1, "uniqueItems": true, "items": { "$ref": "#/$defs/line" } },
        },
        "additionalProperties": false,
        "$defs": {
            "line": {
                "type": "object",
                "required": ["count"],
                "properties": {
                    "count": { "type": "integer", "minimum": 1, "maximum": 9_007_199_254_740_993_i64 },
                    "price": { "type": "number", "multipleOf": 0.01 },
                    "parts": { "type": "array", "items": { "$ref": "#/$defs/line" } },
                },
                "unevaluatedProperties": { "type": "string" },
            },
        },
    });
    let rules = vec![RuleInfo {
        rule: "payload.lines.all(line, line.count < 1000)".to_owned(),
        message: "must be below 1000".to_owned(),
        pointer: Some("/payload/lines".to_owned()),
    }];
    vec![
        ContractInfo::new("any.thing", version("1.0.0"), json!(true)),
        ContractInfo::new("shop.placed", version("1.0.0"), json!({ "type": "object" })),
        ContractInfo {
            rules,
            ..ContractInfo::new("shop.placed", version("2.0.0"), order)
        },
    ]
}

/// A request's body: one event, or an array of them.
pub fn event(body: &[u8]) {
    let (admission, _) = &*HUB_WITH_CONTRACTS;
    match admission.open(body) {
        Ok(Parcel::One(text)) => one(text),
        Ok(Parcel::Many(texts)) => {
            let same: Vec<&RawValue> = serde_json::from_slice(body).expect("it was an array");
            assert_eq!(texts, same.iter().map(|one| one.get()).collect::<Vec<_>>());
            texts.into_iter().for_each(one);
        }
        Err(refused) => expect_told(&refused),
    }
}

fn one(text: &str) {
    expect_strict(text);
    let (admission, client) = &*HUB_WITH_CONTRACTS;
    match admission.admit(client, text) {
        Ok(admitted) => expect_in_order(&admitted),
        Err(refused) => expect_told(&refused),
    }
}

/// The strict parser takes a part of what the ordinary one takes, and reads the same in it.
fn expect_strict(text: &str) {
    let (admission, _) = &*HUB_WITH_CONTRACTS;
    match strict_json::parse(text, admission.bounds, 0) {
        Ok(tree) => {
            let value: Value = serde_json::from_str(text).expect("others read it too");
            assert_eq!(*Node::<Borrowed>::to_value(&&tree), value);
            let written = value.to_string();
            let again = strict_json::parse(&written, admission.bounds, 0);
            let again = again.expect("what was read can be written and read");
            // Others' parser may miss the last digit of a fraction.
            let is_whole = !written.contains(['.', 'e', 'E']);
            assert!(!is_whole || *Node::<Borrowed>::to_value(&&again) == value);
        }
        Err(fault) => {
            let told = fault.into_rejection(text);
            if told.message().starts_with("not valid JSON") {
                assert!(serde_json::from_str::<Value>(text).is_err(), "{told}");
            }
        }
    }
}

/// What every admitted event promises, however it came.
pub(crate) fn expect_in_order(admitted: &Admitted) {
    let (admission, client) = &*HUB_WITH_CONTRACTS;
    let event = admitted.event();
    assert_eq!(rules::violations(event), []);
    assert!(client.may_publish(&event.source, &event.event_type));
    assert!(!rules::is_reserved(&event.event_type));

    let payload: Value = event.payload.parse().expect("a payload is JSON");
    assert!(payload.is_object());
    let version = event.contract_version.as_ref().expect("it is written down");
    let contract = format!("{} {version}", event.event_type);
    assert!(VALIDATORS[&contract].is_valid(&payload), "{payload}");
    suspicion::fuzz::expect_flags(&payload, admitted.flags());

    let written = serde_json::to_string(&**event).expect("an event can be written");
    let again = admission.admit(client, &written);
    let again = again.unwrap_or_else(|refused| panic!("{written}: {refused}"));
    assert_eq!(
        trimmed((**again.event()).clone()),
        trimmed((**event).clone())
    );
    assert_eq!(again.flags(), admitted.flags());
}

/// The event as it is queued, were there a contract for its type; `None` when it is not in order. For
/// what must come back as it was.
pub(crate) fn in_order(mut event: Event) -> Option<Event> {
    let (admission, _) = &*HUB_WITH_CONTRACTS;
    rules::settle_trace(&mut event.traceparent, &mut event.tracestate);
    let text = str::from_utf8(event.payload.as_slice()).ok()?;
    let tree = strict_json::parse(text, admission.bounds, 1).ok()?;
    let is_in_order = rules::violations(&event).is_empty() && matches!(tree, Tree::Object(_));
    is_in_order.then(|| trimmed(event))
}

/// Space round a payload is nothing that formats of text keep.
fn trimmed(mut event: Event) -> Event {
    let payload = event.payload.as_slice().trim_ascii();
    event.payload = RawJson::from_checked(payload.to_vec());
    event
}

/// The trace context of a request, against W3C's shape written once more.
pub(crate) fn trace(traceparent: &str, tracestate: Option<&str>) {
    static SHAPE: LazyLock<Regex> = LazyLock::new(|| {
        let shape = r"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}((?s:-.*)?)$";
        Regex::new(shape).expect("a constant")
    });
    let is_good = SHAPE.captures(traceparent).is_some_and(|found| {
        let is_version = match &found[1] {
            "ff" => false,
            "00" => found[4].is_empty(),
            _ => traceparent.len() <= 512,
        };
        is_version
            && [2, 3]
                .iter()
                .all(|at| found[*at].bytes().any(|digit| digit != b'0'))
    });
    let mut event = Event::new("any.thing", "a", RawJson::from_checked("{}"));
    event.tracestate = Some("a=b".to_owned());
    let supplied = Supplied {
        event_id: None,
        traceparent: Some(traceparent),
        tracestate,
    };
    supplied.trace(&mut event.traceparent, &mut event.tracestate);
    let event = in_order(event).expect("a trace is no reason to refuse it");
    assert_eq!(event.traceparent.as_deref(), is_good.then_some(traceparent));
    if let Some(kept) = &event.tracestate {
        assert!(is_good && Some(kept.as_str()) == tracestate);
    }
}
