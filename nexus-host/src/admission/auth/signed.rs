//! Signed requests: receives the parameters of `Authorization: Nexus-HMAC-SHA256`, hands on a claim,
//! and once the body is there the client that has made it. A claim is nothing until it is proven,
//! and proven once.
//!
//! What is signed is `TIMESTAMP\nNONCE\nMETHOD\nPATH?QUERY\nhex(SHA-256(BODY))`, the body as it was
//! sent. Nonces are kept after the signature was found right, so nobody else can use them up.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ring::hmac;
use sha2::{Digest, Sha256};

use super::super::config::Client;
use super::super::rejection::{Code, Rejection, quoted};
use super::ClientScope;
use super::failure::{Failure, Reason};
use super::nonces::{Nonces, Refused};

/// The name of the scheme, compared ignoring case.
pub(super) const SCHEME: &str = "Nexus-HMAC-SHA256";

/// How long a nonce may be, in characters: at least as much as one drawn at random needs.
const NONCE: std::ops::RangeInclusive<usize> = 16..=64;

/// The clients that sign.
pub(super) struct Signers(HashMap<Arc<str>, Arc<Signer>>);

struct Signer {
    scope: Arc<ClientScope>,
    keys: Vec<hmac::Key>,
    /// Seconds that the time may be off, either way.
    window: i64,
    nonces: Nonces,
}

/// Somebody who says which client he is and has yet to prove it.
pub(super) struct Claim {
    signer: Arc<Signer>,
    timestamp: i64,
    nonce: u128,
    /// What is signed, without the body's digest.
    head: String,
    signature: [u8; 32],
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("client", self.signer.scope.id())
            .finish_non_exhaustive()
    }
}

/// The parameters, as they were written.
struct Parameters<'p> {
    client: &'p str,
    timestamp: &'p str,
    nonce: &'p str,
    signature: [u8; 32],
}

impl Signers {
    pub(super) fn new(clients: &[(&Client, Arc<ClientScope>)]) -> Self {
        let signers = clients.iter().filter(|(client, _)| !client.hmac.is_empty());
        let signers = signers.map(|(client, scope)| {
            let key = |secret: &crate::config::Secret| {
                hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())
            };
            let signer = Signer {
                scope: scope.clone(),
                keys: client.hmac.iter().map(key).collect(),
                window: i64::try_from(client.hmac_window.as_secs()).unwrap_or(i64::MAX / 4),
                nonces: Nonces::new(),
            };
            (scope.id().clone(), Arc::new(signer))
        });
        Self(signers.collect())
    }

    /// Looks at everything that needs no body. `now` in seconds since 1970.
    ///
    /// # Errors
    /// When it cannot be read, names nobody who signs, is not of this time, or was there before.
    pub(super) fn claim(
        &self,
        parameters: &str,
        method: &str,
        target: &str,
        now: i64,
    ) -> Result<Claim, Failure> {
        let given = Parameters::read(parameters)
            .map_err(|message| Failure::new(Reason::Malformed, message))?;
        let signer = self.0.get(given.client).ok_or_else(wrong)?;
        let id = signer.scope.id();
        // Digits alone: a sign or a space could be written in two ways for one signature.
        let digits = given.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let timestamp = given.timestamp.parse().ok().filter(|_| digits);
        let timestamp: i64 = timestamp.ok_or_else(|| {
            let message = "Timestamp must be whole seconds since 1970";
            Failure::new(Reason::Malformed, message).of(id)
        })?;
        signer.expect_near(timestamp, now)?;
        let nonce = short(given.nonce);
        if signer.nonces.knows(nonce) {
            return Err(replayed().of(id));
        }
        Ok(Claim {
            signer: signer.clone(),
            timestamp,
            nonce,
            head: format!("{timestamp}\n{}\n{method}\n{target}\n", given.nonce),
            signature: given.signature,
        })
    }
}

impl Signer {
    /// Refuses what was signed too long ago, or is from the future.
    fn expect_near(&self, timestamp: i64, now: i64) -> Result<(), Failure> {
        if timestamp.abs_diff(now) <= self.window.unsigned_abs() {
            return Ok(());
        }
        let message = format!(
            "the request was signed more than {} s from now ({now}); set the clock and sign it again",
            self.window
        );
        Err(Failure::new(Reason::OutsideWindow, message).of(self.scope.id()))
    }
}

impl Claim {
    /// The client it claims to be.
    pub(super) fn scope(&self) -> &Arc<ClientScope> {
        &self.signer.scope
    }

    /// Proves it, with the body as it was sent, and uses it up.
    ///
    /// # Errors
    /// When the signature is not right, or was there before.
    pub(super) fn prove(self, body: &[u8], now: i64) -> Result<Arc<ClientScope>, Failure> {
        let Self {
            signer,
            timestamp,
            nonce,
            head,
            signature,
        } = self;
        // Once more: the body may have taken its time, and a nonce is remembered for the window only.
        signer.expect_near(timestamp, now)?;
        let id = signer.scope.id();
        let signed = head + &hex::encode(Sha256::digest(body));
        if !is_by_one_of(&signer.keys, signed.as_bytes(), &signature) {
            return Err(wrong().of(id));
        }
        let end = timestamp.saturating_add(signer.window);
        match signer.nonces.take(nonce, end, now) {
            Ok(()) => Ok(signer.scope.clone()),
            Err(Refused::Replayed) => Err(replayed().of(id)),
            Err(Refused::Full { until }) => {
                let wait = Duration::from_secs(until.saturating_sub(now).max(0).unsigned_abs() + 1);
                let message = "the client has signed more requests within its hmac_window than \
                               are remembered; send events in arrays, or more slowly";
                let rejection = Rejection::new(Code::RateLimited, message).with_retry_after(wait);
                Err(Failure::with(Reason::TooManySignatures, rejection).of(id))
            }
        }
    }
}

/// Each key is tried, whichever is right.
fn is_by_one_of(keys: &[hmac::Key], signed: &[u8], signature: &[u8]) -> bool {
    keys.iter().fold(false, |right, key| {
        hmac::verify(key, signed, signature).is_ok() | right
    })
}

/// The same for a client that does not exist: who may sign is nobody's business.
fn wrong() -> Failure {
    let message = "the signature is not right; it must be the HMAC-SHA256, with the client's secret, \
                   of Timestamp, Nonce, method, path with query, and SHA-256 of the body";
    Failure::new(Reason::BadSignature, message)
}

fn replayed() -> Failure {
    let message = "the request was there before; sign each with a new Nonce";
    Failure::new(Reason::Replayed, message)
}

/// Enough of a digest that no two nonces are the same.
fn short(nonce: &str) -> u128 {
    let digest: [u8; 32] = Sha256::digest(nonce.as_bytes()).into();
    digest
        .iter()
        .take(16)
        .fold(0, |short, byte| short << 8 | u128::from(*byte))
}

impl<'p> Parameters<'p> {
    /// Reads `Client=…, Timestamp=…, Nonce=…, Signature=…`, in any order.
    fn read(text: &'p str) -> Result<Self, String> {
        const NAMES: [&str; 4] = ["Client", "Timestamp", "Nonce", "Signature"];
        let mut values = [None; NAMES.len()];
        for part in text.split(',') {
            let Some((name, value)) = part.trim().split_once('=') else {
                return Err("the parameters must be NAME=VALUE, with commas between".to_owned());
            };
            let Some(at) = NAMES
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
            else {
                return Err(format!("there is no parameter {}", quoted(name)));
            };
            let bare = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'));
            if values[at].replace(bare.unwrap_or(value)).is_some() {
                return Err(format!("the parameter `{}` is there twice", NAMES[at]));
            }
        }
        let [Some(client), Some(timestamp), Some(nonce), Some(signature)] = values else {
            return Err("Client, Timestamp, Nonce and Signature are all needed".to_owned());
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        if !NONCE.contains(&nonce.len()) || !nonce.bytes().all(plain) {
            let message = "Nonce must be 16 to 64 letters, digits or `-._~+/=`";
            return Err(message.to_owned());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(signature, &mut bytes)
            .map_err(|_| "Signature must be 64 hexadecimal digits".to_owned())?;
        Ok(Self {
            client,
            timestamp,
            nonce,
            signature: bytes,
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
