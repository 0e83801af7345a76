//! A context without a host, for unit tests of one component.
//!
//! State is kept in memory, published events are collected, and everything else is refused. To run
//! a plugin in a real hub, use the crate `nexus-plugin-testkit`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nexus_plugin_abi::{
    AnswerV1, CallV1, ErrorV1, FutureV1, HostService, HostV1, RecordV1, codes, host_op,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::context::{Context, Services, Setup};
use crate::event::NewEvent;
use crate::outcome::StateWrite;
use crate::wire::{PublishStatus, Published, SecretHead, StateFound, StateHead};

/// A host that only remembers.
///
/// ```
/// use nexus_plugin_api::prelude::*;
/// use nexus_plugin_api::testing::Bench;
///
/// # async fn example() -> Result<(), PluginError> {
/// let bench = Bench::new();
/// let context = bench.context();
/// context.state().put("seen", b"1").await?;
/// assert_eq!(context.state().get("seen").await?, Some(b"1".to_vec()));
/// assert_eq!(bench.writes(&context).len(), 1, "kept with the outcome, not at once");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Bench {
    memory: Arc<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    state: Mutex<BTreeMap<String, Vec<u8>>>,
    secrets: Mutex<BTreeMap<String, String>>,
    published: Mutex<Vec<NewEvent>>,
}

impl Bench {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret.
    #[must_use]
    pub fn secret(self, name: &str, secret: &str) -> Self {
        lock(&self.memory.secrets).insert(name.to_owned(), secret.to_owned());
        self
    }

    /// What [`crate::Component::new`] is given.
    pub fn setup(&self) -> Setup {
        Setup::new(self.services())
    }

    /// The context of a processor's first attempt at some event.
    pub fn context(&self) -> Context {
        let call = CallV1 {
            component: 0,
            attempt: 1,
            deadline_ms: 0,
            event_id: Uuid::now_v7().into_bytes(),
            idempotency_key: "bench:0".into(),
            correlation_id: "".into(),
            traceparent: "".into(),
            extra: (&[][..]).into(),
        };
        Context::new(self.services(), &call, true)
    }

    /// The writes to state that a processor would hand over with its outcome.
    pub fn writes(&self, context: &Context) -> Vec<StateWrite> {
        context.take_state_writes()
    }

    /// What was published so far.
    pub fn published(&self) -> Vec<NewEvent> {
        lock(&self.memory.published).clone()
    }

    fn services(&self) -> Services {
        Services::new(
            HostV1::new(self.memory.clone()),
            "bench",
            serde_json::json!({}),
        )
    }
}

impl HostService for Memory {
    fn enabled(&self, _: u8, _: &str) -> bool {
        false
    }

    fn log(&self, _: &RecordV1<'_>) {}

    fn call(&self, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        FutureV1::ready(self.answer(op, head, body))
    }
}

impl Memory {
    fn answer(&self, op: u32, head: &[u8], body: &[u8]) -> Result<AnswerV1, ErrorV1> {
        match op {
            host_op::PUBLISH => {
                let event: NewEvent = parse(head)?;
                let published = Published {
                    event_id: event.event_id.unwrap_or_else(Uuid::now_v7),
                    status: PublishStatus::Accepted,
                };
                lock(&self.published).push(event);
                reply(&published, &[])
            }
            host_op::STATE_GET => {
                let wanted: StateHead = parse(head)?;
                let state = lock(&self.state);
                let value = state.get(&wanted.key);
                let found = StateFound {
                    found: value.is_some(),
                };
                reply(&found, value.map_or(&[], Vec::as_slice))
            }
            host_op::STATE_PUT => {
                let wanted: StateHead = parse(head)?;
                if wanted.delete {
                    lock(&self.state).remove(&wanted.key);
                } else {
                    lock(&self.state).insert(wanted.key, body.to_vec());
                }
                Ok(AnswerV1::default())
            }
            host_op::STATE_KEYS => {
                let wanted: StateHead = parse(head)?;
                let state = lock(&self.state);
                let keys: Vec<&String> = state
                    .keys()
                    .filter(|key| key.starts_with(&wanted.key))
                    .collect();
                reply(&keys, &[])
            }
            host_op::SECRET => {
                let wanted: SecretHead = parse(head)?;
                match lock(&self.secrets).get(&wanted.name) {
                    Some(secret) => reply(&(), secret.as_bytes()),
                    None => Err(ErrorV1::permanent("not_found", "no such secret")),
                }
            }
            _ => Err(ErrorV1::permanent(codes::UNSUPPORTED, "not on the bench")),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse<T: DeserializeOwned>(head: &[u8]) -> Result<T, ErrorV1> {
    serde_json::from_slice(head)
        .map_err(|error| ErrorV1::permanent(codes::MALFORMED, error.to_string()))
}

fn reply<T: Serialize>(head: &T, body: &[u8]) -> Result<AnswerV1, ErrorV1> {
    let head = serde_json::to_vec(head)
        .map_err(|error| ErrorV1::permanent(codes::MALFORMED, error.to_string()))?;
    Ok(AnswerV1 {
        head: head.into(),
        body: body.to_vec().into(),
    })
}
