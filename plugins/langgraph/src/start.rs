//! Beginning runs, once: receives checked requests, hands on runs that are remembered.
//!
//! The server knows no idempotency keys. So a run carries its delivery's in its metadata, and before one is
//! begun its thread is searched for it: an answer that was lost, or a hub that died between any two steps,
//! begins nothing twice. Which thread that is follows from the request alone.

use chrono::Utc;
use nexus_plugin_api::{Context, PluginError, Reply};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::config::Config;
use crate::hook;
use crate::ledger::{self, Entry};
use crate::request::{Cancel, Multitask, OWN, Resume, Run};
use crate::server::{self, Server};
use crate::truth;

/// The namespace of derived thread ids (a version 4 UUID, chosen once).
const NAMESPACE: Uuid = Uuid::from_u128(0x3c8e_5b1f_7a40_4d92_b6d3_91e2_0f57_a8c4);

/// What is begun: where, and what the server is told of it.
struct Wanted {
    thread_id: Uuid,
    assistant: String,
    /// What distinguishes the kinds of runs in the body.
    body: Map<String, Value>,
    metadata: Map<String, Value>,
    multitask: Multitask,
    stream: bool,
    context: Option<Value>,
}

/// Begins runs for one delivery.
pub(crate) struct Start<'a> {
    pub(crate) server: &'a Server,
    pub(crate) config: &'a Config,
    pub(crate) ctx: &'a Context,
}

impl Start<'_> {
    /// Begins a run.
    pub(crate) async fn run(&self, run: Run) -> Result<Reply, PluginError> {
        let key = self.ctx.idempotency_key();
        let (thread_id, multitask) = match &run.thread {
            Some(thread) => (
                named(thread),
                run.multitask.unwrap_or(self.config.multitask),
            ),
            // Nobody else is on this thread: a run that is there already is the one that is wanted.
            None => (derived("key", key), Multitask::Reject),
        };
        let wanted = Wanted {
            thread_id,
            assistant: run.assistant,
            body: members(json!({"input": run.input, "config": run.config})),
            metadata: run.metadata,
            multitask,
            stream: run.stream,
            context: run.context,
        };
        if let Some(found) = self.find(thread_id).await? {
            return self.follow(wanted, found.run_id, "was begun before").await;
        }
        self.begin(wanted).await
    }

    /// Answers an interrupted run.
    pub(crate) async fn resume(&self, resume: Resume) -> Result<Reply, PluginError> {
        let thread_id = resume.thread;
        let wanted = |body| Wanted {
            thread_id,
            assistant: resume.assistant,
            body,
            metadata: Map::new(),
            // Another answer may be under way.
            multitask: Multitask::Reject,
            stream: false,
            context: resume.context,
        };
        if let Some(found) = self.find(thread_id).await? {
            let wanted = wanted(Map::new());
            return self.follow(wanted, found.run_id, "was begun before").await;
        }
        let asked = self.asked(thread_id, resume.interrupt_id).await?;
        // By its id also where there is one: a thread that asks something else by now must not take this
        // for the answer.
        let command = json!({"command": {"resume": {asked: resume.value}}});
        self.begin(wanted(members(command))).await
    }

    /// Ends runs before their time. What has ended already has ended.
    pub(crate) async fn cancel(&self, cancel: Cancel) -> Result<Reply, PluginError> {
        let thread_id = named(&cancel.thread);
        let runs = match cancel.run {
            Some(run_id) => vec![run_id],
            None => {
                let runs = self
                    .server
                    .runs(thread_id, |run| truth::is_active(&run.status));
                runs.await?.iter().map(|run| run.run_id).collect()
            }
        };
        let mut cancelled = Vec::new();
        for run_id in runs {
            if self.server.cancel(thread_id, run_id).await? {
                cancelled.push(run_id.to_string());
            }
        }
        if cancelled.is_empty() {
            return Ok(Reply::noted("nothing is under way there"));
        }
        Ok(Reply::noted(format!("cancelled {}", cancelled.join(", "))))
    }

    /// The run that an earlier attempt of this delivery has begun.
    async fn find(&self, thread_id: Uuid) -> Result<Option<server::Run>, PluginError> {
        let key = self.ctx.idempotency_key();
        let own = own("key");
        let is_ours = |run: &server::Run| run.metadata.get(&own).is_some_and(|found| found == key);
        let mut found = self.server.runs(thread_id, is_ours).await?;
        // A thread hands its first run's metadata down to runs that others begin on it: those are later.
        Ok(found.pop())
    }

    /// Which question of a thread is answered.
    async fn asked(&self, thread_id: Uuid, id: Option<String>) -> Result<String, PluginError> {
        let nothing = |told: String| Err(PluginError::permanent("nothing_asked", told));
        let Some(thread) = self.server.standing(thread_id).await? else {
            return nothing(format!("there is no thread {thread_id}"));
        };
        if thread.status == "busy" {
            return Err(busy(thread_id));
        }
        let mut open: Vec<String> = thread.asks().into_iter().map(|asked| asked.id).collect();
        match id {
            Some(id) if open.contains(&id) => Ok(id),
            Some(id) => nothing(format!(
                "the thread {thread_id} does not ask `{id}` (any more)"
            )),
            None if open.len() > 1 => Err(PluginError::permanent(
                "invalid_request",
                format!(
                    "the thread {thread_id} asks {} things: say which in `interrupt_id`",
                    open.len()
                ),
            )),
            None => match open.pop() {
                Some(id) => Ok(id),
                None => nothing(format!(
                    "the thread {thread_id} does not ask anything (any more)"
                )),
            },
        }
    }

    async fn begin(&self, wanted: Wanted) -> Result<Reply, PluginError> {
        let most = self.config.max_runs;
        if ledger::count(self.ctx).await? >= most {
            let told = format!("{most} runs are under way, which is `max_runs`");
            return Err(PluginError::retryable("too_many_runs", told));
        }
        let created = self
            .server
            .create(wanted.thread_id, &self.body(&wanted).await?)
            .await;
        match created {
            Ok(run) => self.follow(wanted, run.run_id, "begun").await,
            // Perhaps it is this delivery's own, begun after it was searched for.
            Err(error) if error.code == "conflict" => match self.find(wanted.thread_id).await? {
                Some(run) => self.follow(wanted, run.run_id, "was begun before").await,
                None => Err(busy(wanted.thread_id)),
            },
            Err(error) => Err(error),
        }
    }

    async fn body(&self, wanted: &Wanted) -> Result<Value, PluginError> {
        let mut metadata = wanted.metadata.clone();
        metadata.insert(own("key"), self.ctx.idempotency_key().into());
        if let Some(event_id) = self.ctx.event_id() {
            metadata.insert(own("event_id"), event_id.to_string().into());
        }
        let mut body = wanted.body.clone();
        body.extend(members(json!({
            "assistant_id": wanted.assistant,
            "metadata": metadata,
            "multitask_strategy": wanted.multitask,
            "if_not_exists": "create",
            "stream_mode": ["updates"],
            // So that one who comes later, or comes back, gets it from its beginning.
            "stream_resumable": wanted.stream,
        })));
        if let Some(webhook) = self.webhook().await? {
            body.insert("webhook".to_owned(), webhook.into());
        }
        Ok(Value::Object(body))
    }

    /// Where the server reports the run's end; nowhere without a secret that would prove it.
    async fn webhook(&self) -> Result<Option<&str>, PluginError> {
        let secret = server::secret(self.ctx.services(), hook::SECRET).await?;
        Ok(secret.and(self.config.webhook_url.as_deref()))
    }

    /// Remembers a run; from here on its ending will be published.
    async fn follow(&self, wanted: Wanted, run_id: Uuid, how: &str) -> Result<Reply, PluginError> {
        let own_id = || self.ctx.event_id().map(|id| id.to_string());
        let entry = Entry {
            run_id,
            thread_id: wanted.thread_id,
            assistant: wanted.assistant,
            stream: wanted.stream,
            reported: self.webhook().await?.is_some(),
            since: Utc::now(),
            context: wanted.context,
            correlation_id: self.ctx.correlation_id().map(str::to_owned).or_else(own_id),
            causation_id: self.ctx.event_id(),
            traceparent: self.ctx.traceparent().map(str::to_owned),
        };
        ledger::remember(self.ctx, &entry).await?;
        let thread_id = entry.thread_id;
        Ok(Reply::noted(format!(
            "run {run_id} on thread {thread_id} {how}"
        )))
    }
}

/// The id of a thread that a request names.
fn named(thread: &str) -> Uuid {
    // Written as the server writes it; anything else is a name.
    let id = Uuid::try_parse(thread).ok();
    id.filter(|id| id.to_string() == thread)
        .unwrap_or_else(|| derived("thread", thread))
}

fn derived(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{kind}/{name}").as_bytes())
}

fn own(member: &str) -> String {
    format!("{OWN}{member}")
}

fn busy(thread_id: Uuid) -> PluginError {
    let told = format!("the thread {thread_id} is busy");
    PluginError::retryable(PluginError::BUSY, told)
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_always_means_the_same_thread_and_an_id_itself() {
        let id = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(named(id).to_string(), id);
        assert_eq!(named("mail/ana"), named("mail/ana"));
        assert_ne!(named("mail/ana"), named("mail/bob"));
        // In another spelling it is a name, so that two spellings never are two names of one thread.
        assert_ne!(named(&id.to_uppercase()), named(id));
        assert_ne!(derived("key", "a"), derived("thread", "a"));
    }
}
