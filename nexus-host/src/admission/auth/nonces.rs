//! What was used once: receives the nonces of signed requests, tells those that were there before.
//! It holds a bounded number, and forgets none before it could no longer be used.

use std::collections::{BTreeMap, HashSet};

use parking_lot::Mutex;

/// The nonces that one client's signatures may use up within twice its window, which is 870 requests
/// a second for five minutes. More are refused, not forgotten; they take 15 MiB.
const MOST: usize = 1 << 19;

/// The nonces of one client.
pub(super) struct Nonces {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    known: HashSet<u128>,
    /// By the second after which they are of no use any more.
    by_end: BTreeMap<i64, Vec<u128>>,
}

/// Why a nonce is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was used before.
    Replayed,
    /// There is no room until that second.
    Full { until: i64 },
}

impl Nonces {
    pub(super) fn new() -> Self {
        Self::bounded(MOST)
    }

    fn bounded(most: usize) -> Self {
        Self {
            most,
            held: Mutex::default(),
        }
    }

    /// Keeps a nonce until after the second `end`.
    ///
    /// # Errors
    /// When it is there, or when there is no room for it.
    pub(super) fn take(&self, nonce: u128, end: i64, now: i64) -> Result<(), Refused> {
        let mut held = self.held.lock();
        held.forget(now);
        if held.known.contains(&nonce) {
            return Err(Refused::Replayed);
        }
        if held.known.len() >= self.most {
            let until = held.by_end.first_key_value().map_or(now, |(end, _)| *end);
            return Err(Refused::Full { until });
        }
        held.known.insert(nonce);
        held.by_end.entry(end).or_default().push(nonce);
        Ok(())
    }
}

impl Held {
    fn forget(&mut self, now: i64) {
        while let Some(first) = self.by_end.first_entry()
            && *first.key() < now
        {
            for nonce in first.remove() {
                self.known.remove(&nonce);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_for_as_long_as_it_could_be_used() {
        let nonces = Nonces::bounded(10);
        assert_eq!(nonces.take(1, 100, 50), Ok(()));
        assert_eq!(nonces.take(1, 100, 100), Err(Refused::Replayed));
        assert_eq!(nonces.take(1, 200, 101), Ok(()));
    }

    #[test]
    fn when_it_is_full_nothing_is_forgotten() {
        let nonces = Nonces::bounded(3);
        for nonce in 0..3 {
            assert_eq!(nonces.take(nonce, 100, 50), Ok(()));
        }
        assert_eq!(nonces.take(3, 110, 60), Err(Refused::Full { until: 100 }));
        assert_eq!(nonces.take(0, 110, 60), Err(Refused::Replayed));
        assert_eq!(nonces.take(3, 110, 101), Ok(()));
    }
}
