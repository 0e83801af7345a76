//! Contracts: what a payload of a type must look like, owned by the plugin that defines it.

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
    /// Semver: a breaking change is a new major version.
    const VERSION: &'static str;
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
}

impl ContractInfo {
    /// The contract of a Rust type.
    ///
    /// # Panics
    /// When [`Contract::VERSION`] is not semver, which `export_plugin!` refuses to compile.
    pub fn of<T: Contract>() -> Self {
        let schema = SchemaSettings::draft2020_12()
            .with_transform(Closed)
            .into_generator()
            .into_root_schema_for::<T>();
        Self {
            event_type: T::TYPE.to_owned(),
            version: T::VERSION.parse().expect("a contract's version is semver"),
            schema: schema.into(),
        }
    }
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
