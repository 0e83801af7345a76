//! What plugins keep with the hub: values by plugin and key.

use std::collections::BTreeMap;

use nexus_plugin_api::StateWrite;

/// The state of every plugin.
#[derive(Debug, Default)]
pub(super) struct PluginState {
    values: BTreeMap<(String, String), Vec<u8>>,
}

impl PluginState {
    pub(super) fn write(&mut self, plugin: &str, write: StateWrite) {
        let key = (plugin.to_owned(), write.key);
        match write.value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
    }

    pub(super) fn read(&self, plugin: &str, key: &str) -> Option<Vec<u8>> {
        let key = (plugin.to_owned(), key.to_owned());
        self.values.get(&key).cloned()
    }

    /// The keys of a plugin that start with `prefix`, sorted.
    pub(super) fn keys(&self, plugin: &str, prefix: &str) -> Vec<String> {
        self.values
            .range((plugin.to_owned(), prefix.to_owned())..)
            .map(|((owner, key), _)| (owner, key))
            .take_while(|(owner, key)| *owner == plugin && key.starts_with(prefix))
            .map(|(_, key)| key.clone())
            .collect()
    }
}
