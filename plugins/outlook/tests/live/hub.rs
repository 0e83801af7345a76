//! A real hub with the plugin, over HTTP and with a durable queue, before a double of Microsoft Graph.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use graph_double::{CLIENT_ID, CLIENT_SECRET, GraphDouble, TENANT};
use nexus_host::config::Config;
use nexus_host::plugins::PluginState;
use nexus_host::{Host, Journey, LetterFilter, Page};
use nexus_plugin_api::Event;
use nexus_plugin_api::outgoing::{Access, Client};
use outlook::{MailReceived, NotificationReceived};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::front::Front;

pub(crate) const ADA: &str = "ada@example.org";
pub(crate) const MAIL: &str = "outlook.mail.received";
pub(crate) const NOTIFICATION: &str = "outlook.notification.received";

/// How long anything may take that a test waits for.
const SOON: Duration = Duration::from_secs(20);

/// Everything but the hub, which may come and go.
pub(crate) struct Site {
    pub(crate) graph: GraphDouble,
    pub(crate) front: Front,
    pub(crate) folder: TempDir,
    /// What `[plugins.outlook.config]` has beside the addresses.
    pub(crate) config: String,
    pub(crate) has_webhook: bool,
    /// What `[queue]` has beside its backend.
    pub(crate) queue: String,
    /// The file with the certificate's key.
    pub(crate) key: &'static str,
}

/// A running hub.
pub(crate) struct Hub {
    pub(crate) host: Host,
    events: watch::Receiver<Vec<Arc<Event>>>,
    collector: JoinHandle<()>,
}

pub(crate) fn key_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/keys")
        .join(name)
}

impl Site {
    /// One whose hub Graph can reach.
    pub(crate) async fn new(config: &str) -> Self {
        Self {
            graph: GraphDouble::start().await,
            front: Front::open().await,
            folder: tempfile::tempdir().expect("a folder"),
            config: config.to_owned(),
            has_webhook: true,
            queue: String::new(),
            key: "mail-key.pem",
        }
    }

    /// One whose hub nobody can reach.
    pub(crate) async fn without_webhook(config: &str) -> Self {
        Self {
            has_webhook: false,
            ..Self::new(config).await
        }
    }

    /// The same with other settings.
    pub(crate) fn configured(&mut self, config: &str) {
        config.clone_into(&mut self.config);
    }

    /// The whole `nexus.toml`.
    pub(crate) fn toml(&self) -> String {
        let folder = self.folder.path();
        let secret = folder.join("secret");
        std::fs::write(&secret, CLIENT_SECRET).expect("written");
        let (graph, queue) = (self.graph.url(), folder.join("queue.db"));
        let public = match self.has_webhook {
            true => format!("public_url = {:?}", self.front.url()),
            false => String::new(),
        };
        format!(
            "[server]\nhttp = \"127.0.0.1:0\"\ngrpc = \"off\"\n\
             [queue]\nbackend = \"sqlite\"\n{}\n[queue.sqlite]\npath = {queue:?}\n\
             [retry]\ndelays = [\"10ms\"]\njitter = 0.0\n\
             [plugins.outlook.secrets]\nclient_secret = {{ file = {secret:?} }}\n\
             encryption_key = {{ file = {:?} }}\n\
             [plugins.outlook.config]\ntenant = \"{TENANT}\"\nclient_id = \"{CLIENT_ID}\"\n\
             mailboxes = [\"{ADA}\"]\ngraph_url = \"{graph}\"\ntoken_url = \"{}\"\nmetadata_url = \"{}\"\n\
             issuers = [\"{graph}/{TENANT}/v2.0\"]\n{public}\n{}\n",
            self.queue,
            key_file(self.key),
            self.graph.token_url(),
            self.graph.metadata_url(),
            self.config,
        )
    }

    /// Starts a hub, and lets the public address lead to it.
    pub(crate) async fn start(&self) -> Hub {
        let plugins = self.folder.path().join("plugins");
        std::fs::create_dir_all(&plugins).expect("a folder");
        let config = Config::from_toml_str(&self.toml()).unwrap_or_else(|error| panic!("{error}"));
        let host = Host::builder()
            .config(config)
            .plugins_dir(plugins)
            .plugin(outlook::plugin())
            .build()
            .expect("a hub");
        // Until somebody listens: no event is to be missed here.
        self.graph.pauses();
        let host = host.start().await.expect("the hub starts");
        self.front.leads_to(host.http_addr());
        let (seen, events) = watch::channel(Vec::new());
        let mut coming = host.subscribe("*", "*");
        let collector = tokio::spawn(async move {
            while let Some(event) = coming.next().await {
                seen.send_modify(|seen: &mut Vec<Arc<Event>>| seen.push(event));
            }
        });
        self.graph.goes_on();
        Hub {
            host,
            events,
            collector,
        }
    }

    /// Starts a hub, and waits until Ada's mailbox is followed: subscribed to, and its changes read once.
    pub(crate) async fn started(&self) -> Hub {
        let rounds = self.graph.count("message.delta");
        let hub = self.start().await;
        let has_webhook = self.has_webhook;
        let is_followed = move |graph: &GraphDouble| {
            (graph.subscriptions().len() == 1 || !has_webhook)
                && graph.count("message.delta") > rounds
        };
        self.graph
            .until("the mailbox is followed", is_followed)
            .await;
        hub
    }

    /// Posts a webhook from outside, as anybody may: the status and the text of the answer.
    pub(crate) async fn posts(&self, path: &str, body: impl Into<String>) -> (u16, String) {
        let client = Client::new(Access::default());
        let url = format!("{}/v1/hooks/outlook{path}", self.front.url());
        let request = client
            .post(&url)
            .await
            .expect("a request")
            .body(body.into());
        let answer = client.ask(request).await.expect("an answer");
        (
            answer.status(),
            String::from_utf8_lossy(answer.body()).into_owned(),
        )
    }

    /// The client state of the one subscription.
    pub(crate) fn client_state(&self) -> String {
        self.graph.subscriptions()[0].client_state.clone()
    }
}

impl Hub {
    /// The events of a type, once there are that many.
    pub(crate) async fn events(&self, event_type: &str, count: usize) -> Vec<Arc<Event>> {
        let mut events = self.events.clone();
        let enough = events.wait_for(|all| of_type(all, event_type).len() >= count);
        let waited = tokio::time::timeout(SOON, enough).await;
        assert!(waited.is_ok(), "there are not {count} {event_type}");
        self.so_far(event_type)
    }

    /// The events of a type so far.
    pub(crate) fn so_far(&self, event_type: &str) -> Vec<Arc<Event>> {
        of_type(&self.events.borrow(), event_type)
    }

    /// The mails, once there are that many.
    pub(crate) async fn mails(&self, count: usize) -> Vec<MailReceived> {
        let events = self.events(MAIL, count).await;
        events
            .iter()
            .map(|event| event.payload.parse().expect("a mail"))
            .collect()
    }

    /// What became of the notification about a message, once it is over.
    pub(crate) async fn notified_of(&self, message_id: &str) -> Journey {
        let mut events = self.events.clone();
        let find = |all: &[Arc<Event>]| -> Option<Uuid> {
            let all = of_type(all, NOTIFICATION);
            let of_message = |event: &&Arc<Event>| {
                event
                    .payload
                    .parse::<NotificationReceived>()
                    .expect("a notification")
                    .message_id
                    == message_id
            };
            all.iter().find(of_message).map(|event| event.event_id)
        };
        let waited = tokio::time::timeout(SOON, events.wait_for(|all| find(all).is_some())).await;
        waited.expect("notified in time").expect("the hub runs");
        let id = find(&self.events.borrow()).expect("it is there");
        let over = tokio::time::timeout(SOON, self.host.wait_processed(id)).await;
        let over = over.expect("over in time").expect("the queue answers");
        over.expect("it is known")
    }

    /// Why things are dead letters.
    pub(crate) async fn dead(&self) -> Vec<String> {
        let all = Page::first(usize::MAX);
        let letters = self
            .host
            .dead_letters(LetterFilter::default(), all)
            .await
            .expect("the queue answers");
        letters
            .iter()
            .map(|letter| letter.errors.last().expect("a reason").message.clone())
            .collect()
    }

    /// What the plugin says of how it is, once it has `part` in it.
    pub(crate) async fn says(&self, part: &str) -> String {
        let wait = async {
            loop {
                let report = self.host.plugins().remove(0);
                if let PluginState::Degraded(reason) = report.state
                    && reason.contains(part)
                {
                    return reason;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, wait)
            .await
            .unwrap_or_else(|_| panic!("it does not say {part}"))
    }

    /// Ends in the middle of whatever it does. Waits until another may have its queue.
    pub(crate) async fn dies(self, site: &Site) {
        self.collector.abort();
        drop(self.host);
        let lock = site.folder.path().join("queue.db-lock");
        let lock = std::fs::File::open(lock).expect("the queue has a lock");
        let freed = tokio::task::spawn_blocking(move || lock.lock());
        let freed = tokio::time::timeout(SOON, freed).await;
        freed
            .expect("let go of in time")
            .expect("waited")
            .expect("locked");
    }

    pub(crate) async fn stop(self) {
        self.collector.abort();
        self.host.shutdown().await.expect("the hub stops");
    }
}

fn of_type(all: &[Arc<Event>], event_type: &str) -> Vec<Arc<Event>> {
    all.iter()
        .filter(|event| event.event_type == event_type)
        .cloned()
        .collect()
}

/// The reason of the last step of a journey at the plugin's processor.
pub(crate) fn reason(journey: &Journey) -> String {
    let steps = serde_json::to_value(&journey.steps).expect("JSON");
    let reasons = steps.as_array().expect("a list").iter().rev();
    let found = reasons.filter_map(|step| find(step, "reason")).next();
    found.unwrap_or_default()
}

fn find(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields
            .get(key)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| fields.values().find_map(|value| find(value, key))),
        _ => None,
    }
}
