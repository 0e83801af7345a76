//! A hub with the plugin before a real LangGraph server, and the events that it lets one see.

use std::sync::Arc;
use std::time::Duration;

use nexus_tests::followed::Followed;
use nexus_tests::hub::{Home, Hub, HubBuilder};
use nexus_tests::langgraph::{LangGraph, WEBHOOK_TOKEN, free_port};
use nexus_tests::skip;
use serde_json::{Value, json};

/// The server, or nothing; the test is then skipped.
pub(crate) async fn server_for(test: &str) -> Option<Arc<LangGraph>> {
    skip::or_skip(&format!("langgraph::{test}"), LangGraph::shared().await)
}

/// A hub that is to be laid out: where the server is, and how endings are learned of.
pub(crate) struct Setting {
    /// Where the plugin believes the server.
    pub(crate) server: String,
    /// Where the server believes the hub; `{hub}` stands for the hub.
    pub(crate) webhook: Option<&'static str>,
    /// How often it is looked by itself.
    pub(crate) poll_interval: &'static str,
    /// How often a delivery that has failed is tried again.
    pub(crate) max_retries: u32,
    /// Further settings of the plugin.
    pub(crate) more: &'static str,
}

impl Setting {
    /// One that hears of endings in no way.
    pub(crate) fn before(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            webhook: None,
            poll_interval: "1h",
            max_retries: 10,
            more: "",
        }
    }

    pub(crate) fn lay_out(&self) -> Home {
        let port = free_port();
        let hub = format!("http://127.0.0.1:{port}");
        let webhook = self.webhook.map(|url| {
            let url = url.replace("{hub}", &hub);
            format!("webhook_url = \"{url}\"\n")
        });
        let Self {
            server,
            poll_interval,
            max_retries,
            more,
            ..
        } = self;
        HubBuilder::new()
            .config(&format!(
                "[server]\nhttp = \"127.0.0.1:{port}\"\ngrpc = \"127.0.0.1:0\"\n\
                 [queue]\nbackend = \"sqlite\"\n\
                 [retry]\nmax_retries = {max_retries}\ndelays = [\"200ms\", \"1s\"]\n\
                 [breaker]\nfailures = 2\nopen_for = \"500ms\"\nramp = \"0s\"\n\
                 [plugins.langgraph]\nrequired = true\n\
                 [plugins.langgraph.secrets]\nwebhook_secret = {{ env = \"LG_WEBHOOK_TOKEN\" }}\n\
                 [plugins.langgraph.config]\nurl = \"{server}\"\n\
                 poll_interval = \"{poll_interval}\"\n{}{more}\n",
                webhook.unwrap_or_default()
            ))
            .env("LG_WEBHOOK_TOKEN", WEBHOOK_TOKEN)
            .plugin("probe")
            .plugin("langgraph")
            .lay_out()
    }

    pub(crate) async fn start(&self) -> Asked {
        Asked::of(self.lay_out().start()).await
    }
}

/// A running hub, and every event that it accepts from now on.
pub(crate) struct Asked {
    pub(crate) hub: Hub,
    events: Followed,
}

impl Asked {
    pub(crate) async fn of(hub: Hub) -> Self {
        let events = Followed::of(&hub).await;
        Self { hub, events }
    }

    /// Has the plugin asked something; hands on the event behind it.
    pub(crate) async fn send(&self, request: Value) -> String {
        let event = json!({
            "type": "probe.request",
            "source": "test",
            "payload": { "integration": "langgraph", "request": request },
        });
        let (status, receipt) = self.hub.publish(&event).await;
        assert_eq!(status, 202, "{receipt}");
        receipt["event_id"].as_str().unwrap().to_owned()
    }

    /// The same, and waits until it is delivered; hands on what the plugin has answered, too.
    pub(crate) async fn ask(&self, request: Value) -> (String, Begun) {
        let event_id = self.send(request).await;
        let begun = self.begun(&event_id).await;
        (event_id, begun)
    }

    /// What the plugin has answered to the request of an event.
    pub(crate) async fn begun(&self, event_id: &str) -> Begun {
        let journey = self.hub.finished(event_id).await;
        assert_eq!(journey["status"], "processed", "{journey:#}");
        let steps = journey["steps"].as_array().unwrap().iter();
        let summary = steps
            .filter_map(|step| step["summary"].as_str())
            .next_back();
        Begun::read(summary.unwrap_or_else(|| panic!("no summary: {journey:#}")))
    }

    /// The first event of that type that an event has caused.
    pub(crate) async fn caused(&self, by: &str, event_type: &str) -> Value {
        let is_meant = |event: &Value| event["causation_id"] == by && event["type"] == event_type;
        self.events.wait_for(event_type, is_meant).await
    }

    /// Every event that an event has caused so far, by type.
    pub(crate) fn all_caused(&self, by: &str) -> Vec<String> {
        let seen = self.events.all();
        let caused = seen.iter().filter(|event| event["causation_id"] == by);
        let types = caused.map(|event| event["type"].as_str().unwrap().to_owned());
        types.collect()
    }

    /// Lets another run come to its end: whatever was on its way before has come, too.
    pub(crate) async fn let_time_pass(&self) {
        let (event_id, _) = self.ask(classify("a barrier")).await;
        self.caused(&event_id, COMPLETED).await;
    }

    pub(crate) fn kill(self) -> Home {
        self.hub.kill()
    }
}

/// What the plugin says of a run that it has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) run_id: String,
    pub(crate) thread_id: String,
    pub(crate) how: String,
}

impl Begun {
    fn read(summary: &str) -> Self {
        let parts = summary.strip_prefix("run ").and_then(|rest| {
            let (run_id, rest) = rest.split_once(" on thread ")?;
            let (thread_id, how) = rest.split_once(' ')?;
            Some((run_id, thread_id, how))
        });
        let (run_id, thread_id, how) = parts.unwrap_or_default();
        Self {
            run_id: run_id.to_owned(),
            thread_id: thread_id.to_owned(),
            how: how.to_owned(),
        }
    }
}

pub(crate) const COMPLETED: &str = "langgraph.run.completed";
pub(crate) const FAILED: &str = "langgraph.run.failed";
pub(crate) const INTERRUPTED: &str = "langgraph.run.interrupted";
pub(crate) const PROGRESS: &str = "langgraph.run.progress";

/// A mail to the classifier.
pub(crate) fn classify(subject: &str) -> Value {
    json!({ "run": {
        "assistant": "classifier",
        "input": { "subject": subject },
        "context": { "mail": "m-17" },
    }})
}

/// A run that takes so long, unless something ends it.
pub(crate) fn rest(time: Duration) -> Value {
    json!({ "run": { "assistant": "slow", "input": { "seconds": time.as_secs_f64() } } })
}
