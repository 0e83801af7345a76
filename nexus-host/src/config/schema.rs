//! The configuration against a JSON Schema: receives a value and a schema, hands on every mistake
//! with its path. It never says where a value was written; the document knows that.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::explain::explain;
use super::key::KeyPath;
use super::problem::InvalidValue;
use super::{ByteSize, Config, HumanDuration, Selector, Sha256};

/// One mistake in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: KeyPath,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Finding {
    pub(crate) fn new(path: KeyPath, message: impl Into<String>) -> Self {
        Self {
            path,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

type Format = (&'static str, fn(&str) -> Result<(), InvalidValue>);

/// The texts with a form of their own that the hub's schema names.
const FORMATS: [Format; 12] = [
    ("nexus-duration", |text| {
        text.parse::<HumanDuration>().map(drop)
    }),
    ("nexus-size", |text| text.parse::<ByteSize>().map(drop)),
    ("nexus-sha256", |text| text.parse::<Sha256>().map(drop)),
    ("nexus-selector", |text| text.parse::<Selector>().map(drop)),
    (
        "nexus-public-key",
        crate::plugins::signature::check_public_key,
    ),
    ("nexus-address", crate::ingress::config::check_address),
    ("nexus-grpc", |text| {
        text.parse::<crate::ingress::config::Grpc>().map(drop)
    }),
    ("nexus-network", crate::outgoing::check_network),
    ("nexus-pick", crate::ingress::webhooks::check_pick),
    ("nexus-pointer", crate::ingress::webhooks::check_pointer),
    ("nexus-log-filter", crate::observe::config::check_filter),
    ("nexus-log-field", |text| {
        text.parse::<crate::observe::LogField>().map(drop)
    }),
];

/// Why the text is not of the format, when it is one of the hub's.
pub(crate) fn wrong_form(format: &str, text: &str) -> Option<InvalidValue> {
    let (_, check) = FORMATS.iter().find(|(name, _)| *name == format)?;
    check(text).err()
}

/// What to write where a format is asked for, when it is known.
pub(crate) fn how_to_write(format: &str) -> Option<String> {
    if format == "date-time" {
        return Some("write day, time and offset, such as \"2027-01-31T12:00:00Z\"".to_owned());
    }
    let wrong = wrong_form(format, "")?.to_string();
    let (_, help) = wrong.split_once("; ")?;
    Some(help.to_owned())
}

/// Whether a format is one of the hub's.
pub(crate) fn is_own_format(format: &str) -> bool {
    FORMATS.iter().any(|(name, _)| *name == format)
}

/// The hub's own schema, without references so that a path leads straight through it.
pub(crate) static ROOT: LazyLock<Value> = LazyLock::new(|| {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
});

static ROOT_VALIDATOR: LazyLock<Result<Validator, String>> = LazyLock::new(|| compile(&ROOT));

fn compile(schema: &Value) -> Result<Validator, String> {
    let mut options = jsonschema::options().should_validate_formats(true);
    for (name, check) in FORMATS {
        options = options.with_format(name, move |text: &str| check(text).is_ok());
    }
    options
        .build(schema)
        .map_err(|error| error.masked().to_string())
}

/// Every mistake in the whole configuration.
pub(crate) fn check_root(value: &Value) -> Vec<Finding> {
    let base = KeyPath::root();
    match &*ROOT_VALIDATOR {
        Ok(validator) => run(validator, &ROOT, value, &base),
        Err(error) => vec![unusable(&base, error)],
    }
}

/// Every mistake in a part of it, whose schema somebody else gave.
pub(crate) fn check_with(schema: &Value, value: &Value, base: &KeyPath) -> Vec<Finding> {
    match compile(schema) {
        Ok(validator) => run(&validator, schema, value, base),
        Err(error) => vec![unusable(base, &error)],
    }
}

fn unusable(base: &KeyPath, error: &str) -> Finding {
    let message = format!("cannot be checked, its schema is not valid: {error}");
    Finding::new(base.clone(), message)
}

fn run(validator: &Validator, schema: &Value, value: &Value, base: &KeyPath) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for error in validator.iter_errors(value) {
        let path = locate(value, base, error.instance_path().as_str());
        for finding in explain(&error, schema, &path) {
            // A value that breaks two rules at once (a form and its length) is one mistake.
            if !findings.iter().any(|known| known.path == finding.path) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// Reads a JSON pointer along the value it points into: only that tells keys from indexes.
pub(crate) fn locate(value: &Value, base: &KeyPath, pointer: &str) -> KeyPath {
    let mut path = base.clone();
    let mut value = Some(value);
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        match value {
            Some(Value::Array(items)) => {
                let index = key.parse().unwrap_or(usize::MAX);
                path = path.index(index);
                value = items.get(index);
            }
            other => {
                path = path.key(&key);
                value = other.and_then(|value| value.get(&key));
            }
        }
    }
    path
}

/// The schema of one key inside a table's schema.
pub(crate) fn of_key<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    match schema.get("properties").and_then(|known| known.get(key)) {
        Some(found) => Some(found),
        None => schema
            .get("additionalProperties")
            .filter(|s| **s != Value::Bool(false)),
    }
}

/// The keys a table's schema names, sorted.
pub(crate) fn known_keys(schema: &Value) -> Vec<&str> {
    let known = schema.get("properties").and_then(Value::as_object);
    let mut keys: Vec<&str> = known
        .into_iter()
        .flat_map(|known| known.keys().map(String::as_str))
        .collect();
    keys.sort_unstable();
    keys
}

/// The types a schema allows, if it says.
pub(crate) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a JSON value has one of these types.
pub(crate) fn has_type(value: &Value, types: &[&str]) -> bool {
    let own: &[&str] = match value {
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Number(number) if number.is_f64() => &["number"],
        Value::Number(_) => &["integer", "number"],
        Value::String(_) => &["string"],
        Value::Array(_) => &["array"],
        Value::Object(_) => &["object"],
    };
    own.iter().any(|own| types.contains(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_own_schema_is_valid_and_has_no_references() {
        assert!(ROOT_VALIDATOR.is_ok());
        assert!(!ROOT.to_string().contains("$ref"));
        assert_eq!(check_root(&serde_json::json!({})), []);
    }

    #[test]
    fn a_pointer_is_read_along_its_value() {
        let value = serde_json::json!({"a": [{"0": {"x/y": 1}}]});
        let path = locate(&value, &KeyPath::root().key("base"), "/a/0/0/x~1y");
        assert_eq!(path.to_string(), "base.a[0].0.\"x/y\"");
        assert!(matches!(path.steps()[3], super::super::key::Step::Key(_)));
    }
}
