//! What is described is what is served.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::routes;
use super::operation::Access;
use super::operations;
use crate::admission::Code;
use crate::ingress::harness::Hub;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

#[test]
fn every_route_is_described_and_nothing_else() {
    let served: BTreeSet<_> = routes().into_iter().map(|(path, _)| path).collect();
    let described: BTreeSet<_> = operations::all().iter().map(|one| one.route).collect();
    assert_eq!(described, served);
}

/// A path that the router finds, for a path of the document.
fn filled(path: &str) -> String {
    let path = path.replace("{source}", "echo").replace("{rest}", "a/b");
    let path = path
        .replace("{name}", "i/act")
        .replace("{file}", "main.js")
        .replace("{type}", "test.happened");
    path.replace("{version}", "1.0.0")
        .replace("{id}", "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a")
}

#[tokio::test]
async fn every_method_that_is_described_is_served_and_no_other() {
    let hub = Hub::start(|_| {}).await;
    let mut described: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in operations::all() {
        described.entry(one.path).or_default().extend(one.methods);
    }
    for (path, methods) in described {
        for method in METHODS.into_iter().chain(methods.iter().copied()) {
            if method == "head" {
                continue;
            }
            let verb = method.to_uppercase();
            let path = filled(path);
            // Without a key: an answer to that is enough.
            let request = format!("{verb} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
            let answer = hub.send(&request).await;
            assert_ne!(answer.status, 404, "{verb} {path}");
            let is_known = methods.contains(method);
            assert_eq!(answer.status != 405, is_known, "{verb} {path} {answer:?}");
        }
    }
}

#[tokio::test]
async fn who_may_ask_is_described_as_it_is() {
    for one in operations::all() {
        // One for each: of many failures from one address some are held back.
        let hub = Hub::start(|_| {}).await;
        let verb = one.methods[0].to_uppercase();
        let path = filled(one.path);
        let ask = |key: &str| {
            format!("{verb} {path} HTTP/1.1\r\nhost: x\r\n{key}content-length: 0\r\n\r\n")
        };
        let answer = hub.send(&ask("")).await;
        assert_eq!(
            answer.status == 401,
            one.access != Access::Open,
            "{verb} {path}"
        );
        if one.path == "/v1/events/stream" {
            continue;
        }
        let answer = hub.send(&ask("authorization: Bearer any\r\n")).await;
        assert_eq!(
            answer.status == 403,
            matches!(one.access, Access::Metrics | Access::Admin),
            "{verb} {path}"
        );
    }
}

/// Every reference in a document leads somewhere.
fn check_references(document: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            for (key, value) in members {
                if let (true, Some(target)) = (key == "$ref", value.as_str()) {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{target}");
                }
                check_references(document, value);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| check_references(document, item)),
        _ => {}
    }
}

#[tokio::test]
async fn the_documents_have_the_contracts_and_the_codes() {
    let hub = Hub::start(|_| {}).await;
    let answer = hub
        .send("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert_eq!(answer.status, 200);
    let openapi = answer.json();
    assert_eq!(openapi["openapi"], "3.1.0");
    check_references(&openapi, &openapi);
    let schemas = &openapi["components"]["schemas"];
    for version in ["1.0.0", "1.1.0"] {
        let schema = &schemas[format!("test.happened-{version}")];
        assert_eq!(schema["properties"]["n"]["type"], "integer");
    }
    let codes = schemas["Problem"]["properties"]["code"]["enum"].as_array();
    for code in Code::ALL {
        assert!(codes.unwrap().contains(&json!(code.as_str())), "{code}");
    }
    // The events that are described are those that are taken.
    let mut schema = schemas["Event"].clone();
    schema["components"] = openapi["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let event = |change: Value| crate::ingress::harness::event(change);
    for (event, taken) in [
        (event(json!({})), true),
        (event(json!({ "contract_version": "1.0.0" })), true),
        (event(json!({ "contract_version": "2.0.0" })), false),
        (event(json!({ "payload": { "n": "x" } })), false),
        (event(json!({ "type": "un.known" })), false),
        (event(json!({ "extra": 1 })), false),
        (event(json!({ "priority": null })), false),
        (event(json!({ "correlation_id": null })), true),
    ] {
        assert_eq!(validator.is_valid(&event), taken, "{event}");
        let answer = hub.post("/v1/events", &event.to_string()).await;
        assert_eq!(answer.status == 202, taken, "{event}");
    }
    let answer = hub
        .send("GET /asyncapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    let asyncapi = answer.json();
    assert_eq!(asyncapi["asyncapi"], "3.0.0");
    check_references(&asyncapi, &asyncapi);
    let messages = &asyncapi["components"]["messages"];
    assert_eq!(messages["test.happened-1.1.0"]["name"], "test.happened");
}

#[tokio::test]
async fn a_schema_of_another_dialect_is_pointed_to() {
    let hub = Hub::start(|_| {}).await;
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": { "pair": { "items": [{ "type": "string" }, { "type": "integer" }] } },
    });
    let info = nexus_plugin_api::ContractInfo::new("old.style", "1.0.0".parse().unwrap(), schema);
    hub.contracts.register("test", info).unwrap();
    for path in ["/openapi.json", "/asyncapi.json"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let document = hub.send(&request).await.json();
        let schema = &document["components"]["schemas"]["old.style-1.0.0"];
        let told = schema["description"].as_str().unwrap();
        assert!(
            told.contains("/v1/contracts/old.style/1.0.0"),
            "{path}: {schema}"
        );
        assert_eq!(schema["properties"], json!(null), "{path}");
    }
}

/// Without data a CloudEvent has an empty payload.
#[tokio::test]
async fn the_cloudevents_that_are_described_are_those_that_are_taken() {
    let hub = Hub::start(|_| {}).await;
    let schema = json!({ "type": "object", "required": ["n"] });
    let info = nexus_plugin_api::ContractInfo::new("needs.n", "1.0.0".parse().unwrap(), schema);
    hub.contracts.register("test", info).unwrap();
    let answer = hub
        .send("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    let openapi = answer.json();
    let mut schema = openapi["components"]["schemas"]["CloudEvent"].clone();
    schema["components"] = openapi["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let cases = [
        ("needs.n", json!({}), false),
        ("needs.n", json!({ "data": null }), false),
        ("needs.n", json!({ "data": { "m": 1 } }), false),
        ("needs.n", json!({ "data": { "n": 1 } }), true),
        ("needs.n", json!({ "data_base64": "eyJuIjoxfQ==" }), true),
        ("test.happened", json!({}), true),
    ];
    for (id, (event_type, data, taken)) in cases.into_iter().enumerate() {
        let mut event = json!({
            "specversion": "1.0", "id": format!("{id}"), "source": "/s", "type": event_type,
        });
        event
            .as_object_mut()
            .unwrap()
            .extend(data.as_object().unwrap().clone());
        assert_eq!(validator.is_valid(&event), taken, "{event}");
        let body = event.to_string();
        let request = format!(
            "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer any\r\n\
             content-type: application/cloudevents+json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = hub.send(&request).await;
        assert_eq!(answer.status == 202, taken, "{event} {answer:?}");
    }
}

#[tokio::test]
async fn a_contract_that_comes_later_is_in_the_documents() {
    let hub = Hub::start(|_| {}).await;
    let read = async || {
        hub.send("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .json()
    };
    let before = read().await;
    assert!(before["components"]["schemas"]["late.one-1.0.0+b"].is_null());
    let schema = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "type": "object" } } });
    let version = "1.0.0+b".parse().unwrap();
    let info = nexus_plugin_api::ContractInfo::new("late.one", version, schema);
    hub.contracts.register("test", info).unwrap();
    let after = read().await;
    let schema = &after["components"]["schemas"]["late.one-1.0.0_b"];
    assert_eq!(
        schema["$ref"],
        "#/components/schemas/late.one-1.0.0_b/$defs/A"
    );
    check_references(&after, &after);
}
