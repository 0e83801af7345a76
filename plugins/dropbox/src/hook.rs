//! Webhooks: receives what arrives at `/v1/hooks/dropbox`, hands on the accounts in which something has changed. The
//! body is not read before its signature is right; that no time is signed does no harm, as a repeat says nothing new.

use nexus_plugin_api::{HookReply, HookRequest};
use ring::hmac;

use crate::wire::Notification;

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

/// Whether `X-Dropbox-Signature` is the HMAC of the body. Compares in constant time.
fn is_signed(request: &HookRequest, secret: &str) -> bool {
    let shown = request.header("x-dropbox-signature").unwrap_or_default();
    let Ok(tag) = hex::decode(shown) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, &request.body, &tag).is_ok()
}
