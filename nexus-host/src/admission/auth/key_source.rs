//! Where an issuer's keys come from: receives the id of a key, hands on the keys at hand, after it has had
//! them read or fetched anew when they are old or the key is not among them. Those at hand are kept for a
//! while when that fails. However many ask, one fetches, and not more often than the bounds here say.

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

/// For a key that is not there, and after a failure, the set is read anew at most so often: anybody can name
/// keys.
const AGAIN: Duration = Duration::from_secs(30);

/// After a failure it is tried again so soon when there is nothing at hand: every token is refused meanwhile.
pub(super) const SOON: Duration = Duration::from_secs(5);

/// How long keys are good after they should have been read anew, when that fails. For so long an issuer can
/// be out of reach, or a key that it has taken back be used by whoever keeps it out of reach.
const KEPT: Duration = Duration::from_hours(1);

/// A key set is a few kilobytes.
pub(super) const LONGEST: u64 = 1 << 20;

/// An issuer's keys.
pub(super) struct KeySource {
    issuer: String,
    place: Place,
    refresh: Duration,
    at_hand: RwLock<AtHand>,
    /// Held by the one who reads or fetches.
    turn: Mutex<()>,
}

/// What there is, and how old it is.
#[derive(Clone, Default)]
struct AtHand {
    keys: Arc<KeySet>,
    got: Option<Instant>,
    /// The last time that was tried, whether it worked or not.
    tried: Option<Instant>,
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
            turn: Mutex::default(),
        };
        if let Some(first) = first {
            source.keep(first);
        }
        Some(source)
    }

    /// The keys, in which there is one of that id if there can be. Whoever comes when they are old waits for
    /// newer ones: a key that was taken back is not used once more. `None` when they cannot be had for the
    /// moment, and none are at hand that are good still.
    pub(super) async fn keys(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Option<Arc<KeySet>> {
        let at_hand = self.at_hand.read().clone();
        let is_there = at_hand.keys.find(kid, algorithm).is_some();
        if at_hand.age() < self.renewal(&at_hand, is_there) {
            return self.good(at_hand);
        }
        // A panic is told by the runtime; what is at hand is all there is then.
        let _ = self.begin_to_renew(at_hand.tried).await;
        let renewed = self.at_hand.read().clone();
        self.good(renewed)
    }

    /// How long after the last time they are read or fetched anew.
    fn renewal(&self, at_hand: &AtHand, is_there: bool) -> Duration {
        let has_failed = at_hand.tried != at_hand.got;
        match is_there && !has_failed {
            true => self.refresh,
            false if self.is_good(at_hand) => self.refresh.min(AGAIN),
            false => self.refresh.min(SOON),
        }
    }

    /// Whether the keys are not too old, if there are any.
    fn is_good(&self, at_hand: &AtHand) -> bool {
        let most = self.refresh.saturating_add(KEPT);
        at_hand.got.is_some_and(|got| got.elapsed() < most)
    }

    fn good(&self, at_hand: AtHand) -> Option<Arc<KeySet>> {
        self.is_good(&at_hand).then_some(at_hand.keys)
    }

    /// In a task of its own: somebody who goes away must not have the next one begin anew.
    fn begin_to_renew(self: &Arc<Self>, seen: Option<Instant>) -> JoinHandle<()> {
        let source = self.clone();
        tokio::spawn(async move { source.renew(seen).await })
    }

    /// Reads or fetches the keys, unless somebody else has since.
    async fn renew(&self, seen: Option<Instant>) {
        let _turn = self.turn.lock().await;
        if self.at_hand.read().tried != seen {
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

    /// A set without a key of use is one as well: its issuer has taken them all back.
    fn keep(&self, keys: Result<KeySet, String>) {
        let now = Instant::now();
        let mut at_hand = self.at_hand.write();
        at_hand.tried = Some(now);
        match keys {
            Ok(keys) => {
                let was_empty = at_hand.got.is_some() && at_hand.keys.is_empty();
                if keys.is_empty() && !was_empty {
                    tracing::warn!(
                        issuer = self.issuer,
                        "the issuer's key set holds no key to verify a signature with; none of its tokens \
                         lets anybody in"
                    );
                }
                at_hand.keys = Arc::new(keys);
                at_hand.got = Some(now);
            }
            Err(error) => tracing::warn!(
                issuer = self.issuer,
                error,
                "failed to get the issuer's keys; those at hand are good for an hour after they should \
                 have been renewed"
            ),
        }
    }
}

impl AtHand {
    /// How long ago somebody has tried.
    fn age(&self) -> Duration {
        self.tried.map_or(Duration::MAX, |tried| tried.elapsed())
    }
}

/// Whether the files that an issuer's section names hold what they should.
///
/// # Errors
/// Why one does not.
pub fn check_files(issuer: &Issuer) -> Result<(), String> {
    if let Some(path) = &issuer.jwks_file
        && read(path)?.is_empty()
    {
        return Err("it holds no key to verify a signature with".to_owned());
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
