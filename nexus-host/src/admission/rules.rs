//! The rules for each field of the envelope: receives a text, answers whether it may stand there.
//! The same rules hold for what producers send, plugins emit and the host publishes.

use chrono::{DateTime, Datelike, Utc};
use nexus_plugin_api::{Event, Priority};
use semver::Version;
use uuid::Uuid;

use super::rejection::Violation;
use crate::observe::traces::is_traceparent;

/// Types below this belong to the hub.
const RESERVED: &str = "nexus.";

pub(crate) const TYPE: &str = "must be dotted lower-case segments of a-z, 0-9, `_` and `-`, such as `outlook.mail.received`, \
     at most 200 characters";
pub(crate) const SOURCE: &str = "must be 1 to 128 characters of A-Z, a-z, 0-9, `.`, `_` and `-`";
pub(crate) const EVENT_ID: &str =
    "must be a UUID with hyphens, and not the nil one; leave it out to get one";
pub(crate) const CAUSATION_ID: &str = "must be a UUID with hyphens, and not the nil one";
pub(crate) const TIME: &str = "must be an RFC 3339 time, such as `2026-01-31T12:00:00Z`";
pub(crate) const NO_PAYLOAD: &str = "is required; an object that fits the type's contract";
pub(crate) const PRIORITY: &str = "must be `low`, `normal`, `high` or `critical`";
pub(crate) const VERSION: &str = "must be a semantic version, such as `1.0.0`";
pub(crate) const LABEL: &str = "must be 1 to 256 characters without control characters";

/// Whether the type is the hub's own.
pub(crate) fn is_reserved(event_type: &str) -> bool {
    event_type.starts_with(RESERVED)
}

pub(crate) fn is_event_type(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    text.len() <= 200
        && text
            .split('.')
            .all(|segment| !segment.is_empty() && segment.bytes().all(plain))
}

pub(crate) fn is_source(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

/// For `correlation_id` and `partition_key`.
pub(crate) fn is_label(text: &str) -> bool {
    !text.is_empty()
        && (text.len() <= 256 || text.chars().nth(256).is_none())
        && !text.contains(char::is_control)
}

/// Hyphenated only: what goes out looks as what came in. The nil one means "none" elsewhere.
pub(crate) fn uuid(text: &str) -> Option<Uuid> {
    let id = (text.len() == 36).then(|| Uuid::try_parse(text).ok())??;
    (!id.is_nil()).then_some(id)
}

/// In UTC a time near either end may be beyond the years that can be written.
pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    is_writable(&time).then_some(time)
}

pub(crate) fn priority(text: &str) -> Option<Priority> {
    Priority::ALL
        .into_iter()
        .find(|priority| priority.as_str() == text)
}

pub(crate) fn version(text: &str) -> Option<Version> {
    Version::parse(text).ok()
}

/// A tracestate is passed on unread, so only its size and characters matter.
pub(super) fn is_tracestate(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// Drops trace context that is malformed, as W3C asks: a broken trace is no reason to lose an
/// event. The state goes with its parent.
pub(super) fn settle_trace(traceparent: &mut Option<String>, tracestate: &mut Option<String>) {
    if traceparent.as_deref().is_some_and(|t| !is_traceparent(t)) {
        *traceparent = None;
    }
    if traceparent.is_none() || tracestate.as_deref().is_some_and(|t| !is_tracestate(t)) {
        *tracestate = None;
    }
}

/// Whether RFC 3339 has a form for a time: its years have four digits.
pub(crate) fn is_writable(time: &DateTime<Utc>) -> bool {
    (0..=9999).contains(&time.year())
}

/// What is wrong with the envelope of an event that did not come as text.
pub(super) fn violations<T>(event: &Event<T>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut check = |fine: bool, pointer: &str, rule: &str| {
        if !fine {
            found.push(Violation::new(pointer, rule));
        }
    };
    check(!event.event_id.is_nil(), "/event_id", EVENT_ID);
    check(is_event_type(&event.event_type), "/type", TYPE);
    check(is_source(&event.source), "/source", SOURCE);
    let label = |text: &Option<String>| text.as_deref().is_none_or(is_label);
    check(label(&event.correlation_id), "/correlation_id", LABEL);
    check(label(&event.partition_key), "/partition_key", LABEL);
    let causation = event.causation_id.is_none_or(|id| !id.is_nil());
    check(causation, "/causation_id", CAUSATION_ID);
    check(is_writable(&event.timestamp), "/timestamp", TIME);
    let expires = event.expires_at.as_ref().is_none_or(is_writable);
    check(expires, "/expires_at", TIME);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        for good in [
            "a",
            "a.b",
            "outlook.mail.received",
            "a-b_c.0",
            &"x".repeat(200),
        ] {
            assert!(is_event_type(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "A",
            "a b",
            "a.é",
            "a/b",
            "a.*",
            "a\n",
            &"x".repeat(201),
        ] {
            assert!(!is_event_type(bad), "{bad}");
        }
        assert!(is_reserved("nexus.x") && !is_reserved("nexus") && !is_reserved("nexusx.a"));
    }

    #[test]
    fn sources_and_labels() {
        for good in ["a", "A.b_c-0", &"x".repeat(128)] {
            assert!(is_source(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "é", "a\n", &"x".repeat(129)] {
            assert!(!is_source(bad), "{bad}");
        }
        for good in ["a b/é", &"é".repeat(256)] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "a\n", "\u{7f}", "\u{85}", &"é".repeat(257)] {
            assert!(!is_label(bad), "{bad}");
        }
    }

    #[test]
    fn ids_and_times() {
        assert!(uuid("0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a").is_some());
        for bad in [
            "00000000-0000-0000-0000-000000000000",
            "0190a5f03c1e7d2a9c1b2f3e4d5c6b7a",
            "{0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a}",
            "urn:uuid:0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a",
            "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7",
            "",
        ] {
            assert!(uuid(bad).is_none(), "{bad}");
        }
        assert!(time("2026-01-31T12:00:00+01:00").is_some());
        for bad in [
            "2026-01-31",
            "2026-02-30T00:00:00Z",
            "2026-01-31T12:00:00",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00+01:00",
            "now",
            "",
        ] {
            assert!(time(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn trace_context() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        assert!(is_traceparent(&format!("cc{}-what-follows", &good[2..])));
        for bad in [
            "",
            "00",
            &good[..54],
            &format!("{good}-x"),
            &good.to_uppercase(),
            &format!("ff{}", &good[2..]),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            &good.replace('-', "_"),
            &good.replace('4', "é"),
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
        let settled = |parent: &str, state: &str| {
            let (mut parent, mut state) = (Some(parent.to_owned()), Some(state.to_owned()));
            settle_trace(&mut parent, &mut state);
            (parent.is_some(), state.is_some())
        };
        assert_eq!(settled(good, "a=b"), (true, true));
        assert_eq!(settled(good, "a=\n"), (true, false));
        assert_eq!(settled("broken", "a=b"), (false, false));
    }
}
