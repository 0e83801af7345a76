//! What dispatch needs of others, so that it imports neither the plugins room nor admission's
//! inside. The host wires the real ones in.

use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::approval::Question;
use nexus_plugin_api::{Event, NewEvent, Outcome, PluginError, RawJson, Reply};
use serde_json::Value;
use uuid::Uuid;

use crate::admission::{Admitted, Rejection};
use crate::queue::BoxFuture;

/// The plugins, as dispatch sees them.
pub trait Components: Send + Sync + 'static {
    /// The processors that subscribe to the event, as `plugin/name`, sorted.
    fn subscribers(&self, event: &Event) -> Vec<Arc<str>>;

    /// The full name (`plugin/name`) of the integration that an effect means.
    ///
    /// # Errors
    /// `unknown_integration` or `ambiguous_integration`, permanent.
    fn integration(&self, name: &str) -> Result<Arc<str>, PluginError>;

    /// Shows an event to a processor.
    fn process<'a>(
        &'a self,
        processor: &'a str,
        call: Call<'a>,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Outcome, PluginError>>;

    /// Hands a request to an integration, by its full name; `target` if it serves several systems.
    fn deliver<'a>(
        &'a self,
        integration: &'a str,
        target: Option<&'a str>,
        call: Call<'a>,
        request: &'a RawJson,
    ) -> BoxFuture<'a, Result<Reply, PluginError>>;
}

/// Code of an attempt that ended with the process that the plugin runs in.
pub const WORKER_DIED: &str = "worker_died";

/// The code by which a plugin answers that is known and not there for the moment: what is for it waits, and that is no
/// attempt.
pub const ABSENT: &str = "plugin_absent";

/// The circumstances of one call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The event behind it.
    pub event: &'a Event,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// How long it may take.
    pub timeout: Duration,
    /// Identifies the effect across attempts; empty for processors.
    pub idempotency_key: &'a str,
    /// The W3C `traceparent` of this very call; that of the event when it has none of its own.
    pub traceparent: Option<&'a str>,
    /// Whether the attempt before this one ended with [`WORKER_DIED`].
    pub is_suspected: bool,
}

/// Admission, as dispatch sees it: events that follow from others pass it too.
pub trait Admit: Send + Sync + 'static {
    /// Completes and admits an event that `cause` led to.
    ///
    /// # Errors
    /// Why it is not in order, permanent.
    fn admit_emitted(
        &self,
        event: NewEvent,
        plugin: &str,
        cause: &Event,
        effect: u32,
    ) -> Result<Admitted, PluginError>;
}

/// Who wants to know what dispatch brought about.
pub trait Observer: Send + Sync + 'static {
    /// An event that followed from another was accepted.
    fn accepted(&self, event: &Arc<Event>);
    /// Nothing more will be done for an event.
    fn finished(&self, event: &Event);

    /// Whether somebody watches every step. Asked before one is told.
    fn is_watched(&self) -> bool {
        false
    }

    /// A step on an event's way, an object as journeys have it. Told while somebody watches.
    fn step(&self, _event: &Event, _step: Value) {}

    /// What came by a door was refused, and how, where it was looked at.
    fn refused(&self, _door: &'static str, _code: &'static str, _refused: Option<&Rejection>) {}
}

/// Who asks people something.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The processor, `plugin/name`.
    pub processor: &'a str,
    /// The event behind it.
    pub event: &'a Event,
    /// Identifies the effect across attempts.
    pub idempotency_key: &'a str,
}

/// The people whom processors ask, as dispatch sees them.
pub trait People: Send + Sync + 'static {
    /// Keeps a question. The same effect again is the same question. Answers with its id.
    ///
    /// # Errors
    /// `invalid_question`, permanent; `too_many_approvals`, and what keeps it from being kept, retryable.
    fn ask<'a>(
        &'a self,
        question: &'a Question,
        by: Asking<'a>,
    ) -> BoxFuture<'a, Result<Uuid, PluginError>>;

    /// Answers one for somebody, as the processor `by` has heard it. Answers with what came of it.
    ///
    /// # Errors
    /// `invalid_answer`, permanent; what keeps it from being kept, retryable.
    fn answer<'a>(
        &'a self,
        approval_id: Uuid,
        choice: &'a str,
        note: Option<&'a str>,
        by: &'a str,
    ) -> BoxFuture<'a, Result<String, PluginError>>;
}
