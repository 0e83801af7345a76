//! What the hub answers: receives JSON, hands on what became of each event, and for one that was refused whether to send
//! it again.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The hub has it.
    Accepted,
    /// The hub had it before.
    Duplicate,
    /// The hub does not take it.
    Refused(Refusal),
}

/// A refusal: of one event, or of everything that was asked for together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: u16,
    /// Empty when it was no hub that refused.
    code: String,
    text: String,
    /// When to come again, if the hub says.
    pub(crate) retry_after: Option<Duration>,
}

/// What to do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Send the same again in a while.
    Later,
    /// Never send it again: it is not in order.
    Never,
    /// Send nothing more: it lies in the key, the address or the hub's configuration, which somebody has to change.
    /// The events may be in order.
    Stop,
}

impl Answer {
    /// The answers to so many events that were sent together.
    ///
    /// # Errors
    /// What is strange about them.
    pub(crate) fn all(results: Option<&Value>, events: usize) -> Result<Vec<Self>, String> {
        let results = results
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        if results.len() != events {
            return Err(format!("{} answers came to {events} events", results.len()));
        }
        results.iter().map(Self::of).collect()
    }

    fn of(result: &Value) -> Result<Self, String> {
        match result["status"].as_str() {
            Some("accepted") => Ok(Self::Accepted),
            Some("duplicate") => Ok(Self::Duplicate),
            Some("rejected") => Ok(Self::Refused(Refusal::of(&result["error"]))),
            _ => Err("an answer says neither accepted, duplicate nor rejected".to_owned()),
        }
    }
}

impl Refusal {
    /// As a problem document says it (RFC 9457).
    pub(crate) fn of(problem: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut told = text(&problem["detail"]);
        for error in problem["errors"].as_array().into_iter().flatten() {
            told.push_str(&format!(
                "; {} {}",
                text(&error["pointer"]),
                text(&error["message"])
            ));
        }
        Self {
            status: problem["status"]
                .as_u64()
                .and_then(|status| status.try_into().ok())
                .unwrap_or_default(),
            code: text(&problem["code"]),
            text: told,
            retry_after: problem["retry_after"].as_u64().map(Duration::from_secs),
        }
    }

    /// As a whole answer says it, whoever it comes from.
    pub(crate) fn of_response(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let problem = serde_json::from_slice(body).unwrap_or_default();
        let told = Self::of(&problem);
        Self {
            status,
            retry_after: retry_after.or(told.retry_after),
            ..told
        }
    }

    pub(crate) fn meaning(&self) -> Meaning {
        match (self.status, self.code.as_str()) {
            (408 | 429 | 500..=599, _) => Meaning::Later,
            (
                _,
                "contract_violation" | "malformed_event" | "malformed_json" | "payload_too_large",
            ) => Meaning::Never,
            _ => Meaning::Stop,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.is_empty() {
            true => write!(f, "status {}, and no hub says why", self.status),
            false => write!(f, "{}: {}", self.code, self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_event_has_its_answer() {
        let results = json!([
            {"status": "accepted", "event_id": "x"},
            {"status": "duplicate", "event_id": "x", "href": "/v1/events/x"},
            {"status": "rejected", "error": {
                "status": 422, "code": "contract_violation", "detail": "it does not fit",
                "errors": [{"pointer": "/payload/title", "message": "is required"}],
            }},
            {"status": "rejected", "error": {"status": 503, "code": "queue_full", "retry_after": 2}},
        ]);
        let answers = Answer::all(Some(&results), 4).unwrap();
        assert_eq!(answers[..2], [Answer::Accepted, Answer::Duplicate]);
        let refusals: Vec<_> = answers[2..]
            .iter()
            .map(|answer| match answer {
                Answer::Refused(refusal) => {
                    (refusal.meaning(), refusal.retry_after, refusal.to_string())
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let told = "contract_violation: it does not fit; /payload/title is required";
        assert_eq!(refusals[0], (Meaning::Never, None, told.to_owned()));
        assert_eq!(refusals[1].0, Meaning::Later);
        assert_eq!(refusals[1].1, Some(Duration::from_secs(2)));
        for strange in [json!([]), json!([{}, {}, {}, {}]), json!({})] {
            assert!(Answer::all(Some(&strange), 4).is_err(), "{strange}");
        }
    }

    #[test]
    fn only_what_the_hub_says_of_the_event_itself_is_held_against_it() {
        for (status, code, meaning) in [
            (429, "rate_limited", Meaning::Later),
            (503, "storage_unavailable", Meaning::Later),
            (502, "", Meaning::Later),
            (413, "payload_too_large", Meaning::Never),
            (400, "malformed_json", Meaning::Never),
            (401, "unauthenticated", Meaning::Stop),
            (403, "forbidden", Meaning::Stop),
            (422, "unknown_type", Meaning::Stop),
            (302, "", Meaning::Stop),
            (404, "", Meaning::Stop),
        ] {
            let body = json!({ "code": code }).to_string();
            let refusal = Refusal::of_response(status, None, body.as_bytes());
            assert_eq!(refusal.meaning(), meaning, "{status} {code}");
        }
        let told = Refusal::of_response(404, None, b"<html>").to_string();
        assert_eq!(told, "status 404, and no hub says why");
    }
}
