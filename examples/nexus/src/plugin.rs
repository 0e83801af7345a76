//! `nexus plugin`: plugins seen from outside, tried, new ones, and which files are trusted.

pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod new;
mod sdk;
pub(crate) mod sign;
pub(crate) mod template;
pub(crate) mod test;

use nexus_host::plugins::Isolation;
use nexus_plugin_api::abi::Manifest;

/// The components of a plugin, `kind name`, comma-separated.
fn components(manifest: &Manifest) -> String {
    let names: Vec<String> = manifest
        .components
        .iter()
        .map(|component| format!("{} {}", component.kind, component.name))
        .collect();
    names.join(", ")
}

/// As the configuration writes it.
fn isolation_name(isolation: Isolation) -> String {
    match serde_json::to_value(isolation) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{isolation:?}").to_lowercase(),
    }
}
