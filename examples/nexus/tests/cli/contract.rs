//! `nexus contract`: what changes between two contracts, and the contracts of a running hub.

use serde_json::json;

use crate::harness::Place;

fn schema(kind: &str, required: &[&str]) -> String {
    json!({ "type": "object", "properties": { "a": { "type": kind } }, "required": required })
        .to_string()
}

fn file(version: &str, kind: &str) -> String {
    let schema: serde_json::Value = serde_json::from_str(&schema(kind, &[])).unwrap();
    json!({ "type": "shop.paid", "version": version, "schema": schema }).to_string()
}

#[test]
fn a_comparison_says_whom_it_breaks_by_its_exit_code_too() {
    let place = Place::new()
        .file("one.json", &schema("integer", &[]))
        .file("wider.json", &schema("number", &[]))
        .file("required.json", &schema("integer", &["a"]))
        .file("contract.json", &file("1.0.0", "string"))
        .file(
            "bad.json",
            r#"{"type": "a.b", "version": "1", "schema": {}}"#,
        )
        .file("text.json", "text");
    let diff = |old: &str, new: &str| place.run(&["contract", "diff", old, new]);
    diff("one.json", "one.json")
        .exits(0)
        .says("both accept the same");
    diff("one.json", "wider.json")
        .exits(0)
        .says("readers   /properties/a/type: was integer, is number")
        .says("compatible");
    diff("one.json", "required.json")
        .exits(1)
        .says("breaking  /required: the field `a` is required now");
    diff("one.json", "contract.json")
        .exits(1)
        .says("/properties/a/type");
    let ran = place.run(&["contract", "diff", "--json", "wider.json", "one.json"]);
    let told = ran.exits(1).json();
    assert_eq!(
        (&told["compatible"], &told["accepts_newer"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(told["changes"][0]["pointer"], "/properties/a/type");

    diff("one.json", "nowhere.json")
        .exits(2)
        .complains("nowhere.json");
    diff("one.json", "bad.json").exits(2).complains("/version");
    diff("one.json", "text.json").exits(2).complains("not JSON");
    diff("one.json", "a.b@../1")
        .exits(2)
        .complains("TYPE@VERSION");
    place.run(&["contract", "diff", "one.json"]).exits(2);
    diff("shop.paid", "one.json")
        .exits(2)
        .complains("there is no file shop.paid")
        .complains("TYPE@VERSION");
}

/// A contract of an open object with one rule.
fn ruled(event_type: &str, rule: &str) -> String {
    let rule = json!({ "rule": rule, "message": "is too much", "pointer": "/payload/amount" });
    let schema = json!({ "type": "object" });
    json!({ "type": event_type, "version": "1.0.0", "schema": schema, "rules": [rule] }).to_string()
}

#[test]
fn rules_are_compared_where_both_sides_have_some() {
    let place = Place::new()
        .file("wide.json", &ruled("shop.paid", "payload.amount < 1000.0"))
        .file("narrow.json", &ruled("shop.paid", "payload.amount < 500.0"))
        .file("other.json", &ruled("shop.sold", "payload.amount < 1000.0"))
        .file("none.json", &file("1.0.0", "integer"))
        .file("schema.json", r#"{ "type": "object" }"#);
    let diff = |old: &str, new: &str| place.run(&["contract", "diff", old, new]);
    diff("wide.json", "wide.json").exits(0);
    diff("wide.json", "narrow.json")
        .exits(1)
        .says("breaking  /rules/0: the rule `payload.amount < 500.0` is asked for now");
    diff("wide.json", "none.json")
        .exits(0)
        .says("readers   /rules/0")
        .says("fine      /properties/a: is a new field")
        .says("save for a new field that was sent before, undescribed");
    diff("wide.json", "schema.json")
        .exits(0)
        .complains("rules are not compared");
    diff("wide.json", "other.json")
        .exits(0)
        .complains("two types, shop.paid and shop.sold");
}

#[test]
fn contracts_of_a_running_hub_are_listed_shown_and_compared() {
    let place = Place::new()
        .hub("[plugins]\ncontracts_dir = \"contracts\"")
        .file("contracts/one.json", &file("1.0.0", "integer"))
        .file("contracts/two.json", &file("2.0.0", "string"))
        .file(
            "contracts/ruled.json",
            &ruled("shop.ruled", "payload.amount < 500.0"),
        )
        .file("next.json", &schema("number", &[]));
    let hub = place.start();
    let ask = |arguments: &[&str]| {
        let start = ["contract"].into_iter().chain(arguments.iter().copied());
        let line: Vec<&str> = start.chain(["--url", &hub.url]).collect();
        place.run_with_key(&line)
    };
    ask(&["list"])
        .exits(0)
        .says("shop.paid")
        .says("1.0.0, 2.0.0")
        .says("file:two.json");
    ask(&["show", "shop.paid"])
        .exits(0)
        .says("version     2.0.0")
        .says("\"properties\"");
    let shown = ask(&["show", "shop.paid@1.0.0", "--json"]).exits(0).json();
    assert_eq!(shown["version"], "1.0.0");
    ask(&["show", "shop.ruled"])
        .exits(0)
        .says("owner       file:ruled.json")
        .says("uses        0 (events of this version admitted")
        .says("rule        payload.amount < 500.0")
        .says("else /payload/amount is too much");
    ask(&["diff", "shop.ruled@1.0.0", "shop.ruled@1.0.0"]).exits(0);
    ask(&["show", "shop.unknown"])
        .exits(1)
        .complains("not_found");
    ask(&["diff", "shop.paid@1.0.0", "shop.paid@2.0.0"])
        .exits(1)
        .says("was integer, is string");
    ask(&["diff", "shop.paid@1.0.0", "next.json"]).exits(0);
    ask(&["diff", "shop.paid@3.0.0", "next.json"])
        .exits(2)
        .complains("no version");
}

#[test]
fn check_tells_of_contract_files() {
    let place = Place::new()
        .hub("[plugins]\ncontracts_dir = \"contracts\"")
        .probe()
        .file("contracts/one.json", &file("1.0.0", "integer"))
        .file("contracts/two.json", &file("1.1.0", "string"));
    place
        .run(&["check"])
        .exits(1)
        .says("contracts/two.json: contract shop.paid 1.1.0 of `file:two.json` breaks 1.0.0")
        .says("warning: plugin probe: contract probe.letter 1.0.0 is deprecated");
    let place = place.file("contracts/two.json", &file("2.0.0", "string"));
    place
        .run(&["check"])
        .exits(0)
        .says("warning: contract shop.paid 1.0.0 has no migration to 2.0.0")
        .says("its events stay as they are (file one.json)");
    let schema = json!({ "tpye": "object" });
    let slip = json!({ "type": "shop.slip", "version": "1.0.0", "schema": schema }).to_string();
    let place = place
        .file("contracts/slip.json", &slip)
        .file("contracts/more/a.json", &slip)
        .file("contracts/.hidden/a.json", &slip)
        .file("contracts/bad.toml", "type = \"a.b\"\nversion = ");
    let ran = place
        .run(&["check"])
        .exits(1)
        .says("contracts/bad.toml: line 2, column 11: not TOML: ")
        .says("contracts/slip.json: /schema/tpye is no keyword of JSON Schema")
        .says("contracts/more: contract files are read from");
    assert!(!ran.stdout.contains(".hidden"), "{ran:?}");
    let place = place.hub("[plugins]\ncontracts_dir = \"nowhere\"");
    place.run(&["check"]).exits(2).says("plugins.contracts_dir");
}
