use nexus_plugin_api::{ContractInfo, NewEvent, Priority, RawJson};
use serde_json::{Value, json};

use super::auth::tests::{bearer, client};
use super::*;
use crate::dispatch::port::Admit;

mod versions;

fn contracts() -> Arc<Contracts> {
    let contracts = Contracts::default();
    let register = |owner: &str, event_type: &str, version: &str, property: &str| {
        let info = ContractInfo::new(
            event_type,
            version.parse().unwrap(),
            json!({
                "type": "object",
                "properties": { (property): { "type": "string" } },
                "required": [property],
                "additionalProperties": false,
            }),
        );
        contracts.register(owner, info).unwrap();
    };
    register("outlook", "outlook.mail.received", "1.0.0", "subject");
    register("outlook", "outlook.mail.received", "2.0.0", "title");
    register(HUB, "nexus.approval.answered", "1.0.0", "choice");
    Arc::new(contracts)
}

fn admission(clients: &[Client]) -> Admission {
    Admission::new(&Limits::default(), clients, &[], contracts())
}

fn mail(change: Value) -> String {
    let mut event = json!({
        "type": "outlook.mail.received",
        "source": "outlook",
        "payload": { "title": "hi" },
    });
    for (key, value) in change.as_object().unwrap() {
        event[key] = value.clone();
    }
    event.to_string()
}

fn judged(client: Client, text: &str) -> Result<Admitted, Rejection> {
    let admission = admission(&[client]);
    let scope = bearer(&admission, "key").unwrap();
    admission.admit(&scope, text)
}

fn anyone() -> Client {
    client("any", "key", &["*"], &["*"])
}

#[test]
fn the_newest_contract_is_the_default_and_is_written_down() {
    let admitted = judged(anyone(), &mail(json!({}))).unwrap();
    let version = admitted.event().contract_version.as_ref().unwrap();
    assert_eq!(version.to_string(), "2.0.0");

    let older = json!({ "contract_version": "1.0.0", "payload": { "subject": "hi" } });
    let admitted = judged(anyone(), &mail(older)).unwrap();
    let version = admitted.event().contract_version.as_ref().unwrap();
    assert_eq!(version.to_string(), "1.0.0");

    let refused = judged(anyone(), &mail(json!({ "contract_version": "1.0.0" }))).unwrap_err();
    assert_eq!(refused.code(), Code::ContractViolation);
    let mut pointers: Vec<_> = refused.errors().iter().map(|e| &*e.pointer).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/payload/subject", "/payload/title"]);
}

#[test]
fn scope_is_asked_before_anything_is_told_of_contracts() {
    let elsewhere = || client("c", "key", &["parrot"], &["outlook.*"]);
    for text in [
        mail(json!({})),
        mail(json!({ "type": "outlook.unheard.of" })),
        mail(json!({ "payload": {} })),
        mail(json!({ "priority": "urgent", "payload": 1 })),
    ] {
        assert_eq!(
            judged(elsewhere(), &text).unwrap_err().code(),
            Code::Forbidden
        );
    }
    let own = mail(json!({ "source": "parrot" }));
    assert!(judged(elsewhere(), &own).is_ok());
    let text = mail(json!({ "source": "parrot", "type": "dropbox.file" }));
    assert_eq!(
        judged(elsewhere(), &text).unwrap_err().code(),
        Code::Forbidden
    );
    let unknown = judged(anyone(), &mail(json!({ "type": "outlook.unheard.of" })));
    assert_eq!(unknown.unwrap_err().code(), Code::UnknownType);
}

#[test]
fn the_hub_s_own_types_are_nobody_else_s() {
    let text = mail(json!({ "type": "nexus.approval.answered", "payload": { "choice": "yes" } }));
    assert_eq!(judged(anyone(), &text).unwrap_err().code(), Code::Forbidden);

    let admission = admission(&[]);
    let event = || NewEvent::new("nexus.approval.answered", &json!({ "choice": "yes" })).unwrap();
    for origin in [Origin::Plugin("outlook"), Origin::Plugin(HUB), Origin::Host] {
        let refused = admission.admit_new(event(), origin).unwrap_err();
        assert_eq!(refused.code(), Code::Forbidden);
    }
    let admitted = admission.admit_new(event(), Origin::Hub).unwrap();
    assert_eq!(admitted.event().source, HUB);
}

#[test]
fn the_rate_counts_what_is_refused_as_well() {
    let mut limited = anyone();
    (limited.rate, limited.burst) = (Some(0.001), Some(2));
    let admission = admission(&[limited]);
    let scope = bearer(&admission, "key").unwrap();
    assert!(admission.admit(&scope, &mail(json!({}))).is_ok());
    assert!(admission.admit(&scope, "garbage").is_err());
    let refused = admission.admit(&scope, &mail(json!({}))).unwrap_err();
    assert_eq!(refused.code(), Code::RateLimited);
    let wait = refused.retry_after().unwrap().as_secs();
    assert!((990..=1000).contains(&wait), "{wait}");
}

#[test]
fn a_body_is_opened() {
    let admission = admission(&[]);
    assert_eq!(admission.open(b" {} ").unwrap(), Parcel::One(" {} "));
    assert_eq!(admission.open(b"[]").unwrap(), Parcel::Many(vec![]));
    assert_eq!(
        admission.open(b" [1,{}]").unwrap(),
        Parcel::Many(vec!["1", "{}"])
    );
    for bad in [&b""[..], b" \n", b"[", b"[1,]", b"\"\xff\"", b"[] []"] {
        assert_eq!(admission.open(bad).unwrap_err().code(), Code::MalformedJson);
    }
    let many = format!("[{}1]", "1,".repeat(admission.limits().max_batch));
    let refused = admission.open(many.as_bytes()).unwrap_err();
    assert_eq!(refused.code(), Code::PayloadTooLarge);
    let large = vec![b' '; admission.limits().max_body.as_len() + 1];
    assert_eq!(
        admission.open(&large).unwrap_err().code(),
        Code::PayloadTooLarge
    );
}

fn cause() -> Event {
    let mut cause = Event::new(
        "outlook.mail.received",
        "outlook",
        RawJson::from_checked("{}"),
    );
    cause.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    cause.tracestate = Some("a=b".to_owned());
    cause
}

#[test]
fn an_emitted_event_is_completed_from_its_cause() {
    let admission = admission(&[]);
    let event = || NewEvent::new("outlook.mail.received", &json!({ "title": "hi" })).unwrap();
    let cause = cause();
    let emit = |event, plugin, cause: &Event, effect| {
        let admitted = admission
            .admit_emitted(event, plugin, cause, effect)
            .unwrap();
        Event::clone(admitted.event())
    };
    let emitted = emit(event(), "vip", &cause, 0);
    assert_eq!(emitted.source, "vip");
    assert_eq!(emitted.causation_id, Some(cause.event_id));
    assert_eq!(emitted.correlation_id, Some(cause.event_id.to_string()));
    assert_eq!(emitted.traceparent, cause.traceparent);
    assert_eq!(emitted.tracestate, cause.tracestate);
    assert_eq!(emitted.contract_version.unwrap().to_string(), "2.0.0");

    // The same effect makes the same event; any other makes another.
    assert_eq!(emit(event(), "vip", &cause, 0).event_id, emitted.event_id);
    assert_eq!(emitted.event_id.get_version_num(), 5);
    for (plugin, cause, effect) in [
        ("vip", &cause, 1),
        ("vap", &cause, 0),
        ("vip", &self::cause(), 0),
    ] {
        assert_ne!(
            emit(event(), plugin, cause, effect).event_id,
            emitted.event_id
        );
    }

    let mut within = cause.clone();
    within.correlation_id = Some("thread".to_owned());
    assert_eq!(
        emit(event(), "vip", &within, 0).correlation_id.unwrap(),
        "thread"
    );
    let mut own = event()
        .with_correlation("own")
        .with_priority(Priority::High);
    own.source = Some("elsewhere".to_owned());
    let own = emit(own, "vip", &within, 0);
    assert_eq!(
        (own.correlation_id.as_deref(), &*own.source),
        (Some("own"), "elsewhere")
    );
    assert_eq!(own.priority, Priority::High);
}

#[test]
fn what_plugins_emit_is_held_to_the_same_rules() {
    let admission = admission(&[]);
    let emitted = |change: fn(&mut NewEvent)| {
        let mut event = NewEvent::new("outlook.mail.received", &json!({ "title": "hi" })).unwrap();
        change(&mut event);
        admission.admit_emitted(event, "vip", &cause(), 0)
    };
    assert!(emitted(|_| {}).is_ok());
    type Change = fn(&mut NewEvent);
    let cases: [(Change, &str); 9] = [
        (
            |e| e.event_type = "Bad Type".to_owned(),
            "contract_violation",
        ),
        (|e| e.event_type = "un.known".to_owned(), "unknown_type"),
        (
            |e| e.event_type = "nexus.approval.answered".to_owned(),
            "forbidden",
        ),
        (|e| e.source = Some("a b".to_owned()), "contract_violation"),
        (
            |e| e.partition_key = Some(String::new()),
            "contract_violation",
        ),
        (
            |e| e.event_id = Some(uuid::Uuid::nil()),
            "contract_violation",
        ),
        (
            |e| e.payload = RawJson::from_checked(r#"{"title":1}"#),
            "contract_violation",
        ),
        (
            |e| e.payload = RawJson::from_checked(r#"{"title":"a","title":"b"}"#),
            "malformed_json",
        ),
        (
            |e| e.payload = RawJson::from_checked("[]"),
            "contract_violation",
        ),
    ];
    for (change, code) in cases {
        let error = emitted(change).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(!error.retryable);
    }
    let large = vec![b' '; admission.limits().max_body.as_len() + 1];
    let mut event = NewEvent::new("outlook.mail.received", &json!({})).unwrap();
    event.payload = RawJson::from_checked(large);
    let error = admission
        .admit_emitted(event, "vip", &cause(), 0)
        .unwrap_err();
    assert_eq!(error.code, "payload_too_large");
}

#[test]
fn a_broken_trace_is_dropped_and_the_event_is_not() {
    let text = mail(json!({ "traceparent": "broken", "tracestate": "a=b" }));
    let admitted = judged(anyone(), &text).unwrap();
    assert_eq!(admitted.event().traceparent, None);
    assert_eq!(admitted.event().tracestate, None);
}

#[test]
fn what_looks_suspicious_is_flagged_or_refused_whoever_sends_it() {
    let text = mail(json!({ "payload": { "title": "canary ../../etc/passwd" } }));
    let admitted = judged(anyone(), &text).unwrap();
    let flags: Vec<_> = admitted
        .flags()
        .iter()
        .map(|f| (&*f.pattern, &*f.pointer))
        .collect();
    assert_eq!(flags, [("path_traversal", "/payload/title")]);
    assert_eq!(
        admitted.event().payload.as_slice(),
        br#"{"title":"canary ../../etc/passwd"}"#
    );

    let limits = Limits {
        suspicious: OnSuspicion::Refuse,
        ..Limits::default()
    };
    let admission = Admission::new(&limits, &[anyone()], &[], contracts());
    let scope = bearer(&admission, "key").unwrap();
    let new = NewEvent::new(
        "outlook.mail.received",
        &json!({ "title": "canary <script>" }),
    );
    let refusals = [
        admission.admit(&scope, &text).unwrap_err(),
        admission
            .admit_new(new.unwrap(), Origin::Plugin("outlook"))
            .unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code(), Code::ContractViolation);
        assert_eq!(refused.errors()[0].pointer, "/payload/title");
        assert!(!refused.to_string().contains("canary"), "{refused}");
    }
}
