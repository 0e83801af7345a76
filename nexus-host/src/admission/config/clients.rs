//! `[[clients]]`: who may publish, by what it is recognised, and what it may. It holds the settings
//! only.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::rejection::quoted;
use super::super::rules;
use super::refuse_burst;
use crate::config::{HumanDuration, KeyHash, Secret, Section, Selector, Sha256};

/// Keys of one client that are valid at the same time: the old one and the new one.
const MOST_KEYS: usize = 2;

/// What stands where no key was written.
const NO_KEY: KeyHash = KeyHash::from_bytes([0; 32]);

/// Secrets of one client at the same time: the old one and the new one.
const MOST_SECRETS: usize = 2;

/// A shorter secret could be found by trying.
const SHORTEST_SECRET: usize = 16;

/// How far the clock of a client that signs may be off.
const LONGEST_WINDOW: HumanDuration = HumanDuration::from_secs(60 * 60);

/// Somebody who may publish: whoever proves to be it in one of the ways that are configured here.
/// Nothing is granted that is not written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id"]))]
pub struct Client {
    /// The client's name in logs and metrics, unique and not empty.
    #[schemars(length(min = 1, max = 200))]
    pub id: String,
    /// The SHA-256 of the client's key, as 64 hexadecimal digits; unique. `nexus key new` makes both.
    /// Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "KeyHash")]
    pub key_sha256: Option<KeyHash>,
    /// Keys that may expire, each `{ sha256 = "…", expires_at = "2027-01-01T00:00:00Z" }`; without
    /// `expires_at`, never. At most two of a client's keys, `key_sha256` included, may be valid at the
    /// same time: the old one and the new one. Default none.
    #[schemars(length(max = 16))]
    pub keys: Vec<Key>,
    /// The secrets with which it signs its requests, each `{ env = "NAME" }` or
    /// `{ file = "PATH" }`, at least 16 bytes long; at most two, the old one and the new one. Default
    /// none.
    #[serde(skip_serializing)]
    #[schemars(length(max = 2))]
    pub hmac: Vec<Secret>,
    /// How far the time in a signed request may be off, either way; a signature is good once within
    /// it. More than 0, at most "1h"; default "5m".
    pub hmac_window: HumanDuration,
    /// The `sub` of the tokens (JWT) that it signs in with, or the `client_id` of those without a `sub`;
    /// needs an `[[issuers]]` section. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 200))]
    pub jwt_subject: Option<String>,
    /// Which `[[issuers]]` section's tokens, by its `issuer`; needed where there are several. Default
    /// the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub jwt_issuer: Option<String>,
    /// The SHA-256 of its TLS certificate (of the DER form), as 64 hexadecimal digits; unique.
    /// Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Sha256")]
    pub certificate_sha256: Option<Sha256>,
    /// The common name, or a DNS name among the alternative names, of its TLS certificate, which a
    /// trusted authority has signed; unique. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 200))]
    pub certificate_subject: Option<String>,
    /// The sources it may publish as: exact names, `prefix.*` or `*`. Default none.
    pub sources: Vec<Selector>,
    /// The event types it may publish: exact names, `prefix.*` or `*`. Default none.
    pub types: Vec<Selector>,
    /// The ways it may come. Default ["http", "websocket", "grpc"].
    #[schemars(length(min = 1))]
    pub transports: Vec<Transport>,
    /// Whether it may use `/v1/admin`. Default false.
    pub admin: bool,
    /// Whether it may read `/metrics`, as it may with `admin`. Default false.
    pub metrics: bool,
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

impl Default for Client {
    fn default() -> Self {
        Self {
            id: String::new(),
            key_sha256: None,
            keys: Vec::new(),
            hmac: Vec::new(),
            hmac_window: HumanDuration::from_secs(300),
            jwt_subject: None,
            jwt_issuer: None,
            certificate_sha256: None,
            certificate_subject: None,
            sources: Vec::new(),
            types: Vec::new(),
            transports: Transport::ALL.to_vec(),
            admin: false,
            metrics: false,
            rate: None,
            burst: None,
        }
    }
}

impl Client {
    /// What is allowed but deserves a second thought, as `nexus check` says it.
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |told: &str| warnings.push(format!("client `{}` {told}", self.id));
        let is_over = !self.keys.is_empty() && !self.keys.iter().any(|key| key.is_valid_at(now));
        if is_over {
            warn("has keys that have all expired: none of them lets anybody in");
        }
        let elsewhere = [Transport::Http, Transport::WebSocket];
        if signs_only(self) && !elsewhere.iter().any(|one| self.transports.contains(one)) {
            warn("signs its requests, which gRPC does not take: it gets in nowhere");
        }
        match (self.sources.is_empty(), self.types.is_empty()) {
            (false, true) => warn("has sources and no types: it may publish nothing"),
            (true, false) => warn("has types and no sources: it may publish nothing"),
            (true, true) if !self.admin && !self.metrics => {
                warn(
                    "has no sources and types, and neither `admin` nor `metrics`: it may do nothing",
                );
            }
            _ => {}
        }
        for selector in &self.types {
            let name = selector.to_string();
            let name = name.strip_suffix(".*").unwrap_or(&name);
            if name != "*" && !rules::is_event_type(name) {
                let shown = quoted(name);
                warn(&format!(
                    "has types with {shown}, which is the name of no type"
                ));
            }
        }
        warnings
    }
}

/// A key that may expire.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["sha256"]))]
pub struct Key {
    /// The SHA-256 of the key, as 64 hexadecimal digits; unique.
    pub sha256: KeyHash,
    /// From when it is no longer valid, such as "2027-01-01T00:00:00Z". Default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub expires_at: Option<DateTime<Utc>>,
}

impl Key {
    /// Whether it is valid at that time.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A way that clients come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Transport {
    /// HTTP requests, the live stream included.
    Http,
    /// `GET /v1/ws`.
    WebSocket,
    /// gRPC calls.
    Grpc,
}

impl Transport {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Http, Self::WebSocket, Self::Grpc];

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
            Self::Grpc => "grpc",
        }
    }
}

/// Something by which clients are told apart, where it was first seen.
struct Unique<K>(HashMap<K, (usize, &'static str)>);

impl<K: std::hash::Hash + Eq> Unique<K> {
    /// Objects when it is another one's.
    fn check(
        &mut self,
        value: K,
        (index, key): (usize, &'static str),
        section: &mut Section<'_, '_>,
        what: &str,
        help: &str,
    ) {
        let Some((first, first_key)) = self.0.insert(value, (index, key)) else {
            return;
        };
        let place = section.index(first).place_of(first_key);
        let whose = if first == index { "this" } else { "another" };
        let message = format!("is the {what} of {whose} client, at {place}");
        section.index(index).refuse(key, message, help);
    }
}

/// Objects to clients that cannot be told apart, and to what says nothing.
pub(crate) fn check_clients(clients: &[Client], issuers: &[String], section: &mut Section<'_, '_>) {
    let mut ids = Unique(HashMap::new());
    let mut keys = Unique(HashMap::new());
    let mut certificates = Unique(HashMap::new());
    let mut subjects = Unique(HashMap::new());
    let mut tokens = Unique(HashMap::new());
    for (index, client) in clients.iter().enumerate() {
        ids.check(
            &client.id,
            (index, "id"),
            section,
            "id",
            "give each client its own",
        );
        let listed = client.keys.iter().map(|key| ("keys", &key.sha256));
        let first = client.key_sha256.iter().map(|hash| ("key_sha256", hash));
        for (key, hash) in first.chain(listed).filter(|(_, hash)| **hash != NO_KEY) {
            let help = "make a key for each client";
            keys.check(hash, (index, key), section, "key", help);
        }
        let help = "give each client its own certificate";
        if let Some(hash) = &client.certificate_sha256 {
            let at = (index, "certificate_sha256");
            certificates.check(hash, at, section, "certificate", help);
        }
        if let Some(name) = &client.certificate_subject {
            let at = (index, "certificate_subject");
            subjects.check(name.to_ascii_lowercase(), at, section, "certificate", help);
        }
        if let Some(subject) = &client.jwt_subject {
            let at = (index, "jwt_subject");
            let help = "give each client its own subject";
            tokens.check((&client.jwt_issuer, subject), at, section, "subject", help);
        }
        check_client(client, issuers, &mut section.index(index));
    }
}

/// Objects to clients that are known by a certificate, where nobody is asked for one.
pub(crate) fn refuse_certificates(clients: &[Client], section: &mut Section<'_, '_>) {
    for (index, client) in clients.iter().enumerate() {
        let key = match client {
            Client {
                certificate_sha256: Some(_),
                ..
            } => "certificate_sha256",
            Client {
                certificate_subject: Some(_),
                ..
            } => "certificate_subject",
            _ => continue,
        };
        section.index(index).refuse(
            key,
            "the server asks nobody for a certificate",
            "name the file of those who issue them in server.tls.client_ca",
        );
    }
}

fn check_client(client: &Client, issuers: &[String], section: &mut Section<'_, '_>) {
    let (no_key, help) = ("is the hash of no key", "write what `nexus key new` prints");
    if client.key_sha256 == Some(NO_KEY) {
        section.refuse("key_sha256", no_key, help);
    }
    for (at, key) in client.keys.iter().enumerate() {
        if key.sha256 == NO_KEY {
            section.key("keys").index(at).refuse("sha256", no_key, help);
        }
    }
    let now = Utc::now();
    let valid = client
        .keys
        .iter()
        .filter(|key| key.is_valid_at(now))
        .count();
    if valid + usize::from(client.key_sha256.is_some()) > MOST_KEYS {
        let message = "a client has at most two valid keys, `key_sha256` included";
        section.refuse("keys", message, "take out the oldest");
    }
    if client.hmac.len() > MOST_SECRETS {
        section.refuse("hmac", "must have at most 2 secrets", "take out the oldest");
    }
    if client
        .hmac
        .iter()
        .any(|secret| secret.expose().len() < SHORTEST_SECRET)
    {
        let message = "a secret must be at least 16 bytes long";
        section.refuse("hmac", message, "make one with `openssl rand -hex 32`");
    }
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | ',' | '\\' | '=');
    if !client.hmac.is_empty() && !client.id.chars().all(plain) {
        let message = "must be of visible ASCII characters without `\"`, `,`, `=` and `\\` when the \
                       client signs its requests, which name it";
        section.refuse("id", message, "choose another name");
    }
    if client.hmac.is_empty() && section.is_written("hmac_window") {
        let help = "give the client a secret in `hmac`, or take the window out";
        section.refuse_together(&["hmac_window", "hmac"], "nothing is signed", help);
    }
    section.positive("hmac_window", client.hmac_window.get());
    if client.hmac_window > LONGEST_WINDOW {
        section.refuse(
            "hmac_window",
            "must be at most 1h",
            "set the clocks instead",
        );
    }
    check_token(client, issuers, section);
    if !has_way_in(client) {
        section.refuse_together(
            &[
                "id",
                "key_sha256",
                "keys",
                "hmac",
                "jwt_subject",
                "certificate_sha256",
                "certificate_subject",
            ],
            "has no way in, so nobody can be this client",
            "write the key_sha256 that `nexus key new` prints, or one of `keys`, `hmac`, \
             `jwt_subject`, `certificate_sha256` and `certificate_subject`",
        );
    }
    if client.burst.is_some() && client.rate.is_none() {
        refuse_burst(section);
    }
}

fn check_token(client: &Client, issuers: &[String], section: &mut Section<'_, '_>) {
    if client.jwt_subject.is_none() {
        if client.jwt_issuer.is_some() {
            let help = "name the subject as well, or leave the issuer out";
            let keys = ["jwt_issuer", "jwt_subject"];
            section.refuse_together(&keys, "jwt_issuer needs jwt_subject", help);
        }
        return;
    }
    match &client.jwt_issuer {
        _ if issuers.is_empty() => {
            let message = "there is no [[issuers]] section, so no token is believed";
            section.refuse("jwt_subject", message, "add the issuer of the tokens");
        }
        Some(issuer) if !issuers.contains(issuer) => {
            let message = "no [[issuers]] section has this issuer";
            section.refuse("jwt_issuer", message, "write it as it is written there");
        }
        None if issuers.len() > 1 => {
            let message = "does not say whose tokens, and there are several issuers";
            section.refuse("jwt_subject", message, "add `jwt_issuer`");
        }
        _ => {}
    }
}

/// Whether signed requests are the client's only way in.
fn signs_only(client: &Client) -> bool {
    !client.hmac.is_empty() && !has_unsigned_way_in(client)
}

fn has_way_in(client: &Client) -> bool {
    !client.hmac.is_empty() || has_unsigned_way_in(client)
}

fn has_unsigned_way_in(client: &Client) -> bool {
    client.key_sha256.is_some()
        || !client.keys.is_empty()
        || client.jwt_subject.is_some()
        || client.certificate_sha256.is_some()
        || client.certificate_subject.is_some()
}
