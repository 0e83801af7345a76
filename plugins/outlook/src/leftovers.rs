//! What an earlier configuration has left: receives what the plugin's state keeps of subscriptions, deletes those that
//! nothing here wants any more. Graph would go on telling of a mailbox that was taken out, for days.

use std::time::Duration;

use nexus_plugin_api::{Context, PluginError};

use crate::keeper::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::outlook::Outlook;
use crate::subscription::{Kept, delete};
use crate::watched::{self, Folder};

/// Deletes them, however long that takes.
pub(crate) async fn clear(outlook: &Outlook, ctx: &Context) {
    let mut pause = FIRST_PAUSE;
    while let Err(error) = clear_all(outlook, ctx).await {
        tracing::warn!("a subscription of before is not deleted yet: {error}");
        let wait: Duration = error.retry_after.unwrap_or(pause);
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn clear_all(outlook: &Outlook, ctx: &Context) -> Result<(), PluginError> {
    let state = ctx.state();
    for key in state.keys(watched::SUBSCRIPTIONS).await? {
        let is_watched = |folder: &Folder| folder.subscription_key() == key;
        let is_watched = outlook.folders().iter().any(is_watched);
        if is_watched && outlook.has_webhook() {
            continue;
        }
        if let Some(kept) = state.get_json::<Kept>(&key).await? {
            match delete(outlook.graph(), &kept.id).await {
                Ok(()) => tracing::info!(subscription_id = kept.id, "not subscribed any more"),
                Err(error) if error.retryable => return Err(error),
                // It ends by itself.
                Err(error) => tracing::warn!("a subscription of before is left: {error}"),
            }
        }
        state.delete(&key).await?;
        if !is_watched {
            for key in watched::beside(&key) {
                state.delete(&key).await?;
            }
        }
    }
    Ok(())
}
