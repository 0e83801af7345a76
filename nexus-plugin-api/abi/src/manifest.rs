//! What a plugin says of itself before it runs.

use serde::{Deserialize, Serialize};

/// Name of the object section that holds the manifest (`__DATA,__nexus` on Apple systems).
pub const MANIFEST_SECTION: &str = if cfg!(target_vendor = "apple") {
    "__nexus"
} else {
    ".nexus"
};

/// First bytes of the section; the JSON follows at once and ends at the first NUL or the end.
pub const MANIFEST_MAGIC: &[u8; 8] = b"NEXUSMF1";

/// The manifest, as the `.nexus` section holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Short name, unique among the loaded plugins: `[a-z0-9_-]`, at most 64.
    pub id: String,
    /// The plugin's own version, semver.
    pub version: String,
    /// One line on what it does; may be empty.
    #[serde(default)]
    pub description: String,
    /// The version of this interface that a host must have at least: the one it was built with, or an earlier
    /// one that has all it needs.
    pub abi: String,
    /// Target triple it was built for.
    pub target: String,
    /// `unwind` or `abort`.
    pub panic: String,
    /// Exported symbol of the library header.
    pub entry: String,
    /// The components; a component's number is its place here.
    pub components: Vec<ComponentEntry>,
    /// JSON Schema of the plugin's configuration.
    pub config_schema: serde_json::Value,
    /// Host services it calls: `publish`, `state`, `secrets`.
    #[serde(default)]
    pub services: Vec<String>,
    /// What it wants of the machine: `network`, `filesystem`, `desktop`.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// One component of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentEntry {
    /// What it is.
    pub kind: ComponentKind,
    /// Its name, unique per kind within the library.
    pub name: String,
    /// Processors: what they subscribe to, `type` or `type@source`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<String>,
}

/// The kinds of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ComponentKind {
    /// Turns a producer's own wire into events.
    Source,
    /// Decides what follows from an event.
    Processor,
    /// Acts on another system.
    Integration,
}

impl std::fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Processor => "processor",
            Self::Integration => "integration",
        })
    }
}
