//! Putting a host together: what it is made of, checked before anything starts.
//!
//! Receives configuration and linked plugins, hands on a [`PreparedHost`]. It starts nothing.

use std::path::PathBuf;
use std::sync::Arc;

use nexus_plugin_api::Plugin;

use crate::config::{Config, ConfigErrors, Loader};
use crate::host::{Host, StartError};
use crate::queue::Queue;

/// Collects what a host is made of; see [`Host::builder`].
#[derive(Debug, Default)]
pub struct HostBuilder {
    config: Option<Config>,
    source: Option<Loader>,
    plugins_dir: Option<PathBuf>,
    plugins: Vec<Plugin>,
    without_server: bool,
    queue: Option<Arc<dyn Queue>>,
}

/// A host whose configuration is in order, ready to be started.
#[derive(Debug)]
pub struct PreparedHost {
    pub(crate) config: Config,
    /// Where the configuration can be read again.
    pub(crate) source: Option<Loader>,
    pub(crate) plugins_dir: Option<PathBuf>,
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) serves: bool,
    pub(crate) queue: Option<Arc<dyn Queue>>,
}

/// Why a host cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration is not in order; every mistake is told.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// Both a configuration and a file were given.
    #[error("give either a configuration or a file that holds one, not both")]
    TwoConfigs,
}

impl HostBuilder {
    /// Takes a configuration; the default one when none is given.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Takes the configuration from a file, with its layers and the environment's overrides. It is read there
    /// again when the host is told to [reload](Host::reload).
    #[must_use]
    pub fn config_file(self, path: impl Into<PathBuf>) -> Self {
        self.config_source(Loader::new(path).variables(std::env::vars_os()))
    }

    /// Takes the configuration from where this reads it, now and when the host is told to
    /// [reload](Host::reload).
    #[must_use]
    pub fn config_source(mut self, source: Loader) -> Self {
        self.source = Some(source);
        self
    }

    /// Lets events wait in a queue of one's own, in the place of `[queue] backend`; the rest of that
    /// section is the queue's own affair then. It must keep what [`Queue`] promises.
    #[must_use]
    pub fn queue(mut self, queue: Arc<dyn Queue>) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Looks for plugin files in this folder, whatever the configuration says.
    #[must_use]
    pub fn plugins_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.plugins_dir = Some(folder.into());
        self
    }

    /// Links a plugin in; it is started before those from files.
    #[must_use]
    pub fn plugin(mut self, plugin: Plugin) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// Opens no port: events come only from this program and from plugins.
    #[must_use]
    pub fn without_server(mut self) -> Self {
        self.without_server = true;
        self
    }

    /// Checks everything that can be checked without starting anything.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(self) -> Result<PreparedHost, BuildError> {
        let mut config = match (self.config, &self.source) {
            (Some(_), Some(_)) => return Err(BuildError::TwoConfigs),
            (Some(config), None) => config,
            (None, Some(source)) => source.clone().load()?,
            (None, None) => Config::default(),
        };
        if let Some(folder) = &self.plugins_dir {
            config.plugins.dir = folder.clone();
        }
        config.check()?;
        Ok(PreparedHost {
            config,
            source: self.source,
            plugins_dir: self.plugins_dir,
            plugins: self.plugins,
            serves: !self.without_server,
            queue: self.queue,
        })
    }
}

impl PreparedHost {
    /// The configuration it will run with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Starts it. Needs a multi-threaded tokio runtime for plugins with `isolation = "inline"`
    /// that block; any tokio runtime otherwise.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running then.
    pub async fn start(self) -> Result<Host, StartError> {
        Host::start(self).await
    }
}
