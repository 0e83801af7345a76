//! Events for tests, let in by the real admission.

use std::sync::{Arc, LazyLock};

use nexus_host::admission::{Admission, Admitted, Contracts, Limits, Origin};
use nexus_plugin_api::{ContractInfo, Event, RawJson};
use semver::Version;
use serde_json::json;

/// The type of every event made here; its contract takes any object.
pub const EVENT_TYPE: &str = "test.event";

/// A type with two versions, 1.0.0 and 1.1.0; their contracts take any object.
pub const VERSIONED_TYPE: &str = "test.versioned";

/// A type of the hub's own that tells of alerts; its contract takes any object here.
const ALERT_TYPE: &str = "nexus.alert.raised";

static ADMISSION: LazyLock<Admission> = LazyLock::new(|| {
    let contracts = Contracts::default();
    for (owner, event_type, minor) in [
        ("tests", EVENT_TYPE, 0),
        ("tests", VERSIONED_TYPE, 0),
        ("tests", VERSIONED_TYPE, 1),
        ("nexus", ALERT_TYPE, 0),
    ] {
        let version = Version::new(1, minor, 0);
        let contract = ContractInfo::new(event_type, version, json!({"type": "object"}));
        contracts
            .register(owner, contract)
            .expect("a usable contract");
    }
    Admission::new(&Limits::default(), &[], &[], Arc::new(contracts))
});

/// An admission that knows [`EVENT_TYPE`] and [`VERSIONED_TYPE`], and no client.
pub fn admission() -> &'static Admission {
    &ADMISSION
}

/// An event whose payload is `{"n": n}`.
pub fn event(source: &str, n: u64) -> Event {
    let payload = RawJson::of(&json!({ "n": n })).expect("serialises");
    Event::new(EVENT_TYPE, source, payload)
}

/// The same, which tells of an alert.
pub fn alert(n: u64) -> Event {
    Event {
        event_type: ALERT_TYPE.to_owned(),
        ..event("nexus", n)
    }
}

/// The `n` of an event made by [`event`].
pub fn number(event: &Event) -> u64 {
    let payload: serde_json::Value = event.payload.parse().expect("JSON");
    payload["n"].as_u64().expect("an event of this module")
}

/// An event whose payload has that many bytes, at least eight.
pub fn heavy(source: &str, bytes: usize) -> Event {
    let payload = format!(r#"{{"n":"{}"}}"#, "x".repeat(bytes - 8));
    Event::new(EVENT_TYPE, source, RawJson::new(payload).expect("JSON"))
}

/// Lets an event in.
///
/// # Panics
/// When admission refuses it.
pub fn admitted(event: Event) -> Admitted {
    admission()
        .admit_event(event, Origin::Hub)
        .expect("in order")
}
