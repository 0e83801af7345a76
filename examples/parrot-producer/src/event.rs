//! What becomes of a line: receives a captured notification as JSON, hands on the event that the hub is sent, or
//! what is wrong with the line. Whether the notification fits its contract is for the hub to say.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::{Uuid, uuid};

use crate::input::LONGEST_LINE;

/// The type of every event.
const TYPE: &str = "parrot.notification.captured";

/// Of which all ids are made (version 5, RFC 9562).
const NAMESPACE: Uuid = uuid!("5b3a4c52-7a0d-4a5e-9a53-0c1f6a1d0b77");

#[derive(Serialize)]
struct Event<'e> {
    event_id: Uuid,
    r#type: &'static str,
    source: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Value>,
    payload: Map<String, Value>,
}

/// The event for a line, as JSON.
///
/// # Errors
/// When the line is no object, or nothing in it says which notification it is.
pub(crate) fn of(line: &[u8], source: &str) -> Result<String, String> {
    if line.len() > LONGEST_LINE {
        return Err(format!("it has more than {LONGEST_LINE} bytes"));
    }
    let mut payload: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let event = Event {
        event_id: id(&payload)?,
        r#type: TYPE,
        source,
        priority: payload.remove("priority"),
        payload,
    };
    serde_json::to_string(&event).map_err(|error| format!("it cannot be sent: {error}"))
}

/// The same for the same notification, however often it is seen: the desktop is polled, and when a notification
/// was captured, what it says by then and how urgent it is are none of what it is.
fn id(payload: &Map<String, Value>) -> Result<Uuid, String> {
    let text = |name: &str| match payload.get(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(format!(
            "it has no text `{name}`, and so nothing says which notification it is"
        )),
    };
    // As JSON, in which no app and id look like another pair.
    let named = serde_json::json!([text("app")?, text("notification_id")?]);
    Ok(Uuid::new_v5(&NAMESPACE, named.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(line: &Value) -> Value {
        serde_json::from_str(&of(line.to_string().as_bytes(), "parrot").unwrap()).unwrap()
    }

    #[test]
    fn priority_is_the_events_and_the_rest_is_the_payload() {
        let event = event(
            &json!({"notification_id": "17", "app": "Teams", "title": "Ada", "priority": "high"}),
        );
        assert_eq!(
            event,
            json!({
                "event_id": "3bf159e5-c435-5884-a445-0e2d4b7a532b",
                "type": "parrot.notification.captured",
                "source": "parrot",
                "priority": "high",
                "payload": {"notification_id": "17", "app": "Teams", "title": "Ada"},
            })
        );
    }

    #[test]
    fn an_id_stands_for_a_notification_and_not_for_a_sighting() {
        let id = |line: Value| event(&line)["event_id"].clone();
        let first = id(
            json!({"notification_id": "17", "app": "Teams", "captured_at": "2026-01-05T09:30:00Z"}),
        );
        let again = id(
            json!({"notification_id": "17", "app": "Teams", "captured_at": "2026-01-05T09:30:05Z"}),
        );
        assert_eq!(first, again);
        let others = [
            ("18", "Teams"),
            ("17", "Mail"),
            ("7", "Teams1"),
            ("Teams", "17"),
        ];
        for (notification_id, app) in others {
            let other = id(json!({"notification_id": notification_id, "app": app}));
            assert_ne!(first, other, "{app} {notification_id}");
        }
    }

    #[test]
    fn a_line_that_is_no_notification_is_told() {
        for (line, told) in [
            (&b"{"[..], "no JSON object"),
            (b"[1]", "no JSON object"),
            (b"{\"app\": \"\xff\"}", "no JSON object"),
            (br#"{"notification_id": "17"}"#, "`app`"),
            (
                br#"{"notification_id": 17, "app": "Teams"}"#,
                "`notification_id`",
            ),
            (&[b' '; LONGEST_LINE + 1], "more than"),
        ] {
            let why = of(line, "parrot").unwrap_err();
            assert!(why.contains(told), "{why}");
        }
    }
}
