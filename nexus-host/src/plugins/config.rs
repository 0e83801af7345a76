//! `[plugins]` and `[plugins.NAME]`: which plugins run and how. It holds the settings only, and
//! never shows those that belong to a plugin.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use nexus_plugin_api::abi::Manifest;

use super::signature::PublicKey;
use crate::config::{ByteSize, HumanDuration, Secret, Section, Sha256};

/// The keys of `[plugins]` itself, which no plugin's section can be called.
pub(crate) const RESERVED: [&str; 10] = [
    "check_permissions",
    "contracts_dir",
    "dir",
    "init_timeout",
    "locked",
    "max_generations",
    "require_signature",
    "trusted_keys",
    "watch",
    "worker",
];

/// With less a process does not even start.
const LEAST_MEMORY: u64 = 64 << 20;

/// Which plugins run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The folder the plugins lie in; a relative one starts at the config file's folder. Default
    /// "plugins".
    #[schemars(length(min = 1))]
    pub dir: PathBuf,
    /// A folder of contract files, `*.json` and `*.toml`, for types that no plugin owns; a relative one
    /// starts at the config file's folder. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub contracts_dir: Option<PathBuf>,
    /// How long a plugin may take to start. More than 0; default "10s".
    pub init_timeout: HumanDuration,
    /// The program that workers run, for plugins with `isolation = "process"`; a relative path starts at the
    /// config file's folder. Default `nexus-plugin-worker` beside the hub's program, or that itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub worker: Option<PathBuf>,
    /// Whether files that come, change or go in the folder while the hub runs are taken up at once. Default
    /// true; with false, when the configuration is read again.
    pub watch: bool,
    /// How many libraries of one plugin may be loaded into the hub, one after the other: none is ever unloaded.
    /// Those of workers do not count. 1 to 1,000; default 16.
    #[schemars(range(min = 1, max = 1000))]
    pub max_generations: usize,
    /// Whether a file is refused that others than root and the hub's user can write or replace. Not on Windows.
    /// Default true.
    pub check_permissions: bool,
    /// Whether a file is refused for which its plugin's section lists no `sha256`. Default false.
    pub locked: bool,
    /// Who may sign plugin files: Ed25519 public keys, such as "ssh-ed25519 AAAA... name". The signature of
    /// NAME.so is NAME.so.sig beside it. Default none: signatures are not looked at.
    pub trusted_keys: Vec<PublicKey>,
    /// Whether a file without a signature is refused; one with a wrong signature always is. Only with
    /// `trusted_keys`. Default false.
    pub require_signature: bool,
    /// The section of each plugin, `[plugins.NAME]`; `-` and `_` in a name are the same.
    #[serde(flatten)]
    pub named: BTreeMap<String, PluginConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("plugins"),
            contracts_dir: None,
            init_timeout: HumanDuration::from_secs(10),
            worker: None,
            watch: true,
            max_generations: 16,
            check_permissions: true,
            locked: false,
            trusted_keys: Vec::new(),
            require_signature: false,
            named: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The section of a plugin, if it has one.
    pub fn get(&self, name: &str) -> Option<&PluginConfig> {
        self.named.get(self.section_name(name)?)
    }

    /// How a plugin's section is called: an environment variable cannot write `-`.
    pub fn section_name(&self, name: &str) -> Option<&str> {
        if let Some((exact, _)) = self.named.get_key_value(name) {
            return Some(exact);
        }
        let mut names = self.named.keys();
        names
            .find(|written| same_name(written, name))
            .map(String::as_str)
    }

    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        section.positive("init_timeout", self.init_timeout.get());
        if self.require_signature && self.trusted_keys.is_empty() {
            section.refuse_together(
                &["require_signature", "trusted_keys"],
                "requires signatures, but trusts nobody's",
                "list who may sign in trusted_keys; `nexus plugin keygen` makes a key",
            );
        }
        let names: Vec<&String> = self.named.keys().collect();
        for (at, name) in names.iter().enumerate() {
            if let Some(first) = names[..at].iter().find(|first| same_name(first, name)) {
                let place = section.place_of(first);
                let message = format!("is the same plugin as `{first}`, at {place}");
                section.refuse(name, message, "write one section for it");
            }
        }
        for (name, plugin) in &self.named {
            plugin.check(&mut section.key(name));
        }
    }
}

fn same_name(one: &str, other: &str) -> bool {
    one.replace('-', "_") == other.replace('-', "_")
}

/// How one plugin runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginConfig {
    /// Where its code runs. Default "thread".
    pub isolation: Isolation,
    /// Whether the hub refuses to start without it. Default false.
    pub required: bool,
    /// Whether it is started. Default true.
    pub enabled: bool,
    /// The files it may be: their SHA-256, one or a list, as 64 hexadecimal digits. Default any.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(schema_with = "one_or_many_schema")]
    pub sha256: Vec<Sha256>,
    /// The plugin's own settings; it says which there are. Any text in them may be given as
    /// `{ env = "NAME" }` or `{ file = "PATH" }`.
    #[serde(skip_serializing)]
    pub config: PluginSettings,
    /// What the plugin gets only when it asks by name, each `{ env = "NAME" }` or
    /// `{ file = "PATH" }`.
    #[serde(skip_serializing)]
    pub secrets: BTreeMap<String, Secret>,
    /// With "process": how many processes it has, 1 to 64. Its sources run in the first. Default 1.
    #[schemars(range(min = 1, max = 64))]
    pub workers: usize,
    /// With "process": what each of them may use.
    pub limits: WorkerLimits,
    /// With "process": files and folders that it may read, beside those of the system. Default none; a plugin
    /// that asks for `filesystem` and has neither `read` nor `write` may use what the hub may.
    pub read: Vec<PathBuf>,
    /// With "process": files and folders that it may read and write. Default none.
    pub write: Vec<PathBuf>,
    /// With "process": variables of the hub's environment that it is given, beside those that any program needs.
    /// Default none.
    pub env: Vec<String>,
}

/// What a plugin's process may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerLimits {
    /// Memory of its own. Linux only. At least "64MiB"; default "1GiB".
    pub memory: ByteSize,
    /// Open files and sockets, 32 to 1,000,000. Not on Windows. Default 1024.
    #[schemars(range(min = 32, max = 1_000_000))]
    pub descriptors: u64,
    /// Processors that it may take, on average over 10 seconds: 0.5 is half of one, 2 are two. More than 0. Linux
    /// only. Default all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu: Option<f64>,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            memory: ByteSize::from_mib(1024),
            descriptors: 1024,
            cpu: None,
        }
    }
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            isolation: Isolation::Thread,
            required: false,
            enabled: true,
            sha256: Vec::new(),
            config: PluginSettings::default(),
            secrets: BTreeMap::new(),
            workers: 1,
            limits: WorkerLimits::default(),
            read: Vec::new(),
            write: Vec::new(),
            env: Vec::new(),
        }
    }
}

impl PluginConfig {
    /// The files that its processes may read and write; `None` for all that the hub may.
    pub(super) fn files(&self, manifest: &Manifest) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
        let asks = manifest.capabilities.iter().any(|one| one == "filesystem");
        let is_open = asks && self.read.is_empty() && self.write.is_empty();
        (!is_open).then(|| (self.read.clone(), self.write.clone()))
    }

    fn check(&self, section: &mut Section<'_, '_>) {
        if self.isolation != Isolation::Process {
            for key in ["workers", "limits", "read", "write", "env"] {
                if section.is_written(key) {
                    section.refuse_together(
                        &[key, "isolation"],
                        "is for plugins with isolation = \"process\"",
                        "write that as well, or take the key out",
                    );
                }
            }
        }
        if self.limits.memory.bytes() < LEAST_MEMORY {
            section.refuse("limits.memory", "must be at least 64MiB", "write more");
        }
        if self.required && !self.enabled {
            section.refuse_together(
                &["required", "enabled"],
                "a plugin that is not enabled cannot be required",
                "take one of the two out",
            );
        }
    }
}

/// Where a plugin's code runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Isolation {
    /// On the hub's own workers: the fastest, for code that is trusted.
    Inline,
    /// On threads of its own: a plugin that blocks holds nobody else up.
    #[default]
    Thread,
    /// In a process of its own, which may crash and is started again.
    Process,
}

impl Isolation {
    /// As the configuration names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Thread => "thread",
            Self::Process => "process",
        }
    }
}

/// A plugin's own settings. `Debug` does not show them: any may be a secret.
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PluginSettings(Map<String, Value>);

impl PluginSettings {
    /// The settings as JSON, secrets filled in.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

impl From<Map<String, Value>> for PluginSettings {
    fn from(settings: Map<String, Value>) -> Self {
        Self(settings)
    }
}

impl fmt::Debug for PluginSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginSettings({} keys)", self.0.len())
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Sha256>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(Sha256),
        Many(Vec<Sha256>),
    }

    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

fn one_or_many_schema(generator: &mut SchemaGenerator) -> Schema {
    let one: Cow<'_, Schema> = Cow::Owned(generator.subschema_for::<Sha256>());
    json_schema!({
        "type": ["string", "array"],
        "format": "nexus-sha256",
        "items": one,
    })
}
