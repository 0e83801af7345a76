//! What becomes of runs, as events: receives a remembered run and what happened to it, hands on Nexus
//! events.
//!
//! Owns the contracts `langgraph.run.completed`, `.failed`, `.interrupted` and `.progress`. A run has one
//! ending, whose id is derived from the run's alone: seen twice, or by two ways, it is one event.

use nexus_plugin_api::{Contract, NewEvent, PluginError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::ledger::Entry;

/// The namespace of derived event ids (a version 4 UUID, chosen once).
const NAMESPACE: Uuid = Uuid::from_u128(0x9a41_07d2_c6e8_4f3b_8b50_d7f4_26ae_193c);

/// A run has done what it was asked to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Completed {
    /// The thread.
    pub thread_id: Uuid,
    /// The run.
    pub run_id: Uuid,
    /// The assistant, as the request named it.
    pub assistant: String,
    /// What the run has left: the values of the thread's state. Left out where it is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// How large the output was that is left out. It can be had from the thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_bytes: Option<u64>,
    /// What the request gave to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

/// A run has ended without doing what it was asked to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// The thread.
    pub thread_id: Uuid,
    /// The run.
    pub run_id: Uuid,
    /// The assistant, as the request named it.
    pub assistant: String,
    /// Why.
    pub error: Failure,
    /// What the request gave to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

/// Why a run has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
}

/// How a run has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The graph has raised an error.
    GraphError,
    /// The server's own limit of time was over.
    Timeout,
    /// Somebody, or a later run of the thread, has ended it.
    Cancelled,
    /// It was older than `run_timeout`, and has been cancelled for it.
    Overdue,
    /// The server does not know it (any more).
    Gone,
}

/// A run has stopped to ask something, and waits for `resume`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interrupted {
    /// The thread.
    pub thread_id: Uuid,
    /// The run.
    pub run_id: Uuid,
    /// The assistant, as the request named it.
    pub assistant: String,
    /// What it asks; none where it has stopped before or after a node for which the graph says so.
    pub interrupts: Vec<Interrupt>,
    /// What the request gave to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

/// One question of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interrupt {
    /// By which it is answered.
    pub id: String,
    /// What the graph gave to `interrupt()`. Left out where it is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// How large the value was that is left out. It can be had from the thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_bytes: Option<u64>,
}

/// A node of a streamed run has done its part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The thread.
    pub thread_id: Uuid,
    /// The run.
    pub run_id: Uuid,
    /// The assistant, as the request named it.
    pub assistant: String,
    /// The node; left out where the update is of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its update of the state. Left out where it is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// How many updates before this one were left out, as they came too fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
    /// What the request gave to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

impl Contract for Completed {
    const TYPE: &'static str = "langgraph.run.completed";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for Failed {
    const TYPE: &'static str = "langgraph.run.failed";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for Interrupted {
    const TYPE: &'static str = "langgraph.run.interrupted";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for Progress {
    const TYPE: &'static str = "langgraph.run.progress";
    const VERSION: &'static str = "1.0.0";
}

/// The event of a run's ending.
pub(crate) fn ending<T: Contract>(entry: &Entry, payload: &T) -> Result<NewEvent, PluginError> {
    event(entry, payload, "ending")
}

/// The event of a place in a run's stream.
pub(crate) fn progress(
    entry: &Entry,
    place: &str,
    payload: &Progress,
) -> Result<NewEvent, PluginError> {
    event(entry, payload, &format!("progress/{place}"))
}

fn event<T: Contract>(entry: &Entry, payload: &T, what: &str) -> Result<NewEvent, PluginError> {
    let id = format!("{}/{what}", entry.run_id);
    Ok(NewEvent {
        event_id: Some(Uuid::new_v5(&NAMESPACE, id.as_bytes())),
        correlation_id: entry.correlation_id.clone(),
        causation_id: entry.causation_id,
        traceparent: entry.traceparent.clone(),
        // What happens on a thread stays in order; threads do not wait for each other.
        partition_key: Some(entry.thread_id.to_string()),
        ..NewEvent::of(payload)?
    })
}
