//! The LangGraph server: receives what to ask it, hands on its answers in types of their own. Connects
//! when it is first used, keeps connections, and never asks twice: whoever asks decides that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_plugin_api::outgoing::{Answer, Client, Method, RequestBuilder, Response};
use nexus_plugin_api::{PluginError, Services};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::config::Config;

/// How long a health check may wait for the server.
const HEALTH_WITHIN: Duration = Duration::from_millis(1500);
/// The server sends something every five seconds while one waits for a run. A connection on which nothing
/// comes for so long is dead.
const SILENCE: Duration = Duration::from_secs(20);
/// How many runs of a thread are asked for at once.
const PAGE: usize = 100;
/// How many times. What a repeated delivery has begun earlier is among a thread's newest runs.
const PAGES: usize = 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Server {
    client: Client,
    services: Services,
    url: String,
    max_answer: usize,
    away: AtomicBool,
}

/// Code of an answer that is larger than what is read.
pub(crate) const TOO_LARGE: &str = "answer_too_large";

/// A run, as the server lists it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) run_id: Uuid,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) metadata: Map<String, Value>,
}

/// A thread, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Thread {
    pub(crate) status: String,
    /// Why its last run failed: usually `{"error", "message"}`.
    #[serde(default)]
    pub(crate) error: Option<Value>,
    /// The values of its state.
    #[serde(default)]
    pub(crate) values: Value,
    /// What its tasks ask, by task.
    #[serde(default)]
    interrupts: Option<HashMap<String, Vec<Interrupt>>>,
}

/// What a run has left: its last checkpoint.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Snapshot {
    #[serde(default)]
    pub(crate) values: Value,
    /// The nodes that would be next.
    #[serde(default)]
    pub(crate) next: Vec<String>,
    #[serde(default)]
    pub(crate) tasks: Vec<Task>,
}

/// A node at work when the checkpoint was written.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Task {
    #[serde(default)]
    pub(crate) error: Option<Value>,
    #[serde(default)]
    pub(crate) interrupts: Vec<Interrupt>,
}

/// What a node asks.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Interrupt {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) value: Value,
}

impl Thread {
    /// Everything it asks.
    pub(crate) fn asks(self) -> Vec<Interrupt> {
        self.interrupts
            .into_iter()
            .flatten()
            .flat_map(|(_, asked)| asked)
            .collect()
    }
}

impl Server {
    pub(crate) fn new(config: &Config, services: &Services) -> Self {
        let access = config.access();
        Self {
            max_answer: access.max_answer,
            client: Client::new(access),
            services: services.clone(),
            url: config.url.trim_end_matches('/').to_owned(),
            away: AtomicBool::new(false),
        }
    }

    /// The largest answer that is read, in bytes.
    pub(crate) fn max_answer(&self) -> u64 {
        u64::try_from(self.max_answer).unwrap_or(u64::MAX)
    }

    /// Whether it answers at all.
    pub(crate) async fn ok(&self) -> Result<(), PluginError> {
        let asked = self.ask(Method::GET, "/ok", None);
        match tokio::time::timeout(HEALTH_WITHIN, asked).await {
            Ok(answer) => self.named(answer?.expect_success().map(drop)),
            Err(_) => {
                let told = format!("no answer within {HEALTH_WITHIN:?}");
                self.named(Err(PluginError::retryable("timeout", told)))
            }
        }
    }

    /// Begins a run on a thread.
    pub(crate) async fn create(&self, thread: Uuid, run: &Value) -> Result<Run, PluginError> {
        let path = format!("/threads/{thread}/runs");
        let answer = self.ask(Method::POST, &path, Some(run)).await?;
        self.named(answer.expect_success().and_then(|answer| answer.json()))
    }

    /// The newest runs of a thread that `wanted` picks, newest first; none where there is no such thread.
    pub(crate) async fn runs(
        &self,
        thread: Uuid,
        wanted: impl Fn(&Run) -> bool,
    ) -> Result<Vec<Run>, PluginError> {
        let mut found = Vec::new();
        for page in 0..PAGES {
            let path = format!(
                "/threads/{thread}/runs?limit={PAGE}&offset={}\
                 &select=run_id&select=status&select=metadata",
                page * PAGE
            );
            let runs: Option<Vec<Run>> = self.find(Method::GET, &path, None).await?;
            let runs = runs.unwrap_or_default();
            let is_last = runs.len() < PAGE;
            found.extend(runs.into_iter().filter(&wanted));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// A run; `None` when the server has none of that id.
    pub(crate) async fn run(&self, thread: Uuid, run: Uuid) -> Result<Option<Run>, PluginError> {
        let path = format!("/threads/{thread}/runs/{run}");
        self.find(Method::GET, &path, None).await
    }

    /// How a thread stands and what it asks, without the values of its state, which may be large; `None` when the server has none of
    /// that id.
    pub(crate) async fn standing(&self, thread: Uuid) -> Result<Option<Thread>, PluginError> {
        let asked = json!({
            "ids": [thread], "limit": 1, "select": ["thread_id", "status", "interrupts"],
        });
        let found: Option<Vec<Thread>> = self
            .find(Method::POST, "/threads/search", Some(&asked))
            .await?;
        Ok(found.and_then(|threads| threads.into_iter().next()))
    }

    /// A thread with all that it holds; `None` when the server has none of that id.
    pub(crate) async fn thread(&self, thread: Uuid) -> Result<Option<Thread>, PluginError> {
        let path = format!("/threads/{thread}");
        self.find(Method::GET, &path, None).await
    }

    /// What a run has left, whatever other runs have done to the thread since; `None` when it ended before
    /// it left anything.
    pub(crate) async fn left_by(
        &self,
        thread: Uuid,
        run: Uuid,
    ) -> Result<Option<Snapshot>, PluginError> {
        let path = format!("/threads/{thread}/history");
        let asked = json!({"limit": 1, "metadata": {"run_id": run}});
        let found: Option<Vec<Snapshot>> = self.find(Method::POST, &path, Some(&asked)).await?;
        Ok(found.and_then(|states| states.into_iter().next()))
    }

    /// Ends a run before its time; `false` when there is nothing to end.
    pub(crate) async fn cancel(&self, thread: Uuid, run: Uuid) -> Result<bool, PluginError> {
        let path = format!("/threads/{thread}/runs/{run}/cancel");
        let answer = self.ask(Method::POST, &path, None).await?;
        if is_absence(&answer) {
            return Ok(false);
        }
        self.named(answer.expect_success().map(|_| true))
    }

    /// Waits until a run ends. How it ended is not believed from here: the answer to a run that has failed
    /// is 200, and that to one that ended a while ago is whatever its thread holds by now.
    pub(crate) async fn join(&self, thread: Uuid, run: Uuid) -> Result<(), PluginError> {
        let path = format!("/threads/{thread}/runs/{run}/join");
        let mut answer = self.begin(&path, None).await?;
        while self.next(&mut answer).await?.is_some() {}
        Ok(())
    }

    /// Begins to read a run's stream, from its beginning.
    pub(crate) async fn stream(&self, thread: Uuid, run: Uuid) -> Result<Response, PluginError> {
        let path = format!("/threads/{thread}/runs/{run}/stream?stream_mode=updates");
        // The id of an event that is before all others.
        self.begin(&path, Some("0")).await
    }

    /// The next bytes of an answer that is still being sent; `None` at its end.
    pub(crate) async fn next(
        &self,
        answer: &mut Response,
    ) -> Result<Option<impl AsRef<[u8]> + use<>>, PluginError> {
        let read = match tokio::time::timeout(SILENCE, answer.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            // Without its address.
            Ok(Err(error)) => Err(error.without_url().to_string()),
            Err(_) => Err(format!("nothing for {SILENCE:?}")),
        };
        let told = |why| PluginError::retryable("broken_answer", format!("broke off: {why}"));
        self.named(read.map_err(told))
    }

    /// Notes how asking went, and says so in the log when that changes: a server that is away for hours
    /// must not fill it.
    pub(crate) fn noted<T>(&self, answer: Result<T, PluginError>) -> Result<T, PluginError> {
        match &answer {
            Ok(_) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!(url = self.url, "LangGraph can be reached again");
                }
            }
            Err(error) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!("runs cannot be followed for the moment: {error}");
                }
            }
        }
        answer
    }

    /// Asks for something that may not be there.
    async fn find<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<T>, PluginError> {
        let answer = self.ask(method, path, body).await?;
        if is_absence(&answer) {
            return Ok(None);
        }
        self.named(answer.expect_success().and_then(|answer| answer.json()))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, PluginError> {
        let mut request = self.request(method, path).await?;
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.client.ask(request).await;
        self.named(answer)
    }

    async fn begin(&self, path: &str, after: Option<&str>) -> Result<Response, PluginError> {
        let mut request = self.request(Method::GET, path).await?;
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let answer = self.client.begin(request).await;
        self.named(answer)
    }

    async fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, PluginError> {
        let url = format!("{}{path}", self.url);
        let request = self.client.request(method, &url).await?;
        Ok(match secret(&self.services, "api_key").await? {
            Some(key) => request.header("x-api-key", key),
            None => request,
        })
    }

    /// Says in an error who has answered so.
    fn named<T>(&self, answer: Result<T, PluginError>) -> Result<T, PluginError> {
        answer.map_err(|error| PluginError {
            message: format!("LangGraph at {}: {}", self.url, error.message),
            ..error
        })
    }
}

/// A secret; `None` where the configuration has none of that name.
pub(crate) async fn secret(services: &Services, name: &str) -> Result<Option<String>, PluginError> {
    match services.secret(name).await {
        Ok(secret) => Ok(Some(secret).filter(|secret| !secret.is_empty())),
        Err(error) if error.code == "not_found" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the server itself says that something is not there: it does so with a `detail`. Anything else
/// that answers 404 is not the server.
fn is_absence(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Absence {
        #[serde(rename = "detail")]
        _detail: IgnoredAny,
    }
    answer.status() == 404 && answer.json::<Absence>().is_ok()
}
