//! The host's side of the border for one plugin: its log, its state, its secrets, its publishing.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use nexus_plugin_api::abi::{
    AnswerV1, ErrorV1, FutureV1, HostService, RecordV1, codes, host_op, level,
};
use nexus_plugin_api::wire::{SecretHead, StateFound, StateHead};
use nexus_plugin_api::{NewEvent, PluginError, StateWrite, one_line};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Level;
use uuid::Uuid;

use super::correlations::Correlations;
use super::port::Upstream;
use crate::config::Secret;
use crate::redaction::Redaction;

/// Filled in when the hub is wired; plugins are built before.
pub(super) type Connection = Arc<OnceLock<Arc<dyn Upstream>>>;

/// Libraries whose lines beyond `info` may hold headers, frames or bodies. What else is in a plugin is its author's.
const TALKATIVE: [&str; 12] = [
    "h2",
    "hickory_resolver",
    "hyper",
    "hyper_util",
    "quinn",
    "reqwest",
    "rustls",
    "tokio_tungstenite",
    "tonic",
    "tower",
    "tungstenite",
    "want",
];

/// What one plugin may ask for.
pub(super) struct PluginService {
    pub(super) plugin: String,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) redaction: Arc<Redaction>,
    pub(super) correlations: Arc<Correlations>,
    pub(super) upstream: Connection,
}

impl HostService for PluginService {
    fn enabled(&self, level: u8, target: &str) -> bool {
        let of = target.split("::").next().unwrap_or_default();
        if level > level::INFO && TALKATIVE.contains(&of) {
            return false;
        }
        match level {
            level::ERROR => tracing::enabled!(target: "nexus::plugin", Level::ERROR),
            level::WARN => tracing::enabled!(target: "nexus::plugin", Level::WARN),
            level::INFO => tracing::enabled!(target: "nexus::plugin", Level::INFO),
            level::DEBUG => tracing::enabled!(target: "nexus::plugin", Level::DEBUG),
            _ => tracing::enabled!(target: "nexus::plugin", Level::TRACE),
        }
    }

    fn log(&self, record: &RecordV1<'_>) {
        let plugin = self.plugin.as_str();
        let module = record.target.as_str();
        // A worker knows of the level alone.
        if !self.enabled(record.level, module) {
            return;
        }
        let message = self.redaction.text(record.message.as_str());
        let message = one_line(&message);
        let event_id = (record.event_id != [0; 16]).then(|| Uuid::from_bytes(record.event_id));
        let correlation_id = event_id.and_then(|id| self.correlations.of(id));
        let event_id = event_id.map(tracing::field::display);
        let fields = std::str::from_utf8(record.fields.as_slice()).ok();
        let fields = fields.filter(|text| !text.is_empty());
        let fields = fields.map(|text| self.redaction.text(text));
        let fields = fields.as_deref();
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "nexus::plugin", $level,
                    plugin, event_id, correlation_id, module, fields, "{message}"
                )
            };
        }
        match record.level {
            level::ERROR => line!(Level::ERROR),
            level::WARN => line!(Level::WARN),
            level::INFO => line!(Level::INFO),
            level::DEBUG => line!(Level::DEBUG),
            _ => line!(Level::TRACE),
        }
    }

    fn call(&self, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        self.start(op, head, body)
            .unwrap_or_else(|error| FutureV1::ready(Err(error)))
    }
}

impl PluginService {
    fn start(&self, op: u32, head: &[u8], body: &[u8]) -> Result<FutureV1, ErrorV1> {
        if op == host_op::SECRET {
            let wanted: SecretHead = parse(head)?;
            return Ok(FutureV1::ready(self.secret(&wanted.name)));
        }
        let upstream = self.upstream.get().ok_or_else(|| ErrorV1 {
            retryable: true,
            ..ErrorV1::permanent("starting", "the hub has not started yet")
        })?;
        let plugin = self.plugin.as_str();
        Ok(match op {
            host_op::PUBLISH => {
                let event: NewEvent = parse(head)?;
                let published = upstream.publish(plugin, event);
                FutureV1::new(async move {
                    let published = published.await.map_err(PluginError::into_abi)?;
                    answer(&published, Vec::new())
                })
            }
            host_op::STATE_GET => {
                let wanted: StateHead = parse(head)?;
                let value = upstream.state_get(plugin, &wanted.key);
                FutureV1::new(async move {
                    let value = value.await.map_err(PluginError::into_abi)?;
                    let found = StateFound {
                        found: value.is_some(),
                    };
                    answer(&found, value.unwrap_or_default())
                })
            }
            host_op::STATE_PUT => {
                let wanted: StateHead = parse(head)?;
                let written = upstream.state_put(
                    plugin,
                    StateWrite {
                        key: wanted.key,
                        value: (!wanted.delete).then(|| body.to_vec()),
                    },
                );
                FutureV1::new(async move {
                    written.await.map_err(PluginError::into_abi)?;
                    Ok(AnswerV1::default())
                })
            }
            host_op::STATE_KEYS => {
                let wanted: StateHead = parse(head)?;
                let keys = upstream.state_keys(plugin, &wanted.key);
                FutureV1::new(async move {
                    let keys = keys.await.map_err(PluginError::into_abi)?;
                    answer(&keys, Vec::new())
                })
            }
            _ => {
                return Err(ErrorV1::permanent(
                    codes::UNSUPPORTED,
                    format!("this host has no operation {op}"),
                ));
            }
        })
    }

    fn secret(&self, name: &str) -> Result<AnswerV1, ErrorV1> {
        let secret = self.secrets.get(name).ok_or_else(|| {
            ErrorV1::permanent(
                "not_found",
                format!(
                    "no secret `{name}`; write [plugins.{}.secrets] {name} = {{ env = \"...\" }}",
                    self.plugin
                ),
            )
        })?;
        Ok(AnswerV1 {
            body: secret.expose().as_bytes().to_vec().into(),
            ..AnswerV1::default()
        })
    }
}

fn parse<T: DeserializeOwned>(head: &[u8]) -> Result<T, ErrorV1> {
    serde_json::from_slice(head)
        .map_err(|error| ErrorV1::permanent(codes::MALFORMED, error.to_string()))
}

fn answer<T: Serialize>(head: &T, body: Vec<u8>) -> Result<AnswerV1, ErrorV1> {
    let head = serde_json::to_vec(head)
        .map_err(|error| ErrorV1::permanent(codes::MALFORMED, error.to_string()))?;
    Ok(AnswerV1 {
        head: head.into(),
        body: body.into(),
    })
}
