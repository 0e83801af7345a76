//! `[server]`: where and how the hub listens. It holds the settings only.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hyper::http::uri::Authority;
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
    /// The address and port of the gRPC server, or "off". Without it "127.0.0.1:7071" is tried, and
    /// gRPC is left out when that is in use.
    pub grpc: Option<Grpc>,
    /// Encrypts both. Default none: plain text.
    pub tls: Option<TlsConfig>,
    /// Whether the dashboard is at `/`: a page without data, which asks for the key of an administrator. Default
    /// true.
    pub dashboard: bool,
    /// What a WebSocket may do.
    pub websocket: WebSocketConfig,
    /// How long a client may take to send a request's headers. More than 0; default "10s".
    pub header_timeout: HumanDuration,
    /// How long a client may take to send a request's body, and how long it may take nothing of what
    /// it is sent. More than 0; default "10s".
    pub body_timeout: HumanDuration,
    /// How long a connection may stay open without a request. More than 0; default "75s".
    pub idle_timeout: HumanDuration,
    /// How many connections may be open at once on each address, 1 to 1,000,000. Default 10000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// How many of them one peer may have, by its address (of IPv6, by its /64), 1 to 1,000,000. Those from
    /// this machine itself do not count. Default 1000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections_per_peer: usize,
    /// How long `?ack=processed` waits for an event's outcome. More than 0; default "30s".
    pub ack_timeout: HumanDuration,
    /// The hosts that may have CloudEvents delivered here, as they name themselves in
    /// `WebHook-Request-Origin`, such as "eventgrid.azure.net"; "*" is any. They need a key all the
    /// same. Default none.
    pub webhook_origins: Vec<String>,
}

/// Where gRPC is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grpc {
    /// Nowhere.
    Off,
    /// At an address.
    At(SocketAddr),
}

impl Serialize for Grpc {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::At(address) => serializer.collect_str(address),
        }
    }
}

impl<'de> Deserialize<'de> for Grpc {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Grpc {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "off" => Ok(Self::Off),
            text => text.parse().map(Self::At).map_err(|_| {
                InvalidValue(
                    "is not an address; write an IP address and a port, such as \"127.0.0.1:7071\", or \"off\"",
                )
            }),
        }
    }
}

impl JsonSchema for Grpc {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Grpc".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "nexus-grpc" })
    }
}

/// The certificate of the server, and what it asks of clients. The files are read again when they
/// change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["certificate", "key"]))]
pub struct TlsConfig {
    /// A file with the certificate and those between it and its root, as PEM; relative to the
    /// configuration file.
    pub certificate: PathBuf,
    /// A file with the certificate's private key, as PEM.
    pub key: PathBuf,
    /// A file with the roots that certificates of clients are verified by, as PEM. Default none: no
    /// client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// Whether a client must show a certificate, "required" or "optional", when `client_ca` is there.
    /// Default "optional".
    pub client_certificate: ClientCertificate,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// It may.
    #[default]
    Optional,
    /// It must.
    Required,
}

impl TlsConfig {
    /// Every file.
    pub(super) fn files(&self) -> [Option<&Path>; 3] {
        [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_deref(),
        ]
    }
}

/// What a WebSocket may do, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketConfig {
    /// From which pages in browsers (the header `Origin`, such as `https://example.org`) WebSockets are
    /// accepted; "*" means any. Those without the header, which are no browsers, are accepted always.
    /// Default none.
    pub origins: Vec<String>,
    /// How long one may stay open without a frame from the client. More than 0; default "60s". Half
    /// of that after the last one the client is asked for a sign of life.
    pub idle_timeout: HumanDuration,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            idle_timeout: HumanDuration::from_secs(60),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 7070)),
            grpc: None,
            tls: None,
            dashboard: true,
            websocket: WebSocketConfig::default(),
            header_timeout: HumanDuration::from_secs(10),
            body_timeout: HumanDuration::from_secs(10),
            idle_timeout: HumanDuration::from_secs(75),
            max_connections: 10_000,
            max_connections_per_peer: 1_000,
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
        section.positive("websocket.idle_timeout", self.websocket.idle_timeout.get());
        if let Some(Grpc::At(grpc)) = self.grpc
            && grpc == self.http
            && grpc.port() != 0
        {
            section.refuse_together(
                &["grpc", "http"],
                "is the address of both servers",
                "give each a port of its own",
            );
        }
        if let Some(tls) = &self.tls
            && tls.client_ca.is_none()
            && tls.client_certificate == ClientCertificate::Required
        {
            section.refuse_together(
                &["tls.client_certificate", "tls.client_ca"],
                "certificates of clients are required, and nothing says which are good",
                "name the roots' file in server.tls.client_ca",
            );
        }
        for origin in &self.websocket.origins {
            if !is_web_origin(origin) {
                section.refuse(
                    "websocket.origins",
                    format!("has {}, which is where no page comes from", quoted(origin)),
                    "write scheme and host without a path, such as \"https://example.org\", or \"*\" for any",
                );
            }
        }
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

/// Whether a text is what a browser says of a page's place (RFC 6454): scheme, host, and a port that is not
/// the scheme's own; or `*`.
fn is_web_origin(text: &str) -> bool {
    let Some((scheme, place)) = text.split_once("://") else {
        return text == "*";
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(plain);
    is_scheme && !place.contains('@') && place.parse::<Authority>().is_ok()
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
