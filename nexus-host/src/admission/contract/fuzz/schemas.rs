//! Schemas by throwing dice: receives dice, hands on two schemas that differ little, and a payload that may
//! fit them. Bytes that are changed one by one make few schemas that anybody would write.

use serde_json::{Map, Number, Value, json};

use crate::fuzz::Dice;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const KINDS: [&str; 7] = [
    "object", "string", "integer", "number", "array", "boolean", "null",
];
const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];
const DEEPEST: usize = 4;

/// An older schema, a newer one, and a payload.
pub(super) fn thrown(dice: &mut Dice<'_>) -> [Value; 3] {
    let mut old = schema(dice, 0);
    if dice.once_in(2)
        && let Some(members) = old.as_object_mut()
    {
        let parts = json!({ "x": schema(dice, 2), "y": schema(dice, 2) });
        members.insert("$defs".to_owned(), parts);
    }
    let mut new = old.clone();
    for _ in 0..=dice.below(3) {
        change(dice, &mut new, 0);
    }
    if dice.once_in(3) {
        for schema in [&mut old, &mut new] {
            if let Some(members) = schema.as_object_mut() {
                members.insert("$schema".to_owned(), json!(pick(dice, &DRAFTS)));
            }
        }
    }
    let payload = value(dice, 0);
    [old, new, payload]
}

fn schema(dice: &mut Dice<'_>, depth: usize) -> Value {
    if depth > 0 && dice.once_in(12) {
        return json!(dice.once_in(2));
    }
    if depth > 0 && dice.once_in(12) {
        return json!({ "$ref": *pick(dice, &["#/$defs/x", "#/$defs/y", "#"]) });
    }
    let mut members = Map::new();
    for _ in 0..=dice.below(4) {
        keyword(dice, &mut members, depth);
    }
    Value::Object(members)
}

fn keyword(dice: &mut Dice<'_>, members: &mut Map<String, Value>, depth: usize) {
    let is_deep = depth >= DEEPEST;
    let (name, value) = match dice.below(24) {
        0 | 1 => ("type", json!(pick(dice, &KINDS))),
        2 => ("type", json!([pick(dice, &KINDS), pick(dice, &KINDS)])),
        3 | 4 if !is_deep => ("properties", properties(dice, depth)),
        5 => ("required", json!([pick(dice, &NAMES)])),
        6 => ("additionalProperties", json!(dice.once_in(2))),
        7 if !is_deep => ("additionalProperties", schema(dice, depth + 1)),
        8 => ("unevaluatedProperties", json!(dice.once_in(2))),
        9 if !is_deep && dice.once_in(6) => ("items", json!([schema(dice, depth + 1)])),
        9 if !is_deep => ("items", schema(dice, depth + 1)),
        10 if !is_deep => ("allOf", json!([schema(dice, depth + 1)])),
        11 if !is_deep => ("anyOf", several(dice, depth)),
        12 if !is_deep => ("oneOf", several(dice, depth)),
        13 => ("enum", json!([scalar(dice), scalar(dice)])),
        14 => ("const", scalar(dice)),
        15 if dice.once_in(4) => ("exclusiveMinimum", json!(dice.once_in(2))),
        15 => (*pick(dice, &["minimum", "exclusiveMinimum"]), number(dice)),
        16 => (*pick(dice, &["maximum", "exclusiveMaximum"]), number(dice)),
        17 => {
            let names = ["minLength", "minItems", "minProperties"];
            (*pick(dice, &names), json!(dice.below(4)))
        }
        18 => {
            let names = ["maxLength", "maxItems", "maxProperties"];
            (*pick(dice, &names), json!(dice.below(4)))
        }
        19 => ("pattern", json!(pick(dice, &["^a", "b$", "[0-9]"]))),
        20 => ("uniqueItems", json!(dice.once_in(2))),
        21 => ("multipleOf", json!(1 + dice.below(3))),
        22 if !is_deep && dice.once_in(2) => {
            let names = [
                "not",
                "if",
                "then",
                "else",
                "contains",
                "propertyNames",
                "unevaluatedItems",
            ];
            (*pick(dice, &names), schema(dice, depth + 1))
        }
        22 if !is_deep && dice.once_in(2) => {
            let by_pattern = json!({ *pick(dice, &["^a", "[bc]"]): schema(dice, depth + 1) });
            ("patternProperties", by_pattern)
        }
        22 if !is_deep && dice.once_in(2) => ("prefixItems", json!([schema(dice, depth + 1)])),
        22 if dice.once_in(2) => {
            let asked = json!({ *pick(dice, &NAMES): [pick(dice, &NAMES)] });
            ("dependentRequired", asked)
        }
        22 => {
            let names = ["minContains", "maxContains"];
            (*pick(dice, &names), json!(dice.below(3)))
        }
        23 => ("format", json!(pick(dice, &["date", "uuid", "unheard-of"]))),
        _ => ("description", json!("a remark")),
    };
    members.insert(name.to_owned(), value);
}

fn properties(dice: &mut Dice<'_>, depth: usize) -> Value {
    let count = 1 + dice.below(2);
    let named = (0..count).map(|_| ((*pick(dice, &NAMES)).to_owned(), schema(dice, depth + 1)));
    Value::Object(named.collect())
}

fn several(dice: &mut Dice<'_>, depth: usize) -> Value {
    if dice.once_in(2) {
        return json!([{ "const": scalar(dice) }, { "enum": [scalar(dice)] }]);
    }
    json!([schema(dice, depth + 1), schema(dice, depth + 1)])
}

/// Changes a schema in one place.
fn change(dice: &mut Dice<'_>, schema: &mut Value, depth: usize) {
    let Some(members) = schema.as_object_mut() else {
        *schema = self::schema(dice, DEEPEST);
        return;
    };
    let names: Vec<String> = members.keys().cloned().collect();
    let name = (!names.is_empty()).then(|| pick(dice, &names).clone());
    match (name, dice.below(4)) {
        (Some(name), 0) => drop(members.remove(&name)),
        (Some(name), 1 | 2) if depth <= DEEPEST => {
            match members.get_mut(&name) {
                Some(Value::Object(parts)) if matches!(&*name, "properties" | "$defs") => {
                    let parts = parts.values_mut().collect::<Vec<_>>();
                    let count = parts.len().max(1);
                    let at = dice.below(count);
                    if let Some(part) = parts.into_iter().nth(at) {
                        change(dice, part, depth + 1);
                    }
                }
                Some(part @ Value::Object(_)) => change(dice, part, depth + 1),
                Some(Value::Array(parts)) if matches!(&*name, "allOf" | "anyOf" | "oneOf") => {
                    if let Some(part) = parts.first_mut() {
                        change(dice, part, depth + 1);
                    }
                }
                _ => keyword(dice, members, depth),
            };
        }
        _ => keyword(dice, members, depth),
    }
}

fn value(dice: &mut Dice<'_>, depth: usize) -> Value {
    match dice.below(if depth >= DEEPEST { 4 } else { 8 }) {
        4 => {
            let count = dice.below(4);
            Value::Array((0..count).map(|_| value(dice, depth + 1)).collect())
        }
        5..=7 => {
            let count = dice.below(4);
            let named =
                (0..count).map(|_| ((*pick(dice, &NAMES)).to_owned(), value(dice, depth + 1)));
            Value::Object(named.collect())
        }
        _ => scalar(dice),
    }
}

fn scalar(dice: &mut Dice<'_>) -> Value {
    match dice.below(6) {
        0 => Value::Null,
        1 => json!(dice.once_in(2)),
        2 | 3 => number(dice),
        _ => json!(pick(dice, &["", "a", "ab", "1", "2026-01-31"])),
    }
}

fn number(dice: &mut Dice<'_>) -> Value {
    let whole = dice.below(8) as i64 - 2;
    match dice.below(6) {
        5 => json!(whole as f64 + 0.5),
        4 => Number::from_f64(whole as f64).map_or(Value::Null, Value::Number),
        _ => json!(whole),
    }
}

fn pick<'c, T>(dice: &mut Dice<'_>, choices: &'c [T]) -> &'c T {
    &choices[dice.below(choices.len())]
}
