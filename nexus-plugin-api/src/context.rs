//! What a component is given: the circumstances of a call, and the host's services.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nexus_plugin_abi::{CallV1, HostV1, RecordV1, host_op};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::PluginError;
use crate::event::NewEvent;
use crate::outcome::StateWrite;
use crate::wire::{PublishStatus, Published, SecretHead, StateFound, StateHead};

/// Given to [`crate::Component::new`]. Keep [`Setup::services`] to reach the host later.
#[derive(Debug, Clone)]
pub struct Setup {
    services: Services,
}

impl Setup {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// The plugin's id.
    pub fn plugin_id(&self) -> &str {
        &self.services.inner.plugin
    }

    /// The host's services.
    pub fn services(&self) -> &Services {
        &self.services
    }
}

/// The host's services, cheap to clone.
#[derive(Clone)]
pub struct Services {
    inner: Arc<ServicesInner>,
}

struct ServicesInner {
    host: HostV1,
    plugin: String,
    config: serde_json::Value,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Services({})", self.inner.plugin)
    }
}

impl Services {
    pub(crate) fn new(host: HostV1, plugin: &str, config: serde_json::Value) -> Self {
        Self {
            inner: Arc::new(ServicesInner {
                host,
                plugin: plugin.to_owned(),
                config,
            }),
        }
    }

    /// Publishes an event, through the same admission as any other. Ready when it is queued.
    ///
    /// # Errors
    /// `contract_violation`, `unknown_type`, `queue_full` (retryable) and the like.
    pub async fn publish(&self, event: NewEvent) -> Result<Published, PluginError> {
        let head = serde_json::to_vec(&event)?;
        let answer = self.call(host_op::PUBLISH, &head, &[]).await?;
        Ok(serde_json::from_slice(&answer.0)?)
    }

    /// The plugin's durable key-value state. Keys are the plugin's own.
    pub fn state(&self) -> State<'_> {
        State {
            services: self,
            pending: None,
        }
    }

    /// A secret by its name in `[plugins.NAME.secrets]`.
    ///
    /// # Errors
    /// `not_found` when the configuration has none of that name.
    pub async fn secret(&self, name: &str) -> Result<String, PluginError> {
        let head = serde_json::to_vec(&SecretHead {
            name: name.to_owned(),
        })?;
        let (_, body) = self.call(host_op::SECRET, &head, &[]).await?;
        String::from_utf8(body).map_err(|_| {
            PluginError::permanent("malformed", format!("the secret `{name}` is not UTF-8"))
        })
    }

    /// The plugin's configuration, parsed anew.
    ///
    /// # Errors
    /// When it does not fit `C`.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C, PluginError> {
        Ok(C::deserialize(&self.inner.config)?)
    }

    async fn call(
        &self,
        op: u32,
        head: &[u8],
        body: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), PluginError> {
        // The future owns what it needs: the borrowed slices end with this call.
        let future = self.inner.host.call(op, head, body);
        let answer = future.await.map_err(PluginError::from_abi)?;
        Ok((answer.head.into_vec(), answer.body.into_vec()))
    }
}

/// The circumstances of one call.
#[derive(Debug)]
pub struct Context {
    services: Services,
    call: Call,
    /// State writes of a processor, handed over with its outcome; `None` where they go at once.
    pending: Option<Mutex<Vec<StateWrite>>>,
}

#[derive(Debug, Default)]
struct Call {
    event_id: Option<Uuid>,
    attempt: u32,
    time_limit: Option<Duration>,
    idempotency_key: String,
    correlation_id: Option<String>,
    traceparent: Option<String>,
    target: Option<String>,
}

impl Context {
    pub(crate) fn new(services: Services, call: &CallV1<'_>, buffered: bool) -> Self {
        let owned = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            services,
            call: Call {
                event_id: (call.event_id != [0; 16]).then(|| Uuid::from_bytes(call.event_id)),
                attempt: call.attempt,
                time_limit: (call.deadline_ms > 0).then(|| Duration::from_millis(call.deadline_ms)),
                idempotency_key: call.idempotency_key.as_str().to_owned(),
                correlation_id: owned(call.correlation_id.as_str()),
                traceparent: owned(call.traceparent.as_str()),
                target: None,
            },
            pending: buffered.then(Mutex::default),
        }
    }

    /// The event behind this call.
    pub fn event_id(&self) -> Option<Uuid> {
        self.call.event_id
    }

    /// 1 for the first attempt.
    pub fn attempt(&self) -> u32 {
        self.call.attempt
    }

    /// How long the host waits for this call, from its beginning; `None` without a limit.
    pub fn time_limit(&self) -> Option<Duration> {
        self.call.time_limit
    }

    /// The same for every attempt of the same effect: hand it to the other system, so that a
    /// repeated delivery does nothing twice. Empty outside of deliveries.
    pub fn idempotency_key(&self) -> &str {
        &self.call.idempotency_key
    }

    /// What the event belongs to.
    pub fn correlation_id(&self) -> Option<&str> {
        self.call.correlation_id.as_deref()
    }

    /// W3C trace context of this call.
    pub fn traceparent(&self) -> Option<&str> {
        self.call.traceparent.as_deref()
    }

    /// For an integration that serves several systems: which one the effect means.
    pub fn target(&self) -> Option<&str> {
        self.call.target.as_deref()
    }

    pub(crate) fn aimed_at(mut self, target: Option<String>) -> Self {
        self.call.target = target;
        self
    }

    /// The host's services, to keep or to use outside of this call.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Publishes an event now, correlated to the one being worked on. A processor rather returns
    /// [`crate::Effect::emit`], which happens exactly with its outcome.
    ///
    /// # Errors
    /// As [`Services::publish`].
    pub async fn publish(&self, mut event: NewEvent) -> Result<Published, PluginError> {
        if event.correlation_id.is_none() {
            let own = || self.call.event_id.map(|id| id.to_string());
            event.correlation_id = self.call.correlation_id.clone().or_else(own);
        }
        if event.causation_id.is_none() {
            event.causation_id = self.call.event_id;
        }
        if event.traceparent.is_none() {
            event.traceparent = self.call.traceparent.clone();
        }
        self.services.publish(event).await
    }

    /// The plugin's durable state. In a processor, writes take effect with the outcome, so a
    /// failed attempt leaves nothing behind; a processor reads its own writes.
    pub fn state(&self) -> State<'_> {
        State {
            services: &self.services,
            pending: self.pending.as_ref(),
        }
    }

    /// A secret by its name in `[plugins.NAME.secrets]`.
    ///
    /// # Errors
    /// As [`Services::secret`].
    pub async fn secret(&self, name: &str) -> Result<String, PluginError> {
        self.services.secret(name).await
    }

    /// The plugin's configuration, parsed anew.
    ///
    /// # Errors
    /// When it does not fit `C`.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C, PluginError> {
        self.services.config()
    }

    /// Writes a line to the host's log, with the plugin's name and the event's id. The macros of
    /// `tracing` do the same; this one needs no macro.
    pub fn log(&self, level: tracing::Level, message: &str) {
        let level = crate::shim::abi_level(level);
        let target = self.services.inner.plugin.as_str();
        let host = &self.services.inner.host;
        if host.enabled(level, target) {
            host.log(&RecordV1 {
                level,
                target: target.into(),
                message: message.into(),
                fields: (&[][..]).into(),
                event_id: self.call.event_id.map_or([0; 16], Uuid::into_bytes),
            });
        }
    }

    pub(crate) fn take_state_writes(&self) -> Vec<StateWrite> {
        self.pending
            .as_ref()
            .map(|pending| {
                std::mem::take(&mut *pending.lock().unwrap_or_else(PoisonError::into_inner))
            })
            .unwrap_or_default()
    }
}

/// A plugin's durable key-value state.
#[derive(Debug)]
pub struct State<'a> {
    services: &'a Services,
    pending: Option<&'a Mutex<Vec<StateWrite>>>,
}

impl State<'_> {
    /// Reads a value as bytes.
    ///
    /// # Errors
    /// When the host's storage fails.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PluginError> {
        if let Some(pending) = self.pending {
            let pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(write) = pending.iter().rev().find(|write| write.key == key) {
                return Ok(write.value.clone());
            }
        }
        let head = serde_json::to_vec(&StateHead {
            key: key.to_owned(),
            delete: false,
        })?;
        let (head, body) = self.services.call(host_op::STATE_GET, &head, &[]).await?;
        let found: StateFound = serde_json::from_slice(&head)?;
        Ok(found.found.then_some(body))
    }

    /// Reads a value as JSON.
    ///
    /// # Errors
    /// When the storage fails or the value does not fit `T`.
    pub async fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, PluginError> {
        match self.get(key).await? {
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            None => Ok(None),
        }
    }

    /// Writes a value.
    ///
    /// # Errors
    /// When the host's storage fails.
    pub async fn put(&self, key: &str, value: &[u8]) -> Result<(), PluginError> {
        self.write(key, Some(value)).await
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// When the value does not serialise or the storage fails.
    pub async fn put_json<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        value: &T,
    ) -> Result<(), PluginError> {
        self.put(key, &serde_json::to_vec(value)?).await
    }

    /// Deletes a value; nothing happens when there is none.
    ///
    /// # Errors
    /// When the host's storage fails.
    pub async fn delete(&self, key: &str) -> Result<(), PluginError> {
        self.write(key, None).await
    }

    /// The stored keys that start with `prefix`, sorted. Writes of the running call are included.
    ///
    /// # Errors
    /// When the host's storage fails.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, PluginError> {
        let head = serde_json::to_vec(&StateHead {
            key: prefix.to_owned(),
            delete: false,
        })?;
        let (head, _) = self.services.call(host_op::STATE_KEYS, &head, &[]).await?;
        let mut keys: std::collections::BTreeSet<String> = serde_json::from_slice(&head)?;
        if let Some(pending) = self.pending {
            let pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            for write in pending.iter().filter(|write| write.key.starts_with(prefix)) {
                if write.value.is_some() {
                    keys.insert(write.key.clone());
                } else {
                    keys.remove(&write.key);
                }
            }
        }
        Ok(keys.into_iter().collect())
    }

    async fn write(&self, key: &str, value: Option<&[u8]>) -> Result<(), PluginError> {
        if let Some(pending) = self.pending {
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.push(StateWrite {
                key: key.to_owned(),
                value: value.map(<[u8]>::to_vec),
            });
            return Ok(());
        }
        let head = serde_json::to_vec(&StateHead {
            key: key.to_owned(),
            delete: value.is_none(),
        })?;
        self.services
            .call(host_op::STATE_PUT, &head, value.unwrap_or_default())
            .await?;
        Ok(())
    }
}

impl Published {
    /// Whether it was new.
    pub fn is_accepted(&self) -> bool {
        self.status == PublishStatus::Accepted
    }
}
