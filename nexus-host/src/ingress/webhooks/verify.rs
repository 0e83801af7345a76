//! Who sent it: receives a request's headers and the raw bytes of its body, answers whether one of the
//! configured secrets has signed them. It parses no body, compares in constant time, and tells the
//! sender nothing of what was wrong.

mod standard;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};
use ring::hmac;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::config::{Algorithm, Encoding, Scheme, Webhook};
use super::moment;
use standard::Standard;

/// How far a signature's time may be from now when nothing else is said.
const TOLERANCE: std::time::Duration = std::time::Duration::from_secs(300);

const GITHUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// What a request must show, ready to be checked.
pub(crate) enum Verifier {
    Standard(Standard),
    Hmac(Hmac),
    Bearer(Bearer),
    /// Everybody is let in, because the configuration says so.
    Nobody,
}

/// What the signature covers beside the body.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Proof {
    /// Tells this delivery from others; the same when it is repeated.
    pub(super) delivery: Option<String>,
}

/// Why a request is not let in, for the log alone. Holds nothing of the request or a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused(pub(super) &'static str);

/// A setting that no verifier can be made of. Holds nothing of a secret.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) key: &'static str,
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// An HMAC in a header.
pub(crate) struct Hmac {
    keys: Vec<hmac::Key>,
    header: HeaderName,
    prefix: String,
    encoding: Encoding,
    signed: Vec<Part>,
    timestamp: Option<(HeaderName, TimeDelta)>,
}

/// A piece of what is signed.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Timestamp,
    Body,
}

/// A secret in a header.
pub(crate) struct Bearer {
    digests: Vec<[u8; 32]>,
    header: HeaderName,
    prefix: String,
}

impl Verifier {
    /// What the settings ask for.
    ///
    /// # Errors
    /// When a secret, a header's name or a template is not of the form its scheme wants.
    pub(super) fn new(webhook: &Webhook) -> Result<Self, Fault> {
        for (at, secret) in webhook.secrets.iter().enumerate() {
            if secret.expose().is_empty() {
                let message = format!("number {} is empty, so anybody could sign", at + 1);
                return Err(fault("secrets", message, "check the variable or the file"));
            }
        }
        match webhook.scheme {
            Scheme::Standard => {
                Standard::new(&webhook.secrets, tolerance(webhook)?).map(Self::Standard)
            }
            Scheme::Github => Ok(Self::Hmac(Hmac {
                keys: hmac_keys(webhook, hmac::HMAC_SHA256),
                header: GITHUB_SIGNATURE,
                prefix: "sha256=".to_owned(),
                encoding: Encoding::Hex,
                signed: vec![Part::Body],
                timestamp: None,
            })),
            Scheme::Hmac => Hmac::new(webhook).map(Self::Hmac),
            Scheme::Bearer => Bearer::new(webhook).map(Self::Bearer),
            Scheme::None => Ok(Self::Nobody),
        }
    }

    /// Whether the body has a part in it. What needs none is checked before any of it is read.
    pub(super) fn needs_body(&self) -> bool {
        matches!(self, Self::Standard(_) | Self::Hmac(_))
    }

    /// Checks a request as it was received. `now` is compared with the time of its signature.
    ///
    /// # Errors
    /// When nobody known has signed it, or too long ago.
    pub(super) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Proof, Refused> {
        match self {
            Self::Standard(standard) => standard.verify(headers, body, now),
            Self::Hmac(hmac) => hmac.verify(headers, body, now),
            Self::Bearer(bearer) => bearer.verify(headers).map(|()| Proof::default()),
            Self::Nobody => Ok(Proof::default()),
        }
    }
}

impl Hmac {
    fn new(webhook: &Webhook) -> Result<Self, Fault> {
        let algorithm = match webhook.algorithm.unwrap_or_default() {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        let timestamp = match &webhook.timestamp_header {
            None => None,
            Some(name) => Some((header("timestamp_header", name)?, tolerance(webhook)?)),
        };
        Ok(Self {
            keys: hmac_keys(webhook, algorithm),
            header: header("header", webhook.header.as_deref().unwrap_or_default())?,
            prefix: webhook.prefix.clone().unwrap_or_default(),
            encoding: webhook.encoding.unwrap_or_default(),
            signed: template(webhook.signed.as_deref(), timestamp.is_some())?,
            timestamp,
        })
    }

    fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Proof, Refused> {
        let written = single(headers, &self.header)?;
        let written = written
            .strip_prefix(self.prefix.as_str())
            .ok_or(Refused("the signature has another prefix"))?;
        let signature = match self.encoding {
            Encoding::Hex => hex::decode(written).ok(),
            Encoding::Base64 => STANDARD.decode(written).ok(),
        };
        let signature = signature.ok_or(Refused("the signature is not written as expected"))?;
        let timestamp = match &self.timestamp {
            None => "",
            Some((header, tolerance)) => {
                let text = single(headers, header)?;
                near(text, *tolerance, now)?;
                text
            }
        };
        let parts: Vec<&[u8]> = self
            .signed
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_bytes(),
                Part::Timestamp => timestamp.as_bytes(),
                Part::Body => body,
            })
            .collect();
        let mut known = false;
        // Every key is tried, so that the time does not tell which one was right.
        for key in &self.keys {
            known |= is_tag(key, &parts, &signature);
        }
        if !known {
            return Err(Refused("the signature does not fit"));
        }
        let delivery = self.timestamp.is_some().then(|| {
            let mut digest = Sha256::new();
            parts.iter().for_each(|part| digest.update(part));
            hex::encode(digest.finalize())
        });
        Ok(Proof { delivery })
    }
}

impl Bearer {
    fn new(webhook: &Webhook) -> Result<Self, Fault> {
        let (header, prefix) = match &webhook.header {
            None => (AUTHORIZATION, "Bearer "),
            Some(name) => (
                header("header", name)?,
                webhook.prefix.as_deref().unwrap_or_default(),
            ),
        };
        let digest = |secret: &crate::config::Secret| Sha256::digest(secret.expose()).into();
        Ok(Self {
            digests: webhook.secrets.iter().map(digest).collect(),
            header,
            prefix: prefix.to_owned(),
        })
    }

    /// Digests are compared: they are as long for every text.
    fn verify(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let written = single(headers, &self.header)?;
        let (prefix, secret) = written
            .split_at_checked(self.prefix.len())
            .ok_or(Refused("the secret's header has another prefix"))?;
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let mut known = false;
        for one in &self.digests {
            known |= bool::from(one.ct_eq(&digest));
        }
        match prefix.eq_ignore_ascii_case(&self.prefix) && known {
            true => Ok(()),
            false => Err(Refused("the secret is not known")),
        }
    }
}

/// Whether the signature is the key's for these parts, one after the other; in constant time.
fn is_tag(key: &hmac::Key, parts: &[&[u8]], signature: &[u8]) -> bool {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().ct_eq(signature).into()
}

fn hmac_keys(webhook: &Webhook, algorithm: hmac::Algorithm) -> Vec<hmac::Key> {
    let key =
        |secret: &crate::config::Secret| hmac::Key::new(algorithm, secret.expose().as_bytes());
    webhook.secrets.iter().map(key).collect()
}

fn tolerance(webhook: &Webhook) -> Result<TimeDelta, Fault> {
    let tolerance = webhook.tolerance.map_or(TOLERANCE, |t| t.get());
    TimeDelta::from_std(tolerance).map_err(|_| {
        fault(
            "tolerance",
            "is too long",
            "write a duration such as \"5m\"",
        )
    })
}

fn header(key: &'static str, name: &str) -> Result<HeaderName, Fault> {
    let wrong = |_| {
        fault(
            key,
            "is not the name of a header",
            "write one such as \"X-Signature\"",
        )
    };
    HeaderName::try_from(name).map_err(wrong)
}

/// What is signed. A time that is checked but not signed would prove nothing.
fn template(signed: Option<&str>, has_timestamp: bool) -> Result<Vec<Part>, Fault> {
    let text = signed.unwrap_or(match has_timestamp {
        true => "{timestamp}.{body}",
        false => "{body}",
    });
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, length) = if rest.starts_with("{body}") {
            (Part::Body, "{body}".len())
        } else if rest.starts_with("{timestamp}") {
            (Part::Timestamp, "{timestamp}".len())
        } else {
            let next = |name| rest.find(name).unwrap_or(rest.len());
            let length = next("{body}").min(next("{timestamp}"));
            (Part::Text(rest[..length].to_owned()), length)
        };
        parts.push(part);
        rest = &rest[length..];
    }
    let count = |part: &Part| parts.iter().filter(|one| *one == part).count();
    if count(&Part::Body) != 1 {
        return Err(fault("signed", "must hold {body} once", "write \"{body}\""));
    }
    if count(&Part::Timestamp) != usize::from(has_timestamp) {
        let message = "must hold {timestamp} once with `timestamp_header`, and not without";
        return Err(fault("signed", message, "write \"{timestamp}.{body}\""));
    }
    Ok(parts)
}

/// A header's value, when there is exactly one.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .map_err(|_| Refused("a header of the signature is not text")),
        (None, _) => Err(Refused("a header of the signature is missing")),
        (Some(_), Some(_)) => Err(Refused("a header of the signature is there twice")),
    }
}

/// Whether a time is as near as it must be.
fn near(text: &str, tolerance: TimeDelta, now: DateTime<Utc>) -> Result<(), Refused> {
    let time = moment::of_number(text).ok_or(Refused("the signature's time is no time"))?;
    match (now - time).abs() <= tolerance {
        true => Ok(()),
        false => Err(Refused("the signature's time is too far from now")),
    }
}

fn fault(key: &'static str, message: impl Into<String>, help: &'static str) -> Fault {
    Fault {
        key,
        message: message.into(),
        help,
    }
}

#[cfg(test)]
mod tests;
