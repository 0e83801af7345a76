//! API keys: receives the text after `Bearer`, hands on the client whose key it is. It keeps no key,
//! only digests, and tells nobody but a key's holder that it has expired.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::super::config::{Client, Key};
use super::ClientScope;
use super::failure::{Failure, Reason};
use crate::config::KeyHash;

/// The configured keys' digests.
pub(super) struct Keys {
    /// Filed under a part of the digest, so that the time does not grow with their number. Finding
    /// a drawer tells an attacker nothing: he would have to invert SHA-256 to choose one. Within a
    /// drawer the comparison takes the same time whatever it finds.
    drawers: HashMap<[u8; 8], Vec<Held>>,
}

struct Held {
    hash: KeyHash,
    expires_at: Option<DateTime<Utc>>,
    scope: Arc<ClientScope>,
}

impl Keys {
    pub(super) fn new(clients: &[(&Client, Arc<ClientScope>)]) -> Self {
        let mut drawers: HashMap<_, Vec<_>> = HashMap::new();
        for (client, scope) in clients {
            let lasting = client.key_sha256.map(|sha256| Key {
                sha256,
                expires_at: None,
            });
            for key in lasting.iter().chain(&client.keys) {
                let held = Held {
                    hash: key.sha256,
                    expires_at: key.expires_at,
                    scope: match key.expires_at {
                        Some(_) => Arc::new(scope.held_to(None, key.expires_at)),
                        None => scope.clone(),
                    },
                };
                drawers
                    .entry(drawer(key.sha256.as_bytes()))
                    .or_default()
                    .push(held);
            }
        }
        Self { drawers }
    }

    /// The client that holds the key; `None` when nobody does.
    ///
    /// # Errors
    /// When it has expired.
    pub(super) fn find(
        &self,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<ClientScope>>, Failure> {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = None;
        for held in self.drawers.get(&drawer(&digest)).into_iter().flatten() {
            if bool::from(held.hash.as_bytes().ct_eq(&digest)) {
                found = Some(held);
            }
        }
        match found {
            Some(held) if held.expires_at.is_some_and(|end| now >= end) => {
                let message = "the key has expired; ask for a new one";
                Err(Failure::new(Reason::ExpiredKey, message).of(held.scope.id()))
            }
            found => Ok(found.map(|held| held.scope.clone())),
        }
    }
}

fn drawer(digest: &[u8; 32]) -> [u8; 8] {
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    head
}

#[cfg(test)]
mod tests {
    use super::super::tests::{client, hash_of};
    use super::*;

    fn keys(clients: &[Client]) -> Keys {
        let scopes = clients.iter().map(|c| (c, Arc::new(ClientScope::new(c))));
        Keys::new(&scopes.collect::<Vec<_>>())
    }

    fn found(keys: &Keys, key: &str) -> Option<String> {
        let found = keys.find(key, Utc::now()).unwrap();
        found.map(|scope| scope.id().to_string())
    }

    #[test]
    fn the_right_key_finds_its_client_and_no_other_does() {
        let keys = keys(&[
            client("a", "key-a", &["*"], &["*"]),
            client("b", "key-b", &[], &[]),
        ]);
        assert_eq!(found(&keys, "key-b").as_deref(), Some("b"));
        let digest_itself = hex::encode(Sha256::digest(b"key-a"));
        for wrong in ["", "key", "KEY-A", "key-a ", &digest_itself] {
            assert_eq!(found(&keys, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn two_digests_in_one_drawer_are_told_apart() {
        let mut near: [u8; 32] = Sha256::digest(b"key-a").into();
        near[31] ^= 1;
        let mut other = client("near", "x", &[], &[]);
        other.key_sha256 = Some(KeyHash::from_bytes(near));
        let both = keys(&[other.clone(), client("a", "key-a", &[], &[])]);
        assert_eq!(found(&both, "key-a").as_deref(), Some("a"));
        assert_eq!(found(&keys(&[other]), "key-a"), None);
    }

    #[test]
    fn a_key_is_good_until_it_expires_and_only_its_holder_is_told() {
        let end: DateTime<Utc> = "2027-01-01T00:00:00Z".parse().unwrap();
        let mut client = client("a", "old", &[], &[]);
        client.keys = vec![Key {
            sha256: hash_of("new"),
            expires_at: Some(end),
        }];
        let keys = keys(&[client]);
        let just_before = end - chrono::TimeDelta::milliseconds(1);
        assert!(keys.find("new", just_before).unwrap().is_some());
        let refused = keys.find("new", end).unwrap_err();
        assert_eq!(refused.reason, Reason::ExpiredKey);
        assert!(keys.find("old", end).unwrap().is_some());
        assert!(keys.find("newer", end).unwrap().is_none());
    }
}
