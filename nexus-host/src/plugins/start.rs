//! From candidates to running plugins.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use nexus_plugin_api::abi::{HostV1, Manifest, RootV1_Ref};
use nexus_plugin_api::wire::{Init, Isolation as WireIsolation};
use nexus_plugin_api::{ContractInfo, Plugin};

use super::catalog::{Catalog, Origin, PluginReport, PluginState};
use super::config::Isolation;
use super::discover::{Candidate, Found, scan};
use super::instance::{Instance, Start, describe};
use super::load::Copies;
use super::port::ContractStore;
use super::redaction::Redaction;
use super::refusal::{Refusal, RefusalCode as Code};
use super::service::{Connection, PluginService};
use super::worker::{self, First, Keeper, Recipe};
use crate::admission::{Migrator, Offer};
use crate::config::Config;

/// Why the plugins could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The plugins folder is there and cannot be read.
    #[error("the plugins folder {} cannot be read: {source}; check [plugins] dir", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No private folder for copies could be made.
    #[error("no private folder for plugin copies could be made: {0}; check the temporary folder")]
    Copies(std::io::Error),
    /// A plugin that the configuration calls required is not there or was refused.
    #[error("the required plugin `{id}` is not available: {reason}")]
    Required {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
    },
}

/// Starts plugins in order: linked ones first, then files by name.
pub struct Starter<'a> {
    config: &'a Config,
    contracts: &'a dyn ContractStore,
    connection: Connection,
    reports: Vec<PluginReport>,
    running: Vec<Arc<Instance>>,
    owners: HashMap<String, String>,
    keeper: Option<Arc<Keeper>>,
}

/// A library that was checked.
enum Library {
    /// It is loaded here.
    Loaded(RootV1_Ref),
    /// There is a copy of it that workers load.
    Copied {
        path: PathBuf,
        sha256: [u8; 32],
        /// The folder that the copy is in.
        copies: Arc<Copies>,
    },
}

impl<'a> Starter<'a> {
    /// Nothing started yet.
    pub fn new(config: &'a Config, contracts: &'a dyn ContractStore) -> Self {
        Self {
            config,
            contracts,
            connection: Arc::new(OnceLock::new()),
            reports: Vec::new(),
            running: Vec::new(),
            owners: HashMap::new(),
            keeper: None,
        }
    }

    /// Starts everything that can be.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(mut self, linked: Vec<Plugin>) -> Result<Catalog, StartError> {
        for plugin in linked {
            let (manifest, root) = plugin.into_parts();
            self.take(Origin::Linked, manifest, |_| Ok(Library::Loaded(root)))
                .await;
        }
        self.start_files().await?;
        self.check_sections()?;
        Ok(Catalog::new(self.reports, self.running, self.connection))
    }

    async fn start_files(&mut self) -> Result<(), StartError> {
        let folder = &self.config.plugins.dir;
        let found = scan(&self.config.plugins).map_err(|source| StartError::Folder {
            path: folder.clone(),
            source,
        })?;
        if found.is_empty() {
            tracing::info!(folder = %folder.display(), "no plugin files in the plugins folder");
            return Ok(());
        }
        // Gone at the end of this function, unless workers need it: what is loaded here stays mapped.
        let copies = Arc::new(Copies::new().map_err(StartError::Copies)?);
        for Found { path, result } in found {
            match result {
                Ok(candidate) => {
                    let origin = Origin::File {
                        path,
                        sha256: candidate.sha256.clone(),
                    };
                    let manifest = candidate.manifest.clone();
                    let library = |of: &Self| of.library(&candidate, &copies);
                    self.take(origin, manifest, library).await;
                }
                Err(refused) => {
                    let origin = Origin::Unread { path };
                    self.report(
                        origin,
                        refused.manifest.map(|manifest| *manifest),
                        Err(refused.refusal),
                    );
                }
            }
        }
        Ok(())
    }

    /// Starts one plugin. The first of an id that can be loaded takes it, whether it starts or not.
    async fn take(
        &mut self,
        origin: Origin,
        manifest: Manifest,
        library: impl FnOnce(&Self) -> Result<Library, Refusal>,
    ) {
        let linked = matches!(origin, Origin::Linked);
        let library = match self.refuse_duplicate(&manifest) {
            Some(refusal) => Err(refusal),
            None => library(self),
        };
        let started = match library {
            Ok(library) => {
                self.owners.insert(manifest.id.clone(), origin.to_string());
                self.start_one(&manifest, library, linked).await
            }
            Err(refusal) => Err(refusal),
        };
        if let Ok((instance, _)) = &started {
            self.running.push(instance.clone());
        }
        self.report(origin, Some(manifest), started);
    }

    /// Loads a library that was checked, or leaves that to its workers.
    fn library(&self, candidate: &Candidate, copies: &Arc<Copies>) -> Result<Library, Refusal> {
        let settings = self.config.plugins.get(&candidate.manifest.id);
        if settings.is_none_or(|settings| settings.isolation != Isolation::Process) {
            return copies.load(candidate).map(Library::Loaded);
        }
        Ok(Library::Copied {
            path: copies.write(candidate)?,
            sha256: candidate.digest,
            copies: copies.clone(),
        })
    }

    async fn start_one(
        &mut self,
        manifest: &Manifest,
        library: Library,
        linked: bool,
    ) -> Result<(Arc<Instance>, Vec<ContractInfo>), Refusal> {
        let settings = self
            .config
            .plugins
            .get(&manifest.id)
            .cloned()
            .unwrap_or_default();
        if !settings.enabled {
            return Err(Refusal::disabled(&manifest.id));
        }
        let config = self.plugin_config(manifest)?;
        let redaction = Arc::new(Redaction::new(self.config.plugin_secrets(&manifest.id)));
        let service = Arc::new(PluginService {
            plugin: manifest.id.clone(),
            secrets: settings.secrets.clone(),
            redaction: redaction.clone(),
            upstream: self.connection.clone(),
        });
        let limit = self.config.plugins.init_timeout.get();
        let (described, start) = match library {
            Library::Loaded(_) if settings.isolation == Isolation::Process => {
                let reason =
                    "it is linked into the host, so that no process of its own can load it";
                let help = "use isolation = \"thread\", or build it as a file";
                return Err(Refusal::new(Code::NoWorker, reason, help));
            }
            Library::Loaded(root) => (describe(root)?, Start::Here(root, HostV1::new(service))),
            Library::Copied {
                path,
                sha256,
                copies,
            } => {
                let recipe = Recipe {
                    executable: worker::program(self.config.plugins.worker.as_deref())?,
                    plugin: manifest.id.clone(),
                    library: path,
                    _copies: copies,
                    sha256,
                    entry: manifest.entry.clone(),
                    memory: settings.limits.memory.bytes(),
                    descriptors: settings.limits.descriptors,
                    files: settings.files(manifest),
                    variables: settings.env.clone(),
                    desktop: manifest.capabilities.iter().any(|one| one == "desktop"),
                    service,
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
        let instance = Instance::start(manifest.clone(), start, redaction, init, limit).await?;
        // Only now: the events of a plugin that does not run must stay unknown.
        let migrator: Arc<dyn Migrator> = instance.clone();
        let offer = Offer {
            owner: &manifest.id,
            contracts: &described.contracts,
            migrations: &described.migrations,
            migrator: Some(&migrator),
        };
        self.contracts.register(offer).map_err(|reason| {
            Refusal::new(
                Code::ContractConflict,
                reason,
                "correct the contract, give it another version, or remove one of the plugins",
            )
        })?;
        Ok((instance, described.contracts))
    }

    /// Where the hub speaks with workers, from the first plugin on that has any.
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

    fn refuse_duplicate(&self, manifest: &Manifest) -> Option<Refusal> {
        let owner = self.owners.get(&manifest.id)?;
        Some(Refusal::new(
            Code::DuplicateId,
            format!("the id {} is taken by {owner}", manifest.id),
            "remove one of the two",
        ))
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

    fn report(
        &mut self,
        origin: Origin,
        manifest: Option<Manifest>,
        result: Result<(Arc<Instance>, Vec<ContractInfo>), Refusal>,
    ) {
        let (state, contracts) = match result {
            Ok((_, contracts)) => {
                let id = manifest.as_ref().map(|manifest| manifest.id.as_str());
                tracing::info!(plugin = id, origin = %origin, "plugin ready");
                (PluginState::Ready, contracts)
            }
            Err(refusal) if refusal.code == Code::Disabled => {
                tracing::info!(origin = %origin, "plugin disabled by the configuration");
                (PluginState::Refused(refusal), Vec::new())
            }
            Err(refusal) => {
                tracing::warn!(origin = %origin, code = refusal.code.as_str(), "plugin refused: {refusal}");
                (PluginState::Refused(refusal), Vec::new())
            }
        };
        let isolation = manifest
            .as_ref()
            .and_then(|manifest| self.config.plugins.get(&manifest.id))
            .map_or(Isolation::default(), |settings| settings.isolation);
        self.reports.push(PluginReport {
            origin,
            manifest,
            isolation,
            contracts: contracts
                .iter()
                .map(|contract| format!("{} {}", contract.event_type, contract.version))
                .collect(),
            state,
            since: chrono::Utc::now(),
        });
    }

    /// Every section must have its plugin; a required one must be ready.
    fn check_sections(&self) -> Result<(), StartError> {
        let by_id: BTreeMap<&str, &PluginReport> = self
            .reports
            .iter()
            .rev()
            .filter_map(|report| Some((report.manifest.as_ref()?.id.as_str(), report)))
            .collect();
        let state_of = |section: &str| {
            by_id
                .iter()
                .find(|(id, _)| self.config.plugins.section_name(id) == Some(section))
                .map(|(_, report)| report.state.clone())
        };
        for (section, settings) in &self.config.plugins.named {
            let state = state_of(section);
            let ready = self.running.iter().any(|instance| {
                self.config.plugins.section_name(&instance.manifest.id) == Some(section)
            });
            if settings.required && !ready {
                return Err(StartError::Required {
                    id: section.clone(),
                    reason: match state {
                        Some(PluginState::Refused(refusal)) => refusal.to_string(),
                        _ => format!("no such plugin in {}", self.config.plugins.dir.display()),
                    },
                });
            }
            if state.is_none() {
                tracing::warn!("[plugins.{section}] is configured, but there is no such plugin");
            }
        }
        Ok(())
    }
}

fn wire_isolation(isolation: Isolation) -> WireIsolation {
    match isolation {
        // A worker has threads of its own to run calls on.
        Isolation::Inline | Isolation::Process => WireIsolation::Inline,
        Isolation::Thread => WireIsolation::Thread,
    }
}
