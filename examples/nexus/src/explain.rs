//! `nexus explain`: receives an event's id, prints its way through the hub, step by step.

use hyper::StatusCode;
use serde_json::{Map, Value};

use crate::cli::{Common, Explain};
use crate::failure::Failure;
use crate::hub::{Hub, Trouble};
use crate::output;

/// Tells what became of an event.
///
/// # Errors
/// When the hub does not answer or does not know the event.
pub(crate) async fn explain(common: &Common, options: &Explain) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let id = options.event_id;
    let source = options.source.iter();
    let query: Vec<_> = source.map(|one| ("source", one.clone())).collect();
    let journey = match hub.get_with(&format!("/v1/events/{id}"), &query).await {
        Ok(journey) => journey,
        Err(Trouble::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {
            return Err(Failure::failed(format!(
                "the hub knows no event {id}: it never came in, or it was so long ago that its \
                 journey is forgotten ([queue] journal_capacity), or your key may not see it"
            )));
        }
        Err(trouble) => return Err(trouble.into()),
    };
    if common.json {
        output::json(&journey);
        return Ok(());
    }
    let text = |key: &str| journey[key].as_str().unwrap_or("?");
    output::line(&format!(
        "{} {} from {}: {}",
        id,
        text("type"),
        text("source"),
        text("status")
    ));
    for (key, label) in [
        ("correlation_id", "belongs to"),
        ("causation_id", "caused by"),
    ] {
        if let Some(value) = journey[key].as_str() {
            output::line(&format!("{label} {value}"));
        }
    }
    output::line(&steps(&journey));
    Ok(())
}

/// The steps of a journey, one line each.
pub(crate) fn steps(journey: &Value) -> String {
    let steps = journey["steps"].as_array().into_iter().flatten();
    let lines: Vec<String> = steps
        .filter_map(Value::as_object)
        .map(|step| {
            let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or("?");
            format!("  {}  {}", text("at"), sentence(text("step"), step))
        })
        .collect();
    lines.join("\n")
}

/// What a step of this name says, on one line, whatever plugins and producers have written.
pub(crate) fn sentence(name: &str, step: &Map<String, Value>) -> String {
    output::one_line(&told(name, step)).into_owned()
}

fn told(name: &str, step: &Map<String, Value>) -> String {
    let text = |key: &str| match step.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "?".to_owned(),
    };
    let reason = |key: &str| match step.get(key).and_then(Value::as_str) {
        Some(reason) => format!(": {reason}"),
        None => String::new(),
    };
    let next = || match step.get("retry_in_ms").and_then(Value::as_u64) {
        Some(ms) => format!("; again in {ms} ms"),
        None => "; given up".to_owned(),
    };
    match name {
        "accepted" => "accepted into the queue".to_owned(),
        "migrated" => format!(
            "sent as version {}, carried over to {}",
            text("from"),
            text("to")
        ),
        "flagged" => {
            let places = step.get("found").and_then(Value::as_array);
            let places: Vec<String> = places
                .into_iter()
                .flatten()
                .filter_map(|one| {
                    let (pattern, pointer) = (one["pattern"].as_str()?, one["pointer"].as_str()?);
                    Some(format!("{pattern} at {pointer}"))
                })
                .collect();
            format!("looks suspicious and went on: {}", places.join(", "))
        }
        "leased" => "taken up".to_owned(),
        "unrouted" => "no processor subscribes to it: nothing to do".to_owned(),
        "expired" => "it has expired: what is left to do is not done".to_owned(),
        "processed" => format!(
            "{} decided {} ({}, attempt {}){}",
            text("processor"),
            text("decision"),
            match text("effects").as_str() {
                "1" => "1 effect".to_owned(),
                count => format!("{count} effects"),
            },
            text("attempt"),
            reason("reason")
        ),
        "processor_failed" => format!(
            "{} failed on attempt {}: {} ({}){}",
            text("processor"),
            text("attempt"),
            text("message"),
            text("code"),
            next()
        ),
        // As the step of a journey, or among those of all events.
        "emitted" if step.contains_key("emitted_id") => {
            format!("led to {} {}", text("emitted_type"), text("emitted_id"))
        }
        "emitted" => format!("led to {} {}", text("type"), text("event_id")),
        "asked" => format!("asks a person: approval {}", text("approval_id")),
        "answered" => format!("approval {}: {}", text("approval_id"), text("summary")),
        "scheduled" => format!("effect {} waits {} ms", text("effect"), text("after_ms")),
        "delivered" => format!(
            "{} did effect {} on attempt {}{}",
            text("integration"),
            text("effect"),
            text("attempt"),
            reason("summary")
        ),
        "delivery_failed" => format!(
            "{} failed effect {} on attempt {}: {} ({}){}",
            text("integration"),
            text("effect"),
            text("attempt"),
            text("message"),
            text("code"),
            next()
        ),
        "parked" => format!(
            "effect {} is held back from {}: {}; looked at again in {} ms",
            text("effect"),
            text("integration"),
            text("because"),
            text("retry_in_ms")
        ),
        "dead" if step.contains_key("dead_letter") => {
            format!("dead letter {}{}", text("dead_letter"), reason("reason"))
        }
        "dead" => format!("dead letter{}", reason("reason")),
        "replayed" => format!("dead letter {} is taken up once more", text("dead_letter")),
        "refused" => format!(
            "refused at {}: {}{}",
            text("door"),
            text("code"),
            reason("message")
        ),
        "finished" => format!("finished: {}", text("status")),
        // A newer hub knows more steps than this program.
        other => {
            let known = |key: &str| key == "at" || key == "step";
            let rest = step.iter().filter(|(key, _)| !known(key));
            let rest: Vec<String> = rest.map(|(key, value)| format!("{key}={value}")).collect();
            format!("{other} {}", rest.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_step_reads_as_a_sentence_with_its_time() {
        let told = [
            (json!({"step": "accepted"}), "accepted into the queue"),
            (
                json!({"step": "migrated", "from": "1.0.0", "to": "2.0.0"}),
                "sent as version 1.0.0, carried over to 2.0.0",
            ),
            (
                json!({"step": "flagged", "found": [
                    {"pattern": "script_tag", "pointer": "/payload/body"},
                    {"pattern": "template", "pointer": "/payload/subject"},
                ]}),
                "looks suspicious and went on: script_tag at /payload/body, template at /payload/subject",
            ),
            (json!({"step": "leased"}), "taken up"),
            (
                json!({"step": "unrouted"}),
                "no processor subscribes to it: nothing to do",
            ),
            (
                json!({"step": "expired"}),
                "it has expired: what is left to do is not done",
            ),
            (
                json!({"step": "processor_failed", "processor": "parrot/triage", "attempt": 1,
                       "code": "timeout", "message": "no answer within 30s", "retry_in_ms": 1000}),
                "parrot/triage failed on attempt 1: no answer within 30s (timeout); again in 1000 ms",
            ),
            (
                json!({"step": "processed", "processor": "parrot/triage", "decision": "skip",
                       "reason": "priority normal is below high", "effects": 0, "attempt": 2}),
                "parrot/triage decided skip (0 effects, attempt 2): priority normal is below high",
            ),
            (
                json!({"step": "emitted", "effect": 1, "event_id": "E2", "type": "a.b"}),
                "led to a.b E2",
            ),
            (
                json!({"step": "asked", "effect": 1, "approval_id": "A1"}),
                "asks a person: approval A1",
            ),
            (
                json!({"step": "answered", "effect": 1, "approval_id": "A1", "summary": "answered with `deny`"}),
                "approval A1: answered with `deny`",
            ),
            (
                json!({"step": "scheduled", "effect": 2, "after_ms": 500}),
                "effect 2 waits 500 ms",
            ),
            (
                json!({"step": "delivery_failed", "effect": 0, "integration": "toasty/toasty",
                       "attempt": 1, "code": "unavailable", "message": "no connection",
                       "retry_in_ms": 1000}),
                "toasty/toasty failed effect 0 on attempt 1: no connection (unavailable); again in \
                 1000 ms",
            ),
            (
                json!({"step": "parked", "effect": 0, "integration": "toasty/toasty",
                       "because": "its breaker is open", "retry_in_ms": 30000}),
                "effect 0 is held back from toasty/toasty: its breaker is open; looked at again in \
                 30000 ms",
            ),
            (
                json!({"step": "delivery_failed", "effect": 0, "integration": "toasty/toasty",
                       "attempt": 2, "code": "bad_request", "message": "no title"}),
                "toasty/toasty failed effect 0 on attempt 2: no title (bad_request); given up",
            ),
            (
                json!({"step": "dead", "dead_letter": "L1", "reason": "bad_request"}),
                "dead letter L1: bad_request",
            ),
            (
                json!({"step": "replayed", "dead_letter": "L1"}),
                "dead letter L1 is taken up once more",
            ),
            (
                json!({"step": "delivered", "effect": 0, "integration": "toasty/toasty",
                       "attempt": 1, "summary": "shown"}),
                "toasty/toasty did effect 0 on attempt 1: shown",
            ),
            (
                json!({"step": "finished", "status": "processed"}),
                "finished: processed",
            ),
            (
                json!({"step": "teleported", "to": "moon"}),
                "teleported to=\"moon\"",
            ),
        ];
        let (mut lines, mut sentences) = (Vec::new(), Vec::new());
        for (second, (mut step, sentence)) in told.into_iter().enumerate() {
            let at = format!("2026-01-02T03:04:{second:02}Z");
            sentences.push(format!("  {at}  {sentence}"));
            step["at"] = json!(at);
            lines.push(step);
        }
        let journey = json!({ "steps": lines });
        assert_eq!(steps(&journey), sentences.join("\n"));
    }
}
