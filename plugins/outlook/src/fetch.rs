//! The processor `fetch`: receives `outlook.notification.received`, emits the `outlook.mail.received` that is behind
//! it. The message comes along, sealed, or is fetched from Graph as it is now.
//!
//! What Graph cannot give at the moment is asked for again later, and when it says; a message that is not there any
//! more is no failure.

use std::time::Duration;

use nexus_plugin_api::outgoing::Method;
use nexus_plugin_api::{Context, Effect, Event, Outcome, PluginError};

use crate::graph::Graph;
use crate::mail::{FIELDS, Message};
use crate::notification::{Change, NotificationReceived, Sealed};
use crate::outlook::Outlook;
use crate::sealing::Unopened;

const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// What comes of looking for a message.
enum Found {
    Message(Box<Message>),
    Gone,
    /// It is not to be believed, and why.
    Refused(&'static str),
}

/// Decides what follows from a notification.
pub(crate) async fn decide(
    outlook: &Outlook,
    ctx: &Context,
    event: &Event<NotificationReceived>,
) -> Result<Outcome, PluginError> {
    let notification = &event.payload;
    if notification.change == Change::Deleted {
        return Ok(Outcome::skip("a message that was deleted is not looked at"));
    }
    // The hub's own limit would count as a failure, and there are few of these.
    let limit = ctx
        .time_limit()
        .map_or(Duration::MAX, |limit| limit * 4 / 5);
    let found = tokio::time::timeout(limit, find(outlook, event)).await;
    let found =
        found.unwrap_or_else(|_| Err(PluginError::retryable("timeout", "Graph took too long")));
    let message = match found {
        Ok(Found::Message(message)) => message,
        Ok(Found::Gone) => return Ok(Outcome::skip("the message was moved or deleted")),
        Ok(Found::Refused(why)) => {
            outlook.standing().turned_away(why);
            return Ok(Outcome::reject(why));
        }
        Err(error) if error.retryable => {
            let pause = error.retry_after.unwrap_or_else(|| pause(ctx.attempt()));
            return Ok(Outcome::retry_later(pause, error.to_string()));
        }
        Err(error) => return Err(error),
    };
    match message.received_in(&notification.mailbox) {
        Some(mail) => Ok(Outcome::done().with(Effect::emit(outlook.event(&mail)?))),
        None => Ok(Outcome::skip("it is no received mail")),
    }
}

async fn find(
    outlook: &Outlook,
    event: &Event<NotificationReceived>,
) -> Result<Found, PluginError> {
    let notification = &event.payload;
    if let Some(sealed) = &notification.sealed {
        match open(outlook, sealed, event).await? {
            Ok(message) if message.is_whole() => return Ok(Found::Message(Box::new(message))),
            Err(Unopened::Refused(why)) => return Ok(Found::Refused(why)),
            // Sealed for a certificate of before, or without what is needed: Graph has it.
            Ok(_) | Err(Unopened::NotOurs | Unopened::Unreadable) => {}
        }
    }
    let found = message(outlook.graph(), &notification.resource).await?;
    Ok(found.map_or(Found::Gone, |message| Found::Message(Box::new(message))))
}

/// Opens what came along, once it is known who sent it.
async fn open(
    outlook: &Outlook,
    sealed: &Sealed,
    event: &Event<NotificationReceived>,
) -> Result<Result<Message, Unopened>, PluginError> {
    // At the time when it came: it may have waited here for longer than a token lives.
    let sent = outlook
        .publisher()
        .check(outlook.graph(), &sealed.tokens, event.timestamp)
        .await?;
    match sent {
        Ok(()) => {
            let message_id = &event.payload.message_id;
            outlook.sealing().open(sealed, message_id).await
        }
        Err(why) => Ok(Err(Unopened::Refused(why))),
    }
}

/// A message as it is now, by its path; `None` when it is not there any more.
pub(crate) async fn message(graph: &Graph, path: &str) -> Result<Option<Message>, PluginError> {
    let url = graph.url(&format!("{path}?$select={FIELDS}"));
    let answer = graph.ask(Method::GET, &url, None).await?;
    match answer.status() {
        404 | 410 => Ok(None),
        _ => answer.expect_success()?.json().map(Some),
    }
}

/// Longer after each attempt.
fn pause(attempt: u32) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE)
}
