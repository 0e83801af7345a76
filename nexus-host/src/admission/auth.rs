//! Who is there: receives the key of a request's headers, hands on the scope of the client that
//! holds it. It reads no body, keeps no key (only digests), and lets nobody in who is not
//! configured.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::config::Client;
use super::rate_limit::RateLimit;
use super::rejection::{Code, Rejection};
use crate::config::{KeyHash, Selector};

/// What one client may do. Nothing is granted that is not configured.
pub struct ClientScope {
    id: Arc<str>,
    sources: Vec<Selector>,
    types: Vec<Selector>,
    admin: bool,
    limit: Option<RateLimit>,
}

impl ClientScope {
    fn new(client: &Client) -> Self {
        Self {
            id: client.id.as_str().into(),
            sources: client.sources.clone(),
            types: client.types.clone(),
            admin: client.admin,
            limit: client.rate.map(|rate| RateLimit::new(rate, client.burst)),
        }
    }

    /// The scope of a webhook's sender: one source, some types, and nothing else.
    /// `rate` and `burst` as a client has them.
    pub(crate) fn of_webhook(
        name: &str,
        source: &str,
        types: Selector,
        rate: Option<f64>,
        burst: Option<u32>,
    ) -> Self {
        Self {
            id: format!("webhook:{name}").into(),
            sources: vec![Selector::Exact(source.to_owned())],
            types: vec![types],
            admin: false,
            limit: rate.map(|rate| RateLimit::new(rate, burst)),
        }
    }

    /// The client's name in logs and metrics.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Whether it may use `/v1/admin`.
    pub fn is_admin(&self) -> bool {
        self.admin
    }

    /// Whether events of that type from that source are within its reach.
    pub fn covers(&self, source: &str, event_type: &str) -> bool {
        let matches = |selectors: &[Selector], name| selectors.iter().any(|s| s.matches(name));
        matches(&self.sources, source) && matches(&self.types, event_type)
    }

    /// Takes one event's share of the client's rate.
    pub(super) fn take(&self) -> Result<(), Rejection> {
        let Some(limit) = &self.limit else {
            return Ok(());
        };
        limit.take().map_err(|wait| {
            let message = format!(
                "client `{}` has used up its rate; wait as long as Retry-After says",
                self.id
            );
            Rejection::new(Code::RateLimited, message).with_retry_after(wait)
        })
    }
}

impl fmt::Debug for ClientScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientScope")
            .field("id", &self.id)
            .field("sources", &self.sources)
            .field("types", &self.types)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// The configured clients, by their keys' digests.
pub(super) struct Keys {
    /// Filed under a part of the digest, so that the time does not grow with their number. Finding
    /// a drawer tells an attacker nothing: he would have to invert SHA-256 to choose one. Within a
    /// drawer the comparison takes the same time whatever it finds.
    drawers: HashMap<[u8; 8], Vec<(KeyHash, Arc<ClientScope>)>>,
}

impl Keys {
    pub(super) fn new(clients: &[Client]) -> Self {
        let mut drawers: HashMap<_, Vec<_>> = HashMap::new();
        for client in clients {
            let scope = Arc::new(ClientScope::new(client));
            drawers
                .entry(drawer(client.key_sha256.as_bytes()))
                .or_default()
                .push((client.key_sha256, scope));
        }
        Self { drawers }
    }

    pub(super) fn authenticate(&self, key: Option<&str>) -> Result<Arc<ClientScope>, Rejection> {
        let refused = |message: &'static str| Rejection::new(Code::Unauthenticated, message);
        if self.drawers.is_empty() {
            return Err(refused(
                "no client is configured, so nobody is let in; add a [[clients]] section",
            ));
        }
        let Some(key) = key else {
            return Err(refused(
                "a key is needed; send it as `Authorization: Bearer KEY`",
            ));
        };
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = None;
        for (hash, scope) in self.drawers.get(&drawer(&digest)).into_iter().flatten() {
            if bool::from(hash.as_bytes().ct_eq(&digest)) {
                found = Some(scope);
            }
        }
        found
            .cloned()
            .ok_or_else(|| refused("the key is not known; check it, or ask for a new one"))
    }
}

fn drawer(digest: &[u8; 32]) -> [u8; 8] {
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    head
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::admission) fn client(
        id: &str,
        key: &str,
        sources: &[&str],
        types: &[&str],
    ) -> Client {
        let parse = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        Client {
            id: id.to_owned(),
            key_sha256: KeyHash::from_bytes(Sha256::digest(key.as_bytes()).into()),
            sources: parse(sources),
            types: parse(types),
            admin: false,
            rate: None,
            burst: None,
        }
    }

    #[test]
    fn nobody_is_let_in_by_default() {
        let keys = Keys::new(&[]);
        for key in [None, Some(""), Some("anything")] {
            let refused = keys.authenticate(key).unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
        }
    }

    #[test]
    fn the_right_key_finds_its_client_and_no_other_does() {
        let clients = [
            client("a", "key-a", &["*"], &["*"]),
            client("b", "key-b", &[], &[]),
        ];
        let keys = Keys::new(&clients);
        assert_eq!(&**keys.authenticate(Some("key-b")).unwrap().id(), "b");
        let digest_itself = hex::encode(Sha256::digest(b"key-a"));
        for wrong in [
            None,
            Some(""),
            Some("key"),
            Some("KEY-A"),
            Some("key-a "),
            Some(&*digest_itself),
        ] {
            let refused = keys.authenticate(wrong).unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{wrong:?}");
        }
    }

    #[test]
    fn two_digests_in_one_drawer_are_told_apart() {
        let digest: [u8; 32] = Sha256::digest(b"key-a").into();
        let mut near = digest;
        near[31] ^= 1;
        let mut other = client("near", "x", &[], &[]);
        other.key_sha256 = KeyHash::from_bytes(near);
        let keys = Keys::new(&[other.clone(), client("a", "key-a", &[], &[])]);
        assert_eq!(&**keys.authenticate(Some("key-a")).unwrap().id(), "a");
        let keys = Keys::new(&[other]);
        assert!(keys.authenticate(Some("key-a")).is_err());
    }

    #[test]
    fn scopes_cover_what_is_written_and_nothing_else() {
        const SOURCES: [&str; 4] = ["parrot", "outlook", "outlook.work", "x"];
        const TYPES: [&str; 4] = ["parrot.shown", "outlook.mail.received", "outlook", "x"];
        let allowed = |selector: &str, name: &str| match selector.strip_suffix('*') {
            Some("") => true,
            Some(prefix) => name.starts_with(prefix) && name.len() > prefix.len(),
            None => selector == name,
        };
        let choices: [&[&str]; 5] = [
            &[],
            &["*"],
            &["outlook.*"],
            &["parrot"],
            &["x", "outlook.mail.received"],
        ];
        for sources in choices {
            for types in choices {
                let scope = ClientScope::new(&client("c", "k", sources, types));
                for source in SOURCES {
                    for event_type in TYPES {
                        let expected = sources.iter().any(|s| allowed(s, source))
                            && types.iter().any(|s| allowed(s, event_type));
                        assert_eq!(
                            scope.covers(source, event_type),
                            expected,
                            "{sources:?} {types:?} {source} {event_type}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn no_key_and_no_digest_is_shown() {
        let keys = Keys::new(&[client("a", "canary-key", &["*"], &["*"])]);
        let scope = keys.authenticate(Some("canary-key")).unwrap();
        let refused = keys.authenticate(Some("canary-wrong")).unwrap_err();
        let digest = hex::encode(Sha256::digest(b"canary-key"));
        for text in [
            format!("{scope:?}"),
            format!("{refused:?}"),
            refused.to_string(),
        ] {
            assert!(
                !text.contains("canary") && !text.contains(&digest),
                "{text}"
            );
        }
    }
}
