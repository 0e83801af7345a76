//! The OpenAPI document: receives the contracts, hands on the description of every route with
//! what goes in, what comes out, and how it may be refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::problem::OF_HTTP;
use super::operation::{Access, Answer, Body, Content, Operation, Parameter, Place};
use super::schemas::reference;
use super::{contracts, operations, schemas};
use crate::admission::{Code, Contract};
use crate::ingress::cloudevents::{BATCH_TYPE, STRUCTURED_TYPE};

/// The document.
pub(super) fn document(known: &[Arc<Contract>]) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for one in operations::all() {
        for method in one.methods {
            let described = operation(&one, method);
            let path = paths.entry(one.path).or_default();
            path.insert((*method).to_owned(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nexus",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An event hub: takes events, holds them, and has them worked on.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": components(known),
            "securitySchemes": {
                "key": {
                    "type": "http", "scheme": "bearer",
                    "description": "the key of a client from `[[clients]]`, or a token of one of the \
                        `[[issuers]]`",
                },
                "signature": {
                    "type": "http", "scheme": "Nexus-HMAC-SHA256",
                    "description": "the request signed with the client's `hmac` secret; see \
                        docs/authentication.md",
                },
                "certificate": {
                    "type": "mutualTLS",
                    "description": "the client's certificate, where `[server.tls]` asks for one",
                },
                "access_token": {
                    "type": "apiKey", "in": "query", "name": "access_token",
                    "description": "the same key, for senders that can set no header; never both",
                },
            },
        },
    })
}

fn components(known: &[Arc<Contract>]) -> Map<String, Value> {
    let mut components = contracts::schemas(known);
    let event = contracts::event(known, "EventEnvelope", &contracts::OWN);
    let cloudevent = contracts::event(known, "CloudEventEnvelope", &contracts::CLOUDEVENT);
    let own = [
        ("EventEnvelope", schemas::envelope()),
        ("Event", event),
        ("CloudEventEnvelope", schemas::cloudevent()),
        ("CloudEvent", cloudevent),
    ];
    let own = own.into_iter().chain(schemas::answers());
    components.extend(own.map(|(name, schema)| (name.to_owned(), schema)));
    components
}

fn operation(one: &Operation, method: &str) -> Value {
    let id = match one.methods {
        [_] => one.id.to_owned(),
        _ => format!("{}_{method}", one.id),
    };
    let mut described = json!({
        "operationId": id,
        "tags": [one.tag],
        "summary": one.says,
        "security": security(one.access),
        "responses": responses(one),
    });
    if !one.parameters.is_empty() {
        described["parameters"] = one.parameters.iter().map(parameter).collect();
    }
    // These methods have no body in this format, though one would be passed on.
    if let Some(body) = one
        .body
        .filter(|_| !["get", "head", "delete"].contains(&method))
    {
        described["requestBody"] = request_body(body);
    }
    described
}

/// Any one of these ways in is enough.
fn security(access: Access) -> Value {
    let ways: &[&str] = match access {
        Access::Open => &[],
        Access::Client | Access::Metrics | Access::Admin => &["key", "signature", "certificate"],
        Access::Publisher => &["key", "signature", "certificate", "access_token"],
    };
    let way = |way: &&str| json!({ *way: [] });
    ways.iter().map(way).collect()
}

fn parameter(one: &Parameter) -> Value {
    let place = match one.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    json!({
        "name": one.name,
        "in": place,
        "required": one.place == Place::Path,
        "description": one.says,
        "schema": one.schema,
    })
}

fn request_body(body: Body) -> Value {
    let (required, content) = match body {
        Body::Events => {
            let event = reference("Event");
            let several = json!({ "type": "array", "items": event });
            let batch = json!({ "type": "array", "items": reference("CloudEvent") });
            let content = json!({
                "application/json": { "schema": { "anyOf": [event, several] } },
                STRUCTURED_TYPE: { "schema": reference("CloudEvent") },
                BATCH_TYPE: { "schema": batch },
            });
            (true, content)
        }
        Body::Selection => (true, as_json(reference("Selection"))),
        Body::Candidate => (false, as_json(reference("Candidate"))),
        Body::LogFilter => {
            let filter = json!({
                "type": "object",
                "required": ["filter"],
                "additionalProperties": false,
                "properties": { "filter": { "type": "string" } },
            });
            (true, as_json(filter))
        }
        Body::Nothing => {
            let empty = json!({ "type": "object", "additionalProperties": false });
            (false, as_json(empty))
        }
        Body::Answer => (true, as_json(reference("Answer"))),
        Body::Notice => (false, as_json(reference("Notice"))),
        Body::Silence => (true, as_json(reference("NewSilence"))),
        Body::Anything => (false, json!({ "*/*": {} })),
    };
    json!({ "required": required, "content": content })
}

fn as_json(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn responses(one: &Operation) -> Value {
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for answer in &one.answers {
        responses.insert(answer.status.to_string(), answered(answer, one));
    }
    if one.body == Some(Body::Anything) {
        // A plugin may answer with any status and any content, so that no status is the hub's alone.
        let codes = quoted(&refusals(one));
        let says = format!(
            "what the plugin answers, or what a webhook comes to; of the hub itself, a problem document: {codes}"
        );
        responses.insert("default".to_owned(), json!({ "description": says }));
        return json!(responses);
    }
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in refusals(one) {
        by_status.entry(status(code)).or_default().push(code);
    }
    for (status, codes) in by_status {
        let answer = responses.entry(status.to_string());
        answer.or_insert_with(|| refusal(status, &codes));
    }
    json!(responses)
}

/// Every code with which an operation may be refused.
fn refusals(one: &Operation) -> Vec<&'static str> {
    let by_access: &[&str] = match one.access {
        Access::Open => &[],
        Access::Client | Access::Metrics | Access::Admin => &[
            "unauthenticated",
            "forbidden",
            "rate_limited",
            "issuer_unavailable",
        ],
        // A key that is in the header and in the query is in neither.
        Access::Publisher => &[
            "unauthenticated",
            "forbidden",
            "rate_limited",
            "issuer_unavailable",
            "malformed_event",
        ],
    };
    let by_body: &[&str] = match one.body {
        None => &[],
        Some(_) => &[
            "malformed_json",
            "malformed_event",
            "payload_too_large",
            "request_timeout",
            "unsupported_media_type",
        ],
    };
    let by_events: &[&str] = match one.body {
        None
        | Some(
            Body::Selection
            | Body::Candidate
            | Body::LogFilter
            | Body::Nothing
            | Body::Answer
            | Body::Notice
            | Body::Silence,
        ) => &[],
        Some(Body::Events | Body::Anything) => &[
            "contract_violation",
            "unknown_type",
            "queue_full",
            "shutting_down",
            "storage_unavailable",
        ],
    };
    let mut codes = [by_access, by_body, by_events, one.refusals].concat();
    let mut seen = BTreeSet::new();
    codes.retain(|code| seen.insert(*code));
    codes
}

fn status(code: &str) -> u16 {
    let admission = Code::ALL.iter().find(|one| one.as_str() == code);
    let http = OF_HTTP.iter().find(|(_, one)| *one == code);
    let http = http.map(|(status, _)| *status);
    admission.map(|one| one.status()).or(http).unwrap_or(500)
}

fn quoted(codes: &[&str]) -> String {
    let quoted: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
    quoted.join(", ")
}

fn refusal(status: u16, codes: &[&str]) -> Value {
    let schema = json!({
        "allOf": [reference("Problem"), { "properties": { "code": { "enum": codes } } }],
    });
    let mut refusal = json!({
        "description": quoted(codes),
        "content": { "application/problem+json": { "schema": schema } },
    });
    if matches!(status, 429 | 503) {
        refusal["headers"] = json!({
            "Retry-After": {
                "description": "seconds until trying again makes sense",
                "schema": { "type": "integer" },
            },
        });
    }
    refusal
}

/// What an answer to events says beside what became of them.
fn headers_of(body: Option<Body>) -> Option<Value> {
    let text = |says: &str| json!({ "description": says, "schema": { "type": "string" } });
    let mut headers = json!({
        "Deprecation": text("since when the contract version that was sent is outdated, if it is"),
        "Sunset": text("from when on it is refused"),
        "Link": text("what to send instead"),
    });
    match body? {
        Body::Events => {
            headers["RateLimit"] = text("what is left of the client's rate, if it has one");
            headers["RateLimit-Policy"] = text("the client's rate, if it has one");
        }
        Body::Anything => {}
        Body::Selection
        | Body::Candidate
        | Body::LogFilter
        | Body::Nothing
        | Body::Answer
        | Body::Notice
        | Body::Silence => return None,
    }
    Some(headers)
}

fn answered(answer: &Answer, one: &Operation) -> Value {
    let mut answered = json!({ "description": answer.says });
    if let Some(headers) = headers_of(one.body) {
        answered["headers"] = headers;
    }
    let content = match answer.content {
        Content::Nothing => return answered,
        Content::Json([one]) => json!({ "application/json": { "schema": reference(one) } }),
        Content::Json(several) => {
            let several: Vec<_> = several.iter().map(|one| reference(one)).collect();
            json!({ "application/json": { "schema": { "anyOf": several } } })
        }
        Content::Metrics => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Content::Stream => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        Content::Page => json!({ "text/*": { "schema": { "type": "string" } } }),
    };
    answered["content"] = content;
    answered
}
