//! Webhooks of the server: receives what it says of a run that has ended, hands on a hint to look.
//!
//! They are not signed; all that proves them is a header that the server's own configuration gives them.
//! So nothing is believed but that it may be time to look, and nothing is lost with one that is not.

use nexus_plugin_api::{Context, HookReply, HookRequest, PluginError};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::hints::Hints;
use crate::server;

/// The name of the secret that proves a webhook.
pub(crate) const SECRET: &str = "webhook_secret";

/// What a webhook is read for.
#[derive(Deserialize)]
struct Told {
    run_id: Uuid,
}

/// Answers a webhook. Where there is no secret there are no webhooks.
pub(crate) async fn answer(
    ctx: &Context,
    hints: &Hints,
    request: HookRequest,
) -> Result<HookReply, PluginError> {
    let Some(secret) = server::secret(ctx.services(), SECRET).await? else {
        return Ok(HookReply::status(404));
    };
    if request.method != "POST" {
        return Ok(HookReply::status(405).with_header("allow", "POST"));
    }
    // Before anything else is looked at.
    if !is_proven(&request, &secret) {
        return Ok(HookReply::status(401));
    }
    let Ok(told) = serde_json::from_slice::<Told>(&request.body) else {
        return Ok(HookReply::status(400));
    };
    hints.give(told.run_id);
    Ok(HookReply::status(204))
}

/// Whether it carries `Authorization: Bearer SECRET`. Compares in constant time.
fn is_proven(request: &HookRequest, secret: &str) -> bool {
    let shown = request.header("authorization").unwrap_or_default();
    let Some((scheme, shown)) = shown.split_once(' ') else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && shown.as_bytes().ct_eq(secret.as_bytes()).into()
}
