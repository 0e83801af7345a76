//! Who sends mail along with notifications: receives the tokens (JWT) that came with it, hands on whether Microsoft
//! Graph sent it to this app. Microsoft's keys are had from its sign-in's description of itself, and kept.

use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use nexus_plugin_api::PluginError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::Config;
use crate::graph::Graph;

/// The app id of Graph's change notifications.
const GRAPH: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

/// By how much two clocks may differ, in seconds.
const LEEWAY: f64 = 120.0;

/// For how long keys are kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon they are asked for again because of a key that is not among them.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(crate) struct Publisher {
    metadata_url: String,
    issuers: Vec<String>,
    audience: String,
    keys: Mutex<Option<Keys>>,
}

#[derive(Debug, Clone)]
struct Keys {
    had: Instant,
    all: std::sync::Arc<Vec<Key>>,
}

#[derive(Debug)]
struct Key {
    id: String,
    n: Vec<u8>,
    e: Vec<u8>,
}

#[derive(Deserialize)]
struct Metadata {
    jwks_uri: String,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    n: String,
    e: String,
    r#use: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood and is not.
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: OneOrMore,
    exp: f64,
    nbf: Option<f64>,
    azp: Option<String>,
    appid: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Publisher {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            metadata_url: config.of_tenant(&config.metadata_url),
            issuers: config.issuers(),
            audience: config.client_id.clone(),
            keys: Mutex::new(None),
        }
    }

    /// Whether every one of the tokens held at that time; `Err` within says why not.
    ///
    /// # Errors
    /// When Microsoft's keys cannot be had.
    pub(crate) async fn check(
        &self,
        graph: &Graph,
        tokens: &[String],
        at: DateTime<Utc>,
    ) -> Result<Result<(), &'static str>, PluginError> {
        if tokens.is_empty() {
            return Ok(Err("a sealed mail came without a validation token"));
        }
        for token in tokens {
            if let Err(why) = self.check_one(graph, token, at).await? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    async fn check_one(
        &self,
        graph: &Graph,
        token: &str,
        at: DateTime<Utc>,
    ) -> Result<Result<(), &'static str>, PluginError> {
        let Some((header, claims, signed, signature)) = read(token) else {
            return Ok(Err("a validation token does not read as one"));
        };
        if header.alg != "RS256" || header.crit.is_some() {
            return Ok(Err(
                "a validation token is signed in another way than RS256",
            ));
        }
        let kid = header.kid.unwrap_or_default();
        let keys = self.keys_with(graph, &kid).await?;
        let is_signed = keys.iter().filter(|key| key.id == kid).any(|key| {
            let public = RsaPublicKeyComponents {
                n: &key.n,
                e: &key.e,
            };
            public
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
                .is_ok()
        });
        if !is_signed {
            return Ok(Err("a validation token is not signed by Microsoft"));
        }
        Ok(self.holds(&claims, at))
    }

    fn holds(&self, claims: &Claims, at: DateTime<Utc>) -> Result<(), &'static str> {
        let is_for = |audience: &String| *audience == self.audience;
        let is_ours = match &claims.aud {
            OneOrMore::One(one) => is_for(one),
            OneOrMore::More(more) => more.iter().any(is_for),
        };
        let sender = claims.azp.as_deref().or(claims.appid.as_deref());
        // Seconds since 1970 are exact in a float for a long time yet.
        let at = at.timestamp() as f64;
        if !self.issuers.contains(&claims.iss) {
            return Err("a validation token is of another issuer");
        }
        if !is_ours {
            return Err("a validation token is meant for another app");
        }
        if sender != Some(GRAPH) {
            return Err("a validation token is not of Microsoft Graph");
        }
        if claims.exp + LEEWAY < at {
            return Err("a validation token has expired");
        }
        if claims.nbf.is_some_and(|nbf| nbf - LEEWAY > at) {
            return Err("a validation token holds only later");
        }
        Ok(())
    }

    /// Microsoft's keys; had anew when they are old, or when the wanted one is not among them.
    async fn keys_with(
        &self,
        graph: &Graph,
        kid: &str,
    ) -> Result<std::sync::Arc<Vec<Key>>, PluginError> {
        let mut kept = self.keys.lock().await;
        if let Some(keys) = &*kept {
            let age = keys.had.elapsed();
            let has = keys.all.iter().any(|key| key.id == kid);
            if (has && age < KEPT) || (!has && age < ASKED_AGAIN) {
                return Ok(keys.all.clone());
            }
        }
        let all = std::sync::Arc::new(self.had(graph).await?);
        *kept = Some(Keys {
            had: Instant::now(),
            all: all.clone(),
        });
        Ok(all)
    }

    async fn had(&self, graph: &Graph) -> Result<Vec<Key>, PluginError> {
        let metadata: Metadata = graph.ask_openly(&self.metadata_url).await?.json()?;
        let set: JwkSet = graph.ask_openly(&metadata.jwks_uri).await?.json()?;
        let keys = set
            .keys
            .into_iter()
            .filter_map(|jwk| serde_json::from_value::<Jwk>(jwk).ok());
        Ok(keys.filter_map(Key::of).collect())
    }
}

impl Key {
    /// `None` for one that is not for signatures with RSA.
    fn of(jwk: Jwk) -> Option<Self> {
        let is_suitable = jwk.kty == "RSA" && jwk.r#use.as_deref().is_none_or(|one| one == "sig");
        is_suitable.then_some(())?;
        Some(Self {
            n: URL_SAFE_NO_PAD.decode(&jwk.n).ok()?,
            e: URL_SAFE_NO_PAD.decode(&jwk.e).ok()?,
            id: jwk.kid,
        })
    }
}

/// Takes a token apart: header, claims, what is signed of it, and the signature.
fn read(token: &str) -> Option<(Header, Claims, &str, Vec<u8>)> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    Some((
        part(header)?,
        part(claims)?,
        signed,
        URL_SAFE_NO_PAD.decode(signature).ok()?,
    ))
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
