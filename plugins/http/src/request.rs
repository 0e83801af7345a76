//! What the integration is asked to do: receives the JSON of an effect, hands on typed requests. Unknown fields are
//! refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request, as the JSON of an effect.
///
/// ```
/// use http_plugin::Request;
///
/// let request: Request = serde_json::from_str(r#"{
///     "target": "refund", "values": {"order": {"id": 17}}, "query": {"dry_run": true}
/// }"#)?;
/// assert_eq!(request.target.as_deref(), Some("refund"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Which target of the configuration; may be the effect's own `target` instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// A URL in the place of a target, where `allow_any_url` lets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The method for such a URL; `POST` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What takes the place of the target's placeholders.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub values: Value,
    /// A body in the place of the target's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// What is added to the URL's query: texts, numbers, true or false.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Value>,
}
