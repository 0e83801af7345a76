//! What the ingress needs of others, so that it imports neither plugins nor the host. The host
//! wires the real ones in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::{HookReply, HookRequest};
use serde::Serialize;
use uuid::Uuid;

use super::webhooks::Webhooks;
use crate::alerts::Alerts;
use crate::approvals::{AnswerError, Approval};
use crate::intake::Intake;
use crate::observe::{Metrics, Overviews, Stages, Tap, Tracer};
use crate::queue::BoxFuture;

/// Everything the ingress talks to.
#[derive(Clone)]
pub struct Ports {
    /// Admits events and queues them; its queue also knows journeys and dead letters.
    pub intake: Arc<Intake>,
    /// The source plugins.
    pub hooks: Arc<dyn Hooks>,
    /// The senders whose webhooks need no plugin.
    pub webhooks: Arc<Webhooks>,
    /// Whether the hub can do its work.
    pub readiness: Arc<dyn Readiness>,
    /// What administration shows and changes.
    pub admin: Arc<dyn Admin>,
    /// What is wrong with the hub.
    pub alerts: Arc<Alerts>,
    /// Accepted events as they come; whoever follows them subscribes here.
    pub live: Tap,
    /// What happens to events, for administrators who watch.
    pub stages: Stages,
    /// What only this hub knows, also after a restart: nobody else can tell which ids it makes.
    pub secret: Uuid,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The hub at a glance, once a second.
    pub overviews: Overviews,
    /// Makes spans of what is received.
    pub tracer: Tracer,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports(..)")
    }
}

/// The source plugins, as the ingress sees them.
pub trait Hooks: Send + Sync + 'static {
    /// Whether a plugin has a source of that name. Asked before a body is read.
    fn knows(&self, source: &str) -> bool;

    /// Shows a raw webhook to the plugin whose source it is. Bounded in time by whoever
    /// implements it.
    fn hook<'a>(
        &'a self,
        source: &'a str,
        request: HookRequest,
    ) -> BoxFuture<'a, Result<HookReply, HookFailure>>;
}

/// Why a webhook was not answered by its plugin. The plugin's own message is for the log, not for
/// the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HookFailure {
    /// No plugin has a source of that name. 404.
    #[error("no source of that name")]
    UnknownSource,
    /// It may work later. 503.
    #[error("the source cannot answer for the moment")]
    Unavailable {
        /// When trying again makes sense.
        retry_after: Option<Duration>,
    },
    /// It will not work. 500.
    #[error("the source failed")]
    Failed,
}

/// Whether the hub can do its work.
pub trait Readiness: Send + Sync + 'static {
    /// How it is now. Asked often; it should answer from what is known.
    fn report(&self) -> ReadyReport;
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadyReport {
    /// The sum of it.
    pub status: ReadyStatus,
    /// Its parts.
    pub checks: Vec<Check>,
}

/// Whether the hub takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadyStatus {
    /// Everything works. 200.
    Ready,
    /// Events are taken, but some part does not work. 200.
    Degraded,
    /// No events are taken. 503.
    NotReady,
    /// No more events are taken. 503.
    ShuttingDown,
}

impl ReadyStatus {
    /// Each of them.
    pub const ALL: [Self; 4] = [
        Self::Ready,
        Self::Degraded,
        Self::NotReady,
        Self::ShuttingDown,
    ];

    /// As answers name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not_ready",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// One part of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which one.
    pub name: String,
    /// How it is.
    pub status: CheckStatus,
    /// Why it is not ready; told to administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Check {
    /// Takes out what only administrators may see: the reason, and the target behind an
    /// integration, which may be an address.
    pub(super) fn keep_to_yourself(&mut self) {
        self.reason = None;
        if let Some(at) = self.name.find('@') {
            self.name.truncate(at);
        }
    }
}

/// How one part of the hub is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckStatus {
    /// Works.
    Ready,
    /// Works in part, or not for the moment.
    Degraded,
    /// Does not work.
    Failed,
}

/// Why a configuration is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReloaded {
    /// In one sentence.
    pub detail: String,
    /// Every mistake in it, by its key; none when that is not what is wrong.
    pub problems: Vec<(String, String)>,
}

/// What administration shows and changes beside the queue.
pub trait Admin: Send + Sync + 'static {
    /// The plugins, as `/v1/admin/plugins` answers them.
    fn plugins(&self) -> serde_json::Value;

    /// What the hub's configuration would change if it were applied now, or would with this text in the place of
    /// its file.
    ///
    /// # Errors
    /// When it is not in order.
    fn plan(&self, text: Option<String>) -> BoxFuture<'_, Result<serde_json::Value, NotReloaded>>;

    /// Applies the hub's configuration as it is now, all of it or nothing: what has changed.
    ///
    /// # Errors
    /// Why nothing has.
    fn reload(&self) -> BoxFuture<'_, Result<serde_json::Value, NotReloaded>>;

    /// The questions to people that are kept, what waits first.
    fn approvals(&self) -> Vec<Arc<Approval>>;

    /// One of them.
    fn approval(&self, id: Uuid) -> Option<Arc<Approval>>;

    /// Answers one.
    ///
    /// # Errors
    /// Why that does not count.
    fn answer<'a>(
        &'a self,
        id: Uuid,
        choice: &'a str,
        by: &'a str,
        note: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Arc<Approval>, AnswerError>>;

    /// The breakers, as `/v1/admin/breakers` answers them.
    fn breakers(&self) -> serde_json::Value;

    /// Opens a breaker until somebody closes it: how it stands then, or `None` when there is none
    /// of that name.
    fn open_breaker(&self, name: &str) -> Option<serde_json::Value>;

    /// Closes a breaker: how it stands then, or `None` when there is none of that name.
    fn close_breaker(&self, name: &str) -> Option<serde_json::Value>;
}
