//! The AsyncAPI document: receives the contracts, hands on the description of the events that the
//! hub takes and those that it sends, one message for each version of each type.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{contracts, schemas};
use crate::admission::Contract;

/// The document. What the hub does is seen from its side: it receives what others publish.
pub(super) fn document(known: &[Arc<Contract>]) -> Value {
    let names: Vec<String> = known.iter().map(|one| contracts::name(one)).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nexus",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The events that this hub takes, and those that it sends on.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "http": {
                "host": "{address}",
                "protocol": "http",
                "description": "`[server] http` says where it listens",
                "variables": { "address": { "default": "127.0.0.1:7070" } },
                "security": [
                    { "$ref": "#/components/securitySchemes/key" },
                    { "$ref": "#/components/securitySchemes/signature" },
                    { "$ref": "#/components/securitySchemes/certificate" },
                ],
            },
        },
        "channels": {
            "websocket": {
                "address": "/v1/ws",
                "description": "GET; text frames, each an event, an array of events, or an object with \
                    `op`: `publish` (`event`), `subscribe` (`types`, `sources`, `after`) or \
                    `unsubscribe`, and an `id` that is given back with the answer. Every frame is \
                    answered, in order. With the subprotocol `cloudevents.json` each frame is a \
                    CloudEvent",
                "bindings": { "ws": { "method": "GET" } },
                "messages": messages(&names, "components/messages"),
            },
            "publish": {
                "address": "/v1/events",
                "description": "POST; one event or an array, or CloudEvents",
                "messages": messages(&names, "components/messages"),
            },
            "follow": {
                "address": "/v1/events/stream",
                "description": "GET; server-sent events, with `format=cloudevents` CloudEvents",
                "messages": messages(&names, "components/messages"),
            },
        },
        "operations": {
            "publishOnWebSocket": {
                "action": "receive",
                "channel": { "$ref": "#/channels/websocket" },
                "messages": references(&names, "channels/websocket/messages"),
            },
            "followOnWebSocket": {
                "action": "send",
                "channel": { "$ref": "#/channels/websocket" },
                "messages": references(&names, "channels/websocket/messages"),
            },
            "publish": {
                "action": "receive",
                "channel": { "$ref": "#/channels/publish" },
                "bindings": { "http": { "method": "POST" } },
                "messages": references(&names, "channels/publish/messages"),
            },
            "follow": {
                "action": "send",
                "channel": { "$ref": "#/channels/follow" },
                "bindings": { "http": { "method": "GET" } },
                "messages": references(&names, "channels/follow/messages"),
            },
        },
        "components": {
            "messages": components(known),
            "schemas": shapes(known),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer" },
                "signature": { "type": "http", "scheme": "Nexus-HMAC-SHA256" },
                "certificate": { "type": "X509" },
            },
        },
    })
}

fn messages(names: &[String], place: &str) -> Map<String, Value> {
    let reference = |name: &String| json!({ "$ref": format!("#/{place}/{name}") });
    names
        .iter()
        .map(|name| (name.clone(), reference(name)))
        .collect()
}

fn references(names: &[String], place: &str) -> Vec<Value> {
    let reference = |name| json!({ "$ref": format!("#/{place}/{name}") });
    names.iter().map(reference).collect()
}

fn components(known: &[Arc<Contract>]) -> Map<String, Value> {
    let message = |contract: &Arc<Contract>| {
        let info = contract.info();
        let is_newest = contracts::is_newest(known, contract);
        let case = contracts::case(contract, is_newest, &contracts::OWN);
        let envelope = schemas::reference("EventEnvelope");
        let message = json!({
            "name": info.event_type,
            "title": format!("{} {}", info.event_type, info.version),
            "contentType": "application/json",
            "payload": { "allOf": [envelope, case] },
        });
        (contracts::name(contract), message)
    };
    known.iter().map(message).collect()
}

fn shapes(known: &[Arc<Contract>]) -> Map<String, Value> {
    let mut shapes = contracts::schemas(known);
    shapes.insert("EventEnvelope".to_owned(), schemas::envelope());
    shapes
}
