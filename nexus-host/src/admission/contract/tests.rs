use nexus_plugin_api::prelude::*;
use serde_json::Value;

use super::super::rejection::LONGEST_MESSAGE;
use super::super::strict_json::{Bounds, parse};
use super::*;
use crate::admission::{Limits, MAX_VIOLATIONS};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Mail {
    subject: String,
    size: u32,
    sent: chrono::DateTime<chrono::Utc>,
    tags: Option<Vec<String>>,
}

impl nexus_plugin_api::Contract for Mail {
    const TYPE: &'static str = "mail.received";
    const VERSION: &'static str = "1.0.0";
}

fn info(event_type: &str, version: &str, schema: Value) -> ContractInfo {
    ContractInfo::new(event_type, version.parse().unwrap(), schema)
}

fn found(contracts: &Contracts, event_type: &str, payload: &Value) -> Vec<(String, String)> {
    let text = payload.to_string();
    let tree = parse(&text, Bounds::new(&Limits::default()), 0).unwrap();
    let contract = contracts.newest(event_type).unwrap();
    let errors = contract.check(&tree).err();
    let errors = errors.iter().flat_map(|refused| refused.errors());
    errors
        .map(|e| (e.pointer.clone(), e.message.clone()))
        .collect()
}

fn pointers(contracts: &Contracts, payload: Value) -> Vec<String> {
    let found = found(contracts, "mail.received", &payload);
    found.into_iter().map(|(pointer, _)| pointer).collect()
}

#[test]
fn a_payload_is_held_against_its_contract() {
    let contracts = Contracts::default();
    contracts
        .register("mail", ContractInfo::of::<Mail>())
        .unwrap();
    let fits = json!({ "subject": "hi", "size": 1, "sent": "2026-01-31T12:00:00Z", "tags": null });
    let with = |key: &str, value: Value| {
        let mut payload = fits.clone();
        payload[key] = value;
        payload
    };
    assert!(pointers(&contracts, fits.clone()).is_empty());
    let cases = [
        (with("subject", json!(1)), vec!["/payload/subject"]),
        (with("size", json!(-1)), vec!["/payload/size"]),
        (with("size", json!(1.5)), vec!["/payload/size"]),
        (with("sent", json!("today")), vec!["/payload/sent"]),
        (with("tags", json!(["a", 1])), vec!["/payload/tags/1"]),
        (with("a/b~c", json!(1)), vec!["/payload/a~1b~0c"]),
        (
            json!({ "size": 1 }),
            vec!["/payload/sent", "/payload/subject"],
        ),
    ];
    for (payload, expected) in cases {
        let mut found = pointers(&contracts, payload.clone());
        found.sort();
        assert_eq!(found, expected, "{payload}");
    }
}

#[test]
fn what_is_told_is_bounded_and_holds_no_value() {
    let contracts = Contracts::default();
    let schema = json!({
        "properties": {
            "a": { "maxLength": 3 },
            "b": { "enum": ["x".repeat(10_000)] },
            "c": { "items": { "type": "string" } },
            "d": { "propertyNames": { "maxLength": 3 } },
            "e": { "const": 1 },
            "f": { "pattern": "^x$" },
            "g": { "anyOf": [{ "type": "null" }, { "type": "integer" }] },
            "h": { "format": "uuid" },
        },
        "additionalProperties": false,
    });
    contracts
        .register("mail", info("mail.received", "1.0.0", schema))
        .unwrap();
    let secret = "canary".repeat(100);
    for field in ["a", "b", "e", "f", "g", "h"] {
        let found = found(&contracts, "mail.received", &json!({ field: secret }));
        assert_eq!(found.len(), 1, "{field}");
        let (pointer, message) = &found[0];
        assert_eq!(*pointer, format!("/payload/{field}"));
        assert!(!message.contains("canary"), "{message}");
        assert!(message.len() <= LONGEST_MESSAGE + 4, "{message}");
    }
    let found_in = |payload: Value| found(&contracts, "mail.received", &payload);
    assert_eq!(
        found_in(json!({ "c": vec![1; 1_000] })).len(),
        MAX_VIOLATIONS
    );
    let name_refused = found_in(json!({ "d": { (secret.clone()): 1 } }));
    assert!(!name_refused[0].1.contains("canary"), "{name_refused:?}");
    let long_names: serde_json::Map<_, _> = (0..100)
        .map(|n| (format!("{n}{secret}"), json!(1)))
        .collect();
    let found = found_in(Value::Object(long_names));
    assert!(found.len() <= MAX_VIOLATIONS && found.iter().all(|(p, _)| p.len() < 300));
}

#[test]
fn versions_stand_beside_each_other() {
    let contracts = Contracts::default();
    let schema = |n: u32| json!({ "minProperties": n });
    for (n, version) in ["1.10.0", "1.2.0", "2.0.0-rc.1", "0.9.0"]
        .into_iter()
        .enumerate()
    {
        let n = u32::try_from(n).unwrap();
        contracts
            .register("p", info("a.b", version, schema(n)))
            .unwrap();
    }
    let newest = contracts.newest("a.b").unwrap();
    assert_eq!(newest.info().version.to_string(), "1.10.0");
    let listed: Vec<_> = contracts
        .list()
        .iter()
        .map(|c| c.info().version.to_string())
        .collect();
    assert_eq!(listed, ["0.9.0", "1.2.0", "1.10.0", "2.0.0-rc.1"]);
    let version = "1.2.0".parse().unwrap();
    assert_eq!(
        contracts.get("a.b", &version).unwrap().info().schema,
        schema(1)
    );
    assert!(contracts.get("a.b", &"1.2.1".parse().unwrap()).is_none());
    assert!(contracts.newest("a").is_none());

    let early = Contracts::default();
    early
        .register("p", info("a.b", "0.1.0-rc.1", json!({})))
        .unwrap();
    assert_eq!(
        early.newest("a.b").unwrap().info().version.pre.as_str(),
        "rc.1"
    );
}

#[test]
fn an_unknown_type_and_an_unknown_version_are_told_apart() {
    let contracts = Contracts::default();
    contracts
        .register("p", info("a.b", "1.0.0", json!({})))
        .unwrap();
    let refused = contracts.find("a.c", None).unwrap_err();
    assert_eq!(refused.code(), Code::UnknownType);
    let refused = contracts
        .find("a.b", Some(&"2.0.0".parse().unwrap()))
        .unwrap_err();
    assert_eq!(refused.code(), Code::ContractViolation);
    assert_eq!(refused.errors()[0].pointer, "/contract_version");
    assert!(refused.errors()[0].message.contains("known: 1.0.0"));
}

#[test]
fn contracts_are_not_taken_from_their_owners() {
    let contracts = Contracts::default();
    let (one, other) = (
        json!({ "type": "object" }),
        json!({ "type": "object", "x": 1 }),
    );
    let register = |owner: &str, version: &str, schema: &Value| {
        contracts.register(owner, info("a.b", version, schema.clone()))
    };
    register("p", "1.0.0", &one).unwrap();
    register("q", "1.0.0", &one).unwrap();
    assert_eq!(contracts.newest("a.b").unwrap().owner(), "p");
    let taken = register("q", "1.0.0", &other).unwrap_err();
    assert!(matches!(taken, ContractConflict::Taken { .. }), "{taken}");
    register("p", "1.0.0", &other).unwrap();
    assert_eq!(contracts.newest("a.b").unwrap().info().schema, other);
    register("q", "1.1.0", &one).unwrap();
}

#[test]
fn unusable_contracts_are_refused() {
    let contracts = Contracts::default();
    let register = |owner: &str, event_type: &str, schema: Value| {
        contracts
            .register(owner, info(event_type, "1.0.0", schema))
            .unwrap_err()
    };
    let refused = register("p", "A b", json!({}));
    assert!(matches!(refused, ContractConflict::InvalidType { .. }));
    let refused = register("p", "nexus.x", json!({}));
    assert!(matches!(refused, ContractConflict::Reserved { .. }));
    for schema in [
        json!({ "type": "strange" }),
        json!({ "pattern": "(" }),
        json!({ "pattern": "(?=x)" }),
        json!({ "$ref": "https://example.com/schema.json" }),
        json!({ "$ref": "file:///etc/passwd" }),
        json!(1),
    ] {
        let refused = register("p", "a.b", schema.clone());
        assert!(
            matches!(refused, ContractConflict::InvalidSchema { .. }),
            "{schema}: {refused}"
        );
    }
    contracts
        .register(HUB, info("nexus.x", "1.0.0", json!({})))
        .unwrap();
}

#[test]
fn a_contract_may_refer_to_itself() {
    let contracts = Contracts::default();
    let schema =
        json!({ "properties": { "next": { "$ref": "#" } }, "additionalProperties": false });
    contracts
        .register("p", info("mail.received", "1.0.0", schema))
        .unwrap();
    assert!(pointers(&contracts, json!({ "next": { "next": {} } })).is_empty());
    assert_eq!(
        pointers(&contracts, json!({ "next": { "next": { "x": 1 } } })),
        ["/payload/next/next/x"]
    );
}

#[test]
fn a_release_brings_no_rule_that_the_one_before_had_not() {
    let contracts = Contracts::default();
    let ruled = |version: &str, rule: &str| {
        let mut info = info("shop.paid", version, json!({ "type": "object" }));
        info.rules = vec![nexus_plugin_api::RuleInfo {
            rule: rule.to_owned(),
            message: "is too much".to_owned(),
            pointer: None,
        }];
        contracts.register("shop", info)
    };
    ruled("1.0.0", "payload.amount < 1000.0").unwrap();
    ruled("1.1.0", "payload.amount < 1000.0").unwrap();
    let refused = ruled("1.2.0", "payload.amount < 500.0").unwrap_err();
    assert!(
        refused.to_string().starts_with(
            "contract shop.paid 1.2.0 of `shop` breaks 1.0.0: /rules/0 the rule `payload.amount < 500.0` is asked for now"
        ),
        "{refused}"
    );
    ruled("2.0.0", "payload.amount < 500.0").unwrap();
}

#[test]
fn a_sunset_that_comes_while_the_hub_runs_changes_what_is_newest() {
    let contracts = Contracts::default();
    let soon = Utc::now() + chrono::TimeDelta::hours(1);
    let mut newer = info("shop.paid", "2.0.0", json!({ "type": "object" }));
    newer.sunset = Some(soon);
    let older = info("shop.paid", "1.0.0", json!({ "type": "object" }));
    contracts.register("shop", older).unwrap();
    contracts.register("shop", newer).unwrap();
    let newest = |now: DateTime<Utc>| {
        let entry = contracts.current("shop.paid", || now).unwrap();
        let at = entry.newest().unwrap();
        entry.versions[at].info().version.to_string()
    };
    assert_eq!(newest(Utc::now()), "2.0.0");
    assert_eq!(newest(soon), "1.0.0");
    assert_eq!(
        contracts.newest("shop.paid").unwrap().info().version.major,
        1
    );
    assert_eq!(contracts.versions("shop.paid").unwrap().len(), 2);
}
