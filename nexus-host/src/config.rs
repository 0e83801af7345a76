//! The configuration: receives TOML files, environment variables and secrets, hands on typed
//! settings to each room, or every mistake in them at once with its file and line. It never shows a
//! secret, and never decides what a setting means: each room owns its own.

mod check;
mod digest;
mod document;
mod duration;
mod explain;
mod folder;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod key;
mod loader;
mod problem;
mod schema;
mod secret;
mod selector;
mod shutdown;
mod size;
mod source;
mod suggest;
mod variables;

use std::path::Path;
use std::sync::Arc;

use nexus_plugin_api::Priority;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::check::Section;
pub use self::digest::{KeyHash, Sha256};
pub use self::document::Document;
pub use self::duration::HumanDuration;
pub use self::loader::Loader;
pub use self::problem::{ConfigErrors, InvalidValue, Place, Problem};
pub use self::secret::Secret;
pub use self::selector::Selector;
pub use self::shutdown::Shutdown;
pub use self::size::ByteSize;
pub(crate) use self::suggest::nearest;

use self::check::Objections;
use self::document::{Content, Node};
use self::key::KeyPath;
use crate::{
    admission, alerts, approvals, dispatch, ingress, observe, outgoing, plugins, queue, routes,
};

/// Everything the hub can be told.
///
/// ```
/// use nexus_host::config::Config;
///
/// let config = Config::from_toml_str("[shutdown]\ntimeout = \"1m\"\n")?;
/// assert_eq!(config.shutdown.timeout.as_secs(), 60);
/// assert_eq!(config.queue.capacity, 1000, "what is not written has its default");
/// # Ok::<(), nexus_host::config::ConfigErrors>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where and how the hub listens.
    pub server: ingress::config::Config,
    /// What an event may weigh.
    pub limits: admission::config::Limits,
    /// Who may publish.
    pub clients: Vec<admission::config::Client>,
    /// Whose tokens (JWT) are believed.
    pub issuers: Vec<admission::config::Issuer>,
    /// What must hold of events beyond their contracts; 32 at most.
    #[schemars(length(max = 32))]
    pub rules: Vec<admission::config::TypeRule>,
    /// Who sends webhooks that become events without a plugin.
    pub webhooks: Vec<ingress::webhooks::config::Webhook>,
    /// What follows from which events, without a plugin; 10,000 at most.
    #[schemars(length(max = 10_000))]
    pub routes: Vec<routes::config::Route>,
    /// How events wait.
    pub queue: queue::config::Config,
    /// How events are handed to processors and integrations.
    pub dispatch: dispatch::config::Config,
    /// When a failed effect is tried again.
    pub retry: dispatch::config::Retry,
    /// When a failing target is left alone.
    pub breaker: dispatch::config::Breaker,
    /// How long questions to people wait, and how many may.
    pub approvals: approvals::config::Config,
    /// What counts as trouble with the hub, and who is told.
    pub alerts: alerts::config::Config,
    /// How the hub stops.
    pub shutdown: Shutdown,
    /// What the hub tells about itself.
    pub observe: observe::config::Config,
    /// Where connections may lead whose address somebody else chose. The hub opens none such by itself yet;
    /// a program that embeds it may. docs/outgoing.md tells more.
    pub outgoing: outgoing::Config,
    /// Which plugins run and how.
    pub plugins: plugins::config::Config,
    #[serde(skip)]
    document: Arc<Document>,
    #[serde(skip)]
    secrets_left_out: bool,
}

impl Config {
    /// Reads a file, the file of the environment that `NEXUS_ENV` names beside it, and the process
    /// environment. [`Loader`] takes these apart.
    ///
    /// # Errors
    ///
    /// Fails with every mistake there is, each with its place.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Loader::new(path).variables(std::env::vars_os()).load()
    }

    /// Reads a text. The process environment overrides nothing here; it is asked only for what
    /// `{ env = "NAME" }` names.
    ///
    /// # Errors
    ///
    /// Fails with every mistake there is, each with its line.
    pub fn from_toml_str(text: &str) -> Result<Self, ConfigErrors> {
        Loader::text(text)
            .secret_variables(std::env::vars_os())
            .load()
    }

    /// Checks a configuration that a program put together or changed, as loading checks one that
    /// was written.
    ///
    /// # Errors
    ///
    /// Fails with every mistake there is.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let value = match serde_json::to_value(self) {
            Ok(value) => value,
            Err(error) => {
                let problem = Problem::new(Place::Unwritten, "", error.to_string());
                return ConfigErrors::none_of(vec![problem]);
            }
        };
        let findings = schema::check_root(&value);
        let spoiled: Vec<KeyPath> = findings.iter().map(|f| f.path.ending_in_key()).collect();
        let mut problems = self.document.problems(findings);
        let mut objections = Objections::new(&self.document, &spoiled);
        self.object(&mut objections);
        problems.extend(objections.into_problems());
        if self.secrets_left_out {
            let message = "was read without its secrets, so no hub runs with it";
            problems.push(Problem::new(Place::Unwritten, "", message));
        }
        ConfigErrors::none_of(problems)
    }

    /// Lets every room object to its settings, then objects to those that do not go together across
    /// rooms.
    fn object(&self, objections: &mut Objections<'_>) {
        let mut root = objections.root();
        self.server.check(&mut root.key("server"));
        self.limits.check(&mut root.key("limits"));
        let issuers: Vec<_> = self
            .issuers
            .iter()
            .map(|issuer| issuer.issuer.clone())
            .collect();
        admission::config::check_clients(&self.clients, &issuers, &mut root.key("clients"));
        admission::config::check_issuers(&self.issuers, &mut root.key("issuers"));
        admission::config::check_rules(&self.rules, &mut root.key("rules"));
        ingress::webhooks::config::check_webhooks(&self.webhooks, &mut root.key("webhooks"));
        routes::config::check_routes(&self.routes, &mut root.key("routes"));
        self.queue.check(&mut root.key("queue"));
        self.dispatch.check(&mut root.key("dispatch"));
        self.retry.check(&mut root.key("retry"));
        self.breaker.check(&mut root.key("breaker"));
        self.approvals.check(&mut root.key("approvals"));
        self.alerts.check(&mut root.key("alerts"));
        self.shutdown.check(&mut root.key("shutdown"));
        self.observe.check(&mut root.key("observe"));
        self.plugins.check(&mut root.key("plugins"));

        let asks_for_certificates = |server: &ingress::config::Config| {
            server
                .tls
                .as_ref()
                .is_some_and(|tls| tls.client_ca.is_some())
        };
        if !asks_for_certificates(&self.server) {
            admission::config::refuse_certificates(&self.clients, &mut root.key("clients"));
        }
        if self.queue.max_bytes < self.limits.max_body {
            root.refuse_together(
                &["queue.max_bytes", "limits.max_body"],
                format!(
                    "queue.max_bytes ({}) must be at least limits.max_body ({})",
                    self.queue.max_bytes, self.limits.max_body
                ),
                "an event of the largest size allowed would never fit",
            );
        }
    }

    /// The JSON Schema of the whole configuration.
    pub fn json_schema() -> &'static Value {
        &schema::ROOT
    }

    /// The tree this was read from, for the place of a value; empty when a program made it.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The plugins that have a section, by the names written there.
    pub fn plugin_names(&self) -> impl Iterator<Item = &str> {
        self.plugins.named.keys().map(String::as_str)
    }

    /// Where a plugin's section is written.
    pub fn plugin_place(&self, name: &str) -> Place {
        let name = self.plugins.section_name(name).unwrap_or(name);
        self.document.place(&["plugins", name])
    }

    /// A problem with a plugin's section, or with a key in it, at its place.
    pub fn plugin_problem(&self, name: &str, key: &[&str], message: impl Into<String>) -> Problem {
        let name = self.plugins.section_name(name).unwrap_or(name);
        let path = key
            .iter()
            .fold(KeyPath::from_keys(&["plugins", name]), |path, key| {
                path.key(key)
            });
        let place = self.document.root.nearest_place(&path);
        Problem::new(place, path.to_string(), message)
    }

    /// A plugin's own settings, secrets filled in; an empty table without any.
    ///
    /// A setting from an environment variable has the type its text looks like. Where the plugin's
    /// schema is known, [`resolve_plugin_config`](Self::resolve_plugin_config) knows better.
    pub fn plugin_config(&self, name: &str) -> Value {
        self.plugins
            .get(name)
            .map_or_else(|| Value::Object(Default::default()), |p| p.config.to_json())
    }

    /// Every secret that was given to a plugin, in its settings or by name.
    pub(crate) fn plugin_secrets(&self, name: &str) -> Vec<Secret> {
        let name = self.plugins.section_name(name).unwrap_or(name);
        let path = self.document.root.path(&["plugins", name]);
        let written = self.document.root.find(&path);
        let mut secrets = written.map_or_else(Vec::new, Node::secrets);
        if let Some(settings) = self.plugins.get(name) {
            secrets.extend(settings.secrets.values().cloned());
        }
        secrets
    }

    /// Every mistake in a plugin's own settings, checked against the plugin's JSON Schema, each with
    /// its file and line. No value is shown: any may be a secret.
    pub fn check_plugin_config(&self, name: &str, schema: &Value) -> Vec<Problem> {
        self.resolve_plugin_config(name, schema)
            .err()
            .unwrap_or_default()
    }

    /// A plugin's own settings, checked against the plugin's JSON Schema: what to hand to it.
    ///
    /// `TOKEN=12345` in a variable is a text after all where the schema wants one.
    ///
    /// # Errors
    ///
    /// Fails with every mistake in them, each with its file and line.
    pub fn resolve_plugin_config(&self, name: &str, schema: &Value) -> Result<Value, Vec<Problem>> {
        let name = self.plugins.section_name(name).unwrap_or(name);
        let base = KeyPath::from_keys(&["plugins", name, "config"]);
        let mut value = self.plugin_config(name);
        let mut findings = schema::check_with(schema, &value, &base);
        let mut changed = false;
        for finding in &findings {
            changed |= self.spell_out(&mut value, &base, &finding.path);
        }
        if changed {
            findings = schema::check_with(schema, &value, &base);
        }
        // What was left out on purpose is neither missing nor wrong.
        findings.retain(|finding| {
            let written = self.document.root.find(&finding.path);
            !written.is_some_and(Node::holds_unread)
        });
        if findings.is_empty() {
            Ok(value)
        } else {
            Err(self.document.problems(findings))
        }
    }

    /// Puts the text of a variable in place of the number or flag it looks like.
    fn spell_out(&self, value: &mut Value, base: &KeyPath, at: &KeyPath) -> bool {
        let Some(Node {
            content: Content::Scalar {
                text: Some(text), ..
            },
            ..
        }) = self.document.root.find(at)
        else {
            return false;
        };
        let below = at.steps().get(base.steps().len()..).unwrap_or_default();
        let slot = below.iter().try_fold(value, |value, step| match step {
            key::Step::Key(key) => value.get_mut(key),
            key::Step::Index(index) => value.get_mut(index),
        });
        match slot {
            Some(slot) if !slot.is_string() => {
                *slot = Value::String(text.clone());
                true
            }
            _ => false,
        }
    }
}

/// The words for a priority.
pub(crate) fn priorities(_: &mut SchemaGenerator) -> Schema {
    let words = Priority::ALL.map(Priority::as_str);
    json_schema!({ "type": "string", "enum": words })
}

#[cfg(test)]
mod tests;
