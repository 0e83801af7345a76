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
            both,
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
    assert!(
        judged(any(&["integer"]), any(&["integer", "null"])).0,
        "cannot be told"
    );
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
