//! Where an issuer's keys come from: receives the id of a key, hands on the keys at hand, and has
//! them read or fetched anew when they are old or the key is not among them. Those at hand are kept
//! while that fails. However many ask, one fetches, and not more often than the bounds here say.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::config::{Algorithm, Issuer};
use super::fetch::{Fetcher, authorities_in};
use super::key_set::KeySet;
use crate::ordinary;

/// For a key that is not there, its set is read anew at most so often: anybody can name keys.
const AGAIN: Duration = Duration::from_secs(30);

/// A key set is a few kilobytes.
pub(super) const LONGEST: u64 = 1 << 20;

/// An issuer's keys.
pub(super) struct KeySource {
    issuer: String,
    place: Place,
    refresh: Duration,
    at_hand: RwLock<Arc<KeySet>>,
    tried: RwLock<Option<Instant>>,
    /// Held by the one who reads or fetches.
    turn: Mutex<()>,
}

enum Place {
    File(PathBuf),
    Url(Box<Fetcher>),
}

impl KeySource {
    /// A source of public keys; `None` for an issuer without any. A file is read at once.
    pub(super) fn new(issuer: &Issuer) -> Option<Self> {
        let (place, first) = match (&issuer.jwks_file, &issuer.jwks_url) {
            (Some(path), _) => (Place::File(path.clone()), Some(read(path))),
            (None, Some(url)) => {
                let fetcher = Fetcher::new(url, issuer.ca_file.as_deref());
                (Place::Url(Box::new(fetcher)), None)
            }
            (None, None) => return None,
        };
        let source = Self {
            issuer: issuer.issuer.clone(),
            place,
            refresh: issuer.refresh.get(),
            at_hand: RwLock::default(),
            tried: RwLock::new(None),
            turn: Mutex::default(),
        };
        if let Some(first) = first {
            source.keep(first);
        }
        Some(source)
    }

    /// The keys, in which there is one of that id if there can be.
    pub(super) async fn keys(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Arc<KeySet> {
        let keys = self.at_hand.read().clone();
        let tried = *self.tried.read();
        let age = tried.map_or(Duration::MAX, |tried| tried.elapsed());
        if keys.find(kid, algorithm).is_some() {
            // Nobody waits for it; one is enough.
            if age >= self.refresh && self.turn.try_lock().is_ok() {
                self.begin_to_renew(tried);
            }
            return keys;
        }
        if age < self.refresh.min(AGAIN) {
            return keys;
        }
        // A panic is told by the runtime; what is at hand is all there is then.
        let _ = self.begin_to_renew(tried).await;
        self.at_hand.read().clone()
    }

    /// In a task of its own: somebody who goes away must not have the next one begin anew.
    fn begin_to_renew(self: &Arc<Self>, seen: Option<Instant>) -> JoinHandle<()> {
        let source = self.clone();
        tokio::spawn(async move { source.renew(seen).await })
    }

    /// Reads or fetches the keys, unless somebody else has since.
    async fn renew(&self, seen: Option<Instant>) {
        let _turn = self.turn.lock().await;
        if *self.tried.read() != seen {
            return;
        }
        let keys = match &self.place {
            Place::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read(&path)).await;
                read.unwrap_or_else(|error| Err(error.to_string()))
            }
            Place::Url(fetcher) => fetcher.fetch().await.and_then(|text| parse(&text)),
        };
        self.keep(keys);
    }

    fn keep(&self, keys: Result<KeySet, String>) {
        match keys {
            Ok(keys) => *self.at_hand.write() = Arc::new(keys),
            Err(error) => tracing::warn!(
                issuer = self.issuer,
                error,
                "failed to get the issuer's keys; those at hand are kept"
            ),
        }
        // Last: until then, whoever needs a key waits for it.
        *self.tried.write() = Some(Instant::now());
    }
}

/// Whether the files that an issuer's section names hold what they should.
///
/// # Errors
/// Why one does not.
pub fn check_files(issuer: &Issuer) -> Result<(), String> {
    if let Some(path) = &issuer.jwks_file {
        read(path)?;
    }
    if let Some(path) = &issuer.ca_file {
        authorities_in(path)?;
    }
    Ok(())
}

fn read(path: &std::path::Path) -> Result<KeySet, String> {
    match ordinary::read(path, LONGEST) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err("the file is over 1 MiB".to_owned())
        }
        Err(error) => Err(format!(
            "the file {} cannot be read: {error}",
            path.display()
        )),
    }
}

fn parse(text: &[u8]) -> Result<KeySet, String> {
    KeySet::read(text).map_err(str::to_owned)
}
