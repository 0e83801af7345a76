//! `[observe.traces]`: where traces go, and how many. It holds the settings only.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{HumanDuration, Secret, Section};

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A collector that speaks OTLP, such as "http://127.0.0.1:4317" for gRPC or
    /// "http://127.0.0.1:4318/v1/traces" for HTTP. Default none: there are no traces then, and they cost nothing.
    pub endpoint: Option<String>,
    /// By what they go there. Default "grpc".
    pub protocol: Protocol,
    /// Headers, or metadata, that go with them, each a secret: `authorization = { env = "OTLP_TOKEN" }`.
    #[serde(skip_serializing)]
    pub headers: BTreeMap<String, Secret>,
    /// A file with the certificates (PEM) of the authorities that may vouch for a collector with https. Default: the
    /// system's.
    pub ca_file: Option<PathBuf>,
    /// The part of traces that is kept, of those that begin here: from 0 to 1. Whoever began one elsewhere has decided
    /// for it. Default 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
    /// How many traces that begin here are kept in a second, of those that `sample` keeps. 1 to 100,000; default 200.
    #[schemars(range(min = 1, max = 100_000))]
    pub per_second: u32,
    /// What the hub is called in traces. Default "nexus".
    #[schemars(length(min = 1, max = 128))]
    pub service_name: String,
    /// How long the collector may take for one batch. Default "10s".
    pub timeout: HumanDuration,
    /// How long spans wait for others to go with them. Default "1s".
    pub delay: HumanDuration,
    /// How many spans may wait; more are dropped, and counted. Default 4096.
    #[schemars(range(min = 64, max = 1_000_000))]
    pub capacity: usize,
}

/// By what traces go to a collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// OTLP over gRPC.
    #[default]
    Grpc,
    /// OTLP over HTTP, as protobuf.
    Http,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: Protocol::Grpc,
            headers: BTreeMap::new(),
            ca_file: None,
            sample: 1.0,
            per_second: 200,
            service_name: "nexus".to_owned(),
            timeout: HumanDuration::from_secs(10),
            delay: HumanDuration::from_secs(1),
            capacity: 4096,
        }
    }
}

impl Config {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        section.positive("timeout", self.timeout.get());
        section.positive("delay", self.delay.get());
        for (name, value) in &self.headers {
            if header(name, value).is_none() {
                section.key("headers").refuse(
                    name,
                    "is no header that can be sent",
                    "names are of letters, digits and `-`; values are one line",
                );
            }
        }
        let Some(endpoint) = &self.endpoint else {
            return;
        };
        let uri = endpoint.parse::<http::Uri>().ok();
        let is_usable = uri.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
        });
        let names = uri.as_ref().and_then(|uri| uri.authority());
        if names.is_some_and(|names| names.as_str().contains('@')) {
            section.refuse(
                "endpoint",
                "has a name and a password in it",
                "write headers.authorization = { env = \"...\" }",
            );
        } else if !is_usable {
            section.refuse(
                "endpoint",
                "is no address of a collector",
                "write one such as \"http://127.0.0.1:4317\"",
            );
        }
    }
}

/// A header as it is sent, its value in no debug print; `None` if it cannot be.
pub(super) fn header(name: &str, value: &Secret) -> Option<(HeaderName, HeaderValue)> {
    let mut value: HeaderValue = value.expose().parse().ok()?;
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}
