//! Several versions of a type at once: what each becomes, what its sender is told, and what is refused.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nexus_plugin_api::wire::MigrationInfo;
use nexus_plugin_api::{Event, PluginError, RuleInfo};

use super::*;
use crate::admission::config::TypeRule;

/// Renames `a` to `b` and `b` to `c`; fails, or answers nonsense, when the text says so.
struct Renames;

impl Migrator for Renames {
    fn migrate(&self, step: &MigrationInfo, payload: &[u8]) -> Result<Vec<u8>, PluginError> {
        let payload: Value = serde_json::from_slice(payload).unwrap();
        let (old, new) = match step.from.major {
            1 => ("a", "b"),
            _ => ("b", "c"),
        };
        let text = payload[old].as_str().unwrap();
        match text {
            "fail" => Err(PluginError::permanent(
                "no_way",
                "it cannot be\ncarried over",
            )),
            "nonsense" => Ok(b"{\"c\": ".to_vec()),
            "list" => Ok(b"[]".to_vec()),
            "wrong" => Ok(json!({ (new): 1 }).to_string().into_bytes()),
            "huge" => Ok(json!({ (new): "x".repeat(2 << 20) })
                .to_string()
                .into_bytes()),
            _ => Ok(json!({ (new): text }).to_string().into_bytes()),
        }
    }
}

fn info(version: &str, field: &str) -> ContractInfo {
    let schema = json!({
        "type": "object",
        "properties": { (field): { "type": "string" }, "more": { "type": "string" } },
        "required": [field],
        "additionalProperties": false,
    });
    ContractInfo::new("t.x", version.parse().unwrap(), schema)
}

fn step(from: &str, to: &str) -> MigrationInfo {
    MigrationInfo {
        event_type: "t.x".to_owned(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    }
}

fn take(
    contracts: &Contracts,
    infos: &[ContractInfo],
    steps: &[MigrationInfo],
) -> Result<(), ContractConflict> {
    let migrator: Arc<dyn Migrator> = Arc::new(Renames);
    contracts.take(Offer {
        owner: "p",
        contracts: infos,
        migrations: steps,
        migrator: Some(&migrator),
    })
}

/// 1.0.0 and 1.1.0 with `a`, 2.0.0 with `b`, 3.0.0 with `c`, and the steps between.
fn three() -> Contracts {
    let contracts = Contracts::default();
    let infos = [
        info("1.0.0", "a"),
        info("1.1.0", "a"),
        info("2.0.0", "b"),
        info("3.0.0", "c"),
    ];
    take(
        &contracts,
        &infos,
        &[step("1.1.0", "2.0.0"), step("2.0.0", "3.0.0")],
    )
    .unwrap();
    contracts
}

fn send(contracts: Contracts, version: &str, payload: Value) -> Result<Admitted, Rejection> {
    let admission = Admission::new(&Limits::default(), &[], &[], Arc::new(contracts));
    let mut event = Event::new("t.x", "s", payload).into_raw().unwrap();
    event.contract_version = (!version.is_empty()).then(|| version.parse().unwrap());
    admission.admit_event(event, Origin::Host)
}

fn refused(contracts: Contracts, version: &str, payload: Value) -> (String, String) {
    let rejection = send(contracts, version, payload).unwrap_err();
    assert_eq!(rejection.code(), Code::ContractViolation, "{rejection}");
    let error = &rejection.errors()[0];
    (error.pointer.clone(), error.message.clone())
}

fn days(days: i64) -> Option<DateTime<Utc>> {
    Some(Utc::now() + TimeDelta::days(days))
}

#[test]
fn an_earlier_version_goes_on_as_the_newest() {
    for (version, sent, sent_as) in [
        ("1.0.0", json!({ "a": "hi" }), Some("1.0.0")),
        ("1.1.0", json!({ "a": "hi" }), Some("1.1.0")),
        ("2.0.0", json!({ "b": "hi" }), Some("2.0.0")),
        ("3.0.0", json!({ "c": "hi" }), None),
        ("", json!({ "c": "hi" }), None),
    ] {
        let admitted = send(three(), version, sent).unwrap();
        let event = admitted.event();
        assert_eq!(
            event.contract_version,
            Some("3.0.0".parse().unwrap()),
            "{version}"
        );
        assert_eq!(
            event.payload.parse::<Value>().unwrap(),
            json!({ "c": "hi" })
        );
        let told = admitted.sent_as().map(ToString::to_string);
        assert_eq!(told.as_deref(), sent_as);
    }
}

#[test]
fn a_payload_is_judged_before_and_after() {
    let (pointer, _) = refused(three(), "1.0.0", json!({}));
    assert_eq!(
        pointer, "/payload/a",
        "first by the version that it says it is of"
    );
    for (text, expected) in [
        (
            "fail",
            "whose migration to 2.0.0 fails: it cannot be carried over (no_way)",
        ),
        ("nonsense", "fails"),
        ("huge", "over limits.max_body"),
    ] {
        let contracts = Contracts::default();
        let infos = [info("1.0.0", "a"), info("2.0.0", "b")];
        take(&contracts, &infos, &[step("1.0.0", "2.0.0")]).unwrap();
        let expected = if text == "nonsense" {
            "not valid JSON"
        } else {
            expected
        };
        let (pointer, message) = refused(contracts, "1.0.0", json!({ "a": text }));
        assert_eq!(pointer, "/payload", "{message}");
        assert!(message.starts_with("is of version 1.0.0"), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let (pointer, message) = refused(three(), "2.0.0", json!({ "b": "wrong" }));
    assert_eq!(pointer, "/payload/c", "{message}");
    assert!(
        send(three(), "2.0.0", json!({ "b": "list" })).is_err(),
        "no object any more"
    );
}

#[test]
fn what_looks_suspicious_is_looked_for_in_what_goes_on() {
    let sent = json!({ "a": "<script>" });
    let admitted = send(three(), "1.0.0", sent.clone()).unwrap();
    assert_eq!(admitted.sent_as(), Some(&"1.0.0".parse().unwrap()));
    let places: Vec<_> = admitted.flags().iter().map(|flag| &*flag.pointer).collect();
    assert_eq!(places, ["/payload/c"]);

    let limits = Limits {
        suspicious: OnSuspicion::Refuse,
        ..Limits::default()
    };
    let admission = Admission::new(&limits, &[], &[], Arc::new(three()));
    let mut event = Event::new("t.x", "s", sent).into_raw().unwrap();
    event.contract_version = Some("1.0.0".parse().unwrap());
    let refused = admission.admit_event(event, Origin::Host).unwrap_err();
    assert_eq!(refused.code(), Code::ContractViolation);
    assert_eq!(refused.errors()[0].pointer, "/payload/c");
}

#[test]
fn a_newer_minor_version_needs_no_migration_and_a_major_one_does() {
    let contracts = Contracts::default();
    take(
        &contracts,
        &[info("1.0.0", "a"), info("1.2.0", "a"), info("2.0.0", "b")],
        &[],
    )
    .unwrap();
    let remarks = contracts.remarks(Utc::now());
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].starts_with("contract t.x 1.0.0 has no migration to 2.0.0"));
    let admitted = send(contracts, "1.0.0", json!({ "a": "hi" })).unwrap();
    assert_eq!(
        admitted.event().contract_version,
        Some("1.2.0".parse().unwrap())
    );
    assert_eq!(admitted.event().payload.as_slice(), br#"{"a":"hi"}"#);
    assert!(three().remarks(Utc::now()).is_empty());
}

#[test]
fn a_break_within_a_major_version_is_not_registered() {
    let breaks = |from: &str, to: &str| {
        let contracts = Contracts::default();
        take(&contracts, &[info(from, "a")], &[]).unwrap();
        let broken = take(&contracts, &[info(to, "b")], &[]).err();
        let kept = contracts.versions("t.x").unwrap().len();
        assert_eq!(kept, if broken.is_some() { 1 } else { 2 }, "all or nothing");
        broken.map(|conflict| conflict.to_string())
    };
    let told = breaks("1.0.0", "1.1.0").unwrap();
    assert!(
        told.starts_with("contract t.x 1.1.0 of `p` breaks 1.0.0: /"),
        "{told}"
    );
    assert!(
        told.ends_with("make it a new major version") && !told.contains('\n'),
        "{told}"
    );
    assert!(breaks("1.1.0", "1.0.5").is_some(), "whichever comes first");
    assert!(breaks("0.1.0", "0.1.1").is_some());
    for (from, to) in [
        ("1.0.0", "2.0.0"),
        ("0.1.0", "0.2.0"),
        ("1.0.0", "1.1.0-beta"),
    ] {
        assert_eq!(breaks(from, to), None, "{from} {to}");
    }
}

#[test]
fn a_migration_leads_onwards_between_own_versions() {
    let infos = [info("1.0.0", "a"), info("2.0.0", "b")];
    for bad in [
        step("2.0.0", "1.0.0"),
        step("1.0.0", "1.0.0"),
        step("1.0.0", "3.0.0"),
    ] {
        let refused = take(&Contracts::default(), &infos, &[bad]).unwrap_err();
        assert!(
            matches!(refused, ContractConflict::InvalidMigration { .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_sender_is_told_of_an_outdated_version_and_refused_after_its_sunset() {
    let dated = |deprecated, sunset| {
        let contracts = Contracts::default();
        let mut old = info("1.0.0", "a");
        (old.deprecated, old.sunset) = (deprecated, sunset);
        take(&contracts, &[old, info("1.1.0", "a")], &[]).map(|()| contracts)
    };
    let admitted = send(
        dated(days(-9), days(9)).unwrap(),
        "1.0.0",
        json!({ "a": "hi" }),
    )
    .unwrap();
    let notice = admitted.notice().unwrap();
    assert_eq!(notice.successor, Some("1.1.0".parse().unwrap()));
    assert!(notice.deprecated.is_some() && notice.sunset.is_some());
    let fresh = send(
        dated(days(-9), days(9)).unwrap(),
        "1.1.0",
        json!({ "a": "hi" }),
    )
    .unwrap();
    assert!(fresh.notice().is_none());

    let (pointer, message) = refused(
        dated(days(-9), days(-1)).unwrap(),
        "1.0.0",
        json!({ "a": "hi" }),
    );
    assert_eq!(pointer, "/contract_version");
    assert!(message.contains("send 1.1.0 instead"), "{message}");
    let contradictory = dated(days(9), days(1)).unwrap_err();
    assert!(matches!(
        contradictory,
        ContractConflict::InvalidDates { .. }
    ));

    let contracts = dated(days(-9), days(9)).unwrap();
    let since = days(-9).unwrap().format("%Y-%m-%d");
    assert_eq!(
        contracts.remarks(Utc::now()),
        [format!("contract t.x 1.0.0 is deprecated since {since}")]
    );
}

#[test]
fn where_the_newest_version_is_retired_the_newest_that_is_taken_is_meant() {
    let contracts = |retired: &[&str]| {
        let contracts = Contracts::default();
        let infos = [
            ("1.0.0", "a"),
            ("1.1.0", "a"),
            ("2.0.0", "b"),
            ("3.0.0", "c"),
        ];
        let infos = infos.map(|(version, field)| {
            let mut info = info(version, field);
            info.deprecated = days(-9);
            info.sunset = retired.contains(&version).then(|| days(-1)).flatten();
            info
        });
        let steps = [step("1.1.0", "2.0.0"), step("2.0.0", "3.0.0")];
        take(&contracts, &infos, &steps).unwrap();
        contracts
    };
    let reached = |retired: &[&str], version: &str, payload: Value| {
        let admitted = send(contracts(retired), version, payload).unwrap();
        let version = admitted.event().contract_version.clone().unwrap();
        let successor = admitted.notice().unwrap().successor.clone();
        (
            version.to_string(),
            successor.map(|version| version.to_string()),
        )
    };
    let (a, b) = (json!({ "a": "hi" }), json!({ "b": "hi" }));
    let to =
        |version: &str, successor: Option<&str>| (version.to_owned(), successor.map(str::to_owned));
    let retired = &["3.0.0"];
    assert_eq!(reached(retired, "", b.clone()), to("2.0.0", None));
    assert_eq!(reached(retired, "2.0.0", b), to("2.0.0", None));
    assert_eq!(
        reached(retired, "1.0.0", a.clone()),
        to("2.0.0", Some("2.0.0"))
    );
    let through = reached(&["2.0.0"], "1.0.0", a.clone());
    assert_eq!(
        through,
        to("3.0.0", Some("3.0.0")),
        "it leads on all the same"
    );
    let retired = &["2.0.0", "3.0.0"];
    assert_eq!(reached(retired, "", a.clone()), to("1.1.0", None));
    assert_eq!(
        reached(retired, "1.0.0", a.clone()),
        to("1.1.0", Some("1.1.0"))
    );
    let retired = &["1.1.0", "2.0.0", "3.0.0"];
    assert_eq!(reached(retired, "1.0.0", a.clone()), to("1.0.0", None));
    let told = refused(contracts(retired), "2.0.0", json!({ "b": "hi" })).1;
    assert!(told.ends_with("; send 1.0.0 instead"), "{told}");
    let all = &["1.0.0", "1.1.0", "2.0.0", "3.0.0"];
    let (pointer, told) = refused(contracts(all), "", a);
    assert_eq!(pointer, "/contract_version");
    assert!(
        told.starts_with("3.0.0 of t.x") && told.ends_with("; nor is any other version"),
        "{told}"
    );
}

#[test]
fn rules_of_the_contract_and_of_the_configuration_must_hold() {
    let asked = |event_type: &str| TypeRule {
        r#type: event_type.parse().unwrap(),
        rule: "payload.a != 'b'".to_owned(),
        message: "must not be b".to_owned(),
        pointer: Some("/payload/a".to_owned()),
    };
    let contracts = || {
        let contracts = Contracts::with_rules(&[asked("t.*"), asked("other.*")]).unwrap();
        let mut ruled = info("1.0.0", "a");
        ruled.rules = vec![RuleInfo {
            rule: "payload.a.size() > 1 || event.source == 's' && payload.a == 'b'".to_owned(),
            message: "is too short".to_owned(),
            pointer: None,
        }];
        contracts.register("p", ruled).unwrap();
        contracts
    };
    assert!(send(contracts(), "", json!({ "a": "hi" })).is_ok());
    let told = |text: &str| refused(contracts(), "", json!({ "a": text }));
    assert_eq!(
        told("a"),
        ("/payload".to_owned(), "is too short".to_owned())
    );
    assert_eq!(
        told("b"),
        ("/payload/a".to_owned(), "must not be b".to_owned())
    );
    let message = |text: &str| {
        let refused = send(contracts(), "", json!({ "a": text })).unwrap_err();
        refused.message().to_owned()
    };
    assert!(message("a").starts_with("the payload does not fit the contract t.x 1.0.0"));
    let told = "the event breaks what this hub's configuration asks of t.x; see `errors`";
    assert_eq!(message("b"), told);

    let mut broken = info("1.0.0", "a");
    broken.rules = vec![RuleInfo {
        rule: "payload.".to_owned(),
        message: "x".to_owned(),
        pointer: None,
    }];
    let refused = Contracts::default().register("p", broken).unwrap_err();
    assert!(
        refused.to_string().contains("the rule `payload.`"),
        "{refused}"
    );
}

#[test]
fn uses_are_counted_by_the_version_that_was_sent() {
    let contracts = Arc::new(three());
    let admission = Admission::new(&Limits::default(), &[], &[], contracts.clone());
    for (version, payload) in [("1.0.0", json!({ "a": "x" })), ("1.0.0", json!({ "a": 1 }))] {
        let mut event = Event::new("t.x", "s", payload).into_raw().unwrap();
        event.contract_version = Some(version.parse().unwrap());
        let _ = admission.admit_event(event, Origin::Host);
    }
    let uses: Vec<u64> = contracts.list().iter().map(|c| c.uses()).collect();
    assert_eq!(uses, [1, 0, 0, 0], "what is refused is no use");
}
