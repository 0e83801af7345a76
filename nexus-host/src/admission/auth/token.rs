//! One token (JWT): receives its text, hands on what it says and what is signed of it. It believes
//! nothing: whoever reads it verifies the signature first.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::failure::Reason;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// A token, not yet verified.
pub(super) struct Token<'t> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// Header and claims, as they were signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
}

/// How it is signed.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    /// What must be understood and is not.
    crit: Option<IgnoredAny>,
}

/// What it says.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: Option<String>,
    pub(super) sub: Option<String>,
    pub(super) client_id: Option<String>,
    aud: Option<OneOrMore>,
    exp: Option<f64>,
    nbf: Option<f64>,
    /// A claim that is there says something, or the token cannot be read.
    #[serde(default, deserialize_with = "there")]
    scope: Option<OneOrMore>,
    #[serde(default, deserialize_with = "there")]
    scopes: Option<OneOrMore>,
}

fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OneOrMore>, D::Error> {
    OneOrMore::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn texts(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// Whether a key looks like a token, which no key of `nexus key new` does.
pub(super) fn is_token(text: &str) -> bool {
    text.starts_with("ey") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl<'t> Token<'t> {
    /// Takes it apart; `None` when it is no token.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = part(header)?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            header,
            claims: part(claims)?,
            signed: signed.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }
}

/// Refuses keys that are there twice: of two readers, each could take another one.
fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

impl Claims {
    /// Whether it is meant for this audience.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        let texts = self.aud.as_ref().map_or(&[][..], OneOrMore::texts);
        texts.iter().any(|text| text == audience)
    }

    /// Why it does not hold at this time; both in seconds.
    pub(super) fn is_not_of(&self, now: i64, leeway: i64) -> Option<(Reason, &'static str)> {
        let (now, leeway) = (now as f64, leeway as f64);
        match self.exp {
            None => {
                let message = "the token must say until when it holds (exp)";
                return Some((Reason::BadToken, message));
            }
            Some(exp) if now < exp + leeway => {}
            Some(_) => {
                let message = "the token has expired; ask its issuer for a new one";
                return Some((Reason::ExpiredToken, message));
            }
        }
        match self.nbf {
            Some(nbf) if now < nbf - leeway => {
                Some((Reason::EarlyToken, "the token does not hold yet (nbf)"))
            }
            _ => None,
        }
    }

    /// When it expires, which [`is_not_of`](Self::is_not_of) has made sure it says.
    pub(super) fn end(&self, leeway: i64) -> Option<DateTime<Utc>> {
        // A float cast saturates; what is beyond the calendar never ends.
        DateTime::from_timestamp((self.exp? as i64).saturating_add(leeway), 0)
    }

    /// The words of `scope` and `scopes`; `None` without either.
    pub(super) fn words(&self) -> Option<Vec<&str>> {
        let claims = [&self.scope, &self.scopes];
        if claims.iter().all(|claim| claim.is_none()) {
            return None;
        }
        let texts = claims.into_iter().flatten().flat_map(OneOrMore::texts);
        Some(
            texts
                .flat_map(|text| text.split_ascii_whitespace())
                .collect(),
        )
    }
}
