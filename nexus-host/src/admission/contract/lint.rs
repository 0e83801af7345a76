//! What a schema says that is probably not what was meant: receives a schema that is valid, hands on what its
//! author wants to know. JSON Schema passes over what it does not know, so a slip takes everything.

use serde_json::Value;

use super::super::envelope::escaped;
use super::super::rejection::quoted;
use super::diff;
use crate::config::nearest;

/// How many slips of one schema are told.
const MOST: usize = 20;

/// Keywords whose value is a schema, or a list of them.
const SCHEMAS: [&str; 15] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value names schemas.
const NAMED: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Keywords that demand something by themselves.
const DEMANDS: [&str; 24] = [
    "$dynamicRef",
    "$recursiveRef",
    "$ref",
    "const",
    "dependentRequired",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "type",
    "uniqueItems",
];

/// Keywords that no payload is held against, though they are near to some of the others.
const REMARKS: [&str; 6] = [
    "id",
    "examples",
    "example",
    "title",
    "default",
    "deprecated",
];

/// Formats that are asserted.
const FORMATS: [&str; 19] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// What is probably a slip, each with its place.
pub(super) fn slips(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if diff::takes_no_object(schema) {
        found.push(
            "/schema takes no object, and every payload is one: no event will fit; write \
             \"type\": \"object\""
                .to_owned(),
        );
    }
    look(schema, "/schema", &mut found);
    found.truncate(MOST);
    found
}

fn look(schema: &Value, at: &str, found: &mut Vec<String>) {
    let Some(members) = schema.as_object() else {
        return;
    };
    for (key, value) in members {
        if found.len() >= MOST {
            return;
        }
        let place = format!("{at}/{}", escaped(key));
        match (key.as_str(), value) {
            (key, Value::Array(several)) if SCHEMAS.contains(&key) => {
                for (index, one) in several.iter().enumerate() {
                    look(one, &format!("{place}/{index}"), found);
                }
            }
            (key, one) if SCHEMAS.contains(&key) => look(one, &place, found),
            (key, Value::Object(named)) if NAMED.contains(&key) => {
                for (name, one) in named {
                    look(one, &format!("{place}/{}", escaped(name)), found);
                }
            }
            ("format", Value::String(format)) => found.extend(unknown_format(format, &place)),
            (key, _) => found.extend(unknown_keyword(key, &place)),
        }
    }
}

fn unknown_keyword(key: &str, place: &str) -> Option<String> {
    let known = || SCHEMAS.into_iter().chain(NAMED).chain(DEMANDS);
    if known().chain(REMARKS).any(|one| one == key) {
        return None;
    }
    let meant = nearest(key, known())?;
    Some(format!(
        "{place} is no keyword of JSON Schema and says nothing; did you mean `{meant}`?"
    ))
}

fn unknown_format(format: &str, place: &str) -> Option<String> {
    // Formats of numbers, as programs write them into schemas: the type says what they could.
    let of_number = ["int", "uint", "float", "double"];
    if FORMATS.contains(&format) || of_number.iter().any(|start| format.starts_with(start)) {
        return None;
    }
    let hint = match nearest(format, FORMATS) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "leave it out, or write a `pattern`".to_owned(),
    };
    let format = quoted(format);
    Some(format!(
        "{place}: the format {format} is not known and says nothing; {hint}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn slips_are_told_with_their_places() {
        let schema = json!({
            "tpye": "object",
            "properties": {
                "a": { "fromat": "date", "type": "string" },
                "b": { "anyOf": [{ "format": "datetime" }, { "format": "colour" }] },
                "requird": { "const": { "tpye": 1 } },
            },
            "required_": ["a"],
        });
        let told = slips(&schema);
        let expected = [
            "/schema/properties/a/fromat is no keyword of JSON Schema and says nothing; did you mean `format`?",
            "/schema/properties/b/anyOf/0/format: the format `datetime` is not known and says nothing; did you mean `date-time`?",
            "/schema/properties/b/anyOf/1/format: the format `colour` is not known and says nothing; leave it out, or write a `pattern`",
            "/schema/required_ is no keyword of JSON Schema and says nothing; did you mean `required`?",
            "/schema/tpye is no keyword of JSON Schema and says nothing; did you mean `type`?",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_as_it_should_be_is_passed_over() {
        for schema in [
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": "https://example.org/a", "$comment": "c", "title": "t", "description": "d",
                "type": "object", "properties": { "tpye": { "type": "integer", "format": "int32" } },
                "required": ["tpye"], "additionalProperties": false, "examples": [{ "tpye": 1 }],
                "x-owner": "shop", "nullable": true, "readOnly": true, "default": { "tpye": 1 },
            }),
            json!({ "id": "https://example.org/a", "type": ["object", "null"] }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "object" } } }),
            json!(true),
        ] {
            assert_eq!(slips(&schema), Vec::<String>::new(), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_takes_no_object_is_told() {
        for schema in [
            json!({ "type": "string" }),
            json!({ "enum": [1, "a"] }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "array" } } }),
            json!(false),
        ] {
            let told = slips(&schema);
            assert!(
                told[0].starts_with("/schema takes no object"),
                "{schema}: {told:?}"
            );
        }
    }

    #[test]
    fn no_more_are_told_than_anybody_reads() {
        let many: serde_json::Map<_, _> = (0..99)
            .map(|at| (at.to_string(), json!({ "tpye": "string" })))
            .collect();
        assert_eq!(slips(&json!({ "properties": many })).len(), MOST);
    }
}
