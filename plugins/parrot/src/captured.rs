//! The contract `parrot.notification.captured`: what Parrot says of a notification.
//!
//! Plain data. The bounds are generous for what a desktop shows, and keep a faulty producer from
//! filling the queue with one event.

use chrono::{DateTime, Utc};
use nexus_plugin_api::Contract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A notification that appeared on a desktop.
///
/// Parrot may report the same one more than once; `app` and `notification_id` say which it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Captured {
    /// What the desktop calls the notification; unique within the app.
    #[schemars(length(min = 1, max = 256))]
    pub notification_id: String,
    /// The app that raised it, by the name its user sees.
    #[schemars(length(min = 1, max = 200))]
    pub app: String,
    /// Its first line.
    #[schemars(length(min = 1, max = 500))]
    pub title: String,
    /// The text below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8000))]
    pub body: Option<String>,
    /// What it points at: an absolute URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 2000),
        regex(pattern = r"^[A-Za-z][A-Za-z0-9+.\-]*:[^\s]+$")
    )]
    pub url: Option<String>,
    /// When it was seen, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<DateTime<Utc>>,
}

impl Contract for Captured {
    const TYPE: &'static str = "parrot.notification.captured";
    const VERSION: &'static str = "1.0.0";
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::ContractInfo;
    use serde_json::{Value, json};

    use super::*;

    fn fits(payload: &Value) -> bool {
        let schema = ContractInfo::of::<Captured>().schema;
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        validator.is_valid(payload)
    }

    #[test]
    fn what_parrot_sends_fits() {
        let least = json!({"notification_id": "17", "app": "Teams", "title": "Ada is calling"});
        assert!(fits(&least));
        let most = json!({
            "notification_id": "17", "app": "Teams", "title": "Ada", "body": "Lunch?",
            "url": "https://teams.example/l/17", "captured_at": "2026-01-05T09:30:00+01:00",
        });
        assert!(fits(&most));
        // What the schema lets through, the processor can read.
        for payload in [least, most] {
            serde_json::from_value::<Captured>(payload).unwrap();
        }
    }

    #[test]
    fn what_it_must_not_send_is_refused() {
        let least = json!({"notification_id": "17", "app": "Teams", "title": "Ada"});
        for (field, value) in [
            ("title", json!("")),
            ("title", json!("x".repeat(501))),
            ("title", json!(7)),
            ("app", Value::Null),
            ("url", json!("not a url")),
            ("captured_at", json!("yesterday")),
            ("colour", json!("red")),
        ] {
            let mut payload = least.clone();
            payload[field] = value.clone();
            assert!(!fits(&payload), "{field} = {value}");
        }
        for field in ["notification_id", "app", "title"] {
            let mut payload = least.clone();
            payload.as_object_mut().unwrap().remove(field);
            assert!(!fits(&payload), "without {field}");
        }
    }
}
