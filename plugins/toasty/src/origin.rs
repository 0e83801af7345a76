//! Where toasts came from: keeps the correlation of the event behind a toast until the toast ends.
//!
//! The server gives back the event's id and trace, which is all its contract has room for; the
//! correlation of an event that is itself a consequence is kept in the plugin's state, under the
//! request's id. It is written before the toast is shown, so that no answer is quicker.

use chrono::{DateTime, TimeDelta, Utc};
use nexus_plugin_api::{Context, PluginError};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "origin/";

/// A toast lives for at most 72 hours; what is older belongs to one whose end was never told.
const FORGET_AFTER: TimeDelta = TimeDelta::hours(74);

#[derive(Serialize, Deserialize)]
struct Origin {
    correlation_id: String,
    at: DateTime<Utc>,
}

/// Keeps the correlation of the event behind this call, unless it is the event's own id.
pub(crate) async fn remember(ctx: &Context, request_id: &str) -> Result<(), PluginError> {
    let own = ctx.event_id().map(|id| id.to_string());
    match ctx.correlation_id() {
        Some(id) if Some(id) != own.as_deref() && !request_id.is_empty() => {
            let origin = Origin {
                correlation_id: id.to_owned(),
                at: Utc::now(),
            };
            ctx.state().put_json(&key(request_id), &origin).await
        }
        _ => Ok(()),
    }
}

/// The correlation kept for a request, if any.
pub(crate) async fn recall(ctx: &Context, request_id: &str) -> Result<Option<String>, PluginError> {
    let origin: Option<Origin> = ctx.state().get_json(&key(request_id)).await?;
    Ok(origin.map(|origin| origin.correlation_id))
}

/// Lets go of a request whose toast has ended.
pub(crate) async fn forget(ctx: &Context, request_id: &str) -> Result<(), PluginError> {
    ctx.state().delete(&key(request_id)).await
}

/// Lets go of what is older than any toast.
pub(crate) async fn sweep(ctx: &Context) -> Result<(), PluginError> {
    let oldest = Utc::now() - FORGET_AFTER;
    for key in ctx.state().keys(PREFIX).await? {
        let origin: Option<Origin> = ctx.state().get_json(&key).await?;
        if origin.is_some_and(|origin| origin.at < oldest) {
            ctx.state().delete(&key).await?;
        }
    }
    Ok(())
}

fn key(request_id: &str) -> String {
    format!("{PREFIX}{request_id}")
}
