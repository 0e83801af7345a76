//! What the integration is asked to do: receives the JSON of an effect, hands on typed requests.
//!
//! Unknown fields are refused. What breaks a limit is refused here ([`Request::check`]), with the field's
//! path, before it goes anywhere.
//!
//! ```
//! use langgraph::Request;
//!
//! let request: Request = serde_json::from_str(r#"{"run": {
//!     "assistant": "classifier",
//!     "input": {"subject": "Urgent: the build is red"},
//!     "thread": "mail/ana",
//!     "context": {"mail": "m-17"}
//! }}"#)?;
//! request.check()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use nexus_plugin_api::{ConfigSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Characters of an assistant's or a thread's name.
const MAX_NAME: usize = 200;
/// Bytes of what comes back with the events, as JSON: it is kept while the run is under way.
const MAX_CONTEXT: usize = 16 * 1024;
/// How deep that may nest: an event must have room for it below its own levels.
const MAX_DEPTH: usize = 16;
/// What the plugin's own members of a run's metadata begin with.
pub(crate) const OWN: &str = "nexus_";

/// A request, as the JSON of an effect: `{"run": …}`, `{"resume": …}` or `{"cancel": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Begin a run.
    Run(Box<Run>),
    /// Answer what an interrupted run asked; it goes on as a run of its own.
    Resume(Box<Resume>),
    /// End runs of a thread before their time.
    Cancel(Cancel),
}

/// A run to begin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The assistant's id or the graph's name, 1 to 200 characters.
    pub assistant: String,
    /// What the graph is given.
    #[serde(default)]
    pub input: Value,
    /// The thread: its id, or a name of 1 to 200 characters that always means the same thread; left out,
    /// one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// What to do when the thread is busy; left out, what the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multitask: Option<Multitask>,
    /// The run's metadata. Members that begin with `nexus_` are the plugin's.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// The run's configuration, as LangGraph has it: `recursion_limit`, `configurable` and so on.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
    /// Whether each node's update becomes an event.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// Comes back in the events; at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

/// An answer to an interrupted run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The assistant's id or the graph's name, 1 to 200 characters.
    pub assistant: String,
    /// The thread, from the event `langgraph.run.interrupted`.
    pub thread: Uuid,
    /// Which of its questions is answered; may be left out where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupt_id: Option<String>,
    /// The answer: what `interrupt()` returns in the graph.
    pub value: Value,
    /// Comes back in the events; at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

/// Runs to end before their time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The thread: its id or its name.
    pub thread: String,
    /// The run; left out, all of the thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Uuid>,
}

/// What a run does that finds its thread busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Multitask {
    /// It waits for its turn.
    Enqueue,
    /// It is not begun; the delivery is tried again.
    Reject,
    /// It ends the other, which keeps what it has done.
    Interrupt,
    /// It ends the other and undoes it.
    Rollback,
}

impl ConfigSchema for Multitask {
    const SCHEMA: &'static Schema =
        &Schema::Choice(&["enqueue", "reject", "interrupt", "rollback"]);
}

/// A field that breaks a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct Violation {
    /// Path of the field within the request, such as `run.assistant`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Request {
    /// Checks the limits.
    ///
    /// # Errors
    /// The first field that breaks one.
    pub fn check(&self) -> Result<(), Violation> {
        match self {
            Self::Run(run) => {
                name("run.assistant", &run.assistant)?;
                if let Some(thread) = &run.thread {
                    name("run.thread", thread)?;
                }
                if let Some(key) = run.metadata.keys().find(|key| key.starts_with(OWN)) {
                    let problem = format!("begins with `{OWN}`, which is the plugin's own");
                    return broken(&format!("run.metadata.{key}"), problem);
                }
                context("run.context", run.context.as_ref())
            }
            Self::Resume(resume) => {
                name("resume.assistant", &resume.assistant)?;
                if let Some(id) = &resume.interrupt_id {
                    name("resume.interrupt_id", id)?;
                }
                context("resume.context", resume.context.as_ref())
            }
            Self::Cancel(cancel) => name("cancel.thread", &cancel.thread),
        }
    }
}

fn name(field: &str, text: &str) -> Result<(), Violation> {
    match text.chars().count() {
        0 => broken(field, "is empty"),
        1..=MAX_NAME => Ok(()),
        chars => {
            let problem = format!("has {chars} characters, at most {MAX_NAME} are allowed");
            broken(field, problem)
        }
    }
}

fn context(field: &str, context: Option<&Value>) -> Result<(), Violation> {
    let bytes = context.map_or(0, |context| context.to_string().len());
    if bytes > MAX_CONTEXT {
        let problem = format!("has {bytes} bytes, at most {MAX_CONTEXT} are allowed");
        return broken(field, problem);
    }
    if context.is_some_and(|context| !nests_within(MAX_DEPTH, context)) {
        let problem = format!("nests deeper than {MAX_DEPTH} levels");
        return broken(field, problem);
    }
    Ok(())
}

fn nests_within(levels: usize, value: &Value) -> bool {
    let inside = |value| levels > 0 && nests_within(levels - 1, value);
    match value {
        Value::Array(items) => items.iter().all(inside),
        Value::Object(members) => members.values().all(inside),
        _ => true,
    }
}

fn broken(field: &str, problem: impl Into<String>) -> Result<(), Violation> {
    Err(Violation {
        field: field.to_owned(),
        problem: problem.into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_names_the_field() {
        let long = "é".repeat(201);
        for (request, said) in [
            (
                json!({"run": {"assistant": ""}}),
                "`run.assistant` is empty",
            ),
            (
                json!({"run": {"assistant": "a", "thread": long}}),
                "`run.thread` has 201 characters, at most 200 are allowed",
            ),
            (
                json!({"run": {"assistant": "a", "metadata": {"nexus_key": "k"}}}),
                "`run.metadata.nexus_key` begins with `nexus_`, which is the plugin's own",
            ),
            (
                json!({"run": {"assistant": "a", "context": "x".repeat(20_000)}}),
                "`run.context` has 20002 bytes, at most 16384 are allowed",
            ),
            (
                json!({"run": {"assistant": "a", "context": (0..17).fold(json!(1), |inner, _| json!([inner]))}}),
                "`run.context` nests deeper than 16 levels",
            ),
            (
                json!({"cancel": {"thread": ""}}),
                "`cancel.thread` is empty",
            ),
        ] {
            let request: Request = serde_json::from_value(request).unwrap();
            assert_eq!(request.check().unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for request in [
            json!({"run": {"assistant": "a", "colour": "red"}}),
            json!({"run": {"assistant": "a"}, "cancel": {"thread": "t"}}),
            json!({"run": {"assistant": "a", "multitask": "maybe"}}),
            json!({"resume": {"assistant": "a", "thread": "a name", "value": 1}}),
            json!({"resume": {"assistant": "a", "thread": Uuid::nil()}}),
            json!({"stop": {}}),
        ] {
            assert!(
                serde_json::from_value::<Request>(request.clone()).is_err(),
                "{request}"
            );
        }
    }
}
