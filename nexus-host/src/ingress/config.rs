//! `[server]`: where and how the hub listens. It holds the settings only.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admission::quoted;
use crate::config::{HumanDuration, InvalidValue, Section};

/// Where the hub listens, and how long it waits for those who talk to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address and port of the HTTP server; port 0 takes any free one. Default
    /// "127.0.0.1:7070", which only this machine reaches.
    #[schemars(extend("format" = "nexus-address"))]
    pub http: SocketAddr,
    /// How long a client may take to send a request's headers. More than 0; default "10s".
    pub header_timeout: HumanDuration,
    /// How long a client may take to send a request's body. More than 0; default "30s".
    pub body_timeout: HumanDuration,
    /// How long a connection may stay open without a request. More than 0; default "75s".
    pub idle_timeout: HumanDuration,
    /// How many connections may be open at once, 1 to 1,000,000. Default 10000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// How long `?ack=processed` waits for an event's outcome. More than 0; default "30s".
    pub ack_timeout: HumanDuration,
    /// The hosts that may have CloudEvents delivered here, as they name themselves in
    /// `WebHook-Request-Origin`, such as "eventgrid.azure.net"; "*" is any. They need a key all the
    /// same. Default none.
    pub webhook_origins: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 7070)),
            header_timeout: HumanDuration::from_secs(10),
            body_timeout: HumanDuration::from_secs(30),
            idle_timeout: HumanDuration::from_secs(75),
            max_connections: 10_000,
            ack_timeout: HumanDuration::from_secs(30),
            webhook_origins: Vec::new(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        section.positive("header_timeout", self.header_timeout.get());
        section.positive("body_timeout", self.body_timeout.get());
        section.positive("idle_timeout", self.idle_timeout.get());
        section.positive("ack_timeout", self.ack_timeout.get());
        for origin in &self.webhook_origins {
            if !is_origin(origin) {
                section.refuse(
                    "webhook_origins",
                    format!("has {}, which is the name of no host", quoted(origin)),
                    "write hosts such as \"eventgrid.azure.net\", or \"*\" for any",
                );
            }
        }
    }
}

/// Whether a text may stand for who sends: a host's name with or without a port, or `*`.
fn is_origin(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    text == "*" || ((1..=253).contains(&text.len()) && text.bytes().all(plain))
}

/// Whether a text is an address the server can listen on.
pub(crate) fn check_address(text: &str) -> Result<(), InvalidValue> {
    match text.parse::<SocketAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(InvalidValue(
            "is not an address; write an IP address and a port, such as \"127.0.0.1:7070\" or \"[::]:7070\"",
        )),
    }
}
