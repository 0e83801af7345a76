use serde_json::json;

use super::*;

/// Whether it breaks writers, whether it breaks readers, and where first.
fn judged(old: Value, new: Value) -> (bool, bool, String) {
    let diff = ContractDiff::between(&old, &new);
    let place = diff.changes().first().map(|change| change.pointer.clone());
    (
        !diff.accepts_older(),
        !diff.accepts_newer(),
        place.unwrap_or_default(),
    )
}

fn field(schema: Value) -> Value {
    json!({ "type": "object", "properties": { "a": schema }, "additionalProperties": false })
}

#[test]
fn each_keyword_breaks_the_side_that_it_narrows() {
    let (nobody, writers, readers, both) =
        ((false, false), (true, false), (false, true), (true, true));
    let cases = [
        (
            json!({"type": "integer"}),
            json!({"type": "number"}),
            readers,
            "/type",
        ),
        (
            json!({"type": "string"}),
            json!({"type": ["string", "null"]}),
            readers,
            "/type",
        ),
        (
            json!({"type": "string"}),
            json!({"type": "integer"}),
            both,
            "/type",
        ),
        (json!({}), json!({"type": "string"}), writers, "/type"),
        (
            json!({"enum": ["x"]}),
            json!({"enum": ["x", "y"]}),
            readers,
            "",
        ),
        (
            json!({"enum": ["x", "y"]}),
            json!({"const": "x"}),
            writers,
            "",
        ),
        (json!({"const": 1}), json!({"const": 2}), both, ""),
        (
            json!({"minimum": 1}),
            json!({"minimum": 2}),
            writers,
            "/minimum",
        ),
        (
            json!({"minimum": 1}),
            json!({"minimum": 0.5}),
            readers,
            "/minimum",
        ),
        (
            json!({"maximum": 1}),
            json!({"maximum": 2}),
            readers,
            "/maximum",
        ),
        (
            json!({}),
            json!({"exclusiveMaximum": 2}),
            writers,
            "/exclusiveMaximum",
        ),
        (json!({"maxLength": 4}), json!({}), readers, "/maxLength"),
        (json!({"minLength": 0}), json!({}), nobody, ""),
        (json!({}), json!({"minItems": 0}), nobody, ""),
        (
            json!({"maxItems": 4}),
            json!({"maxItems": 3}),
            writers,
            "/maxItems",
        ),
        (json!({}), json!({"pattern": "x"}), writers, "/pattern"),
        (
            json!({"pattern": "x"}),
            json!({"pattern": "y"}),
            both,
            "/pattern",
        ),
        (json!({"format": "uuid"}), json!({}), readers, "/format"),
        (
            json!({}),
            json!({"uniqueItems": true}),
            writers,
            "/uniqueItems",
        ),
        (
            json!({"items": {"type": "string"}}),
            json!({"items": {}}),
            readers,
            "/items/type",
        ),
        (
            json!({"not": {}}),
            json!({"not": {"type": "null"}}),
            both,
            "/not",
        ),
        (
            json!({"multipleOf": 2}),
            json!({"multipleOf": 4}),
            writers,
            "/multipleOf",
        ),
        (
            json!({"title": "a", "default": 1}),
            json!({"description": "b", "x-mine": 1}),
            nobody,
            "",
        ),
    ];
    for (old, new, (writers, readers), place) in cases {
        let told = format!("{old} -> {new}");
        let place = match (writers, readers) {
            (false, false) => String::new(),
            _ => format!("/properties/a{place}"),
        };
        assert_eq!(
            judged(field(old), field(new)),
            (writers, readers, place),
            "{told}"
        );
    }
}

#[test]
fn fields_come_and_go() {
    let open = json!({ "properties": { "a": {} } });
    let with_b = json!({ "properties": { "a": {}, "b": { "type": "string" } } });
    assert_eq!(
        judged(open.clone(), with_b.clone()),
        (false, false, "/properties/b".to_owned())
    );
    assert_eq!(
        judged(with_b.clone(), open),
        (false, true, "/properties/b".to_owned())
    );

    let close = |mut schema: Value| {
        schema["additionalProperties"] = false.into();
        schema
    };
    let (closed, closed_b) = (
        close(json!({ "properties": { "a": {} } })),
        close(with_b.clone()),
    );
    assert_eq!(
        judged(closed.clone(), closed_b.clone()),
        (false, true, "/properties/b".to_owned())
    );
    assert_eq!(
        judged(closed_b.clone(), closed),
        (true, false, "/properties/b".to_owned())
    );
    assert_eq!(
        judged(with_b, closed_b.clone()),
        (true, false, "/additionalProperties".to_owned())
    );

    let mut required = closed_b.clone();
    required["required"] = json!(["b"]);
    assert_eq!(
        judged(closed_b.clone(), required.clone()),
        (true, false, "/required".to_owned())
    );
    assert_eq!(
        judged(required, closed_b),
        (false, true, "/required".to_owned())
    );

    let map = |kind: &str| json!({ "additionalProperties": { "type": kind } });
    let mut named = map("integer");
    named["properties"] = json!({ "n": { "type": "string" } });
    assert_eq!(
        judged(map("integer"), named),
        (true, true, "/properties/n/type".to_owned())
    );
}

#[test]
fn references_are_followed_also_in_circles() {
    let tree = |kind: &str| {
        json!({
            "$ref": "#/$defs/Node",
            "$defs": { "Node": { "type": "object", "properties": {
                "value": { "type": kind },
                "next": { "anyOf": [{ "$ref": "#/$defs/Node" }, { "type": "null" }] },
            } } },
        })
    };
    assert_eq!(
        judged(tree("string"), tree("string")),
        (false, false, String::new())
    );
    let place = "/properties/value/type".to_owned();
    assert_eq!(judged(tree("string"), tree("integer")), (true, true, place));

    let mut named = field(json!({ "$ref": "#/$defs/A", "description": "of mine" }));
    named["$defs"] = json!({ "A": { "type": "string" } });
    let inline = field(json!({ "type": "string" }));
    assert_eq!(
        judged(named.clone(), inline.clone()),
        (false, false, String::new())
    );
    assert_eq!(judged(inline, named), (false, false, String::new()));

    let lost = field(json!({ "$ref": "https://example.com/a" }));
    let kept = judged(lost.clone(), lost.clone());
    assert_eq!(kept, (false, false, String::new()));
    assert!(judged(lost, field(json!({ "$ref": "#/nowhere" }))).0);
}

#[test]
fn choices_are_told_where_that_is_possible() {
    let commented = |names: &[&str]| {
        let branch = |name: &&str| json!({ "const": name, "description": "x" });
        field(json!({ "oneOf": names.iter().map(branch).collect::<Vec<_>>() }))
    };
    let plain = |names: &[&str]| field(json!({ "enum": names }));
    assert!(!judged(commented(&["a"]), commented(&["a", "b"])).0);
    assert!(judged(commented(&["a", "b"]), commented(&["a"])).0);
    assert!(!judged(plain(&["a"]), plain(&["a", "b"])).0);

    let any = |kinds: &[&str]| {
        let branch = |kind: &&str| json!({ "type": kind });
        field(json!({ "anyOf": kinds.iter().map(branch).collect::<Vec<_>>() }))
    };
    assert!(!judged(any(&["integer", "null"]), any(&["number", "null"])).0);
    let (fewer, more) = (any(&["integer"]), any(&["integer", "null"]));
    assert!(
        !judged(fewer.clone(), more.clone()).0,
        "more to choose from"
    );
    assert!(judged(more, fewer.clone()).0);
    assert!(judged(fewer, any(&["string", "null"])).0, "cannot be told");
    let one = |kind: &str| field(json!({ "oneOf": [{ "type": kind }, { "type": "null" }] }));
    assert!(
        judged(one("integer"), one("number")).0,
        "one too many may fit"
    );
    let only = field(json!({ "allOf": [{ "const": "a" }] }));
    assert!(
        judged(field(json!({})), only.clone()).0,
        "all of it must fit"
    );
    assert!(judged(only, field(json!({ "allOf": [{ "const": "b" }] }))).0);
}

#[test]
fn what_is_told_is_bounded() {
    let many = |kind: &str| {
        let fields = (0..1_000).map(|n| (format!("f{n}"), json!({ "type": kind })));
        json!({ "properties": fields.collect::<serde_json::Map<_, _>>() })
    };
    let diff = ContractDiff::between(&many("string"), &many("integer"));
    assert_eq!(diff.changes().len(), MAX_CHANGES);
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({ "items": deep });
    }
    let diff = ContractDiff::between(&deep, &json!({ "items": deep }));
    assert!(!diff.accepts_older(), "nothing is waved through unseen");
}

#[test]
fn a_choice_that_leads_back_to_what_is_wider_may_fit_once_too_often() {
    let back = |schema: Value| {
        let mut schema = schema;
        schema["properties"] = json!({ "d": { "oneOf": [{ "$ref": "#" }, { "minimum": 1 }] } });
        schema
    };
    assert!(!accepts(&back(json!({ "type": "object" })), &back(json!({}))).0);
    assert!(
        accepts(
            &back(json!({ "title": "a" })),
            &back(json!({ "title": "b" }))
        )
        .0
    );
}

/// Whether the newer one accepts what the older one does, and the other way round.
fn accepts(old: &Value, new: &Value) -> (bool, bool) {
    let diff = ContractDiff::between(old, new);
    (diff.accepts_older(), diff.accepts_newer())
}

#[test]
fn a_change_of_draft_cannot_be_told_where_a_keyword_depends_on_it() {
    let of = |draft: &str, mut schema: Value| {
        schema["$schema"] = json!(draft);
        schema
    };
    let [four, six, seven] =
        ["04", "06", "07"].map(|n| format!("http://json-schema.org/draft-{n}/schema#"));
    let [nineteen, twenty] =
        ["2019-09", "2020-12"].map(|n| format!("https://json-schema.org/draft/{n}/schema"));
    let defined = |mut schema: Value| {
        schema["definitions"] = json!({ "X": { "type": "string" } });
        schema
    };
    for (from, to, schema) in [
        (
            &seven,
            &twenty,
            field(json!({ "prefixItems": [{ "type": "string" }] })),
        ),
        (
            &seven,
            &twenty,
            json!({ "dependentRequired": { "a": ["b"] } }),
        ),
        (
            &seven,
            &twenty,
            defined(field(json!({ "$ref": "#/definitions/X", "maxLength": 2 }))),
        ),
        (
            &seven,
            &twenty,
            field(json!({ "type": "string", "format": "duration" })),
        ),
        (&four, &six, field(json!({ "const": 1 }))),
        (&six, &four, field(json!({ "type": "integer" }))),
        (
            &six,
            &seven,
            json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] } }),
        ),
        (&seven, &nineteen, json!({ "unevaluatedProperties": false })),
        (
            &seven,
            &twenty,
            field(json!({ "contains": { "type": "string" }, "minContains": 2 })),
        ),
        (
            &seven,
            &twenty,
            field(json!({ "items": [{ "type": "string" }] })),
        ),
    ] {
        let diff = ContractDiff::between(&of(from, schema.clone()), &of(to, schema.clone()));
        assert!(!diff.accepts_older() && !diff.accepts_newer(), "{schema}");
        assert_eq!(diff.changes()[0].pointer, "/$schema", "{schema}");
    }
    let timeless = defined(json!({
        "type": "object", "title": "T", "required": ["a"], "additionalProperties": false,
        "properties": {
            "a": { "type": "integer", "minimum": 1, "exclusiveMaximum": 9, "enum": [1, 2] },
            "prefixItems": { "$ref": "#/definitions/X", "description": "of mine" },
            "l": { "type": "array", "items": { "anyOf": [{ "const": "a" }, { "pattern": "^b" }] } },
        },
    }));
    for from in [&six, &seven, &nineteen] {
        let (old, new) = (of(from, timeless.clone()), timeless.clone());
        assert_eq!(accepts(&old, &new), (true, true), "{from}");
    }
    assert_eq!(
        accepts(&timeless, &of(&twenty, timeless.clone())),
        (true, true),
        "it is the default"
    );

    // What a draft asks for beyond the others.
    let limit = |exclusive: Value| {
        of(
            &four,
            field(json!({ "minimum": 1, "exclusiveMinimum": exclusive })),
        )
    };
    let plain = of(&four, field(json!({ "minimum": 1 })));
    assert_eq!(accepts(&plain, &limit(json!(true))), (false, true));
    assert_eq!(accepts(&limit(json!(true)), &plain), (true, false));
    assert_eq!(accepts(&plain, &limit(json!(false))), (true, true));
    let unheard = [
        (&four, json!({ "const": 1 })),
        (&six, json!({ "unevaluatedProperties": false })),
        (&seven, json!({ "dependentRequired": { "a": ["b"] } })),
    ];
    for (draft, schema) in unheard {
        let without = of(draft, json!({ "type": "object" }));
        let with = of(draft, schema);
        let bare = of(draft, json!({}));
        assert!(
            !accepts(&with, &without).0,
            "{with}: what it does not know allows anything"
        );
        assert_eq!(accepts(&bare, &with), (true, true), "{with}");
    }
    let only_three = of(&four, json!({ "type": "number", "enum": [3] }));
    let integer = of(&four, json!({ "type": "integer" }));
    assert!(
        !accepts(&only_three, &integer).0,
        "3.0 is 3, and no integer"
    );
    let first = |kind: &str| of(&seven, field(json!({ "items": [{ "type": kind }] })));
    assert_eq!(accepts(&first("string"), &first("integer")), (false, false));
    let closed = of(&six, json!({ "unevaluatedProperties": false }));
    let mut more = closed.clone();
    more["properties"] = json!({ "a": { "type": "string" } });
    assert!(!accepts(&more, &closed).1, "nothing is closed there");
    let encoded = of(&seven, field(json!({ "contentEncoding": "base64" })));
    assert!(!accepts(&of(&seven, field(json!({}))), &encoded).0);
}

#[test]
fn what_a_reference_leads_to_is_looked_at_whatever_the_reference() {
    let dynamic = |kind: &str| {
        let mut schema = field(json!({ "$dynamicRef": "#foo" }));
        schema["$defs"] = json!({ "f": { "$dynamicAnchor": "foo", "type": kind } });
        schema
    };
    assert_eq!(
        accepts(&dynamic("string"), &dynamic("integer")),
        (false, false)
    );
    let mut elsewhere = dynamic("string");
    elsewhere["properties"]["b"] = json!({});
    assert!(
        !accepts(&dynamic("string"), &elsewhere).0,
        "what is dynamic depends on all of it"
    );
    // A reference to a field, with more beside it, and where a wider schema fits once too often.
    let beside = |kind: Value| {
        json!({ "properties": {
            "a": { "type": kind },
            "b": { "oneOf": [{ "$ref": "#/properties/a", "maxLength": 3 }, { "type": "null" }] },
        } })
    };
    assert!(!accepts(&beside(json!("string")), &beside(json!(["string", "null"]))).0);
}

#[test]
fn a_field_that_was_meant_before_is_no_new_one() {
    let with_a = |mut schema: Value, a: Value| {
        schema["properties"]["a"] = a;
        schema
    };
    let integer = || json!({ "type": "integer" });
    for old in [
        json!({ "required": ["a"] }),
        json!({ "const": { "a": "x" } }),
        json!({ "allOf": [{ "properties": { "a": { "type": "string" } } }] }),
        json!({ "anyOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
        json!({ "dependentRequired": { "b": ["a"] } }),
        json!({ "if": { "$ref": "#/$defs/A" }, "then": {}, "$defs": { "A": { "required": ["a"] } } }),
        json!({ "patternProperties": { "^a": { "type": "string" } } }),
        json!({ "patternProperties": { "^a": {} }, "additionalProperties": false }),
    ] {
        let new = with_a(old.clone(), integer());
        assert!(!accepts(&old, &new).0, "{old} -> {new}");
    }
    let part = |one: Value| json!({ "properties": { "a": { "type": "string" } }, "allOf": [one] });
    let both = part(json!({ "properties": { "a": integer() } }));
    assert!(
        !accepts(&part(json!({})), &both).0,
        "it is meant beside the part"
    );
    assert!(
        !accepts(&json!({}), &with_a(json!({}), json!(false))).0,
        "nobody may send it now"
    );
    // Nobody was meant to send these.
    for old in [
        json!({ "required": ["b"] }),
        json!({ "allOf": [{ "properties": { "b": { "type": "string" } } }] }),
        json!({ "properties": { "b": { "properties": { "a": { "type": "string" } } } } }),
    ] {
        let new = with_a(old.clone(), integer());
        assert!(accepts(&old, &new).0, "{old} -> {new}");
    }
    let base = |more: Value| {
        let mut base = json!({ "properties": { "b": { "type": "string" } } });
        base["properties"]
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "allOf": [{ "$ref": "#/$defs/Base" }], "$defs": { "Base": base } })
    };
    assert!(accepts(&base(json!({})), &base(json!({ "a": integer() }))).0);
}

#[test]
fn a_widening_is_none_the_less_for_being_written_otherwise() {
    let same = [
        (json!({ "const": null }), json!({ "type": "null" })),
        (
            json!({ "type": "boolean" }),
            json!({ "enum": [false, true] }),
        ),
        (json!({ "const": 1 }), json!({ "const": 1.0 })),
        (
            json!({ "type": "string", "enum": ["a", 1] }),
            json!({ "const": "a" }),
        ),
        (
            json!({ "minimum": 1, "exclusiveMinimum": 2 }),
            json!({ "exclusiveMinimum": 2.0 }),
        ),
    ];
    for (one, other) in &same {
        let (one, other) = (field(one.clone()), field(other.clone()));
        assert_eq!(accepts(&one, &other), (true, true), "{one} -> {other}");
        assert_eq!(accepts(&other, &one), (true, true), "{other} -> {one}");
    }
    let wider = [
        (json!({ "enum": ["a", "b"] }), json!({ "type": "string" })),
        (json!({ "exclusiveMinimum": 1 }), json!({ "minimum": 1 })),
        (json!({ "maximum": 1 }), json!({ "exclusiveMaximum": 2 })),
        (
            json!({ "minimum": 9_007_199_254_740_993_u64 }),
            json!({ "minimum": 9_007_199_254_740_992.0 }),
        ),
        (json!({ "multipleOf": 4 }), json!({ "multipleOf": 2 })),
        (
            json!({ "contains": { "type": "string" }, "minContains": 2 }),
            json!({}),
        ),
        (json!({ "propertyNames": { "maxLength": 3 } }), json!({})),
        (json!({ "not": { "const": 1 } }), json!({})),
        (json!({ "dependentRequired": { "a": ["b"] } }), json!({})),
        (
            json!({ "if": { "const": 1 }, "then": false, "else": {} }),
            json!({ "if": { "const": 1 }, "else": {} }),
        ),
        (
            json!({ "oneOf": [{ "minimum": 1 }, { "type": "null" }] }),
            json!({}),
        ),
        (
            json!({ "allOf": [{ "minimum": 1 }, { "maximum": 2 }] }),
            json!({ "allOf": [{ "maximum": 2 }] }),
        ),
    ];
    for (one, other) in &wider {
        let (one, other) = (field(one.clone()), field(other.clone()));
        assert_eq!(accepts(&one, &other), (true, false), "{one} -> {other}");
        assert!(!accepts(&other, &one).0, "{other} -> {one}");
    }
    let narrower = [
        (json!({ "enum": ["a", 1] }), json!({ "type": "string" })),
        (json!({ "const": 1.0 }), json!({ "type": "integer" })),
        (
            json!({ "type": "number", "enum": [4.5] }),
            json!({ "type": "integer", "enum": [4.5] }),
        ),
        (
            json!({ "type": "number", "enum": [4.0] }),
            json!({ "type": "integer", "enum": [4.0] }),
        ),
        (
            json!({ "const": 9_007_199_254_740_993_u64 }),
            json!({ "const": 9_007_199_254_740_992_u64 }),
        ),
        (
            json!({ "const": { "b": 1 } }),
            json!({ "type": "object", "properties": { "b": { "type": "string" } } }),
        ),
        (
            json!({ "contains": {}, "minContains": 0 }),
            json!({ "contains": {} }),
        ),
        (json!({ "multipleOf": 0.3 }), json!({ "multipleOf": 0.1 })),
        // What the part has looked at is left over without it.
        (
            json!({ "allOf": [{ "not": { "not": { "properties": { "b": {} } } } }, { "additionalProperties": true }], "unevaluatedProperties": false }),
            json!({ "allOf": [{ "not": { "not": { "properties": { "b": {} } } } }, {}], "unevaluatedProperties": false }),
        ),
        (
            json!({ "contains": { "type": "string" }, "unevaluatedItems": false }),
            json!({ "unevaluatedItems": false }),
        ),
        (
            json!({ "items": true, "unevaluatedItems": false }),
            json!({ "unevaluatedItems": false }),
        ),
    ];
    for (one, other) in &narrower {
        let (one, other) = (field(one.clone()), field(other.clone()));
        assert!(!accepts(&one, &other).0, "{one} -> {other}");
    }
}

#[test]
fn a_rule_is_the_same_where_it_is_written_the_same() {
    let contract = |rules: &[&str]| {
        let version = "1.0.0".parse().unwrap();
        let mut info = ContractInfo::new("shop.paid", version, json!({ "type": "object" }));
        let rule = |rule: &&str| nexus_plugin_api::RuleInfo {
            rule: (*rule).to_owned(),
            message: format!("breaks {rule}"),
            pointer: None,
        };
        info.rules = rules.iter().map(rule).collect();
        info
    };
    let judged = |old: &[&str], new: &[&str]| {
        let diff = ContractDiff::of_contracts(&contract(old), &contract(new));
        let places = diff.changes().iter().map(|change| change.pointer.clone());
        let places: Vec<_> = places.collect();
        (diff.accepts_older(), diff.accepts_newer(), places)
    };
    let (wide, narrow) = ("payload.amount < 1000.0", "payload.amount < 500.0");
    let at = |places: &[&str]| places.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(judged(&[wide], &[wide]), (true, true, at(&[])));
    assert_eq!(
        judged(&[wide, narrow], &[narrow, wide]),
        (true, true, at(&[]))
    );
    assert_eq!(judged(&[wide], &[]), (true, false, at(&["/rules/0"])));
    assert_eq!(judged(&[], &[wide]), (false, true, at(&["/rules/0"])));
    assert_eq!(
        judged(&[wide], &[wide, narrow]),
        (false, true, at(&["/rules/1"]))
    );
    let changed = judged(&[wide], &[narrow]);
    assert_eq!(changed, (false, false, at(&["/rules/0", "/rules/0"])));
}

#[test]
fn a_field_that_is_described_now_is_told_apart_from_no_change() {
    let old = json!({ "type": "object" });
    let new = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let diff = ContractDiff::between(&old, &new);
    assert!(diff.accepts_older() && diff.accepts_newer() && diff.describes_more());
    assert!(!ContractDiff::between(&old, &old).describes_more());
    assert!(!ContractDiff::between(&new, &old).describes_more());
}
