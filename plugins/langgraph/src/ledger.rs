//! Runs that are under way: keeps them in the plugin's state from the answer to their delivery until their
//! ending is published.

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Context, PluginError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

const PREFIX: &str = "run/";

/// Code of an entry that this version cannot read.
pub(crate) const UNREADABLE: &str = "unreadable";

/// A run, with what its events need to say where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) run_id: Uuid,
    pub(crate) thread_id: Uuid,
    pub(crate) assistant: String,
    pub(crate) stream: bool,
    /// Whether the server was told where to report the run's end.
    pub(crate) reported: bool,
    /// When it was asked for.
    pub(crate) since: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) causation_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<String>,
}

/// Keeps a run.
pub(crate) async fn remember(ctx: &Context, entry: &Entry) -> Result<(), PluginError> {
    ctx.state().put_json(&key(entry.run_id), entry).await
}

/// Lets go of a run whose ending is published.
pub(crate) async fn forget(ctx: &Context, run_id: Uuid) -> Result<(), PluginError> {
    ctx.state().delete(&key(run_id)).await
}

/// How many are under way.
pub(crate) async fn count(ctx: &Context) -> Result<usize, PluginError> {
    Ok(ctx.state().keys(PREFIX).await?.len())
}

/// The runs under way.
pub(crate) async fn under_way(ctx: &Context) -> Result<Vec<Uuid>, PluginError> {
    let keys = ctx.state().keys(PREFIX).await?;
    let ids = keys.iter().filter_map(|key| key.strip_prefix(PREFIX));
    Ok(ids.filter_map(|id| id.parse().ok()).collect())
}

/// One of them; `None` when it has ended meanwhile.
///
/// # Errors
/// When the storage fails; [`UNREADABLE`] when another version of this plugin has written it in a way that
/// this one does not read.
pub(crate) async fn recall(ctx: &Context, run_id: Uuid) -> Result<Option<Entry>, PluginError> {
    let Some(bytes) = ctx.state().get(&key(run_id)).await? else {
        return Ok(None);
    };
    let read = serde_json::from_slice(&bytes);
    read.map(Some)
        .map_err(|error| PluginError::permanent(UNREADABLE, error))
}

fn key(run_id: Uuid) -> String {
    format!("{PREFIX}{run_id}")
}
