//! An integration that records what it is asked, under any name: a linked plugin like every other.
//!
//! Receives requests, hands on [`Recorded`]s, and does nothing else unless the test gave it an
//! answer to make.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use nexus_plugin_api::Plugin;
use nexus_plugin_api::prelude::*;
use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

/// A request that an integration was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The request, as the effect held it.
    pub request: Value,
    /// The event behind it.
    pub event_id: Option<Uuid>,
    /// Identifies the effect: the same for every attempt.
    pub idempotency_key: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// What the event belongs to.
    pub correlation_id: Option<String>,
}

/// What a recording integration answers.
pub(crate) type Answer = dyn Fn(&Recorded) -> Result<Reply, PluginError> + Send + Sync;

/// What one integration was asked, and what it answers.
pub(crate) struct Tape {
    recorded: Mutex<Vec<Recorded>>,
    answer: Box<Answer>,
}

impl Tape {
    /// Nothing asked yet.
    pub(crate) fn new(answer: Box<Answer>) -> Arc<Self> {
        Arc::new(Self {
            recorded: Mutex::default(),
            answer,
        })
    }

    /// Everything asked so far, in order.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.recorded.lock().clone()
    }
}

/// The tapes of the running hubs. A component is made from its configuration alone, so it finds
/// its tape by a number that stands there.
static TAPES: LazyLock<Mutex<HashMap<Uuid, Arc<Tape>>>> = LazyLock::new(Mutex::default);

/// Keeps a tape where its integration finds it, until this is dropped.
#[derive(Debug)]
pub(crate) struct Shelved(Uuid);

impl Shelved {
    /// Puts a tape there.
    pub(crate) fn new(tape: Arc<Tape>) -> Self {
        let number = Uuid::now_v7();
        TAPES.lock().insert(number, tape);
        Self(number)
    }

    /// The configuration by which the integration finds it.
    pub(crate) fn config(&self) -> Value {
        json!({ "tape": self.0.to_string() })
    }
}

impl Drop for Shelved {
    fn drop(&mut self) {
        TAPES.lock().remove(&self.0);
    }
}

/// The id of the plugin that holds the recording integration `name`.
pub(crate) fn plugin_id(name: &str) -> String {
    format!("recorder-{name}")
}

/// A plugin with one recording integration of that name.
pub(crate) fn plugin(name: &str) -> Result<Plugin, serde_json::Error> {
    // The same code under another name: only the manifest says how it is called.
    let mut manifest = plain::plugin().manifest().clone();
    manifest.id = plugin_id(name);
    for component in &mut manifest.components {
        name.clone_into(&mut component.name);
    }
    let manifest = serde_json::to_vec(&manifest)?;
    Ok(Plugin::linked::<plain::__NexusExport>(&manifest))
}

#[derive(Debug, Clone, Deserialize, ConfigSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where requests are recorded.
    tape: String,
}

struct Recorder(Arc<Tape>);

impl Component for Recorder {
    type Config = Config;

    fn new(config: Config, _: &Setup) -> Result<Self, PluginError> {
        let number = Uuid::parse_str(&config.tape)?;
        let tape = TAPES.lock().get(&number).cloned();
        tape.map(Self).ok_or_else(|| {
            PluginError::permanent("no_tape", "the test hub of this recorder has gone")
        })
    }
}

impl Integration for Recorder {
    const NAME: &'static str = "recorder";
    type Request = Value;

    async fn deliver(&self, ctx: &Context, request: Value) -> Result<Reply, PluginError> {
        let recorded = Recorded {
            request,
            event_id: ctx.event_id(),
            idempotency_key: ctx.idempotency_key().to_owned(),
            attempt: ctx.attempt(),
            correlation_id: ctx.correlation_id().map(str::to_owned),
        };
        self.0.recorded.lock().push(recorded.clone());
        (self.0.answer)(&recorded)
    }
}

/// The plugin under the name it is compiled with.
mod plain {
    use super::{Config, Recorder};

    nexus_plugin_api::export_plugin! {
        id: "nexus-testkit-recorder",
        description: "Records what it is asked",
        config: Config,
        integrations: [Recorder],
    }
}
