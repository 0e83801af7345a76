use nexus_plugin_api::Event;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn event(payload: &Json) -> Event {
    let event = Event::new("mail.received", "outlook", payload.clone());
    event.into_raw().unwrap()
}

/// What a template makes of a payload, or where it cannot be filled and why.
fn made(template: &Json, payload: &Json) -> Result<Json, (String, String)> {
    let template = Template::compile(template).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let made = template.make(&Case::of(&event(payload)).unwrap(), LONGEST);
    match made {
        Ok(json) => Ok(json.parse().unwrap()),
        Err(misfit) => Err((misfit.pointer, misfit.reason)),
    }
}

fn faults(template: &Json) -> Vec<(String, String)> {
    let faults = Template::compile(template).err().unwrap_or_default();
    let told = faults.into_iter().map(|one| (one.pointer, one.reason));
    told.collect()
}

#[test]
fn a_placeholder_alone_is_the_value_and_one_within_a_text_is_text() {
    let payload = json!({
        "n": 5, "rate": 2.5, "big": u64::MAX, "yes": true, "none": null, "name": "Ada \"L\"",
        "list": [1, "a", null], "at": "2026-01-31T12:00:00Z", "deep": { "b": { "z": 1, "a": [] } },
    });
    for (template, expected) in [
        ("{{ payload.n }}", json!(5)),
        ("{{payload.n}}", json!(5)),
        ("{{ payload.rate }}", json!(2.5)),
        ("{{ payload.big }}", json!(u64::MAX)),
        ("{{ payload.yes }}", json!(true)),
        ("{{ payload.none }}", json!(null)),
        ("{{ payload.name }}", json!("Ada \"L\"")),
        ("{{ payload.list }}", json!([1, "a", null])),
        ("{{ payload.deep }}", json!({ "b": { "z": 1, "a": [] } })),
        ("{{ payload }}", payload.clone()),
        ("{{ size(payload.list) * 2 }}", json!(6)),
        ("{{ payload.list.filter(x, x != null) }}", json!([1, "a"])),
        ("{{ {'a': {'b': payload.n}} }}", json!({ "a": { "b": 5 } })),
        ("{{ {'a': {'b': payload.n}}}}", json!({ "a": { "b": 5 } })),
        ("{{ timestamp(payload.at) }}", json!("2026-01-31T12:00:00Z")),
        (" {{ payload.n }}", json!(" 5")),
        ("n={{ payload.n }} ({{ payload.yes }})", json!("n=5 (true)")),
        ("{{ payload.n }}{{ payload.n }}", json!("55")),
        ("<{{ payload.none }}>", json!("<>")),
        ("<{{ payload.name }}>", json!("<Ada \"L\">")),
        ("<{{ payload.list }}>", json!("<[1,\"a\",null]>")),
        (
            "<{{ payload.deep }}>",
            json!("<{\"b\":{\"a\":[],\"z\":1}}>"),
        ),
        ("<{{ payload.rate }}>", json!("<2.5>")),
        (
            "at {{ timestamp(payload.at) }}",
            json!("at 2026-01-31T12:00:00Z"),
        ),
        (
            "{{ event.source }}/{{ event.type }}",
            json!("outlook/mail.received"),
        ),
        ("plain, }} and { and }", json!("plain, }} and { and }")),
        ("", json!("")),
    ] {
        assert_eq!(made(&json!(template), &payload), Ok(expected), "{template}");
    }
}

#[test]
fn braces_of_its_own_are_written_as_texts_of_cel() {
    let payload = json!({ "n": 5 });
    for (template, expected) in [
        ("a {{ \"{{\" }} b", "a {{ b"),
        ("{{ '{{' }}", "{{"),
        ("{{ '}}' }}", "}}"),
        ("{{ \"a'}}'\" }}", "a'}}'"),
        ("{{ 'it\\'s }}' }}!", "it's }}!"),
        ("{{ r'\\' + '}}' }}", "\\}}"),
        ("{{ '''it's }}''' }}", "it's }}"),
        ("{{ \"{\" }}{{ '{' }}", "{{"),
    ] {
        assert_eq!(
            made(&json!(template), &payload),
            Ok(json!(expected)),
            "{template}"
        );
    }
}

#[test]
fn what_is_absent_is_left_out_where_it_is_asked_for_so() {
    let payload = json!({ "there": 1, "deep": {} });
    let template = json!({
        "first": "{{ payload.?nothing }}",
        "is": "{{ payload.?there }}",
        "list": ["{{ payload.?nothing }}", "{{ payload.?there }}", "{{ payload.?deep.?more }}", 3],
        "none": ["{{ payload.?nothing }}"],
        "empty": { "a": "{{ payload.?nothing }}" },
        "text": "<{{ payload.?nothing }}{{ payload.?there }}>",
        "or": "{{ payload.?nothing.orValue('else') }}",
        "has": "{{ has(payload.nothing) }}",
        "asked": "{{ payload[?'nothing'].hasValue() }}",
        "what": "{{ has(payload.there) ? payload.there : 0 }}",
    });
    let expected = json!({
        "is": 1, "list": [1, 3], "none": [], "empty": {}, "text": "<1>", "or": "else",
        "has": false, "asked": false, "what": 1,
    });
    assert_eq!(made(&template, &payload), Ok(expected));
    let (pointer, reason) = made(&json!("{{ payload.?nothing }}"), &payload).unwrap_err();
    assert_eq!((&*pointer, &*reason), ("", "what it asks for is absent"));
}

#[test]
fn what_cannot_be_filled_is_told_with_its_place_and_without_a_value() {
    let payload = json!({ "secret": "s3cr3t", "n": 0, "by": { "a/b": 1 } });
    for (template, pointer, reason) in [
        (
            json!({ "a/b": [1, { "c": "x {{ payload.subject }}" }] }),
            "/a~1b/1/c",
            "there is no field `subject`",
        ),
        (
            json!({ "a": "{{ payload.secret.more }}" }),
            "/a",
            "the types of its fields do not fit",
        ),
        (json!(["{{ 1 / payload.n }}"]), "/0", "a division by zero"),
        (
            json!("{{ payload.by[payload.secret] }}"),
            "",
            "there is no field of the name that it looks up",
        ),
        (
            json!("{{ int(payload.secret) }}"),
            "",
            "the function `int` refuses its arguments",
        ),
        (
            json!("{{ duration('1h') }}"),
            "",
            "it gives a duration, which JSON has not; write `string(…)` round it",
        ),
        (
            json!("{{ double('inf') + double(payload.n) }}"),
            "",
            "it gives a number that JSON has not",
        ),
        (
            json!("{{ [payload.?nothing] }}"),
            "",
            "what it gives holds something that is absent",
        ),
    ] {
        let expected = Err((pointer.to_owned(), reason.to_owned()));
        assert_eq!(made(&template, &payload), expected, "{template}");
    }
}

#[test]
fn everything_wrong_in_a_template_is_told_with_its_place() {
    let template = json!({
        "a": "{{ payloadd.x }}",
        "b": ["fine", "{{ payload.x < }}", "{{ payload.x "],
        "c": { "d/e": "{{ event.nope }}", "f": "{{ }}", "g": "{{ payload.x.reverse() }}" },
        "h": 5,
    });
    let told = faults(&template);
    let expected = [
        ("/a", "the placeholder `payloadd.x` names `payloadd`"),
        (
            "/b/1",
            "the placeholder `payload.x <` ends before it is complete",
        ),
        ("/b/2", "has a `{{` without its `}}`"),
        ("/c/d~1e", "asks for `nope` of `event`, which has event_id"),
        ("/c/f", "the placeholder `` "),
        ("/c/g", "calls `reverse`, which is not allowed"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((pointer, reason), (place, says)) in told.iter().zip(expected) {
        assert_eq!(pointer, place, "{reason}");
        assert!(reason.contains(says), "{reason}");
    }
}

#[test]
fn asking_for_what_may_be_absent_again_and_again_is_refused() {
    let many = ["payload.?a.b.c.d.e"; 4].join(" == ");
    let told = faults(&json!(format!("{{{{ {many} }}}}")));
    assert!(
        told[0].1.contains("what may be absent more than 16 times"),
        "{told:?}"
    );
}

#[test]
fn what_it_makes_is_bounded_to_the_byte() {
    let payload = json!({ "text": "é\n".repeat(100) });
    for template in [
        json!({ "a": "{{ payload.text }}", "b": ["{{ payload }}", "x {{ payload.text }}"] }),
        json!("{{ payload.text }}"),
        json!("{{ payload.text }}{{ payload.text }}"),
    ] {
        let template = Template::compile(&template).unwrap();
        let case = Case::of(&event(&payload)).unwrap();
        let whole = template.make(&case, LONGEST).unwrap().as_slice().len();
        assert_eq!(template.make(&case, whole).unwrap().as_slice().len(), whole);
        let misfit = template.make(&case, whole - 1).unwrap_err();
        assert_eq!(
            misfit.reason,
            format!("it would be over {} bytes", whole - 1)
        );
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        proptest::num::f64::NORMAL.prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
        "[a-e{}'\" ]{0,6}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            proptest::collection::btree_map("[a-e]{1,2}", inner, 0..6).prop_map(Json::from_iter),
        ]
    })
}

fn any_payload() -> impl Strategy<Value = Json> {
    let members = proptest::collection::btree_map("[a-e]", any_json(), 0..5);
    members.prop_map(Json::from_iter)
}

proptest! {
    #[test]
    fn any_payload_is_filled_in_within_the_bound_or_told(payload in any_payload(), longest in 0_usize..400) {
        let template = json!({
            "whole": "{{ payload }}",
            "typed": ["{{ payload.?a }}", "{{ payload.?b.?c }}", { "d": "{{ payload[?'d'] }}" }],
            "text": "a {{ payload.?a }} b {{ payload.?b.orValue(event.type) }} {{ payload }}",
        });
        let template = Template::compile(&template).unwrap();
        let case = Case::of(&event(&payload)).unwrap();
        match template.make(&case, longest) {
            Ok(made) => {
                prop_assert!(made.as_slice().len() <= longest);
                let made: Json = made.parse().unwrap();
                prop_assert_eq!(&made["whole"], &payload);
                prop_assert_eq!(made["typed"].get(0).is_some(), true);
            }
            Err(misfit) => prop_assert_eq!(misfit.reason, format!("it would be over {longest} bytes")),
        }
    }

    #[test]
    fn any_text_is_a_template_or_told(text in "[a-z{}'\"\\\\ r.?]{0,24}", payload in any_payload()) {
        match Template::compile(&json!(text)) {
            Err(faults) => prop_assert_eq!(faults.len(), 1),
            Ok(template) => {
                let case = Case::of(&event(&payload)).unwrap();
                if let Ok(made) = template.make(&case, LONGEST) {
                    prop_assert!(made.parse::<Json>().is_ok());
                }
            }
        }
    }
}
