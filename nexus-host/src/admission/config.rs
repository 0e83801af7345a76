//! `[limits]` and `[[rules]]`: what an event may weigh, how many may come, and what must hold beyond the
//! contracts. It holds the settings only; `clients` and `issuers` hold those of who may
//! publish, `patterns` those of what looks like an attack.

mod clients;
mod issuers;
mod patterns;

use nexus_plugin_api::RuleInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Rule;
use crate::config::{ByteSize, Section, Selector};

pub use clients::{Client, Key, Transport};
pub(crate) use clients::{check_clients, refuse_certificates};
pub(crate) use issuers::check_issuers;
pub use issuers::{Algorithm, Issuer};
use patterns::check_patterns;
pub use patterns::{OnSuspicion, Pattern};

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
    /// How many events in a row may each be caused by the one before within an hour, 1 to 10,000; the next one is
    /// refused, so that what causes itself comes to an end. Default 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_chain: u32,
    /// How many events all clients together may publish per second, more than 0. Default no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000_000))]
    pub rate: Option<f64>,
    /// How many events all clients together may publish at once before `rate` holds them back, at
    /// least 1; only with `rate`. Default one second's worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub burst: Option<u32>,
    /// Rates for each source or each event type that they cover: `source` or `type` (an exact name,
    /// `prefix.*` or `*`), `rate` and, if need be, `burst`. An event must be within all that cover it;
    /// at most 64 may be given. Default none.
    #[schemars(length(max = 64))]
    pub rates: Vec<Rate>,
    /// What is done with a payload in which a string looks like an attack on whoever reads it: script and
    /// template injection, SQL, path traversal, shell commands, attempts to give an agent orders.
    /// docs/admission.md names the patterns. Default "flag".
    pub suspicious: OnSuspicion,
    /// Patterns beside the hub's own, `[[limits.patterns]]`, at most 100, each with a `name`, a `regex` and
    /// an `action` ("flag", "refuse" or "off"; default "flag"). With the name of one of the hub's own
    /// patterns and without `regex`, it says what is done about that one. Default none.
    pub patterns: Vec<Pattern>,
}

impl Limits {
    /// Whether the rates are the same.
    pub(super) fn has_rates_of(&self, other: &Self) -> bool {
        (self.rate, self.burst, &self.rates) == (other.rate, other.burst, &other.rates)
    }
}

/// How many clients' events may come from each source, or of each event type, that it covers. Every
/// source and every type that is covered has this rate for itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["rate"]))]
pub struct Rate {
    /// The sources it covers: an exact name, `prefix.*` or `*`. Either this or `type`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Selector>,
    /// The event types it covers: an exact name, `prefix.*` or `*`. Either this or `source`. Default
    /// none.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<Selector>,
    /// How many events per second, more than 0.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000_000))]
    pub rate: f64,
    /// How many events at once before `rate` holds them back, at least 1. Default one second's worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub burst: Option<u32>,
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
            max_chain: 100,
            rate: None,
            burst: None,
            rates: Vec::new(),
            suspicious: OnSuspicion::Flag,
            patterns: Vec::new(),
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
        if self.burst.is_some() && self.rate.is_none() {
            refuse_burst(section);
        }
        let mut rates = section.key("rates");
        for (index, rate) in self.rates.iter().enumerate() {
            if rate.source.is_some() == rate.event_type.is_some() {
                let message = match rate.source {
                    Some(_) => "names both a source and a type",
                    None => "names neither a source nor a type",
                };
                let help = "write either source = \"NAME\" or type = \"TYPE\", and a second \
                            [[limits.rates]] for the other";
                rates
                    .index(index)
                    .refuse_together(&["source", "type"], message, help);
            }
        }
        check_patterns(&self.patterns, &mut section.key("patterns"));
    }
}

fn refuse_burst(section: &mut Section<'_, '_>) {
    section.refuse_together(
        &["burst", "rate"],
        "burst needs rate",
        "give the events per second as `rate`, or leave `burst` out",
    );
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
