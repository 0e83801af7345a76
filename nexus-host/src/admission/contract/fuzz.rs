//! The fuzz targets of this room: contracts as files, rules, and what changes between two schemas.

mod schemas;

use jsonschema::{PatternOptions, Validator};
use nexus_plugin_api::{Event, RuleInfo};
use serde_json::Value;

use super::*;
use crate::admission::Limits;
use crate::admission::strict_json::{self, Bounds, Tree};
use crate::expression::Case;
use crate::fuzz::{Dice, expect_line, expect_told, parts};

fn tree(text: &[u8]) -> Option<Tree<'_>> {
    let text = str::from_utf8(text).ok()?;
    strict_json::parse(text, Bounds::new(&Limits::default()), 1).ok()
}

fn validator(schema: &Value) -> Option<Validator> {
    let options = jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex());
    options.build(schema).ok()
}

/// A contract's file, JSON or TOML, and a payload.
pub fn contract_file(bytes: &[u8]) {
    let [file, payload] = parts(bytes);
    let Ok(text) = str::from_utf8(file) else {
        return;
    };
    let is_json = text.trim_start().starts_with('{');
    let info = match file::parse_as(if is_json { "json" } else { "toml" }, text) {
        Ok(info) => info,
        Err(wrong) => return expect_line(&wrong),
    };
    if is_json {
        let written = serde_json::to_string(&info).expect("it can be written");
        assert_eq!(file::parse_as("json", &written).as_ref(), Ok(&info));
    }
    assert_eq!(
        ContractDiff::between(&info.schema, &info.schema).changes(),
        []
    );
    let contracts = Contracts::default();
    if let Err(conflict) = contracts.register("file:fuzz", info.clone()) {
        return assert!(!conflict.to_string().is_empty());
    }
    let found = contracts.find(&info.event_type, Some(&info.version));
    let found = found.expect("it was registered");
    if let (Some(tree), Some(validator)) = (tree(payload), validator(&info.schema)) {
        let value: Value = serde_json::from_slice(payload).expect("it was read");
        let checked = found.contract().check(&tree);
        assert_eq!(checked.is_ok(), validator.is_valid(&value));
        checked.err().iter().for_each(expect_told);
    }
    // The same again, and under the next version, breaks nobody.
    assert!(contracts.register("file:fuzz", info.clone()).is_ok());
    let mut next = info;
    next.version.minor = next.version.minor.saturating_add(1);
    if next.version.pre.is_empty() {
        assert!(contracts.register("file:fuzz", next).is_ok());
    }
}

/// Two schemas and a payload, as an array of three; anything else throws the dice for them.
pub fn contract_diff(bytes: &[u8]) {
    let written = serde_json::from_slice::<[Value; 3]>(bytes);
    let [old, new, payload] = written.unwrap_or_else(|_| schemas::thrown(&mut Dice(bytes)));
    let diff = ContractDiff::between(&old, &new);
    for change in diff.changes() {
        expect_line(&change.message);
    }
    assert_eq!(ContractDiff::between(&old, &old).changes(), []);
    let (Some(older), Some(newer)) = (validator(&old), validator(&new)) else {
        return;
    };
    // A field that was not mentioned may be given a meaning: that is what new versions are for.
    let is_required = |name: &str| {
        let required = old["required"].as_array();
        required.is_some_and(|names| names.iter().any(|one| one == name))
    };
    for change in diff.changes() {
        let place = change.pointer.strip_prefix("/properties/");
        if change.message == "is a new field" {
            assert!(!place.is_some_and(is_required), "{old}\n{new}\n{diff:?}");
            let name = change.pointer.rsplit('/').next().unwrap_or_default();
            if holds_field(&payload, name) {
                return;
            }
        }
    }
    let shown = || format!("{old}\n{new}\n{payload}\n{diff:?}");
    let (fits_older, fits_newer) = (older.is_valid(&payload), newer.is_valid(&payload));
    assert!(
        !fits_older || fits_newer || !diff.accepts_older(),
        "{}",
        shown()
    );
    assert!(
        !fits_newer || fits_older || !diff.accepts_newer(),
        "{}",
        shown()
    );
}

/// Whether there is a field of that name anywhere in it.
fn holds_field(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| key == name || holds_field(value, name)),
        Value::Array(items) => items.iter().any(|item| holds_field(item, name)),
        _ => false,
    }
}

/// A rule, and a payload that it is held against.
pub fn rule(bytes: &[u8]) {
    let [rule, payload] = parts(bytes);
    let Ok(rule) = str::from_utf8(rule) else {
        return;
    };
    let info = RuleInfo {
        rule: rule.to_owned(),
        message: "must hold".to_owned(),
        pointer: None,
    };
    let rule = match Rule::compile(&info) {
        Ok(rule) => rule,
        Err(wrong) => return expect_line(&wrong),
    };
    let Some(tree) = tree(payload) else {
        return;
    };
    let raw = nexus_plugin_api::RawJson::from_checked(payload.to_vec());
    let case = Case::new(&Event::new("any.thing", "a", raw), &tree);
    let checked = rule.check(&case);
    assert_eq!(checked, rule.check(&case));
    if let Err(broken) = checked {
        expect_line(&broken.message);
    }
}
