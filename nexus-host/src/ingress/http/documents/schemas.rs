//! The shapes of what goes in and out, as JSON Schema, apart from payloads. They say what the
//! rules of the rooms behind say; nothing is judged by them.

use serde_json::{Value, json};

use super::super::problem::OF_HTTP;
use crate::admission::Code;

/// A JSON Schema type for a text that may be left out or null.
fn optional(mut schema: Value) -> Value {
    schema["type"] = json!(["string", "null"]);
    schema
}

fn id() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn label() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": 256,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
    })
}

fn event_type() -> Value {
    json!({
        "type": "string", "maxLength": 200,
        "pattern": "^[a-z0-9_-]+(\\.[a-z0-9_-]+)*$",
        "examples": ["outlook.mail.received"],
    })
}

/// Which names are meant.
pub(super) fn selector() -> Value {
    json!({
        "type": "string",
        "pattern": "^(\\*|[^*\\s\\u0000-\\u001f\\u007f-\\u009f]*[^*\\s.\\u0000-\\u001f\\u007f-\\u009f](\\.\\*)?)$",
        "description": "exact, `prefix.*` or `*`",
    })
}

fn priority() -> Value {
    json!({ "type": "string", "enum": ["low", "normal", "high", "critical"] })
}

/// The envelope of the hub's own format.
pub(super) fn envelope() -> Value {
    json!({
        "type": "object",
        "required": ["type", "source", "payload"],
        "additionalProperties": false,
        "properties": {
            "event_id": id(),
            "type": event_type(),
            "source": {
                "type": "string", "minLength": 1, "maxLength": 128,
                "pattern": "^[A-Za-z0-9._-]+$",
            },
            "timestamp": time(),
            "priority": priority(),
            "correlation_id": optional(label()),
            "contract_version": optional(json!({})),
            "causation_id": optional(id()),
            "partition_key": optional(label()),
            "expires_at": optional(time()),
            "traceparent": optional(json!({})),
            "tracestate": optional(json!({})),
            "payload": { "type": "object" },
        },
    })
}

/// A CloudEvent in the JSON format.
pub(super) fn cloudevent() -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": text,
            "source": { "type": "string", "minLength": 1, "format": "uri-reference" },
            "type": event_type(),
            "time": optional(time()),
            "datacontenttype": optional(json!({})),
            "dataschema": optional(json!({})),
            "subject": optional(json!({})),
            "contractversion": optional(json!({})),
            "priority": { "enum": ["low", "normal", "high", "critical", null] },
            "correlationid": optional(label()),
            "causationid": optional(json!({ "minLength": 1 })),
            "partitionkey": optional(label()),
            "expirytime": optional(time()),
            "traceparent": optional(json!({})),
            "tracestate": optional(json!({})),
            "data": { "type": ["object", "null"] },
            "data_base64": optional(json!({ "contentEncoding": "base64" })),
        },
    })
}

/// Everything else, by its name.
pub(super) fn answers() -> Vec<(&'static str, Value)> {
    vec![
        ("Problem", problem()),
        ("Receipt", receipt()),
        ("Refused", refused()),
        (
            "Result",
            json!({ "anyOf": [reference("Receipt"), reference("Refused"), finished()] }),
        ),
        (
            "Results",
            json!({ "type": "array", "items": reference("Result") }),
        ),
        ("Journey", journey()),
        ("Health", health()),
        ("Readiness", readiness()),
        ("Contracts", listing("contracts")),
        (
            "Contract",
            json!({
                "type": "object",
                "required": ["type", "version", "plugin", "schema"],
                "properties": {
                    "type": event_type(),
                    "version": { "type": "string" },
                    "versions": { "type": "array", "items": { "type": "string" } },
                    "plugin": { "type": "string" },
                    "schema": {},
                },
            }),
        ),
        ("Overview", overview()),
        ("Plugins", listing("plugins")),
        ("Breakers", listing("breakers")),
        (
            "Breaker",
            json!({
                "type": "object",
                "required": ["name", "state"],
                "properties": {
                    "name": { "type": "string" },
                    "state": { "enum": ["closed", "open", "half_open"] },
                },
            }),
        ),
        (
            "Queue",
            json!({
                "type": "object",
                "required": ["depth", "capacity", "accepted", "finished", "dead_letters"],
            }),
        ),
        ("DeadLetters", dead_letters()),
        ("DeadLetter", dead_letter()),
        ("Selection", selection()),
        ("Candidate", candidate()),
        ("Plan", plan()),
        ("LogFilter", log_filter()),
        ("Approvals", listing("approvals")),
        ("Approval", approval()),
        ("Answer", answer()),
        ("Alerts", listing("alerts")),
        ("Alert", alert()),
        ("AlertRules", listing("rules")),
        ("Notice", notice()),
        ("Silences", listing("silences")),
        ("Silence", silence()),
        ("NewSilence", new_silence()),
        (
            "Changed",
            json!({ "type": "object", "description": "the ids of the letters, and how many" }),
        ),
        ("Document", json!({ "type": "object" })),
    ]
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn overview() -> Value {
    let listed = json!({
        "type": "object",
        "required": ["list", "left_out"],
        "properties": {
            "list": { "type": "array", "items": { "type": "object" } },
            "left_out": { "type": "integer", "description": "how many more there are" },
        },
    });
    let several = json!({ "type": "array", "items": { "type": "object" } });
    json!({
        "type": "object",
        "description": "rates are per second, times in seconds; what nothing is known of is left out",
        "required": [
            "at", "over_seconds", "second", "doors", "waits", "processors", "integrations", "hub", "queue",
            "plugins", "breakers", "alerts", "approvals_pending",
        ],
        "properties": {
            "at": time(),
            "over_seconds": { "type": "number", "description": "rates and times are those of so many seconds" },
            "second": { "type": "object", "description": "the last second alone" },
            "doors": several,
            "waits": several,
            "processors": listed,
            "integrations": listed,
            "hub": { "type": "object" },
            "queue": { "type": "object" },
            "plugins": listed,
            "breakers": listed,
            "alerts": listed,
            "approvals_pending": { "type": "integer" },
        },
    })
}

/// An object that holds a list.
fn listing(name: &str) -> Value {
    json!({
        "type": "object",
        "required": [name],
        "properties": { name: { "type": "array", "items": { "type": "object" } } },
    })
}

fn problem() -> Value {
    let codes = Code::ALL.iter().map(|code| code.as_str());
    let codes: Vec<_> = codes.chain(OF_HTTP.iter().map(|(_, code)| *code)).collect();
    json!({
        "description": "RFC 9457; `code` is stable",
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string" },
            "code": { "type": "string", "enum": codes },
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "message"],
                    "properties": {
                        "pointer": { "type": "string", "format": "json-pointer" },
                        "message": { "type": "string" },
                    },
                },
            },
            "retry_after": { "type": "integer", "description": "seconds" },
        },
    })
}

fn receipt() -> Value {
    json!({
        "type": "object",
        "required": ["event_id", "status"],
        "properties": {
            "event_id": id(),
            "status": { "enum": ["accepted", "duplicate"] },
            "first_accepted_at": time(),
            "href": { "type": "string", "format": "uri-reference" },
            "deprecation": deprecation(),
        },
    })
}

/// That the contract version which was sent is outdated.
fn deprecation() -> Value {
    json!({
        "type": "object",
        "required": ["contract_version"],
        "properties": {
            "contract_version": { "type": "string" },
            "deprecated": time(),
            "sunset": time(),
            "successor": { "type": "string" },
        },
    })
}

/// An element of an array that was waited for.
fn finished() -> Value {
    json!({ "allOf": [
        reference("Journey"),
        { "properties": { "deprecation": deprecation() } },
    ] })
}

fn refused() -> Value {
    json!({
        "type": "object",
        "required": ["status", "error"],
        "properties": { "status": { "const": "rejected" }, "error": reference("Problem") },
    })
}

fn journey() -> Value {
    json!({
        "type": "object",
        "required": ["event_id", "status", "type", "source", "accepted_at", "steps"],
        "properties": {
            "event_id": id(),
            "status": { "enum": ["queued", "processing", "processed", "dead"] },
            "type": { "type": "string" },
            "source": { "type": "string" },
            "correlation_id": { "type": "string" },
            "causation_id": id(),
            "accepted_at": time(),
            "finished_at": time(),
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["at", "step"],
                    "properties": { "at": time(), "step": { "type": "string" } },
                },
            },
        },
    })
}

fn health() -> Value {
    json!({
        "type": "object",
        "required": ["status"],
        "properties": { "status": { "const": "ok" } },
    })
}

fn readiness() -> Value {
    json!({
        "type": "object",
        "required": ["status", "checks"],
        "properties": {
            "status": { "enum": ["ready", "degraded", "not_ready", "shutting_down"] },
            "checks": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "status"],
                    "properties": {
                        "name": { "type": "string" },
                        "status": { "enum": ["ready", "degraded", "failed"] },
                        "reason": { "type": "string" },
                    },
                },
            },
        },
    })
}

fn dead_letters() -> Value {
    json!({
        "type": "object",
        "required": ["dead_letters"],
        "properties": {
            "dead_letters": { "type": "array", "items": reference("DeadLetter") },
            "next": id(),
        },
    })
}

fn dead_letter() -> Value {
    json!({
        "type": "object",
        "required": ["id", "at", "reason", "attempts", "event", "accepted_at", "work", "errors"],
        "properties": {
            "id": id(),
            "at": time(),
            "reason": { "type": "string" },
            "attempts": { "type": "integer" },
            "integration": { "type": "string" },
            "processor": { "type": "string" },
            "event": { "type": "object" },
            "accepted_at": time(),
            "work": {},
            "errors": { "type": "array", "items": { "type": "object" } },
        },
    })
}

/// Another configuration, to be looked at.
fn candidate() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "config": {
                "type": ["string", "null"],
                "description": "TOML in the place of the configuration file; the file itself when absent",
            },
        },
    })
}

fn log_filter() -> Value {
    json!({
        "type": "object",
        "required": ["filter", "set_by"],
        "properties": {
            "filter": {
                "type": "string",
                "description": "a level, or a filter such as `info,nexus_host=debug`",
            },
            "set_by": { "enum": ["configuration", "environment", "administrator"] },
        },
    })
}

/// A question to people.
fn approval() -> Value {
    json!({
        "type": "object",
        "required": ["id", "status", "asked_by", "title", "choices", "unanswered", "expires_at"],
        "properties": {
            "id": id(),
            "status": { "enum": ["pending", "answered", "expired"] },
            "asked_by": { "type": "string", "examples": ["triage/triage"] },
            "event_id": id(),
            "correlation_id": { "type": "string" },
            "asked_at": time(),
            "expires_at": time(),
            "priority": priority(),
            "title": { "type": "string" },
            "body": { "type": "string" },
            "choices": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "label"],
                    "properties": {
                        "id": { "type": "string" },
                        "label": { "type": "string" },
                        "tone": { "enum": ["plain", "good", "bad"] },
                        "needs_note": { "type": "boolean" },
                    },
                },
            },
            "unanswered": { "type": "string" },
            "context": { "description": "left out of lists" },
            "announced": { "type": "boolean", "description": "whether the event about it is in the queue" },
            "answer": {
                "type": "object",
                "required": ["choice", "at"],
                "properties": {
                    "choice": { "type": "string" },
                    "at": time(),
                    "by": { "type": "string" },
                    "note": { "type": "string" },
                    "announced": { "type": "boolean" },
                },
            },
        },
    })
}

fn alert() -> Value {
    json!({
        "type": "object",
        "required": ["id", "rule", "subject", "signal", "status", "severity", "summary", "value", "threshold", "since"],
        "properties": {
            "id": id(),
            "rule": { "type": "string", "examples": ["breaker_open"] },
            "subject": { "type": "string", "description": "empty for the hub as a whole", "examples": ["http/http"] },
            "signal": { "type": "string" },
            "status": { "enum": ["firing", "acknowledged", "resolved"] },
            "severity": { "enum": ["warning", "critical"] },
            "summary": { "type": "string" },
            "value": { "type": "number" },
            "threshold": { "type": "number", "description": "where trouble began when it did" },
            "baseline": { "type": "number", "description": "what was usual then; absent where a number is fixed" },
            "since": time(),
            "told_at": time(),
            "level": { "type": "integer", "description": "levels of escalation that were reached" },
            "acknowledged": {
                "type": "object",
                "required": ["by", "at"],
                "properties": { "by": { "type": "string" }, "at": time(), "note": { "type": "string" } },
            },
            "resolved_at": time(),
            "group_id": id(),
            "silenced_by": id(),
        },
    })
}

/// What somebody says who takes notice of one.
fn notice() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "note": { "type": ["string", "null"], "maxLength": 1_000 },
            "whole_group": { "type": "boolean", "description": "every active alert of its group" },
        },
    })
}

fn silence() -> Value {
    json!({
        "type": "object",
        "required": ["id", "rule", "subject", "until", "by", "at"],
        "properties": {
            "id": id(),
            "rule": { "type": "string" },
            "subject": { "type": "string" },
            "until": time(),
            "by": { "type": "string" },
            "at": time(),
            "note": { "type": "string" },
        },
    })
}

fn new_silence() -> Value {
    let pattern = json!({
        "type": "string", "minLength": 1, "maxLength": 256,
        "description": "exact, or with `*` at its end; left out, all",
    });
    json!({
        "type": "object",
        "required": ["lasting"],
        "additionalProperties": false,
        "properties": {
            "rule": pattern,
            "subject": pattern,
            "lasting": { "type": "string", "examples": ["2h"] },
            "note": { "type": ["string", "null"], "maxLength": 1_000 },
        },
    })
}

/// What somebody answers to one.
fn answer() -> Value {
    json!({
        "type": "object",
        "required": ["choice"],
        "additionalProperties": false,
        "properties": {
            "choice": { "type": "string", "description": "the id of one of its choices" },
            "note": {
                "type": ["string", "null"],
                "maxLength": 1_000,
                "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
            },
        },
    })
}

/// What another configuration changes.
fn plan() -> Value {
    let keys = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "required": ["changed", "plugins", "needs_restart"],
        "properties": {
            "changed": keys,
            "plugins": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "becomes"],
                    "properties": {
                        "id": { "type": "string" },
                        "becomes": { "enum": ["starts", "stops", "starts_again"] },
                    },
                },
            },
            "needs_restart": keys,
        },
    })
}

/// What a replay or a purge is to mean.
fn selection() -> Value {
    let ids = json!({ "type": "array", "items": id(), "minItems": 1, "maxItems": 1000 });
    let text = json!({ "type": "string" });
    let conditions = [
        ("ids", ids),
        ("type", selector()),
        ("source", selector()),
        ("integration", text.clone()),
        ("reason", text),
        ("since", time()),
        ("until", time()),
    ];
    let mut properties = json!({
        "all": { "type": "boolean" },
        "limit": { "type": ["integer", "null"], "minimum": 1, "maximum": 10000 },
        "dry_run": { "type": "boolean" },
    });
    let mut alone = json!({ "all": { "const": true } });
    let mut some = Vec::new();
    for (name, schema) in conditions {
        properties[name] = or_null(schema);
        alone[name] = json!({ "type": "null" });
        let is_there = json!({ "not": { "type": "null" } });
        some.push(json!({ "required": [name], "properties": { name: is_there } }));
    }
    json!({
        "description": "ids or conditions, or `all` alone",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "anyOf": [
            { "required": ["all"], "properties": alone },
            { "properties": { "all": { "const": false } }, "anyOf": some },
        ],
    })
}

fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}
