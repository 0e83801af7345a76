//! Contracts: what a payload of a type must look like, owned by the plugin that defines it.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
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
            .with_transform(RecursiveTransform(refuse_unknown_fields))
            .into_generator()
            .into_root_schema_for::<T>();
        Self {
            event_type: T::TYPE.to_owned(),
            version: T::VERSION.parse().expect("a contract's version is semver"),
            schema: schema.into(),
        }
    }
}

/// Closes every object schema that lists its properties and says nothing of others.
fn refuse_unknown_fields(schema: &mut Schema) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
}
