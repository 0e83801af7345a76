//! Starting one plugin: receives a library that was checked and the configuration, hands on what runs, or why
//! it does not.

use std::sync::Arc;

use nexus_plugin_api::abi::{HostV1, Manifest};
use nexus_plugin_api::wire::{Init, Isolation as WireIsolation};

use super::config::{Isolation, PluginConfig};
use super::correlations::Correlations;
use super::generations::Library;
use super::instance::{Instance, Start, describe};
use super::member::Running;
use super::refusal::{Refusal, RefusalCode as Code};
use super::service::{Connection, PluginService};
use super::worker::{self, First, Keeper, Recipe};
use crate::config::Config;
use crate::redaction::Redaction;

/// Starts plugins with one configuration.
pub(super) struct Starter<'a> {
    pub(super) config: &'a Config,
    pub(super) connection: &'a Connection,
    /// Where the hub speaks with workers, from the first plugin on that has any.
    pub(super) keeper: &'a mut Option<Arc<Keeper>>,
}

impl Starter<'_> {
    /// What the configuration says of a plugin.
    pub(super) fn settings(&self, manifest: &Manifest) -> PluginConfig {
        let settings = self.config.plugins.get(&manifest.id);
        settings.cloned().unwrap_or_default()
    }

    /// Starts a plugin.
    ///
    /// # Errors
    /// Why it does not start.
    pub(super) async fn start(
        &mut self,
        manifest: &Manifest,
        library: Library,
        linked: bool,
    ) -> Result<Arc<Running>, Refusal> {
        let settings = self.settings(manifest);
        if !settings.enabled {
            return Err(Refusal::disabled(&manifest.id));
        }
        let config = self.plugin_config(manifest)?;
        let redaction = Arc::new(Redaction::new(self.config.plugin_secrets(&manifest.id)));
        let correlations = Arc::new(Correlations::default());
        let service = Arc::new(PluginService {
            plugin: manifest.id.clone(),
            secrets: settings.secrets.clone(),
            redaction: redaction.clone(),
            correlations: correlations.clone(),
            upstream: self.connection.clone(),
        });
        let limit = self.config.plugins.init_timeout.get();
        let (described, start) = match &library {
            Library::Loaded(_) if settings.isolation == Isolation::Process => {
                let reason =
                    "it is linked into the host, so that no process of its own can load it";
                let help = "use isolation = \"thread\", or build it as a file";
                return Err(Refusal::new(Code::NoWorker, reason, help));
            }
            Library::Loaded(root) => {
                let described = describe(*root, limit).await?;
                (described, Start::Here(*root, HostV1::new(service)))
            }
            Library::Copied {
                path,
                sha256,
                copies,
            } => {
                let recipe = Recipe {
                    executable: worker::program(self.config.plugins.worker.as_deref())?,
                    plugin: manifest.id.clone(),
                    library: path.clone(),
                    _copies: copies.clone(),
                    sha256: *sha256,
                    entry: manifest.entry.clone(),
                    memory: settings.limits.memory.bytes(),
                    descriptors: settings.limits.descriptors,
                    cpu: settings.limits.cpu,
                    files: settings.files(manifest),
                    variables: settings.env.clone(),
                    desktop: manifest.capabilities.iter().any(|one| one == "desktop"),
                    service,
                    lives: Arc::default(),
                    limit,
                };
                let first = First::load(recipe, self.keeper()?).await?;
                let described = first.description().clone();
                (
                    described,
                    Start::InWorkers(Box::new(first), settings.workers),
                )
            }
        };
        let init = Init {
            config,
            isolation: wire_isolation(settings.isolation),
            linked,
        };
        // What runs inline logs where the hub's own span is.
        let correlations = (settings.isolation != Isolation::Inline).then_some(correlations);
        let instance = Instance::start(
            manifest.clone(),
            start,
            redaction,
            correlations,
            init,
            limit,
        )
        .await?;
        Ok(Arc::new(Running::new(
            instance,
            library,
            settings,
            described.contracts,
            described.migrations,
        )))
    }

    fn keeper(&mut self) -> Result<Arc<Keeper>, Refusal> {
        if let Some(keeper) = &self.keeper {
            return Ok(keeper.clone());
        }
        let keeper = Keeper::new().map_err(|error| {
            let reason = format!("the hub cannot speak with workers: {error}");
            Refusal::new(Code::NoWorker, reason, "see what the system says")
        })?;
        Ok(self.keeper.insert(Arc::new(keeper)).clone())
    }

    fn plugin_config(&self, manifest: &Manifest) -> Result<serde_json::Value, Refusal> {
        self.config
            .resolve_plugin_config(&manifest.id, &manifest.config_schema)
            .map_err(|problems| {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Refusal::new(
                    Code::BadConfig,
                    lines.join(" | "),
                    "correct the plugin's section",
                )
            })
    }
}

fn wire_isolation(isolation: Isolation) -> WireIsolation {
    match isolation {
        // A worker has threads of its own to run calls on.
        Isolation::Inline | Isolation::Process => WireIsolation::Inline,
        Isolation::Thread => WireIsolation::Thread,
    }
}
