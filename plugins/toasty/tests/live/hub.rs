//! A stand-in for the host: keeps state, takes published events, and refuses where told to.
//!
//! It starts the plugin through the same binary interface as the real host.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::abi::{
    AnswerV1, CallV1, ErrorV1, FutureV1, HostService, HostV1, PluginV1, RecordV1, host_op,
    plugin_op,
};
use nexus_plugin_api::{Health, NewEvent, PluginError, Reply};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Places of the components in the manifest.
const SOURCE: u32 = 0;
const INTEGRATION: u32 = 2;

/// How long anything may take that a test waits for.
const SOON: Duration = Duration::from_secs(10);

/// What outlives the plugin.
#[derive(Default)]
pub(crate) struct Hub {
    pub(crate) state: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Answers to the next publications, before they are accepted again.
    pub(crate) refusals: Mutex<VecDeque<ErrorV1>>,
    /// How many of the next writes to the state fail.
    pub(crate) failing_writes: Mutex<u32>,
    published: watch::Sender<Vec<NewEvent>>,
}

impl HostService for Hub {
    fn enabled(&self, _: u8, _: &str) -> bool {
        true
    }

    fn log(&self, record: &RecordV1<'_>) {
        eprintln!("{}: {}", record.target, record.message);
    }

    fn call(&self, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        FutureV1::ready(self.answer(op, head, body))
    }
}

impl Hub {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn answer(&self, op: u32, head: &[u8], body: &[u8]) -> Result<AnswerV1, ErrorV1> {
        if op == host_op::PUBLISH {
            if let Some(error) = self.refusals.lock().pop_front() {
                return Err(error);
            }
            let event: NewEvent = serde_json::from_slice(head).expect("a new event");
            let id = event.event_id;
            let seen = |event: &NewEvent| event.event_id == id;
            let known = self.published.borrow().iter().any(seen);
            self.published.send_modify(|all| all.push(event));
            let status = if known { "duplicate" } else { "accepted" };
            return Ok(answer(&json!({"event_id": id, "status": status})));
        }
        let asked: Value = serde_json::from_slice(head).expect("a head");
        let key = asked["key"].as_str().unwrap_or_default();
        let mut state = self.state.lock();
        match op {
            host_op::STATE_GET => Ok(AnswerV1 {
                body: state.get(key).cloned().unwrap_or_default().into(),
                ..answer(&json!({"found": state.contains_key(key)}))
            }),
            host_op::STATE_PUT => {
                let mut failing = self.failing_writes.lock();
                if *failing > 0 {
                    *failing -= 1;
                    return Err(ErrorV1::permanent("storage", "the disk is full"));
                }
                match asked["delete"].as_bool() {
                    Some(true) => drop(state.remove(key)),
                    _ => drop(state.insert(key.to_owned(), body.to_vec())),
                }
                Ok(AnswerV1::default())
            }
            host_op::STATE_KEYS => {
                let keys: Vec<_> = state.keys().filter(|k| k.starts_with(key)).collect();
                Ok(answer(&json!(keys)))
            }
            other => panic!("operation {other} was not expected"),
        }
    }

    /// Starts the plugin.
    pub(crate) fn start(self: &Arc<Self>, config: Value) -> Result<Plugin, PluginError> {
        let (_, root) = toasty::plugin().into_parts();
        let init = json!({"config": config, "isolation": "thread", "linked": true});
        let init = serde_json::to_vec(&init).expect("serialises");
        root.start()(HostV1::new(Arc::clone(self)), init.as_slice().into())
            .into_result()
            .map(|plugin| Plugin(Arc::new(plugin)))
            .map_err(PluginError::from_abi)
    }

    /// The events of a type, once there are that many.
    pub(crate) async fn published(&self, event_type: &str, count: usize) -> Vec<NewEvent> {
        let of_type = |all: &Vec<NewEvent>| -> Vec<NewEvent> {
            all.iter()
                .filter(|event| event.event_type == event_type)
                .cloned()
                .collect()
        };
        let mut published = self.published.subscribe();
        let enough = published.wait_for(|all| of_type(all).len() >= count);
        let all = tokio::time::timeout(SOON, enough)
            .await
            .expect("published in time");
        of_type(&all.expect("the sender is alive"))
    }

    /// Waits until the place in the server's log is stored as that.
    pub(crate) async fn stored(&self, seq: u64) {
        let seq_of = |state: &BTreeMap<String, Vec<u8>>| -> Option<u64> {
            serde_json::from_slice::<Value>(state.get("watch")?).ok()?["seq"].as_u64()
        };
        let wait = async {
            while seq_of(&self.state.lock()) != Some(seq) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, wait)
            .await
            .expect("stored in time");
    }

    /// The events published so far, of any type.
    pub(crate) fn published_so_far(&self) -> usize {
        self.published.borrow().len()
    }
}

/// A started plugin.
#[derive(Clone)]
pub(crate) struct Plugin(Arc<PluginV1>);

/// The event behind a delivery.
#[derive(Default)]
pub(crate) struct Behind<'a> {
    pub(crate) event_id: Uuid,
    pub(crate) key: &'a str,
    pub(crate) correlation_id: &'a str,
    pub(crate) traceparent: &'a str,
}

impl Plugin {
    pub(crate) async fn deliver(
        &self,
        behind: &Behind<'_>,
        request: Value,
    ) -> Result<Reply, PluginError> {
        let call = CallV1 {
            event_id: behind.event_id.into_bytes(),
            idempotency_key: behind.key.into(),
            correlation_id: behind.correlation_id.into(),
            traceparent: behind.traceparent.into(),
            ..call(INTEGRATION)
        };
        let body = serde_json::to_vec(&request).expect("serialises");
        let future = self.0.call(&call, plugin_op::DELIVER, b"{}", &body);
        let answer = future.await.map_err(PluginError::from_abi)?;
        Ok(serde_json::from_slice(&answer.head).expect("a reply"))
    }

    /// Runs the source, as the host does: dropping the task stops it.
    pub(crate) fn run(&self) -> JoinHandle<Result<(), PluginError>> {
        let future = self.0.call(&call(SOURCE), plugin_op::RUN, b"", b"");
        tokio::spawn(async { future.await.map(drop).map_err(PluginError::from_abi) })
    }

    pub(crate) async fn health(&self) -> Health {
        let future = self.0.call(&call(INTEGRATION), plugin_op::HEALTH, b"", b"");
        let answer = future.await.expect("a health check answers");
        serde_json::from_slice(&answer.head).expect("a health")
    }

    /// Waits until the plugin is ready, or until it is not.
    pub(crate) async fn until_ready(&self, ready: bool) {
        let wait = async {
            while (self.health().await == Health::Ready) != ready {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, wait)
            .await
            .expect("the health changes in time");
    }
}

fn call(component: u32) -> CallV1<'static> {
    CallV1 {
        component,
        attempt: 1,
        deadline_ms: 0,
        event_id: [0; 16],
        idempotency_key: "".into(),
        correlation_id: "".into(),
        traceparent: "".into(),
        extra: (&[][..]).into(),
    }
}

fn answer(head: &Value) -> AnswerV1 {
    AnswerV1 {
        head: serde_json::to_vec(head).expect("serialises").into(),
        ..AnswerV1::default()
    }
}
