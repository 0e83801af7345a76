//! What can go wrong in a test besides the plugin: told so that the test's author knows what to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use nexus_host::config::ConfigErrors;
use uuid::Uuid;

/// Why a test hub did not do what it was asked.
///
/// `Debug` reads as `Display` does, because `unwrap()` in a test shows the former.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The configuration given to the hub is wrong.
    #[error("the hub's configuration is wrong:\n{0}")]
    Config(#[from] ConfigErrors),
    /// A plugin's configuration is not a table.
    #[error("the configuration of the plugin `{0}` is not a JSON object")]
    PluginConfig(String),
    /// A plugin was refused.
    #[error("the plugin {plugin} was refused: {reason}")]
    Refused {
        /// Its id, or its file.
        plugin: String,
        /// The coded reason.
        reason: String,
    },
    /// The hub could not be put together.
    #[error("the hub cannot be built: {0}")]
    Build(#[from] nexus_host::BuildError),
    /// The hub did not start.
    #[error("the hub did not start: {0}")]
    Start(#[from] nexus_host::StartError),
    /// The hub did not stop as it should.
    #[error("the hub did not stop as it should: {0}")]
    Stop(#[source] nexus_host::host::ShutdownError),
    /// The hub did not take an event.
    #[error("the hub did not take the event: {0}")]
    Publish(#[from] nexus_host::PublishError),
    /// The hub took the event for one that it has seen before.
    #[error("the hub has seen the event {0} before; give each event of a test its own id")]
    Duplicate(Uuid),
    /// Something did not happen in time.
    #[error("{what} did not happen within {limit:?}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// The hub does not know an event.
    #[error("the hub knows no event {0}")]
    UnknownEvent(Uuid),
    /// No plugin has a source of that name.
    #[error("no plugin of the hub has a source `{0}`")]
    UnknownSource(String),
    /// A source answers a webhook with an error.
    #[error("the source answers the webhook with an error: {0}")]
    Hook(nexus_plugin_api::PluginError),
    /// A file or folder cannot be used.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The library could not be built.
    #[error("cargo did not build the library of {}: {reason}", manifest_dir.display())]
    Library {
        /// The crate's folder.
        manifest_dir: PathBuf,
        /// Why.
        reason: String,
    },
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
