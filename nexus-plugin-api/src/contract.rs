//! Contracts: what a payload of a type must look like, owned by the plugin that defines it.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The type of a payload, with its name and version.
///
/// The JSON Schema comes from the Rust type; unknown fields are refused at every level, also where
/// `deny_unknown_fields` was forgotten.
///
/// ```
/// use nexus_plugin_api::prelude::*;
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct MailReceived { sender: String, subject: String }
///
/// impl Contract for MailReceived {
///     const TYPE: &'static str = "outlook.mail.received";
///     const VERSION: &'static str = "1.0.0";
/// }
/// let schema = ContractInfo::of::<MailReceived>().schema;
/// assert_eq!(schema["additionalProperties"], false);
/// ```
pub trait Contract: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// Dotted type, such as `outlook.mail.received`.
    const TYPE: &'static str;
    /// Semver: a breaking change is a new major version, and within a major version (a minor one
    /// before 1.0.0) everything that was accepted stays accepted.
    const VERSION: &'static str;
    /// From which day on this version should not be sent any more, `YYYY-MM-DD`, at 0:00 UTC. Those who
    /// still send it are told. Default never.
    const DEPRECATED: Option<&'static str> = None;
    /// From which day on this version is refused, `YYYY-MM-DD`, at 0:00 UTC. Default never.
    const SUNSET: Option<&'static str> = None;
    /// What must hold beyond the schema. Default nothing.
    const RULES: &'static [Rule] = &[];
}

/// A rule on a payload, in CEL: what a schema cannot say, such as how two fields go together.
///
/// ```
/// use nexus_plugin_api::Rule;
///
/// const RULES: &[Rule] = &[
///     Rule::new("payload.amount < 1000.0", "must be below 1000").at("/payload/amount"),
/// ];
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    rule: &'static str,
    message: &'static str,
    pointer: Option<&'static str>,
}

impl Rule {
    /// `rule` must be true of `payload` and `event` (the event's other fields); else the event is
    /// refused with `message`, which reads after the place: "must be below 1000".
    pub const fn new(rule: &'static str, message: &'static str) -> Self {
        Self {
            rule,
            message,
            pointer: None,
        }
    }

    /// Blames a field instead of the whole payload: a JSON Pointer such as `/payload/amount`.
    #[must_use]
    pub const fn at(self, pointer: &'static str) -> Self {
        Self {
            pointer: Some(pointer),
            ..self
        }
    }
}

/// A rule as the host keeps and publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `rule` and `message`")]
pub struct RuleInfo {
    /// CEL.
    pub rule: String,
    /// What is told when it does not hold.
    pub message: String,
    /// Which field is blamed; the payload when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl From<&Rule> for RuleInfo {
    fn from(rule: &Rule) -> Self {
        Self {
            rule: rule.rule.to_owned(),
            message: rule.message.to_owned(),
            pointer: rule.pointer.map(str::to_owned),
        }
    }
}

/// A contract as the host keeps and publishes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContractInfo {
    /// Dotted type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Semver.
    pub version: semver::Version,
    /// JSON Schema, draft 2020-12.
    pub schema: serde_json::Value,
    /// From when on it should not be sent any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<DateTime<Utc>>,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sunset: Option<DateTime<Utc>>,
    /// What must hold beyond the schema.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleInfo>,
}

impl ContractInfo {
    /// A contract of a schema alone.
    pub fn new(
        event_type: impl Into<String>,
        version: semver::Version,
        schema: serde_json::Value,
    ) -> Self {
        Self {
            event_type: event_type.into(),
            version,
            schema,
            deprecated: None,
            sunset: None,
            rules: Vec::new(),
        }
    }

    /// The contract of a Rust type.
    ///
    /// # Panics
    /// When [`Contract::VERSION`] is not semver or a date is none, which `export_plugin!` refuses to
    /// compile.
    pub fn of<T: Contract>() -> Self {
        let schema = SchemaSettings::draft2020_12()
            .with_transform(Closed)
            .into_generator()
            .into_root_schema_for::<T>();
        Self {
            event_type: T::TYPE.to_owned(),
            version: version_of::<T>(),
            schema: schema.into(),
            deprecated: T::DEPRECATED.map(midnight),
            sunset: T::SUNSET.map(midnight),
            rules: T::RULES.iter().map(RuleInfo::from).collect(),
        }
    }
}

pub(crate) fn version_of<T: Contract>() -> semver::Version {
    T::VERSION.parse().expect("a contract's version is semver")
}

fn midnight(day: &str) -> DateTime<Utc> {
    let day: NaiveDate = day.parse().expect("a contract's date is YYYY-MM-DD");
    day.and_time(NaiveTime::MIN).and_utc()
}

/// Closes every object schema that says nothing of further properties. Where one is put together
/// out of parts, they are judged as one: each alone would refuse what the others allow.
#[derive(Clone)]
struct Closed;

impl Transform for Closed {
    fn transform(&mut self, schema: &mut Schema) {
        let is_object = schema.get("type").is_some_and(|kind| kind == "object")
            || schema.get("properties").is_some();
        let parts: Vec<_> = ["oneOf", "anyOf", "allOf"]
            .into_iter()
            .filter_map(|key| Some((key, schema.remove(key)?)))
            .collect();
        if is_object && schema.get("additionalProperties").is_none() {
            let key = if parts.is_empty() {
                "additionalProperties"
            } else {
                "unevaluatedProperties"
            };
            schema.insert(key.to_owned(), false.into());
        }
        transform_subschemas(self, schema);
        for (key, mut branches) in parts {
            for branch in branches.as_array_mut().into_iter().flatten() {
                let Ok(part) = <&mut Schema>::try_from(branch) else {
                    continue;
                };
                if is_object {
                    transform_subschemas(self, part);
                } else {
                    self.transform(part);
                }
            }
            schema.insert(key.to_owned(), branches);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dates_and_rules_are_part_of_a_contract() {
        #[derive(Serialize, Deserialize, JsonSchema)]
        struct Paid {
            amount: f64,
        }
        impl Contract for Paid {
            const TYPE: &'static str = "shop.paid";
            const VERSION: &'static str = "1.0.0";
            const DEPRECATED: Option<&'static str> = Some("2026-01-31");
            const SUNSET: Option<&'static str> = Some("2027-01-31");
            const RULES: &'static [Rule] = &[Rule::new("payload.amount > 0.0", "must be positive")];
        }
        let told = serde_json::to_value(ContractInfo::of::<Paid>()).expect("it is JSON");
        assert_eq!(told["deprecated"], "2026-01-31T00:00:00Z");
        assert_eq!(told["sunset"], "2027-01-31T00:00:00Z");
        let rules = json!([{ "rule": "payload.amount > 0.0", "message": "must be positive" }]);
        assert_eq!(told["rules"], rules);
    }

    #[test]
    fn parts_are_closed_as_one_and_an_empty_object_is_closed() {
        let mut schema = Schema::try_from(json!({
            "type": "object",
            "properties": {"a": {"type": "object"}},
            "oneOf": [
                {"type": "object", "properties": {"b": {}}},
                {"type": "object", "properties": {"c": {}}},
            ],
        }))
        .expect("a schema");
        Closed.transform(&mut schema);
        let schema = schema.to_value();
        assert_eq!(schema["unevaluatedProperties"], false);
        assert_eq!(schema["properties"]["a"]["additionalProperties"], false);
        let branch = &schema["oneOf"][0];
        assert!(branch.get("additionalProperties").is_none(), "{schema:#}");
    }
}
