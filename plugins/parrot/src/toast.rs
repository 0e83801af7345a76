//! The toast that shows a captured notification, in the words of the integration `toasty`.
//!
//! Receives a notification, hands on a request as data. Fits what it is given into the limits of a
//! toast (which are those of Windows), so that no notification is lost for being long.

use nexus_plugin_api::{Event, Priority};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::captured::Captured;
use crate::config::Config;

const MAX_TITLE_CHARS: usize = 256;
const MAX_BODY_CHARS: usize = 4096;
/// Of a tag or a group; Windows counts UTF-16 units.
const MAX_NAME_UNITS: usize = 64;

/// The request, as `toasty` takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request<'a> {
    Show(Toast<'a>),
}

#[derive(Debug, Serialize)]
pub(crate) struct Toast<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    attribution: String,
    urgency: Priority,
    tag: String,
    group: String,
    replace: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Button<'a>>,
}

#[derive(Debug, Serialize)]
struct Button<'a> {
    id: &'static str,
    label: &'static str,
    uri: &'a str,
}

/// The toast for `event`.
pub(crate) fn of<'a>(config: &'a Config, event: &'a Event<Captured>) -> Request<'a> {
    let shown = &event.payload;
    let link = shown.url.as_deref().filter(|url| may_open(config, url));
    Request::Show(Toast {
        app_id: config.app_id.as_deref(),
        title: shortened(&shown.title, MAX_TITLE_CHARS),
        body: shown
            .body
            .as_deref()
            .map(|body| shortened(body, MAX_BODY_CHARS)),
        attribution: format!("via {}", shown.app),
        urgency: event.priority,
        tag: name(&shown.notification_id),
        group: name(&shown.app),
        replace: true,
        actions: link
            .map(|uri| Button {
                id: "open",
                label: "Open",
                uri,
            })
            .into_iter()
            .collect(),
    })
}

fn may_open(config: &Config, url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    config
        .link_schemes
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme))
}

/// At most `max` characters, with an ellipsis where something is missing.
fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

/// `text` where it fits into a toast's tag or group, else 64 characters that stand for it.
fn name(text: &str) -> String {
    if text.encode_utf16().count() <= MAX_NAME_UNITS {
        return text.to_owned();
    }
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toast(change: impl FnOnce(&mut Captured)) -> serde_json::Value {
        let mut captured = Captured {
            notification_id: "17".to_owned(),
            app: "Mail".to_owned(),
            title: "Ada".to_owned(),
            body: None,
            url: None,
            captured_at: None,
        };
        change(&mut captured);
        let event = Event::of("parrot", captured);
        serde_json::to_value(of(&Config::default(), &event)).unwrap()["show"].take()
    }

    #[test]
    fn what_is_too_long_is_shortened() {
        let toast = toast(|captured| {
            captured.title = "é".repeat(500);
            captured.body = Some("b".repeat(8000));
        });
        let chars = |field: &str| toast[field].as_str().unwrap().chars().count();
        assert_eq!((chars("title"), chars("body")), (256, 4096));
        assert!(toast["title"].as_str().unwrap().ends_with('…'));
    }

    #[test]
    fn a_toast_is_named_after_its_notification() {
        let of_id = |id: &str| toast(|captured| captured.notification_id = id.to_owned());
        let long = "n".repeat(200);
        let first = of_id(&long)["tag"].as_str().unwrap().to_owned();
        assert_eq!(first.len(), 64);
        assert_eq!(of_id(&long)["tag"], first, "a repeat has the same name");
        assert_ne!(of_id(&format!("{long}!"))["tag"], first);
        assert_eq!(of_id(&"é".repeat(64))["tag"], "é".repeat(64));
        assert_eq!(of_id(&"😀".repeat(33))["tag"].as_str().unwrap().len(), 64);
    }

    #[test]
    fn only_known_kinds_of_link_get_a_button() {
        let with = |url: &str| toast(|captured| captured.url = Some(url.to_owned()));
        assert_eq!(with("HTTPS://example.org")["actions"][0]["label"], "Open");
        for url in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "ms-settings:about",
        ] {
            assert!(with(url).get("actions").is_none(), "{url}");
        }
    }
}
