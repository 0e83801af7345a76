//! Whether and how a run has ended: asks the server, hands on the ending.
//!
//! It takes the run's status, and what the run itself has left: its last checkpoint. A thread's own status
//! and values will not do where they can be avoided, as the next run of the thread changes them. Run and
//! webhook say "success" also where the graph has stopped to ask something.

use nexus_plugin_api::PluginError;
use serde_json::Value;

use crate::ending::Ending;
use crate::events::FailureKind;
use crate::ledger::Entry;
use crate::server::{self, Server};

/// Whether a run of that status has not ended.
pub(crate) fn is_active(status: &str) -> bool {
    matches!(status, "pending" | "running")
}

/// How a run has ended; `None` while it has not.
pub(crate) async fn ending(server: &Server, entry: &Entry) -> Result<Option<Ending>, PluginError> {
    let (thread_id, run_id) = (entry.thread_id, entry.run_id);
    let Some(run) = server.run(thread_id, run_id).await? else {
        let told = "the server does not know the run: it was rolled back or deleted";
        return Ok(Some(Ending::failed(FailureKind::Gone, told)));
    };
    let failed = |kind, told: String| Ok(Some(Ending::failed(kind, told)));
    match run.status.as_str() {
        status if is_active(status) => Ok(None),
        "success" => success(server, entry).await.map(Some),
        "error" => failed(FailureKind::GraphError, why(server, entry).await?),
        "timeout" => {
            let told = "the run took longer than the server lets one take";
            failed(FailureKind::Timeout, told.to_owned())
        }
        "interrupted" => {
            let told = "the run was cancelled, or gave way to a later one of its thread";
            failed(FailureKind::Cancelled, told.to_owned())
        }
        other => failed(
            FailureKind::GraphError,
            format!("the run ended as {other:?}"),
        ),
    }
}

async fn success(server: &Server, entry: &Entry) -> Result<Ending, PluginError> {
    match left_by_run_or_thread(server, entry).await {
        // Asked again, it would be as large.
        Err(error) if error.code == server::TOO_LARGE => of_large(server, entry).await,
        ending => ending,
    }
}

async fn left_by_run_or_thread(server: &Server, entry: &Entry) -> Result<Ending, PluginError> {
    let (thread_id, run_id) = (entry.thread_id, entry.run_id);
    if let Some(left) = server.left_by(thread_id, run_id).await? {
        let asked: Vec<_> = left
            .tasks
            .into_iter()
            .flat_map(|task| task.interrupts)
            .collect();
        if left.next.is_empty() && asked.is_empty() {
            return Ok(Ending::Completed(left.values));
        }
        return Ok(Ending::Interrupted(asked));
    }
    // A server that does not find checkpoints by their run still has the thread.
    let Some(thread) = server.thread(thread_id).await? else {
        return Ok(deleted());
    };
    if thread.status == "interrupted" {
        return Ok(Ending::Interrupted(thread.asks()));
    }
    Ok(Ending::Completed(thread.values))
}

/// The ending of a run that has left more than is read.
async fn of_large(server: &Server, entry: &Entry) -> Result<Ending, PluginError> {
    match server.standing(entry.thread_id).await {
        Ok(Some(thread)) if thread.status == "interrupted" => {
            Ok(Ending::Interrupted(thread.asks()))
        }
        Ok(Some(_)) => Ok(Ending::CompletedWithMoreThan(server.max_answer())),
        Ok(None) => Ok(deleted()),
        Err(error) if error.code == server::TOO_LARGE => {
            let told = format!("the run asks more than can be read: {}", error.message);
            Ok(Ending::failed(FailureKind::GraphError, told))
        }
        Err(error) => Err(error),
    }
}

fn deleted() -> Ending {
    let told = "the server does not know the run's thread: it was deleted";
    Ending::failed(FailureKind::Gone, told)
}

/// Why a run has failed. The task that has says it best; without one, the thread may.
async fn why(server: &Server, entry: &Entry) -> Result<String, PluginError> {
    let left = readable(server.left_by(entry.thread_id, entry.run_id).await)?;
    let of_task = left
        .into_iter()
        .flat_map(|left| left.tasks)
        .find_map(|task| task.error);
    if let Some(error) = of_task {
        return Ok(text(&error));
    }
    let thread = readable(server.thread(entry.thread_id).await)?;
    let error = thread.filter(|thread| thread.status == "error");
    Ok(match error.and_then(|thread| thread.error) {
        Some(error) => text(&error),
        None => "the server does not say why".to_owned(),
    })
}

/// What was found; nothing where it is more than is read.
fn readable<T>(found: Result<Option<T>, PluginError>) -> Result<Option<T>, PluginError> {
    match found {
        Err(error) if error.code == server::TOO_LARGE => Ok(None),
        found => found,
    }
}

/// An error as the server writes it: text, or `{"error": KIND, "message": TEXT}`.
fn text(error: &Value) -> String {
    let text = match (error, &error["error"], &error["message"]) {
        (Value::String(text), ..) => text.clone(),
        (_, Value::String(kind), Value::String(message)) => format!("{kind}: {message}"),
        (other, ..) => other.to_string(),
    };
    text.chars().take(MAX_TOLD).collect()
}

/// The longest reason that is told, in characters.
const MAX_TOLD: usize = 2000;

#[cfg(test)]
pub(crate) mod tests;
