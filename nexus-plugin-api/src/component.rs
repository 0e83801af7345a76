//! The three kinds of component an author writes, and what passes through them.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::{Context, Setup};
use crate::error::PluginError;
use crate::event::{Event, NewEvent};
use crate::outcome::Outcome;
use crate::schema::ConfigSchema;

/// What every component has: its configuration, how it is built and how it is.
///
/// One type may implement several kinds; it is then built once and shared between them.
pub trait Component: Sized + Send + Sync + 'static {
    /// The plugin's configuration, from `[plugins.NAME.config]`. Checked against its schema before
    /// anything is built.
    type Config: ConfigSchema + DeserializeOwned;

    /// Builds the component, at start and again after a panic. Do not block: connect lazily.
    ///
    /// # Errors
    /// The plugin is then refused with this reason, and the others go on.
    fn new(config: Self::Config, setup: &Setup) -> Result<Self, PluginError>;

    /// How the component is; asked from time to time. It has 2 s to answer: one that does not, several times in a
    /// row, counts as [failed](Health::Failed).
    fn health_check(&self) -> impl Future<Output = Health> + Send {
        async { Health::Ready }
    }
}

/// Decides what follows from an event.
pub trait Processor: Component {
    /// Its name, unique among the processors of the library.
    const NAME: &'static str;
    /// Which events it wants.
    const SUBSCRIPTIONS: &'static [Subscription];
    /// The payload's type; [`crate::RawJson`] for any.
    type Payload: DeserializeOwned + Send + 'static;

    /// Processes one event. Several events may be in process at once.
    ///
    /// # Errors
    /// Retried or sent to the dead letters, as the error says.
    fn process(
        &self,
        ctx: &Context,
        event: Event<Self::Payload>,
    ) -> impl Future<Output = Result<Outcome, PluginError>> + Send;
}

/// Acts on another system.
pub trait Integration: Component {
    /// Its name, as effects address it.
    const NAME: &'static str;
    /// What it is asked to do.
    type Request: DeserializeOwned + Send + 'static;

    /// Performs one request. The same [`Context::idempotency_key`] means the same request again.
    ///
    /// # Errors
    /// Retried with the host's delays when retryable, else sent to the dead letters.
    fn deliver(
        &self,
        ctx: &Context,
        request: Self::Request,
    ) -> impl Future<Output = Result<Reply, PluginError>> + Send;
}

/// Turns a producer's own wire into events.
pub trait Source: Component {
    /// Its name: webhooks arrive at `/v1/hooks/NAME`. What it publishes has the plugin's id as
    /// source, unless the event names another.
    const NAME: &'static str;

    /// Answers a raw webhook. Verify its signature before anything else, and publish before
    /// answering with success: what is acknowledged must not be lost.
    ///
    /// # Errors
    /// Answered with 503 when retryable, else with 500; the message is logged, not sent.
    fn hook(
        &self,
        ctx: &Context,
        request: HookRequest,
    ) -> impl Future<Output = Result<HookReply, PluginError>> + Send {
        let _ = (ctx, request);
        async { Ok(HookReply::status(404)) }
    }

    /// Runs in the background from start to shutdown: subscriptions to renew, streams to read.
    /// It is dropped at shutdown, so keep what must survive in the state.
    ///
    /// # Errors
    /// Started again with a growing delay. `Ok` means that there is nothing (more) to run.
    fn run(&self, ctx: &Context) -> impl Future<Output = Result<(), PluginError>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }
}

/// Which events a processor wants: by type, and by source if need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    pub(crate) event_type: &'static str,
    pub(crate) source: Option<&'static str>,
}

impl Subscription {
    /// Events of that type. `prefix.*` takes every type below the prefix, `*` every type.
    pub const fn to(event_type: &'static str) -> Self {
        Self {
            event_type,
            source: None,
        }
    }

    /// Only those from that source. `prefix.*` and `*` as above.
    #[must_use]
    pub const fn from(self, source: &'static str) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }
}

/// How a component is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Health {
    /// Works.
    Ready,
    /// Works in part, or not for the moment.
    Degraded {
        /// Why.
        reason: String,
    },
    /// Does not work, and is to be built anew: the hub starts the plugin again.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Health {
    /// How the reason begins of a component that does nothing yet, since nobody has told it what to do.
    pub const NOT_CONFIGURED: &str = "not configured: ";

    /// Does nothing yet, since nobody has told it what to do: `what` is to be written. That is degraded, and raises no
    /// alert. Settings that are there and do not suffice are trouble: say [`Health::Degraded`] then.
    pub fn not_configured(what: impl fmt::Display) -> Self {
        Self::Degraded {
            reason: format!("{}{what}", Self::NOT_CONFIGURED),
        }
    }
}

/// What an integration answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// For the journal: what the other system said, such as an id. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Events that follow from the answer; correlated to the event behind the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<NewEvent>,
}

impl Reply {
    /// Done.
    pub fn ok() -> Self {
        Self::default()
    }

    /// Done, with a note for the journal.
    pub fn noted(summary: impl Into<String>) -> Self {
        Self {
            summary: Some(summary.into()),
            ..Self::default()
        }
    }

    /// Adds an event that follows from the answer.
    #[must_use]
    pub fn with_event(mut self, event: NewEvent) -> Self {
        self.events.push(event);
        self
    }
}

/// A webhook as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRequest {
    /// Upper-case HTTP method.
    pub method: String,
    /// What follows `/v1/hooks/NAME` in the path; empty or starting with `/`.
    pub path: String,
    /// The raw query string, without `?`.
    pub query: String,
    /// Header names in lower case, with their values in order.
    pub headers: Vec<(String, String)>,
    /// The body, byte by byte as it was signed.
    pub body: Bytes,
}

impl HookRequest {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of a query parameter, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// The answer to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookReply {
    /// HTTP status, 200 to 599.
    pub status: u16,
    /// Headers, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
}

impl HookReply {
    /// An empty answer.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: BTreeMap::new(),
            body: Bytes::new(),
        }
    }

    /// A plain text answer with status 200, as handshakes want it.
    pub fn text(body: impl Into<String>) -> Self {
        let mut reply = Self::status(200);
        reply
            .headers
            .insert("content-type".to_owned(), "text/plain".to_owned());
        reply.body = Bytes::from(body.into());
        reply
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.into());
        self
    }
}
