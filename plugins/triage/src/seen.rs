//! What is read of others' events: receives payloads, hands on the fields that matter here. Their owners may add others.

use nexus_plugin_api::{Event, PluginError, Priority};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub(crate) const MAIL: &str = "outlook.mail.received";
pub(crate) const FILE_ADDED: &str = "dropbox.file.added";
pub(crate) const FILE_CHANGED: &str = "dropbox.file.changed";
pub(crate) const COMPLETED: &str = "langgraph.run.completed";
pub(crate) const FAILED: &str = "langgraph.run.failed";
pub(crate) const INTERRUPTED: &str = "langgraph.run.interrupted";

/// What goes with a run, and comes back with everything that becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Matter {
    /// `mail` or `file`.
    pub(crate) kind: Kind,
    /// The mail's subject, or the file's path.
    pub(crate) about: String,
    /// How pressing it was.
    #[serde(default)]
    pub(crate) priority: Priority,
}

/// What an agent looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Mail,
    File,
}

/// The context of this plugin's runs. That of others' is another, and is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) triage: Matter,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Mail {
    pub(crate) subject: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub(crate) path: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Interrupted {
    pub(crate) thread_id: Uuid,
    pub(crate) assistant: String,
    pub(crate) interrupts: Vec<Interrupt>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Interrupt {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) value: Value,
    /// How large the value is that is left out.
    #[serde(default)]
    pub(crate) omitted_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Completed {
    #[serde(default)]
    pub(crate) output: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Failed {
    pub(crate) error: Failure,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) message: String,
}

/// What a run was about; `None` when it was not this plugin's.
pub(crate) fn matter(event: &Event) -> Option<Matter> {
    #[derive(Deserialize)]
    struct Of {
        context: Context,
    }
    let of: Of = serde_json::from_slice(event.payload.as_slice()).ok()?;
    Some(of.context.triage)
}

/// The fields of a payload that matter here.
///
/// # Errors
/// `unreadable`, permanent: its contract has changed beyond what is known here.
pub(crate) fn read<T: DeserializeOwned>(event: &Event) -> Result<T, PluginError> {
    serde_json::from_slice(event.payload.as_slice()).map_err(|error| {
        let told = format!(
            "an event of the type {} is not as known: {error}",
            event.event_type
        );
        PluginError::permanent("unreadable", told)
    })
}
