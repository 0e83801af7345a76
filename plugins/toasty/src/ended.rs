//! Approvals that have ended: keeps which, so that a toast which was to be shown before, and comes later as the server
//! was away or the queue was long, is not shown any more. Toasts of others may come again under the same tag.

use chrono::{DateTime, TimeDelta, Utc};
use nexus_plugin_api::{Context, PluginError};

use crate::approvals::GROUP;

const PREFIX: &str = "ended/";

/// After so long nobody tries to show it any more, and nobody would see it: a toast lives for at most 72 hours.
const FORGET_AFTER: TimeDelta = TimeDelta::hours(74);

/// Keeps that one has ended, where these are the toasts of approvals.
pub(crate) async fn remember(ctx: &Context, group: &str, tag: &str) -> Result<(), PluginError> {
    match group == GROUP {
        true => ctx.state().put_json(&key(tag), &Utc::now()).await,
        false => Ok(()),
    }
}

/// Whether it is one that has ended.
pub(crate) async fn is_known(ctx: &Context, group: &str, tag: &str) -> Result<bool, PluginError> {
    if group != GROUP {
        return Ok(false);
    }
    let ended: Option<DateTime<Utc>> = ctx.state().get_json(&key(tag)).await?;
    Ok(ended.is_some())
}

/// Lets go of what ended long ago.
pub(crate) async fn sweep(ctx: &Context) -> Result<(), PluginError> {
    let oldest = Utc::now() - FORGET_AFTER;
    for key in ctx.state().keys(PREFIX).await? {
        let ended: Option<DateTime<Utc>> = ctx.state().get_json(&key).await?;
        if ended.is_some_and(|at| at < oldest) {
            ctx.state().delete(&key).await?;
        }
    }
    Ok(())
}

fn key(tag: &str) -> String {
    format!("{PREFIX}{tag}")
}
