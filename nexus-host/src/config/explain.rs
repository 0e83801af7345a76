//! A validator's error in words a person can act on: receives one error, hands on findings. It
//! never quotes a value where a secret may stand.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::key::{KeyPath, Step};
use super::schema::{self, Finding, known_keys};
use super::suggest::{hint, nearest};

/// The longest text that is quoted whole.
const QUOTED_CHARS: usize = 60;

/// Turns one error about the value at `path` into findings; an unknown key each has its own.
pub(crate) fn explain(error: &ValidationError<'_>, root: &Value, path: &KeyPath) -> Vec<Finding> {
    let value = error.instance().as_ref();
    let rule = Rule {
        root,
        pointer: error.schema_path().as_str(),
    };
    let one = |message: String| vec![Finding::new(path.clone(), message)];
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = rule.above(1).map(known_keys).unwrap_or_default();
            unexpected
                .iter()
                .map(|key| unknown_key(path.key(key), key, &known))
                .collect()
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            vec![Finding::new(path.key(key), "is missing")]
        }
        Kind::Type { .. } => vec![wrong_type(value, &rule, path)],
        Kind::Enum { .. } | Kind::Constant { .. } => {
            vec![wrong_choice(
                value,
                &choices(error).unwrap_or_default(),
                path,
            )]
        }
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => match choices(error) {
            Some(choices) => vec![wrong_choice(value, &choices, path)],
            None => {
                let depth = error.instance_path().iter().count();
                no_branch(value, context, root, path, depth)
            }
        },
        Kind::Format { format } => vec![wrong_form(value, format, path)],
        Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. } => {
            let bounds = rule.above(1).map_or_else(String::new, bounds);
            one(format!("must be {bounds}{}", but_found(value, path)))
        }
        Kind::MinLength { limit: 1 } | Kind::MinItems { limit: 1 } => {
            one("must not be empty".into())
        }
        Kind::MinLength { limit } => one(format!("must have at least {limit} characters")),
        Kind::MaxLength { limit } => one(format!("must have at most {limit} characters")),
        Kind::MinItems { limit } => one(format!("must hold at least {limit} values")),
        Kind::MaxItems { limit } => one(format!("must hold at most {limit} values")),
        Kind::MinProperties { .. } | Kind::MaxProperties { .. }
            if rule.above(1).is_some_and(is_reference) =>
        {
            one("must have exactly one key, `env` or `file`".into())
        }
        Kind::MinProperties { limit } => one(format!("must have at least {limit} keys")),
        Kind::MaxProperties { limit } => one(format!("must have at most {limit} keys")),
        Kind::UniqueItems => one("holds the same value twice".into()),
        Kind::Pattern { pattern } => {
            // The hub's own formats say in words what their pattern says to an editor.
            match format_of(&rule).filter(|format| schema::is_own_format(format)) {
                Some(format) => vec![wrong_form(value, format, path)],
                None => one(format!(
                    "{} does not have the form {pattern}",
                    shown(value, path)
                )),
            }
        }
        Kind::PropertyNames { .. } => one("has a key that is not allowed".into()),
        _ => one(error.masked_with("the value").to_string()),
    }
}

/// The place of a broken rule inside its schema.
struct Rule<'r> {
    root: &'r Value,
    pointer: &'r str,
}

impl<'r> Rule<'r> {
    fn above(&self, levels: usize) -> Option<&'r Value> {
        let mut pointer = self.pointer;
        for _ in 0..levels {
            pointer = &pointer[..pointer.rfind('/')?];
        }
        self.root.pointer(pointer)
    }

    /// The keyword `levels` above the broken rule.
    fn name(&self, levels: usize) -> Option<&'r str> {
        self.pointer.rsplit('/').nth(levels)
    }
}

fn unknown_key(path: KeyPath, key: &str, known: &[&str]) -> Finding {
    let what = if path.steps().len() == 1 {
        "unknown section"
    } else {
        "unknown key"
    };
    Finding::new(path, what).with_help(hint(key, known))
}

/// A number such as `5.0`: JSON Schema takes it for an integer, and the types here do not.
pub(crate) fn not_whole(value: &Value, path: &KeyPath) -> Finding {
    let message = format!("expected an integer, found {}", found(value, path));
    Finding::new(path.clone(), message)
}

fn wrong_type(value: &Value, rule: &Rule<'_>, path: &KeyPath) -> Finding {
    let expected = rule.above(1).map(schema::types).unwrap_or_default();
    let key = match path.steps().last() {
        Some(Step::Key(key)) => key.as_str(),
        _ => "",
    };
    // A table whose names are free beside fixed keys, as [plugins] is: a stray name that is no
    // table is a mistyped key, and a table under a fixed key is a name that is taken.
    if rule.name(1) == Some("additionalProperties") && expected == ["object"] {
        let known = rule.above(2).map(known_keys).unwrap_or_default();
        if let Some(meant) = nearest(key, known.iter().copied()) {
            let help = format!("did you mean `{meant}`?");
            return Finding::new(path.clone(), "unknown key").with_help(Some(help));
        }
    }
    if value.is_object() && rule.name(2) == Some("properties") {
        let beside = rule.above(3).and_then(|s| s.get("additionalProperties"));
        if beside.is_some_and(Value::is_object) {
            let message = format!("`{key}` is a setting here and cannot be the name of a table");
            return Finding::new(path.clone(), message)
                .with_help(Some("choose another name".to_owned()));
        }
    }
    let names: Vec<&str> = expected
        .iter()
        .filter(|name| **name != "null")
        .map(|name| type_name(name))
        .collect();
    let reference = value.is_string() && rule.above(1).is_some_and(is_reference);
    let message = format!(
        "expected {}, found {}",
        names.join(" or "),
        found(value, path)
    );
    let help = match reference {
        true => Some("write { env = \"NAME\" } or { file = \"PATH\" }".to_owned()),
        false => format_of(rule).and_then(schema::how_to_write),
    };
    Finding::new(path.clone(), message).with_help(help)
}

/// The format that is asked for beside a rule.
fn format_of<'r>(rule: &Rule<'r>) -> Option<&'r str> {
    rule.above(1)?.get("format")?.as_str()
}

/// Whether a schema is that of a secret's reference.
fn is_reference(schema: &Value) -> bool {
    known_keys(schema) == ["env", "file"]
}

fn wrong_choice(value: &Value, choices: &[String], path: &KeyPath) -> Finding {
    let but_found = but_found(value, path);
    let message = match choices {
        [only] => format!("must be \"{only}\"{but_found}"),
        several => format!("must be one of \"{}\"{but_found}", several.join("\", \"")),
    };
    let meant = value
        .as_str()
        .and_then(|text| nearest(text, choices.iter().map(String::as_str)));
    Finding::new(path.clone(), message)
        .with_help(meant.map(|meant| format!("did you mean \"{meant}\"?")))
}

/// The fixed texts a value may be, when the rule is a choice among such.
fn choices(error: &ValidationError<'_>) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match error.kind() {
        Kind::Constant { expected_value } => Some(vec![text(expected_value)]),
        Kind::Enum { options } => Some(options.as_array()?.iter().map(text).collect()),
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => {
            let mut all = Vec::new();
            for branch in context {
                match branch.iter().find_map(choices) {
                    Some(some) => all.extend(some),
                    None if only_null(branch) => {}
                    None => return None,
                }
            }
            Some(all)
        }
        _ => None,
    }
}

fn only_null(branch: &[ValidationError<'_>]) -> bool {
    use jsonschema::error::TypeKind;
    use jsonschema::types::JsonType;
    matches!(
        branch,
        [error] if matches!(error.kind(), Kind::Type { kind: TypeKind::Single(JsonType::Null) })
    )
}

/// None of several forms fits: the mistakes in the one form of the right type, if there is one.
fn no_branch(
    value: &Value,
    context: &[Vec<ValidationError<'static>>],
    root: &Value,
    path: &KeyPath,
    depth: usize,
) -> Vec<Finding> {
    let whole = |error: &ValidationError<'_>| {
        matches!(error.kind(), Kind::Type { .. }) && error.instance().as_ref() == value
    };
    let mut near = context.iter().filter(|branch| !branch.iter().any(whole));
    if let (Some(branch), None) = (near.next(), near.next()) {
        return branch
            .iter()
            .flat_map(|error| {
                // A branch's errors count their paths from the root, like the error round them.
                let whole = error.instance_path().as_str();
                let parts = whole.split('/').skip(1 + depth);
                let pointer: String = parts.map(|part| format!("/{part}")).collect();
                explain(error, root, &schema::locate(value, path, &pointer))
            })
            .collect();
    }
    let message = format!(
        "has none of the forms allowed here, found {}",
        found(value, path)
    );
    vec![Finding::new(path.clone(), message)]
}

fn wrong_form(value: &Value, format: &str, path: &KeyPath) -> Finding {
    let text = value.as_str().unwrap_or_default();
    let Some(reason) = schema::wrong_form(format, text) else {
        let message = format!("{} is not a valid {format}", shown(value, path));
        return Finding::new(path.clone(), message).with_help(schema::how_to_write(format));
    };
    let reason = reason.to_string();
    let (what, help) = match reason.split_once("; ") {
        Some((what, help)) => (what, Some(help.to_owned())),
        None => (reason.as_str(), None),
    };
    Finding::new(path.clone(), format!("{} {what}", shown(value, path))).with_help(help)
}

fn bounds(schema: &Value) -> String {
    let get = |key: &str| schema.get(key).filter(|limit| limit.is_number());
    if let (Some(low), Some(high)) = (get("minimum"), get("maximum")) {
        return format!("from {low} to {high}");
    }
    let words = [
        ("minimum", "at least"),
        ("exclusiveMinimum", "more than"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "less than"),
    ];
    let parts: Vec<String> = words
        .iter()
        .filter_map(|(key, words)| Some(format!("{words} {}", get(key)?)))
        .collect();
    parts.join(" and ")
}

fn type_name(name: &str) -> &'static str {
    match name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "nothing",
    }
}

/// The kind of a value, with the value itself where it is short and no secret.
fn found(value: &Value, path: &KeyPath) -> String {
    let kind = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    };
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) if !path.may_hold_secret() => {
            format!("{kind} ({})", shown(value, path))
        }
        _ => kind.to_owned(),
    }
}

fn but_found(value: &Value, path: &KeyPath) -> String {
    if path.may_hold_secret() {
        return String::new();
    }
    format!(", found {}", shown(value, path))
}

/// The value as it is quoted in a sentence.
fn shown(value: &Value, path: &KeyPath) -> String {
    match value {
        _ if path.may_hold_secret() => "the value".to_owned(),
        Value::String(text) if text.chars().count() > QUOTED_CHARS => {
            let start: String = text.chars().take(QUOTED_CHARS).collect();
            format!("{:?}", format!("{start}…"))
        }
        Value::String(text) => format!("{text:?}"),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::Null => "nothing".to_owned(),
    }
}
