//! The webhook: receives what Graph posts, checks who it is from and keeps it, hands on an answer within three
//! seconds whatever happens behind. It fetches and decrypts nothing.
//!
//! - `/v1/hooks/outlook`: notifications. Each becomes an `outlook.notification.received`.
//! - `/v1/hooks/outlook/lifecycle`: what becomes of a subscription. It wakes whoever keeps the folder.
//!
//! Both answer the handshake, and each takes what is meant for the other. A notification that does not show the right
//! client state is answered as any other, so that whoever guesses learns nothing, and is not processed.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use nexus_plugin_api::{Context, HookReply, HookRequest, NewEvent, PluginError};

use crate::client_state;
use crate::notification::{Item, Posted};
use crate::outlook::Outlook;
use crate::signal::Due;

/// Graph takes three seconds for delivered; the way there and back is to fit in.
const WITHIN: Duration = Duration::from_millis(2_500);

/// The longest text that a handshake is answered with, in bytes.
const LONGEST_TOKEN: usize = 4096;

/// The most notifications of one request.
const MOST: usize = 1_000;

/// How many are kept at once: a durable queue writes them together.
const TOGETHER: usize = 64;

/// Answers a webhook.
pub(crate) async fn answer(
    outlook: &Outlook,
    ctx: &Context,
    request: &HookRequest,
) -> Result<HookReply, PluginError> {
    let is_known = matches!(request.path.trim_end_matches('/'), "" | "/lifecycle");
    if !is_known || !outlook.has_webhook() {
        return Ok(HookReply::status(404));
    }
    if request.method != "POST" {
        return Ok(HookReply::status(405).with_header("allow", "POST"));
    }
    if let Some(token) = request.query_value("validationToken") {
        return Ok(handshake(token));
    }
    let Ok(posted) = serde_json::from_slice::<Posted<'_>>(&request.body) else {
        return Ok(HookReply::status(400));
    };
    if posted.value.len() > MOST {
        return Ok(HookReply::status(413));
    }
    match tokio::time::timeout(WITHIN, take(outlook, ctx, &posted)).await {
        Ok(taken) => taken,
        // What was kept in time is known again when all of it is sent again.
        Err(_) => Err(PluginError::retryable(
            "too_slow",
            format!("the notifications were not kept within {WITHIN:?}"),
        )),
    }
}

/// Says the token back, as text and as nothing else.
fn handshake(token: String) -> HookReply {
    match token.len() {
        1..=LONGEST_TOKEN => {
            HookReply::text(token).with_header("x-content-type-options", "nosniff")
        }
        _ => HookReply::status(400),
    }
}

async fn take(
    outlook: &Outlook,
    ctx: &Context,
    posted: &Posted<'_>,
) -> Result<HookReply, PluginError> {
    let states = outlook.client_states(ctx.services()).await?;
    let mut events = Vec::new();
    let mut readable = posted.value.is_empty();
    for item in &posted.value {
        let Ok(item) = serde_json::from_str::<Item>(item.get()) else {
            outlook
                .standing()
                .turned_away("it does not read as a notification");
            continue;
        };
        readable = true;
        let shown = item.client_state.as_deref().unwrap_or_default();
        let Some(at) = client_state::position(states, shown) else {
            outlook.standing().turned_away("wrong clientState");
            continue;
        };
        match &item.lifecycle_event {
            Some(event) => signal(outlook, at, event, &item.subscription_id),
            None => events.extend(event(outlook, at, &item, &posted.validation_tokens)),
        }
    }
    if !readable {
        return Ok(HookReply::status(400));
    }
    keep(outlook, ctx, events).await?;
    Ok(HookReply::status(202))
}

fn signal(outlook: &Outlook, at: usize, event: &str, subscription_id: &str) {
    match Due::of_lifecycle(event, subscription_id) {
        Some(due) => {
            tracing::info!(
                "Graph says of a subscription to mail of {}: {event}",
                outlook.folder(at).mailbox
            );
            outlook.signal(at).give(due);
        }
        None => outlook.standing().turned_away("unknown lifecycleEvent"),
    }
}

/// The event that keeps a notification; `None` for one that says nothing that is looked at.
fn event(outlook: &Outlook, at: usize, item: &Item, tokens: &[String]) -> Option<NewEvent> {
    if !outlook.watches(item) {
        return None;
    }
    match item.event(&outlook.folder(at).mailbox, tokens) {
        Ok(event) => Some(event),
        Err(unusable) => {
            outlook.standing().turned_away(unusable.0);
            None
        }
    }
}

/// Publishes all of them. One that the hub refuses for good is told and passed over, as it would be refused again.
async fn keep(outlook: &Outlook, ctx: &Context, events: Vec<NewEvent>) -> Result<(), PluginError> {
    let publish = |event| async move { ctx.publish(event).await };
    let mut published = stream::iter(events.into_iter().map(publish)).buffer_unordered(TOGETHER);
    let mut failed = None;
    while let Some(published) = published.next().await {
        match published {
            Ok(_) => {}
            Err(error) if error.retryable => failed = Some(error),
            Err(error) => {
                tracing::error!("the hub refuses a notification: {error}");
                outlook.standing().turned_away("refused by the hub");
            }
        }
    }
    failed.map_or(Ok(()), Err)
}
