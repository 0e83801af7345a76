//! Of which draft a schema is: keywords come, go and change their meaning from one to the next, so that the
//! same text may ask for something else.

use serde_json::Value;

use super::schema::REMARKS;

/// A draft of JSON Schema.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Draft {
    Four,
    Six,
    Seven,
    Nineteen,
    Twenty,
}

/// The drafts by their names; what names none is of the last.
const NAMES: [(&str, Draft); 5] = [
    ("http://json-schema.org/draft-04/schema", Draft::Four),
    ("http://json-schema.org/draft-06/schema", Draft::Six),
    ("http://json-schema.org/draft-07/schema", Draft::Seven),
    (
        "https://json-schema.org/draft/2019-09/schema",
        Draft::Nineteen,
    ),
    (
        "https://json-schema.org/draft/2020-12/schema",
        Draft::Twenty,
    ),
];

/// Since when a draft holds a keyword against a payload; the others all do, as far as they are known.
const SINCE: [(&str, Draft); 14] = [
    ("const", Draft::Six),
    ("contains", Draft::Six),
    ("propertyNames", Draft::Six),
    ("if", Draft::Seven),
    ("then", Draft::Seven),
    ("else", Draft::Seven),
    ("dependentRequired", Draft::Nineteen),
    ("dependentSchemas", Draft::Nineteen),
    ("minContains", Draft::Nineteen),
    ("maxContains", Draft::Nineteen),
    ("unevaluatedItems", Draft::Nineteen),
    ("unevaluatedProperties", Draft::Nineteen),
    ("prefixItems", Draft::Twenty),
    ("$dynamicAnchor", Draft::Twenty),
];

/// What two of the drafts hold against a payload, and those after them do not.
const OF_CONTENT: [&str; 2] = ["contentEncoding", "contentMediaType"];

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

impl Draft {
    /// Of which draft a schema is.
    pub(super) fn of(root: &Value) -> Self {
        let known = NAMES.iter().find(|(known, _)| *known == name(root));
        known.map_or(Self::Twenty, |(_, draft)| *draft)
    }

    /// Whether it holds a keyword against a payload.
    pub(super) fn knows(self, keyword: &str) -> bool {
        if OF_CONTENT.contains(&keyword) {
            return matches!(self, Self::Six | Self::Seven);
        }
        let since = SINCE.iter().find(|(known, _)| *known == keyword);
        since.is_none_or(|(_, since)| self >= *since)
    }
}

/// Whether two schemas are of different drafts, and say something that depends on it. To draft 4, 1.0 is no
/// integer; from the next on, most says the same.
pub(super) fn matters(old: &Value, new: &Value) -> bool {
    let (from, to) = (name(old), name(new));
    let is_alike = |named: &str, schema| {
        NAMES[1..].iter().any(|(known, _)| *known == named) && is_timeless(schema)
    };
    from != to && !(is_alike(from, old) && is_alike(to, new))
}

fn name(root: &Value) -> &str {
    let named = root.get("$schema").and_then(Value::as_str);
    named.map_or(NAMES[4].0, |name| name.trim_end_matches('#'))
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
