//! `Idempotency-Key`: receives the key of a request and what its body was, hands on the ids of its
//! events, the same ones whenever it comes again. It remembers digests only, a bounded number of
//! them, and none for longer than a day.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use hyper::HeaderMap;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use super::problem::Problem;
use crate::admission::{ClientScope, Code};

const HEADER: &str = "idempotency-key";

/// How long a body is remembered.
const LIFETIME: Duration = Duration::from_hours(24);

/// How many bodies are remembered, of all clients together; each has an equal share. About 100 bytes each.
const CAPACITY: usize = 65_536;

/// The least that a client's share is, however many clients there are.
const LEAST: usize = 1_024;

/// How long a key may be.
const LONGEST_KEY: usize = 255;

/// A client's key. It stands for the request, and for nobody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Stands for the client.
    owner: Uuid,
    own: Uuid,
}

impl Key {
    /// The key in the headers, if there is one. Ids are made from it, from the client's name and from
    /// `secret`, so that nobody else can use one before.
    pub(super) fn of(
        headers: &HeaderMap,
        client: &ClientScope,
        secret: Uuid,
    ) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let key = match values.next() {
            None => value.to_str().ok().and_then(plain),
            Some(_) => None,
        };
        let key = key.ok_or_else(|| {
            let detail = "the header Idempotency-Key must be there once: 1 to 255 visible ASCII \
                          characters, as they are or as a quoted string";
            Problem::new(Code::MalformedEvent, detail)
        })?;
        let owner = Uuid::new_v5(&secret, client.id().as_bytes());
        let own = Uuid::new_v5(&owner, key.as_bytes());
        Ok(Some(Self { owner, own }))
    }

    /// The id of the event at that place in the body.
    pub(super) fn event_id(self, place: usize) -> Uuid {
        Uuid::new_v5(&self.own, place.to_string().as_bytes())
    }
}

/// A key without its quotes.
fn plain(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\t']);
    let key = match value.strip_prefix('"') {
        None => value.to_owned(),
        Some(rest) => unquoted(rest.strip_suffix('"')?)?,
    };
    let fine = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    fine.then_some(key)
}

/// The inside of a quoted string, where a backslash stands before a quote or another backslash.
fn unquoted(inside: &str) -> Option<String> {
    let mut plain = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => plain.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// What tells one request's content from another's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Content([u8; 32]);

impl Content {
    /// The digest of parts, each told apart from the next.
    pub(super) fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

/// The contents that came with keys of late. No client's keys push another one's out.
pub(super) struct Memory {
    /// By the client. There are no more than the configuration names, for only they get so far.
    kept: Mutex<HashMap<Uuid, Kept>>,
    share: usize,
}

/// Those of one client.
#[derive(Default)]
struct Kept {
    contents: HashMap<Uuid, (Instant, Content)>,
    /// In the order in which they came; some may have been forgotten meanwhile.
    order: VecDeque<(Instant, Uuid)>,
}

impl Memory {
    /// For so many clients.
    pub(super) fn new(clients: usize) -> Self {
        Self::with_share((CAPACITY / clients.max(1)).max(LEAST))
    }

    fn with_share(share: usize) -> Self {
        Self {
            kept: Mutex::default(),
            share,
        }
    }

    /// Remembers what came with a key; whether it is the first time.
    ///
    /// # Errors
    /// `conflict` when something else came with it before.
    pub(super) fn claim(&self, key: Key, content: Content) -> Result<bool, Problem> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        let kept = kept.entry(key.owner).or_default();
        kept.forget_until(now);
        match kept.contents.get(&key.own) {
            Some((_, before)) if *before == content => Ok(false),
            Some(_) => {
                let detail = "something else was sent with this Idempotency-Key before; give each \
                              request a key of its own";
                Err(Problem::new(Code::Conflict, detail))
            }
            None => {
                if kept.order.len() == self.share {
                    kept.forget_oldest();
                }
                kept.contents.insert(key.own, (now, content));
                kept.order.push_back((now, key.own));
                Ok(true)
            }
        }
    }

    /// Forgets a key with which nothing was taken, so that it may come with something better.
    pub(super) fn release(&self, key: Key) {
        if let Some(kept) = self.kept.lock().get_mut(&key.owner) {
            kept.contents.remove(&key.own);
        }
    }
}

impl Kept {
    fn forget_until(&mut self, now: Instant) {
        while let Some((since, _)) = self.order.front() {
            if now.duration_since(*since) < LIFETIME {
                break;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((since, key)) = self.order.pop_front() else {
            return;
        };
        // Whoever was forgotten and came again is younger.
        if self.contents.get(&key).is_some_and(|(at, _)| *at == since) {
            self.contents.remove(&key);
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} clients)", self.kept.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u128) -> Key {
        key_of(0, n)
    }

    fn key_of(client: u128, n: u128) -> Key {
        let (owner, own) = (Uuid::from_u128(client), Uuid::from_u128(n));
        Key { owner, own }
    }

    fn content(text: &str) -> Content {
        Content::of([text.as_bytes()])
    }

    #[test]
    fn keys_are_tokens_or_quoted_strings() {
        for (value, key) in [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            (" \"a\\\"\\\\b\" ", Some("a\"\\b")),
            ("a\"b", Some("a\"b")),
            ("", None),
            ("\"\"", None),
            ("\"", None),
            ("\"a", None),
            ("\"a\"b\"", None),
            ("\"a\\n\"", None),
            ("\"a\\\"", None),
            ("\"a\";x=1", None),
            ("a b", None),
            ("a\u{e9}", None),
        ] {
            assert_eq!(plain(value).as_deref(), key, "{value}");
        }
        assert!(plain(&"x".repeat(255)).is_some());
        assert!(plain(&"x".repeat(256)).is_none());
    }

    #[test]
    fn contents_are_not_confused() {
        assert!(Content::of([&b"a"[..], b"b"]) != Content::of([&b"ab"[..]]));
        assert!(Content::of([&b"a"[..], b"b"]) != Content::of([&b"ab"[..], b""]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_comes_with_one_content_for_a_day() {
        let memory = Memory::new(1);
        assert!(memory.claim(key(1), content("a")).is_ok());
        assert!(memory.claim(key(1), content("a")).is_ok());
        assert!(memory.claim(key(1), content("b")).is_err());
        assert!(memory.claim(key(2), content("b")).is_ok());
        tokio::time::advance(LIFETIME - Duration::from_secs(1)).await;
        assert!(memory.claim(key(1), content("b")).is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(memory.claim(key(1), content("b")).is_ok());
        memory.release(key(1));
        assert!(memory.claim(key(1), content("c")).is_ok());
    }

    #[test]
    fn a_client_pushes_out_its_own_keys_and_nobody_else_s() {
        let memory = Memory::new(40);
        assert!(memory.claim(key_of(1, 0), content("a")).is_ok());
        for n in 0..u128::try_from(3 * CAPACITY).unwrap() {
            memory.claim(key_of(2, n), content("a")).unwrap();
        }
        let still_known = memory.claim(key_of(1, 0), content("b"));
        assert!(still_known.is_err(), "another client has pushed it out");
        assert!(memory.claim(key_of(2, 0), content("b")).is_ok());
        let kept = memory.kept.lock();
        assert!(kept[&Uuid::from_u128(2)].contents.len() <= CAPACITY / 40);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_remembered_than_there_is_room_for() {
        let memory = Memory::with_share(3);
        for n in 0..10 {
            tokio::time::advance(Duration::from_secs(1)).await;
            memory.claim(key(n), content("a")).unwrap();
        }
        assert!(memory.claim(key(9), content("b")).is_err());
        assert!(memory.claim(key(0), content("b")).is_ok());
        for _ in 0..10 {
            memory.claim(key(99), content("a")).unwrap();
            memory.release(key(99));
        }
        let kept = memory.kept.lock();
        let kept = &kept[&Uuid::nil()];
        assert!(kept.order.len() <= 3 && kept.contents.len() <= 3);
    }
}
