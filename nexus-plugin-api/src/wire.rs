//! The JSON heads that cross the border beside raw bodies. Both sides use these types.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a plugin is started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Init {
    /// The plugin's configuration, checked.
    pub config: serde_json::Value,
    /// Where its futures are polled.
    #[serde(default)]
    pub isolation: Isolation,
    /// Whether it is linked into the host and shares its `tracing`.
    #[serde(default)]
    pub linked: bool,
}

/// Where a plugin's futures are polled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// On the host's own workers.
    Inline,
    /// On the plugin's own runtime.
    #[default]
    Thread,
}

/// What [`nexus_plugin_abi::RootV1::describe`] answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Description {
    /// The contracts it owns.
    #[serde(default)]
    pub contracts: Vec<crate::ContractInfo>,
    /// The migrations between versions of them.
    #[serde(default)]
    pub migrations: Vec<MigrationInfo>,
}

/// A migration that a plugin has; also the head of `MIGRATE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationInfo {
    /// Dotted type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version that it takes.
    pub from: semver::Version,
    /// The version that it makes.
    pub to: semver::Version,
}

/// Head of `DELIVER`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeliverHead {
    /// Which system behind the integration is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Head of `HOOK`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HookHead {
    /// Upper-case HTTP method.
    pub method: String,
    /// Rest of the path.
    pub path: String,
    /// Raw query.
    pub query: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
}

/// Head of the answer to `HOOK`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HookReplyHead {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
}

/// What publishing answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The event's id.
    pub event_id: Uuid,
    /// Whether it is new.
    pub status: PublishStatus,
}

/// Whether a published event is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishStatus {
    /// New, and queued.
    Accepted,
    /// Seen before within the window; nothing was queued.
    Duplicate,
}

/// Head of the operations on durable state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StateHead {
    /// The key, or for a listing the prefix.
    pub key: String,
    /// For a write: delete.
    #[serde(default)]
    pub delete: bool,
}

/// Head of the answer to reading durable state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StateFound {
    /// Whether the key exists.
    pub found: bool,
}

/// Head of reading a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretHead {
    /// Its name in `[plugins.NAME.secrets]`.
    pub name: String,
}
