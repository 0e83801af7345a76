//! Webhooks: receives what arrives at `/v1/hooks/dropbox`, has the accounts listed in which something has changed. The
//! body is not read before its signature is right; that no time is signed does no harm, as a repeat says nothing new.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use nexus_plugin_api::{Context, HookReply, HookRequest, PluginError};
use ring::hmac;

use crate::contracts::Reason;
use crate::listing;
use crate::wire::Notification;

/// Dropbox takes ten seconds for delivered; the way there and back is to fit in.
const WITHIN: Duration = Duration::from_secs(8);

/// How many accounts are kept at once: a durable queue writes them together.
const TOGETHER: usize = 64;

/// Dropbox asks whether the address is meant: what it sends along goes back, as text that no browser runs.
pub(crate) fn handshake(request: &HookRequest) -> HookReply {
    match request.query_value("challenge") {
        Some(challenge) => {
            HookReply::text(challenge).with_header("x-content-type-options", "nosniff")
        }
        None => HookReply::status(400),
    }
}

/// The accounts in which something has changed, or the answer where there are none to be had.
pub(crate) fn changed(request: &HookRequest, secret: &str) -> Result<Vec<String>, HookReply> {
    if !is_signed(request, secret) {
        return Err(HookReply::status(403));
    }
    let read: Result<Notification, _> = serde_json::from_slice(&request.body);
    let Ok(notification) = read else {
        return Err(HookReply::status(400));
    };
    let listed = notification.list_folder.map(|listed| listed.accounts);
    Ok(listed.unwrap_or_default())
}

/// Has these accounts listed. One that the hub refuses for good is passed over: it would be refused again, and what comes
/// after it with it.
///
/// # Errors
/// When not all of them were kept in time: Dropbox is to tell of them again.
pub(crate) async fn keep(
    ctx: &Context,
    accounts: impl Iterator<Item = String>,
) -> Result<(), PluginError> {
    let publish = |account: String| async move {
        ctx.publish(listing::asking(&account, Reason::Changed)?)
            .await
    };
    let mut published = stream::iter(accounts.map(publish)).buffer_unordered(TOGETHER);
    let all = async {
        let mut failed = None;
        while let Some(published) = published.next().await {
            match published {
                Ok(_) => {}
                Err(error) if error.retryable => failed = Some(error),
                Err(error) => tracing::warn!("an account of a webhook is passed over: {error}"),
            }
        }
        failed.map_or(Ok(()), Err)
    };
    tokio::time::timeout(WITHIN, all).await.unwrap_or_else(|_| {
        let told = format!("the accounts were not kept within {WITHIN:?}");
        Err(PluginError::retryable("too_slow", told))
    })
}

/// Whether `X-Dropbox-Signature` is the HMAC of the body. Compares in constant time.
fn is_signed(request: &HookRequest, secret: &str) -> bool {
    let shown = request.header("x-dropbox-signature").unwrap_or_default();
    let Ok(tag) = hex::decode(shown) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, &request.body, &tag).is_ok()
}
