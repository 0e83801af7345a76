//! `[[issuers]]`: whose tokens (JWT) are believed. It holds the settings only.

use std::net::IpAddr;
use std::path::PathBuf;

use hyper::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{HumanDuration, Secret, Section};

/// HS256 wants at least as many bytes as its hash has (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;

/// The most that clocks may be apart.
const LONGEST_LEEWAY: HumanDuration = HumanDuration::from_secs(10 * 60);

/// Somebody whose tokens (JWT) are believed. A token has to name a client: its `jwt_subject`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["issuer", "audience"]))]
pub struct Issuer {
    /// What `iss` must be in a token, exactly; unique.
    #[schemars(length(min = 1, max = 2000))]
    pub issuer: String,
    /// What `aud` must be, or hold, in a token, exactly.
    #[schemars(length(min = 1, max = 2000))]
    pub audience: String,
    /// A file with the issuer's public keys (a JWK set), read anew every `refresh`; a relative path
    /// starts at the config file's folder. Exactly one of `jwks_file`, `jwks_url` and `secret` is
    /// needed. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub jwks_file: Option<PathBuf>,
    /// Where the issuer's public keys (a JWK set) are fetched, every `refresh`: https, or http on
    /// this machine. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 2000))]
    pub jwks_url: Option<String>,
    /// A file with the certificates (PEM) of the authorities that may vouch for `jwks_url`; a
    /// relative path starts at the config file's folder. Default the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub ca_file: Option<PathBuf>,
    /// The secret that the issuer shares with the hub, `{ env = "NAME" }` or `{ file = "PATH" }`, at
    /// least 32 bytes long; for HS256, which has to be named in `algorithms`. Default none.
    #[serde(skip_serializing)]
    #[schemars(with = "Secret")]
    pub secret: Option<Secret>,
    /// The algorithms that its tokens may be signed with. Default ["RS256", "ES256", "EdDSA"].
    #[schemars(length(min = 1))]
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be off, at most "10m". Default "60s".
    pub leeway: HumanDuration,
    /// After what time the keys are read or fetched anew; while that fails, those at hand are kept for an
    /// hour more. At least "1s"; default "10m".
    pub refresh: HumanDuration,
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            jwks_file: None,
            jwks_url: None,
            ca_file: None,
            secret: None,
            algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
            leeway: HumanDuration::from_secs(60),
            refresh: HumanDuration::from_secs(600),
        }
    }
}

/// How tokens may be signed. There is no `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
    HS256,
}

impl Algorithm {
    /// Its name in a token's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
        }
    }
}

/// Objects to issuers that cannot be told apart or whose keys cannot be had.
pub(crate) fn check_issuers(issuers: &[Issuer], section: &mut Section<'_, '_>) {
    for (index, issuer) in issuers.iter().enumerate() {
        if let Some(first) = issuers[..index]
            .iter()
            .position(|i| i.issuer == issuer.issuer)
        {
            let place = section.index(first).place_of("issuer");
            let message = format!("is the issuer of another section, at {place}");
            let help = "write one section for each issuer";
            section.index(index).refuse("issuer", message, help);
        }
        issuer.check(&mut section.index(index));
    }
}

impl Issuer {
    fn check(&self, section: &mut Section<'_, '_>) {
        let given = [
            self.jwks_file.is_some(),
            self.jwks_url.is_some(),
            self.secret.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            section.refuse_together(
                &["jwks_file", "jwks_url", "secret", "issuer"],
                "exactly one of jwks_file, jwks_url and secret is needed",
                "say where the issuer's keys are",
            );
        }
        let shared = self.algorithms.contains(&Algorithm::HS256);
        if shared != self.secret.is_some() || (shared && self.algorithms.len() > 1) {
            section.refuse_together(
                &["algorithms", "secret"],
                "HS256 goes with a secret, and with no other algorithm",
                "write algorithms = [\"HS256\"] and a secret, or neither",
            );
        }
        if let Some(secret) = &self.secret
            && secret.expose().len() < SHORTEST_SECRET
        {
            let message = "must be at least 32 bytes long";
            section.refuse("secret", message, "make one with `openssl rand -hex 32`");
        }
        if let Some(url) = &self.jwks_url
            && let Err(message) = check_url(url)
        {
            section.refuse("jwks_url", message, "write https://HOST/PATH");
        }
        if self.ca_file.is_some() && self.jwks_url.is_none() {
            let message = "ca_file needs jwks_url";
            section.refuse_together(&["ca_file", "jwks_url"], message, "leave `ca_file` out");
        }
        if self.leeway > LONGEST_LEEWAY {
            section.refuse("leeway", "must be at most 10m", "set the clocks instead");
        }
        if self.refresh < HumanDuration::from_secs(1) {
            let message = "must be at least 1s";
            section.refuse("refresh", message, "write a duration such as \"10m\"");
        }
    }
}

/// Whether keys may be fetched there: nobody on the way may change them.
fn check_url(url: &str) -> Result<(), &'static str> {
    let parsed: Uri = url.parse().map_err(|_| "is not a URL")?;
    let host = parsed.host().ok_or("names no host")?;
    if parsed
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err("must not hold a user or a password");
    }
    match parsed.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback(host) => Ok(()),
        Some("http") => Err("must be https, since it does not stay on this machine"),
        _ => Err("must be https"),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
