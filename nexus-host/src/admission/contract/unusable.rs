//! Why a schema cannot be used: receives the validator's error, hands on its place, what is wrong there, and
//! what to write instead.

use jsonschema::ReferencingError;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::super::rejection::{quoted, shortened};

/// How a pattern begins or goes on that looks around or back.
const UNBOUNDED: [&str; 5] = ["(?=", "(?!", "(?<=", "(?<!", "\\k<"];

/// One line, without the schema that it is about.
pub(super) fn told(error: &ValidationError<'_>) -> String {
    let at = match error.instance_path().as_str() {
        "" => "/",
        place => place,
    };
    let keyword = at.rsplit('/').next().unwrap_or_default();
    let value = error.instance();
    let wrong = match (error.kind(), keyword, value.as_ref()) {
        (Kind::Referencing(error), ..) => return reference(error),
        (Kind::Format { format }, _, Value::String(pattern)) if format == "regex" => {
            unusable_pattern(pattern)
        }
        (_, "type", value) => format!(
            "{} is no type; there are null, boolean, integer, number, string, array and object",
            quoted(&text(value))
        ),
        (Kind::Type { kind }, _, value) => format!(
            "{} is not what this keyword takes; write {}",
            quoted(&text(value)),
            expected(kind)
        ),
        _ => format!("{error}; correct it"),
    };
    shortened(&format!("at {at}: {wrong}"))
}

fn reference(error: &ReferencingError) -> String {
    let wrong = match error {
        ReferencingError::Unretrievable { uri, .. } => format!(
            "a `$ref` leads to {}, and nothing is fetched; put that schema under `$defs`, with its `$id`",
            quoted(uri)
        ),
        ReferencingError::PointerToNowhere { pointer } => format!(
            "a `$ref` leads to {}, which is not in the schema; correct it, or put a schema there",
            quoted(&format!("#{pointer}"))
        ),
        ReferencingError::NoSuchAnchor { anchor } | ReferencingError::InvalidAnchor { anchor } => {
            format!(
                "a `$ref` leads to the anchor {}, which is not in the schema; correct it",
                quoted(anchor)
            )
        }
        ReferencingError::UnknownSpecification { specification } => format!(
            "`$schema` names {}, which is not known; leave it out for draft 2020-12, or name 2019-09, 7, 6 \
             or 4",
            quoted(specification)
        ),
        other => format!("a `$ref` or `$schema` cannot be used: {other}; correct it"),
    };
    shortened(&wrong)
}

fn unusable_pattern(pattern: &str) -> String {
    let refers_back = pattern
        .as_bytes()
        .windows(2)
        .any(|two| two[0] == b'\\' && (b'1'..=b'9').contains(&two[1]));
    let pattern_shown = quoted(pattern);
    match refers_back || UNBOUNDED.iter().any(|part| pattern.contains(part)) {
        true => format!(
            "the pattern {pattern_shown} looks around or back, which may take for ever; write it without"
        ),
        false => format!("the pattern {pattern_shown} is no regular expression; correct it"),
    }
}

fn expected(kind: &jsonschema::error::TypeKind) -> String {
    use jsonschema::error::TypeKind;
    match kind {
        TypeKind::Single(one) => format!("one of type {one}"),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several.iter().map(|kind| kind.to_string()).collect();
            format!("one of type {}", names.join(" or "))
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Contracts;

    #[test]
    fn a_schema_is_refused_with_its_place_and_what_to_write() {
        let pattern = |pattern: &str| json!({ "properties": { "a": { "pattern": pattern } } });
        for (schema, place, what) in [
            (
                json!({ "type": "objct" }),
                "at /type: ",
                "`objct` is no type; there are null,",
            ),
            (
                json!({ "properties": { "a": { "minimum": "x" } } }),
                "at /properties/a/minimum: ",
                "write one of type number",
            ),
            (
                pattern("(?=x)y"),
                "at /properties/a/pattern: ",
                "write it without",
            ),
            (
                pattern("(a)\\1"),
                "at /properties/a/pattern: ",
                "write it without",
            ),
            (
                pattern("("),
                "at /properties/a/pattern: ",
                "is no regular expression; correct it",
            ),
            (
                json!({ "$ref": "https://example.org/x.json" }),
                "a `$ref` leads to `https://example.org/x.json`",
                "put that schema under `$defs`",
            ),
            (
                json!({ "$ref": "#/$defs/x" }),
                "a `$ref` leads to `#/$defs/x`",
                "is not in the schema",
            ),
            (
                json!({ "$schema": "http://json-schema.org/draft-03/schema#" }),
                "`$schema` names",
                "leave it out for draft 2020-12",
            ),
        ] {
            let version = "1.0.0".parse().unwrap();
            let info = nexus_plugin_api::ContractInfo::new("a.b", version, schema.clone());
            let refused = Contracts::default().register("a", info).unwrap_err();
            let told = refused.to_string();
            assert!(
                told.contains(&format!("has no usable schema: {place}")) && told.contains(what),
                "{schema}: {told}"
            );
            assert!(!told.contains('\n'), "{told}");
        }
    }
}
