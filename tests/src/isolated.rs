//! Hubs in this process that differ in where their plugin runs: in the hub itself, on its threads, in a process.

use std::error::Error;
use std::path::Path;

use nexus_host::Host;
use nexus_host::config::Config;
use nexus_plugin_api::{Event, RawJson};
use serde_json::json;

use crate::artifacts::{executable, library};

/// Where a plugin may run, the cheapest first.
pub const PLACES: [&str; 3] = ["inline", "thread", "process"];

/// A processor that does nothing, in a library.
pub const NOOP: &str = "crasher";

/// A folder of plugin files.
///
/// # Errors
/// When they cannot be copied.
pub fn folder_with(plugins: &[&str]) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for plugin in plugins {
        let file = library(plugin);
        let name = file.file_name().ok_or("a library has a name")?;
        std::fs::copy(&file, folder.path().join(name))?;
    }
    Ok(folder)
}

/// A hub with a plugin of a folder, if one lies there, that runs in one of [`PLACES`].
///
/// # Errors
/// When it does not start.
pub async fn start(folder: &Path, plugin: &str, place: &str) -> Result<Host, Box<dyn Error>> {
    let worker = json!(executable("nexus-plugin-worker"));
    let config = Config::from_toml_str(&format!(
        "plugins.worker = {worker}\nplugins.{plugin}.isolation = \"{place}\"\n\
         plugins.{plugin}.required = {}\n",
        folder.read_dir()?.next().is_some()
    ))?;
    let host = Host::builder().config(config).plugins_dir(folder);
    Ok(host.without_server().build()?.start().await?)
}

/// An event for the no-op, of a lane.
pub fn noop_event(lane: usize) -> Event {
    let payload = RawJson::from_checked(r#"{"how":"not_at_all"}"#);
    Event::new("crasher.told", format!("bench.{lane}"), payload)
}

/// Publishes an event and waits until it is processed.
///
/// # Errors
/// What the hub says against it.
pub async fn process(host: &Host, lane: usize) -> Result<(), String> {
    let published = host.publish(noop_event(lane)).await;
    let published = published.map_err(|error| error.to_string())?;
    let journey = host.wait_processed(published.event_id).await;
    journey.map_err(|error| error.to_string())?;
    Ok(())
}
