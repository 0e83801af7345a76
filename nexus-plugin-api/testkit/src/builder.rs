//! Putting a test hub together: receives plugins, configuration and stand-ins for integrations,
//! hands on a running [`TestHub`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexus_host::config::{Config, HumanDuration};
use nexus_host::plugins::PluginState;
use nexus_host::plugins::config::PluginSettings;
use nexus_host::{Host, HostBuilder};
use nexus_plugin_api::{Plugin, PluginError, Reply};
use serde_json::Value;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::hub::TestHub;
use crate::recorder::{self, Answer, Recorded, Shelved, Tape};

/// How long a retry waits in a test.
const RETRY_DELAY: &str = "10ms";

/// What a test hub is made of; see [`TestHub::builder`].
#[must_use]
pub struct Builder {
    config: Result<Config, Failure>,
    plugins: Vec<Plugin>,
    libraries: Vec<PathBuf>,
    plugin_configs: BTreeMap<String, Value>,
    integrations: BTreeMap<String, Arc<Tape>>,
}

impl Default for Builder {
    fn default() -> Self {
        let mut config = Config::default();
        config.retry.delays = RETRY_DELAY.parse::<HumanDuration>().into_iter().collect();
        config.retry.jitter = 0.0;
        Self {
            config: Ok(config),
            plugins: Vec::new(),
            libraries: Vec::new(),
            plugin_configs: BTreeMap::new(),
            integrations: BTreeMap::new(),
        }
    }
}

impl Builder {
    /// Links a plugin in.
    pub fn plugin(mut self, plugin: Plugin) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// Loads a plugin from its library file, through the loader that is used in service.
    pub fn library(mut self, file: impl Into<PathBuf>) -> Self {
        self.libraries.push(file.into());
        self
    }

    /// Sets a plugin's own configuration, as `[plugins.ID.config]` would.
    pub fn plugin_config(mut self, id: impl Into<String>, config: Value) -> Self {
        self.plugin_configs.insert(id.into(), config);
        self
    }

    /// Takes a whole configuration instead of the test kit's own.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Ok(config);
        self
    }

    /// As [`Builder::config`], from the text of a `nexus.toml`.
    pub fn config_toml(mut self, text: &str) -> Self {
        self.config = Config::from_toml_str(text).map_err(Failure::from);
        self
    }

    /// Puts an integration of that name there which takes every request and does nothing;
    /// [`TestHub::requests`] tells what it was asked.
    pub fn record_integration(self, name: &str) -> Self {
        self.answer_integration(name, |_| Ok(Reply::ok()))
    }

    /// As [`Builder::record_integration`], with an answer to each request: events that follow, or
    /// a failure.
    pub fn answer_integration(
        mut self,
        name: &str,
        answer: impl Fn(&Recorded) -> Result<Reply, PluginError> + Send + Sync + 'static,
    ) -> Self {
        let answer: Box<Answer> = Box::new(answer);
        self.integrations.insert(name.to_owned(), Tape::new(answer));
        self
    }

    /// Starts the hub.
    ///
    /// # Errors
    /// When the configuration is wrong, or any plugin is refused.
    pub async fn start(self) -> Result<TestHub, Failure> {
        let mut config = self.config?;
        let mut shelved = Vec::new();
        let mut host: HostBuilder = Host::builder().without_server();
        for plugin in self.plugins {
            host = host.plugin(plugin);
        }
        for (id, settings) in self.plugin_configs {
            configure(&mut config, id, settings)?;
        }
        for (name, tape) in &self.integrations {
            let plugin = recorder::plugin(name).map_err(|error| Failure::Refused {
                plugin: recorder::plugin_id(name),
                reason: error.to_string(),
            })?;
            let shelf = Shelved::new(tape.clone());
            configure(&mut config, recorder::plugin_id(name), shelf.config())?;
            shelved.push(shelf);
            host = host.plugin(plugin);
        }
        // A folder of its own, and an empty one where there are no libraries.
        let folder = gather(&self.libraries)?;
        let host = host.config(config).plugins_dir(folder.path()).build()?;
        let host = host.start().await?;
        refuse(&host)?;
        Ok(TestHub::new(host, self.integrations, shelved, folder))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("plugins", &self.plugins)
            .field("libraries", &self.libraries)
            .finish_non_exhaustive()
    }
}

fn configure(config: &mut Config, id: String, settings: Value) -> Result<(), Failure> {
    let Value::Object(settings) = settings else {
        return Err(Failure::PluginConfig(id));
    };
    let section = match config.plugins.section_name(&id) {
        Some(section) => section.to_owned(),
        None => id,
    };
    config.plugins.named.entry(section).or_default().config = PluginSettings::from(settings);
    Ok(())
}

fn gather(libraries: &[PathBuf]) -> Result<TempDir, Failure> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::File { path, source }
    };
    let folder = tempfile::Builder::new()
        .prefix("nexus-test-plugins-")
        .tempdir()
        .map_err(unusable(&std::env::temp_dir()))?;
    for file in libraries {
        let name = file.file_name().unwrap_or(file.as_os_str());
        let mut copy = folder.path().join(name);
        // The loader takes only files that are named as libraries are.
        copy.set_extension(std::env::consts::DLL_EXTENSION);
        std::fs::copy(file, copy).map_err(unusable(file))?;
    }
    Ok(folder)
}

/// In a test, a plugin that is not there is the failure.
fn refuse(host: &Host) -> Result<(), Failure> {
    for report in host.plugins() {
        if let PluginState::Refused(refusal) = &report.state {
            let id = report.manifest.as_ref().map(|manifest| manifest.id.clone());
            return Err(Failure::Refused {
                plugin: id.unwrap_or_else(|| report.origin.to_string()),
                reason: refusal.to_string(),
            });
        }
    }
    Ok(())
}
