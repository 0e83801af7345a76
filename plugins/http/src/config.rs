//! The configuration: receives `[plugins.http.config]`, hands on targets that are known to work but for their secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nexus_plugin_api::outgoing::Network;
use nexus_plugin_api::{ConfigSchema, Period, PluginError};
use serde::Deserialize;

use crate::auth::Auth;

/// Which systems can be asked, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The systems, by the names that effects use.
    pub targets: BTreeMap<String, TargetConfig>,
    /// Whether an effect may bring a URL of its own. Such a request has no secrets, and only reaches public addresses
    /// and those in `allow`.
    pub allow_any_url: bool,
    /// Networks, such as `192.168.7.0/24`, that may be reached although it is an event that chose the address.
    pub allow: Vec<String>,
}

/// One system, and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Where it is; may hold placeholders such as `{values.order.id}`.
    pub url: String,
    /// `GET`, `POST` (the default), `PUT`, `PATCH`, `DELETE` or `HEAD`.
    #[serde(default = "post")]
    pub method: String,
    /// Headers; their values may hold placeholders.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How it signs in.
    #[serde(default)]
    pub auth: Auth,
    /// The body: JSON, whose texts may hold placeholders. Left out, what the effect brings, or none.
    #[serde(default)]
    pub body: Option<String>,
    /// A form in the place of `body`: names, and texts that may hold placeholders.
    #[serde(default)]
    pub form: Option<BTreeMap<String, String>>,
    /// A text in the place of `body`, which may hold placeholders.
    #[serde(default)]
    pub text: Option<String>,
    /// The header that holds the effect's idempotency key, the same for every attempt; empty for none.
    #[serde(default = "idempotency_key")]
    pub idempotency_header: String,
    /// How long it may take.
    #[serde(default = "ten_seconds")]
    pub timeout: Period,
    /// The statuses that mean success; left out, 200 to 299.
    #[serde(default)]
    pub expect: Vec<u16>,
    /// The type of an event that the answer becomes: `http.answered`, or another whose contract fits.
    #[serde(default)]
    pub reply_event: Option<String>,
    /// A PEM file of the authorities that its certificate is checked against; left out, the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
}

fn post() -> String {
    "POST".to_owned()
}

fn idempotency_key() -> String {
    "Idempotency-Key".to_owned()
}

pub(crate) fn ten_seconds() -> Period {
    Period::seconds(10)
}

impl Config {
    /// The networks in `allow`.
    pub(crate) fn networks(&self) -> Result<Vec<Network>, PluginError> {
        let read = self.allow.iter().map(|text| {
            text.parse()
                .map_err(|error| invalid(format!("`allow` holds `{text}`: {error}")))
        });
        read.collect()
    }
}

/// The error of a configuration that cannot work.
pub(crate) fn invalid(message: impl std::fmt::Display) -> PluginError {
    PluginError::permanent("invalid_config", message)
}
