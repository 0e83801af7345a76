//! A server on a real socket for tests, with an in-memory queue and a plugin side that answers
//! what the test wants; and a client that writes what no proper client would.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::{ContractInfo, Event, HookReply, HookRequest, PluginError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::config::Grpc;
use super::webhooks::{Webhook, Webhooks};
use super::{
    Admin, Check, CheckStatus, Config, HookFailure, Hooks, NotReloaded, Ports, Readiness,
    ReadyReport, ReadyStatus, Served, Server,
};
use uuid::Uuid;

use crate::admission::{Admission, Client, Contracts, Issuer, Limits};
use crate::alerts::{self, Alerts, Disk, Reading, Rooms};
use crate::approvals::{Announce, AnswerError, Approval};
use crate::dispatch::port::Observer;
use crate::intake::{Completions, Intake};
use crate::observe::metrics::{Counts, Sheet};
use crate::observe::overview::{self, Look};
use crate::observe::{Metrics, Overviews, Stages, Tap, Tracer};
use crate::queue::{self, BoxFuture, MemoryQueue, Queue, Settlement};

/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Hub {
    pub(super) address: SocketAddr,
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) contracts: Arc<Contracts>,
    pub(super) live: Tap,
    pub(super) grpc: SocketAddr,
    pub(super) intake: Arc<Intake>,
    /// A permit for each webhook that the endless source has begun with.
    pub(super) at_work: Arc<Semaphore>,
    completions: Arc<Completions>,
    stop: Option<oneshot::Sender<Duration>>,
    served: JoinHandle<Served>,
}

/// What a test may change.
pub(super) struct Settings {
    pub(super) server: Config,
    pub(super) limits: Limits,
    pub(super) clients: Vec<Client>,
    pub(super) issuers: Vec<Issuer>,
    pub(super) queue: queue::Config,
    pub(super) ready: ReadyStatus,
    pub(super) webhooks: Vec<Webhook>,
}

struct Plugins {
    ready: ReadyStatus,
    at_work: Arc<Semaphore>,
}

/// What is counted, which is not what is tested here.
struct Nothing;

impl Counts for Nothing {
    fn tell(&self, _: &mut Sheet<'_, '_>) {}
}

impl overview::Rooms for Nothing {
    fn look(&self) -> Look {
        Look::default()
    }
}

impl Hooks for Plugins {
    fn knows(&self, source: &str) -> bool {
        [
            "echo", "slow", "endless", "strange", "strict", "busy", "broken",
        ]
        .contains(&source)
    }

    fn hook<'a>(
        &'a self,
        source: &'a str,
        request: HookRequest,
    ) -> BoxFuture<'a, Result<HookReply, HookFailure>> {
        Box::pin(async move {
            match source {
                "echo" => {
                    let custom = request.header("x-custom").unwrap_or("-");
                    let said = format!(
                        "{} {:?} {:?} {custom} {}",
                        request.method,
                        request.path,
                        request.query,
                        String::from_utf8_lossy(&request.body)
                    );
                    Ok(HookReply::text(said)
                        .with_header("x-answer", "yes")
                        .with_header("transfer-encoding", "chunked")
                        .with_header("bad name", "x"))
                }
                "slow" => {
                    sleep(Duration::from_millis(300)).await;
                    Ok(HookReply::text("at last"))
                }
                "endless" => {
                    self.at_work.add_permits(1);
                    pending().await
                }
                "strict" => Ok(HookReply::status(401).with_header("x-why", "unsigned")),
                "strange" => Ok(HookReply::status(99)),
                "busy" => Err(HookFailure::Unavailable {
                    retry_after: Some(Duration::from_millis(1_500)),
                }),
                "broken" => Err(HookFailure::Failed),
                _ => Err(HookFailure::UnknownSource),
            }
        })
    }
}

impl Readiness for Plugins {
    fn report(&self) -> ReadyReport {
        ReadyReport {
            status: self.ready,
            checks: vec![Check {
                name: "toasty".to_owned(),
                status: CheckStatus::Degraded,
                reason: Some("asleep".to_owned()),
            }],
        }
    }
}

/// A hub that nothing is wrong with.
impl Rooms for Plugins {
    fn read(&self) -> Reading {
        Reading::default()
    }
}

impl Announce for Plugins {
    fn check(&self, _: &Event) -> Result<(), PluginError> {
        Ok(())
    }

    fn announce(&self, _: Event) -> BoxFuture<'_, Result<(), PluginError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Admin for Plugins {
    fn plugins(&self) -> Value {
        json!({ "plugins": [] })
    }

    fn plan(&self, _: Option<String>) -> BoxFuture<'_, Result<Value, NotReloaded>> {
        Box::pin(async { Ok(json!({ "changed": [], "plugins": [], "needs_restart": [] })) })
    }

    fn reload(&self) -> BoxFuture<'_, Result<Value, NotReloaded>> {
        Box::pin(async {
            Err(NotReloaded {
                detail: "server.http can only change with a restart".to_owned(),
                problems: Vec::new(),
            })
        })
    }

    fn approvals(&self) -> Vec<Arc<Approval>> {
        Vec::new()
    }

    fn approval(&self, _: Uuid) -> Option<Arc<Approval>> {
        None
    }

    fn answer<'a>(
        &'a self,
        _: Uuid,
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Arc<Approval>, AnswerError>> {
        Box::pin(async { Err(AnswerError::Unknown) })
    }

    fn breakers(&self) -> Value {
        json!({ "breakers": [] })
    }

    fn open_breaker(&self, name: &str) -> Option<Value> {
        let known = ["i/act", "i/act@host:1", "i/act@host:1/open", "i/act@50%"].contains(&name);
        known.then(|| json!({ "name": name, "state": "open" }))
    }

    fn close_breaker(&self, name: &str) -> Option<Value> {
        let breaker = self.open_breaker(name)?;
        Some(json!({ "name": breaker["name"], "state": "closed" }))
    }
}

struct Tell(Tap);

impl Observer for Tell {
    fn accepted(&self, event: &Arc<Event>) {
        self.0.show(event);
    }

    fn finished(&self, _: &Event) {}
}

/// A client whose key is its id.
pub(super) fn client(id: &str, sources: &[&str], types: &[&str]) -> Client {
    use sha2::{Digest, Sha256};
    let parse = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    Client {
        id: id.to_owned(),
        key_sha256: Some(crate::config::KeyHash::from_bytes(
            Sha256::digest(id.as_bytes()).into(),
        )),
        sources: parse(sources),
        types: parse(types),
        admin: id == "root",
        ..Client::default()
    }
}

impl Hub {
    pub(super) async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            server: Config {
                http: SocketAddr::from(([127, 0, 0, 1], 0)),
                grpc: Some(Grpc::At(SocketAddr::from(([127, 0, 0, 1], 0)))),
                ..Config::default()
            },
            limits: Limits::default(),
            clients: vec![client("any", &["*"], &["*"]), client("root", &[], &[])],
            issuers: Vec::new(),
            queue: queue::Config::default(),
            ready: ReadyStatus::Ready,
            webhooks: Vec::new(),
        };
        change(&mut settings);
        let contracts = Arc::new(Contracts::default());
        for version in ["1.0.0", "1.1.0"] {
            let schema = json!({ "properties": { "n": { "type": "integer" } } });
            let info = ContractInfo::new("test.happened", version.parse().unwrap(), schema);
            contracts.register("test", info).unwrap();
        }
        let queue = Arc::new(MemoryQueue::new(&settings.queue, true));
        let live = Tap::new();
        let completions = Arc::new(Completions::default());
        let admission = Admission::new(
            &settings.limits,
            &settings.clients,
            &settings.issuers,
            contracts.clone(),
        );
        let at_work = Arc::new(Semaphore::new(0));
        let plugins = Arc::new(Plugins {
            ready: settings.ready,
            at_work: at_work.clone(),
        });
        let intake = Arc::new(Intake::new(
            Arc::new(admission),
            queue.clone(),
            Arc::new(Tell(live.clone())),
            completions.clone(),
            Arc::default(),
            Tracer::default(),
        ));
        let config = alerts::Config::default();
        let alerts = Alerts::open(
            &config,
            Disk::default(),
            plugins.clone(),
            queue.clone(),
            plugins.clone(),
        );
        let ports = Ports {
            intake: intake.clone(),
            alerts: Arc::new(alerts.await.unwrap()),
            hooks: plugins.clone(),
            webhooks: Arc::new(Webhooks::new(&settings.webhooks)),
            readiness: plugins.clone(),
            admin: plugins,
            live: live.clone(),
            stages: Stages::new(),
            secret: Uuid::new_v4(),
            metrics: Arc::new(Metrics::new(Arc::new(Nothing))),
            overviews: Overviews::new(Arc::new(Nothing)),
            tracer: Tracer::default(),
        };
        let server = Server::bind(&settings.server).await.unwrap();
        let address = server.http_addr();
        let grpc = server.grpc_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serve = server.serve(ports, async move { stopped.await.unwrap_or_default() });
        Self {
            address,
            grpc,
            queue,
            contracts,
            live,
            intake,
            at_work,
            completions,
            stop: Some(stop),
            served: tokio::spawn(serve),
        }
    }

    /// Tells the server to stop; [`ended`](Self::ended) waits for it.
    pub(super) fn stop(&mut self, grace: Duration) {
        let stop = self.stop.take().expect("stopped twice");
        stop.send(grace).expect("the server has gone");
    }

    pub(super) async fn ended(self) -> Served {
        timeout(PATIENCE, self.served).await.unwrap().unwrap()
    }

    /// Does what dispatch does with an event that nobody subscribes to.
    pub(super) async fn process_one(&self) {
        let delivery = self.queue.lease().await.unwrap();
        let settled = self
            .queue
            .settle(delivery.lease, Settlement::default())
            .await;
        assert!(settled.unwrap().finished.is_some());
        self.completions.finish(&delivery.event);
    }

    pub(super) async fn connect(&self) -> Connection {
        let stream = timeout(PATIENCE, TcpStream::connect(self.address)).await;
        Connection(stream.unwrap().unwrap())
    }

    /// One request on a connection of its own.
    pub(super) async fn send(&self, request: &str) -> Answer {
        let mut connection = self.connect().await;
        connection.write(request).await;
        connection.answer().await
    }

    pub(super) async fn get(&self, key: &str, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
        self.send(&head).await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(&post("any", path, body)).await
    }
}

pub(super) fn post(key: &str, path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn event(change: Value) -> Value {
    let mut event = json!({ "type": "test.happened", "source": "s", "payload": { "n": 1 } });
    for (key, value) in change.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

pub(super) struct Connection(pub(super) TcpStream);

impl Connection {
    pub(super) async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn read_some(&mut self, into: &mut Vec<u8>) -> usize {
        let read = self.0.read_buf(into);
        timeout(PATIENCE, read)
            .await
            .expect("nothing came")
            .unwrap_or(0)
    }

    /// Reads until a text has come.
    pub(super) async fn read_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        loop {
            let so_far = String::from_utf8_lossy(&read).into_owned();
            if so_far.contains(text) {
                return so_far;
            }
            assert!(
                self.read_some(&mut read).await > 0,
                "ended after {so_far:?}"
            );
        }
    }

    /// Waits until the server closes, and hands on what came before.
    pub(super) async fn closed(&mut self) -> String {
        let mut read = Vec::new();
        while self.read_some(&mut read).await > 0 {}
        String::from_utf8(read).unwrap()
    }

    /// Reads one answer with a known length.
    pub(super) async fn answer(&mut self) -> Answer {
        let mut read = Vec::new();
        let head_end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.read_some(&mut read).await > 0, "no answer");
        };
        let head = String::from_utf8(read[..head_end].to_vec())
            .unwrap()
            .to_lowercase();
        let status = head[9..12].parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let length: usize = answer
            .header("content-length")
            .map_or(0, |l| l.parse().unwrap());
        while read.len() < head_end + length {
            assert!(
                self.read_some(&mut read).await > 0,
                "the answer ended early"
            );
        }
        answer.body = String::from_utf8(read[head_end..].to_vec()).unwrap();
        answer
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The code of a problem, after checking that it is one.
    pub(super) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let document = self.json();
        assert_eq!(document["status"], status);
        for text in ["type", "title", "detail", "instance"] {
            assert!(document[text].is_string(), "{text} in {document}");
        }
        document["code"].as_str().unwrap().to_owned()
    }
}
