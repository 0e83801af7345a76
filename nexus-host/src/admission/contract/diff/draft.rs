//! Of which draft a schema is: keywords come, go and change their meaning from one to the next, so that the
//! same text may ask for something else.

use serde_json::Value;

use super::schema::REMARKS;

/// What a schema without `$schema` is of.
const DEFAULT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Drafts in which the keywords below say the same. Draft 4 is none of them: to it, 1.0 is no integer.
const ALIKE: [&str; 4] = [
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    DEFAULT,
];

/// Drafts that hold `contentEncoding` and `contentMediaType` against a payload.
const OF_CONTENT: [&str; 2] = [ALIKE[0], ALIKE[1]];

/// Keywords whose value is no schema.
const PLAIN: [&str; 16] = [
    "type",
    "enum",
    "const",
    "required",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

/// Whether two schemas are of different drafts, and say something that depends on it.
pub(super) fn matters(old: &Value, new: &Value) -> bool {
    let (from, to) = (of(old), of(new));
    let are_alike = ALIKE.contains(&from) && ALIKE.contains(&to);
    from != to && !(are_alike && is_timeless(old) && is_timeless(new))
}

/// Whether a schema's draft holds what a text says of its content against a payload.
pub(super) fn holds_content(root: &Value) -> bool {
    OF_CONTENT.contains(&of(root))
}

fn of(root: &Value) -> &str {
    let named = root.get("$schema").and_then(Value::as_str);
    named.map_or(DEFAULT, |name| name.trim_end_matches('#'))
}

/// Whether each keyword says the same in all of the drafts that are alike.
fn is_timeless(schema: &Value) -> bool {
    let Value::Object(members) = schema else {
        return schema.is_boolean();
    };
    let is_reference = members.contains_key("$ref");
    let all = |schemas: &Value| match schemas {
        Value::Object(named) => named.values().all(is_timeless),
        Value::Array(listed) => listed.iter().all(is_timeless),
        _ => false,
    };
    members.iter().all(|(key, value)| match key.as_str() {
        "$ref" => {
            let target = value.as_str().unwrap_or_default();
            target.starts_with("#/$defs/") || target.starts_with("#/definitions/")
        }
        "$defs" | "definitions" => all(value),
        // Below it, references begin elsewhere.
        "$id" | "$anchor" | "$vocabulary" => false,
        key if REMARKS.contains(&key) => true,
        // What stands beside a reference counts in some drafts only.
        _ if is_reference => false,
        "properties" | "patternProperties" | "allOf" | "anyOf" | "oneOf" => all(value),
        "additionalProperties" | "items" | "not" | "propertyNames" => is_timeless(value),
        "uniqueItems" => true,
        key => PLAIN.contains(&key),
    })
}
