//! Signed requests: receives the parameters of `Authorization: Nexus-HMAC-SHA256`, hands on a claim,
//! and once the body is there the client that has made it. A claim is nothing until it is proven,
//! and proven once. Until then nobody learns from its way whether the client that it names exists: a
//! claim of nobody goes the whole way, against secrets that nobody knows.
//!
//! What is signed is `TIMESTAMP\nNONCE\nMETHOD\nPATH?QUERY\nhex(SHA-256(BODY))`, the body as it was
//! sent, and a line for each header that is [covered](coverage). Nonces are kept after the signature was found
//! right, so nobody else can use them up. Those of the process before are gone, so what was signed before this one
//! started is refused.

mod coverage;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ring::hmac;
use sha2::{Digest, Sha256};

use super::super::config::Client;
use super::super::rejection::{Code, Rejection, quoted};
use super::failure::{Failure, Reason};
use super::nonces::{Nonces, Refused};
use super::{ClientScope, Head};

/// The name of the scheme, compared ignoring case.
pub(super) const SCHEME: &str = "Nexus-HMAC-SHA256";

/// How long a nonce may be, in characters: at least as much as one drawn at random needs.
const NONCE: std::ops::RangeInclusive<usize> = 16..=64;

/// As many secrets as a client may have: each claim is held against so many.
const KEYS: usize = 2;

/// The clients that sign.
pub(super) struct Signers {
    clients: HashMap<Arc<str>, Arc<Signer>>,
    /// What a claim is held against that names nobody who signs.
    nobody: Arc<Signer>,
    /// The longest window of any client: what is further off is no claim at all.
    longest: i64,
}

struct Signer {
    /// None for the signer that is nobody.
    scope: Option<Arc<ClientScope>>,
    keys: [hmac::Key; KEYS],
    /// Seconds that the time may be off, either way.
    window: i64,
    /// Since when it is known what was used, in seconds since 1970: what was signed before may have been.
    since: i64,
    nonces: Arc<Nonces>,
}

/// Somebody who says which client he is and has yet to prove it.
pub(super) struct Claim {
    signer: Arc<Signer>,
    timestamp: i64,
    nonce: u128,
    /// What is signed before the body's digest, and behind it.
    head: String,
    headers: Vec<u8>,
    signature: [u8; 32],
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field(
                "client",
                &self.signer.scope.as_ref().map(|scope| scope.id()),
            )
            .finish_non_exhaustive()
    }
}

/// The parameters, as they were written.
struct Parameters<'p> {
    client: &'p str,
    timestamp: &'p str,
    nonce: &'p str,
    signature: [u8; 32],
    headers: Option<&'p str>,
}

impl Signers {
    /// `started`: when this process began to take signatures, in seconds since 1970.
    pub(super) fn new(clients: &[(&Client, Arc<ClientScope>)], started: i64) -> Self {
        Self::with(clients, started, |_, _| (Arc::new(Nonces::new()), started))
    }

    /// The same for other clients, from `now` on, in seconds since 1970. What was used stays used.
    pub(super) fn succeeded_by(&self, clients: &[(&Client, Arc<ClientScope>)], now: i64) -> Self {
        Self::with(clients, now, |id, window| match self.clients.get(id) {
            Some(signer) if window <= signer.window => (signer.nonces.clone(), signer.since),
            // With a longer window, what was forgotten could be used again.
            Some(signer) => (signer.nonces.clone(), now),
            None => (Arc::new(Nonces::new()), now),
        })
    }

    /// `used` answers for a client and its window what it has used, and since when that is known.
    fn with(
        clients: &[(&Client, Arc<ClientScope>)],
        started: i64,
        used: impl Fn(&str, i64) -> (Arc<Nonces>, i64),
    ) -> Self {
        let signers = clients.iter().filter(|(client, _)| !client.hmac.is_empty());
        let signers = signers.map(|(client, scope)| {
            let key = |secret: &crate::config::Secret| {
                hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())
            };
            let mut keys = client.hmac.iter().map(key);
            let window = window_of(client);
            let (nonces, since) = used(&client.id, window);
            let signer = Signer {
                scope: Some(scope.clone()),
                keys: std::array::from_fn(|_| keys.next().unwrap_or_else(unknown_key)),
                window,
                since,
                nonces,
            };
            (scope.id().clone(), Arc::new(signer))
        });
        let clients: HashMap<_, _> = signers.collect();
        let windows = clients.values().map(|signer| signer.window);
        let longest = windows
            .max()
            .unwrap_or_else(|| window_of(&Client::default()));
        let nobody = Signer {
            scope: None,
            keys: std::array::from_fn(|_| unknown_key()),
            window: longest,
            since: started,
            nonces: Arc::new(Nonces::new()),
        };
        Self {
            clients,
            nobody: Arc::new(nobody),
            longest,
        }
    }

    /// Looks at everything that needs no body. `now` in seconds since 1970.
    ///
    /// # Errors
    /// When it cannot be read, leaves out a header that it has to cover, is not of this time, or no client
    /// signs at all. All are told alike of a client that exists and of one that does not.
    pub(super) fn claim(
        &self,
        parameters: &str,
        request: Head<'_>,
        now: i64,
    ) -> Result<Claim, Failure> {
        let malformed = |message| Failure::new(Reason::Malformed, message);
        let given = Parameters::read(parameters).map_err(malformed)?;
        let headers = coverage::lines(given.headers, request.headers).map_err(malformed)?;
        // Digits alone: a sign or a space could be written in two ways for one signature.
        let digits = given.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let timestamp = given.timestamp.parse().ok().filter(|_| digits);
        let timestamp: i64 = timestamp.ok_or_else(|| {
            let message = "Timestamp must be whole seconds since 1970";
            Failure::new(Reason::Malformed, message)
        })?;
        expect_near(timestamp, now, self.longest)?;
        // Where nobody signs, no body would prove anything. That tells of no client whether it exists.
        if self.clients.is_empty() {
            return Err(wrong());
        }
        let signer = self.clients.get(given.client).unwrap_or(&self.nobody);
        let Head { method, target, .. } = request;
        Ok(Claim {
            signer: signer.clone(),
            timestamp,
            nonce: short(given.nonce),
            head: format!("{timestamp}\n{}\n{method}\n{target}\n", given.nonce),
            headers,
            signature: given.signature,
        })
    }
}

fn window_of(client: &Client) -> i64 {
    i64::try_from(client.hmac_window.as_secs()).unwrap_or(i64::MAX / 4)
}

/// A key that nobody has.
fn unknown_key() -> hmac::Key {
    let secret: [u8; 32] = rand::random();
    hmac::Key::new(hmac::HMAC_SHA256, &secret)
}

/// Refuses what was signed too long ago, or is from the future.
fn expect_near(timestamp: i64, now: i64, window: i64) -> Result<(), Failure> {
    if timestamp.abs_diff(now) <= window.unsigned_abs() {
        return Ok(());
    }
    let message = format!(
        "the request was signed more than {window} s before now ({now}), or after it; set the clock and \
         sign it again"
    );
    Err(Failure::new(Reason::OutsideWindow, message))
}

impl Claim {
    /// Proves it, with the body as it was sent, and uses it up.
    ///
    /// # Errors
    /// When the signature is not right, whoever it names; and for whoever has the secret, when it is too
    /// old, or was there before, or may have been.
    pub(super) fn prove(self, body: &[u8], now: i64) -> Result<Arc<ClientScope>, Failure> {
        let Self {
            signer,
            timestamp,
            nonce,
            head,
            headers,
            signature,
        } = self;
        let digest = hex::encode(Sha256::digest(body));
        let signed = [head.as_bytes(), digest.as_bytes(), &headers].concat();
        let right = is_by_one_of(&signer.keys, &signed, &signature);
        let Some(scope) = &signer.scope else {
            return Err(wrong());
        };
        let id = scope.id();
        if !right {
            return Err(wrong().of(id));
        }
        // Now, for the body may have taken its time, and a nonce is remembered for the window only.
        expect_near(timestamp, now, signer.window).map_err(|failure| failure.of(id))?;
        if timestamp < signer.since {
            return Err(before_start(signer.since, now).of(id));
        }
        let end = timestamp.saturating_add(signer.window);
        match signer.nonces.take(nonce, end, now) {
            Ok(()) => Ok(scope.clone()),
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
                   of Timestamp, Nonce, method, path with query, SHA-256 of the body, and what Headers names";
    Failure::new(Reason::BadSignature, message)
}

/// The hub has forgotten what it took before it started, this request perhaps among it.
fn before_start(since: i64, now: i64) -> Failure {
    let wait = since.saturating_sub(now).max(0).unsigned_abs() + 1;
    let message = format!(
        "the hub has begun to take the client's signatures since the request was signed, and cannot know whether it was there already; \
         sign it again, with a Timestamp that is not before {since}"
    );
    let rejection = Rejection::new(Code::RateLimited, message);
    let rejection = rejection.with_retry_after(Duration::from_secs(wait));
    Failure::with(Reason::BeforeStart, rejection)
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
    /// Reads `Client=…, Timestamp=…, Nonce=…, Signature=…`, and `Headers=…` if it is there, in any order.
    fn read(text: &'p str) -> Result<Self, String> {
        const NAMES: [&str; 5] = ["Client", "Timestamp", "Nonce", "Signature", "Headers"];
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
        let [
            Some(client),
            Some(timestamp),
            Some(nonce),
            Some(signature),
            headers,
        ] = values
        else {
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
            headers,
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
