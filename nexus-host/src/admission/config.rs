//! `[limits]`, `[[clients]]` and `[[rules]]`: what an event may weigh, who may publish and what must hold
//! beyond the contracts. It holds the settings only.

use std::collections::HashMap;

use nexus_plugin_api::RuleInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Rule;
use crate::config::{ByteSize, KeyHash, Section, Selector};

/// The largest body that may be configured: one event is held in memory whole.
const LARGEST_BODY: ByteSize = ByteSize::from_mib(256);

/// What a request and an event in it may weigh; whatever is more is refused before it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The size of a request's body, after decompression; 1 byte to "256MiB". Default "1MiB".
    pub max_body: ByteSize,
    /// How deep objects and arrays may nest, 1 to 128. Default 32.
    #[schemars(range(min = 1, max = 128))]
    pub max_depth: usize,
    /// How many events one request may hold, 1 to 100,000. Default 1000.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_batch: usize,
    /// The length of one string or key, in bytes of UTF-8; at least 1. Default "256KiB".
    pub max_string: ByteSize,
    /// How many elements one array may have, 1 to 10,000,000. Default 10000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_array: usize,
    /// How many keys all objects of one event may have together, 1 to 10,000,000. Default 10000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_keys: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: ByteSize::from_mib(1),
            max_depth: 32,
            max_batch: 1_000,
            max_string: ByteSize::from_kib(256),
            max_array: 10_000,
            max_keys: 10_000,
        }
    }
}

impl Limits {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        if self.max_body.bytes() == 0 || self.max_body > LARGEST_BODY {
            let message = format!("must be from 1B to {LARGEST_BODY}, found {}", self.max_body);
            section.refuse("max_body", message, "write a size such as \"1MiB\"");
        }
        if self.max_string.bytes() == 0 {
            section.refuse(
                "max_string",
                "must be at least 1B",
                "write a size such as \"256KiB\"",
            );
        }
    }
}

/// What must hold of the events of a type beyond their contract. It is held against what is queued: against
/// the newest version, where an event was sent as an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeRule {
    /// The event types that are meant: an exact name, `prefix.*` or `*`.
    pub r#type: Selector,
    /// CEL that must be true of `payload` and `event`, such as `payload.amount < 1000.0`; up to 4 KiB.
    pub rule: String,
    /// What the sender is told when it is not, such as `must be below 1000`.
    #[schemars(length(min = 1, max = 300))]
    pub message: String,
    /// The field to blame, a JSON Pointer such as `/payload/amount`. Default "/payload".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl TypeRule {
    pub(super) fn compile(&self) -> Result<Rule, String> {
        Rule::compile(&RuleInfo {
            rule: self.rule.clone(),
            message: self.message.clone(),
            pointer: self.pointer.clone(),
        })
    }
}

/// Objects to rules that cannot be used.
pub(crate) fn check_rules(rules: &[TypeRule], section: &mut Section<'_, '_>) {
    for (index, rule) in rules.iter().enumerate() {
        if let Err(fault) = rule.compile() {
            let help = "write CEL about `payload` and `event`; see docs/contracts.md";
            section.index(index).refuse("rule", fault, help);
        }
    }
}

/// Somebody who may publish: whoever holds the key whose hash is here. Nothing is granted that is
/// not written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id", "key_sha256"]))]
pub struct Client {
    /// The client's name in logs and metrics, unique and not empty.
    #[schemars(length(min = 1, max = 200))]
    pub id: String,
    /// The SHA-256 of the client's key, as 64 hexadecimal digits; unique. `nexus key new` makes both.
    pub key_sha256: KeyHash,
    /// The sources it may publish as: exact names, `prefix.*` or `*`. Default none.
    pub sources: Vec<Selector>,
    /// The event types it may publish: exact names, `prefix.*` or `*`. Default none.
    pub types: Vec<Selector>,
    /// Whether it may use `/v1/admin`. Default false.
    pub admin: bool,
    /// How many events it may publish per second, more than 0. Default no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000_000))]
    pub rate: Option<f64>,
    /// How many events it may publish at once before `rate` holds it back, at least 1; only with
    /// `rate`. Default one second's worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub burst: Option<u32>,
}

/// Objects to clients that cannot be told apart, and to what says nothing.
pub(crate) fn check_clients(clients: &[Client], section: &mut Section<'_, '_>) {
    let mut ids = HashMap::new();
    let mut keys = HashMap::new();
    for (index, client) in clients.iter().enumerate() {
        if let Some(first) = ids.insert(&client.id, index) {
            let place = section.index(first).place_of("id");
            let message = format!("is the id of another client, at {place}");
            section
                .index(index)
                .refuse("id", message, "give each client its own");
        }
        if let Some(first) = keys.insert(&client.key_sha256, index) {
            let place = section.index(first).place_of("key_sha256");
            let message = format!("is the key of another client, at {place}");
            section
                .index(index)
                .refuse("key_sha256", message, "make a key for each client");
        }
        if client.key_sha256 == KeyHash::default() {
            section.index(index).refuse(
                "key_sha256",
                "is the hash of no key",
                "write what `nexus key new` prints",
            );
        }
        if client.burst.is_some() && client.rate.is_none() {
            section.index(index).refuse_together(
                &["burst", "rate"],
                "burst needs rate",
                "give the events per second as `rate`, or leave `burst` out",
            );
        }
    }
}
