//! What the plugins room needs of the host, to serve its plugins. The host wires the real one in.

use nexus_plugin_api::{NewEvent, PluginError, Published, StateWrite};

use crate::admission::Draft;
use crate::queue::BoxFuture;

/// The hub, as plugins see it.
pub trait Upstream: Send + Sync + 'static {
    /// Admits and queues an event that a plugin publishes by itself.
    fn publish(
        &self,
        plugin: &str,
        event: NewEvent,
    ) -> BoxFuture<'static, Result<Published, PluginError>>;

    /// Reads a plugin's state.
    fn state_get(
        &self,
        plugin: &str,
        key: &str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, PluginError>>;

    /// Writes a plugin's state.
    fn state_put(
        &self,
        plugin: &str,
        write: StateWrite,
    ) -> BoxFuture<'static, Result<(), PluginError>>;

    /// Lists keys of a plugin's state.
    fn state_keys(
        &self,
        plugin: &str,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<String>, PluginError>>;
}

/// Where contracts are kept.
pub trait ContractStore: Send + Sync + 'static {
    /// Begins another registry, for plugins to bring their contracts to.
    fn draft(&self) -> Draft;

    /// Puts it in the place of the one before.
    fn put(&self, draft: Draft);
}
