//! Bodies of senders who prove with the body who they are: receives how much of each is held in memory,
//! and tells when it is too much. It knows no client, and so treats one that exists like one that does not.
//!
//! An address may hold a quarter of what it leaves free. So one that takes all it can get has a fifth of the
//! whole, each further one less, and none of them takes the last: whoever comes new finds room for a body that
//! is not too large.
//!
//! Many may share an address, behind a proxy all do. So where one is full, its body of which nothing has come for
//! longest gives way to the one of which something has: whoever holds bodies back displaces his own, and
//! none that comes without a pause.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::problem::Problem;
use crate::admission::{Code, Lines, Rejection, network};
use crate::config::ByteSize;

/// The least that all such bodies together may take.
const LEAST: usize = 64 * 1024 * 1024;

/// So many of the largest bodies fit in any case: one of them from an address, and from another one at a time.
const LARGEST: usize = 10;

/// An address may hold one part while so many are free.
const PARTS_FREE: usize = 4;

/// When to come again: bodies of honest senders are proven as soon as they are there.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// Why a body is refused for which there is no room.
const TOO_MUCH: &str = "too much is being received of senders who have yet to prove who they are; send it again \
                        after Retry-After";

/// Why a body is refused that was displaced.
const TOO_SLOW: &str = "the body came slower than others of senders who have yet to prove who they are, and gave \
                        way to them; send it again after Retry-After, without a pause";

/// What is held of such bodies.
pub(super) struct Unproven {
    most: usize,
    held: Mutex<Held>,
    lines: Lines,
}

#[derive(Default)]
struct Held {
    all: usize,
    /// How often anything came of any body: the clock by which they are compared.
    arrivals: u64,
    /// Only addresses that hold something.
    by_network: HashMap<Option<IpAddr>, Bodies>,
}

/// The bodies of an address.
#[derive(Default)]
struct Bodies {
    bytes: usize,
    /// By when something came of them last; of the first one nothing has come for longest.
    by_arrival: BTreeMap<u64, Part>,
}

/// What is held of a body.
struct Part {
    bytes: usize,
    displaced: Arc<Notify>,
}

/// What is held of one body, until this is dropped.
pub(super) struct Share<'u> {
    unproven: &'u Unproven,
    network: Option<IpAddr>,
    /// When something came of it last. Nothing is held of it before.
    arrival: Option<u64>,
    displaced: Arc<Notify>,
}

impl Unproven {
    /// For bodies of up to `max_body`.
    pub(super) fn new(max_body: ByteSize) -> Self {
        Self {
            most: max_body.as_len().saturating_mul(LARGEST).max(LEAST),
            held: Mutex::default(),
            lines: Lines::new(),
        }
    }

    /// The share of a body from this address.
    pub(super) fn share(&self, peer: Option<IpAddr>) -> Share<'_> {
        Share {
            unproven: self,
            network: peer.map(network),
            arrival: None,
            displaced: Arc::default(),
        }
    }

    fn refused(&self, network: Option<IpAddr>, why: &'static str) -> Problem {
        if let Some(left_out) = self.lines.next() {
            let network = network.map(tracing::field::display);
            tracing::warn!(
                network,
                left_out,
                "refused a body: too much is held of senders who have yet to prove who they are"
            );
        }
        let rejection = Rejection::new(Code::RateLimited, why);
        rejection.with_retry_after(RETRY).into()
    }
}

impl Held {
    fn of(&self, network: Option<IpAddr>) -> usize {
        self.by_network
            .get(&network)
            .map_or(0, |bodies| bodies.bytes)
    }

    /// Takes in what is held of a body, of which something has just come; when that was.
    fn insert(&mut self, network: Option<IpAddr>, part: Part) -> u64 {
        self.arrivals += 1;
        self.all += part.bytes;
        let bodies = self.by_network.entry(network).or_default();
        bodies.bytes += part.bytes;
        bodies.by_arrival.insert(self.arrivals, part);
        self.arrivals
    }

    /// Lets go of a body; how much was held of it. `None` when it was displaced.
    fn remove(&mut self, network: Option<IpAddr>, arrival: u64) -> Option<usize> {
        let bodies = self.by_network.get_mut(&network)?;
        let part = bodies.by_arrival.remove(&arrival)?;
        bodies.bytes -= part.bytes;
        self.all -= part.bytes;
        if bodies.by_arrival.is_empty() {
            self.by_network.remove(&network);
        }
        Some(part.bytes)
    }

    /// Lets go of the body of this address of which nothing has come for longest, and tells it: whoever receives
    /// it is woken, and drops what is there. Whether there was one.
    fn displace(&mut self, network: Option<IpAddr>) -> bool {
        let bodies = self.by_network.get(&network);
        let first = bodies.and_then(|bodies| bodies.by_arrival.first_key_value());
        let Some((arrival, part)) = first else {
            return false;
        };
        part.displaced.notify_one();
        let arrival = *arrival;
        self.remove(network, arrival).is_some()
    }
}

impl Share<'_> {
    /// So many bytes more are there. Other bodies of the address may be displaced by them.
    ///
    /// # Errors
    /// When the body was displaced itself, or is too much for the moment. Nothing of it may be kept then.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        // An entry is there only for what is held.
        if bytes == 0 {
            return Ok(());
        }
        let mut held = self.unproven.held.lock();
        let before = match self.arrival.take() {
            Some(arrival) => held.remove(self.network, arrival),
            None => Some(0),
        };
        let Some(before) = before else {
            return Err(self.too_slow());
        };
        let bytes = before.saturating_add(bytes);
        let others = held.all - held.of(self.network);
        let most = self.unproven.most.saturating_sub(others) / (PARTS_FREE + 1);
        if bytes > most {
            return Err(self.unproven.refused(self.network, TOO_MUCH));
        }
        while held.of(self.network) > most - bytes && held.displace(self.network) {}
        let displaced = self.displaced.clone();
        self.arrival = Some(held.insert(self.network, Part { bytes, displaced }));
        Ok(())
    }

    /// Ready when the body was displaced, and is to be let go of.
    pub(super) fn displaced(&self) -> impl Future<Output = ()> + use<> {
        let displaced = self.displaced.clone();
        async move { displaced.notified().await }
    }

    /// What is answered when the body was displaced.
    pub(super) fn too_slow(&self) -> Problem {
        self.unproven.refused(self.network, TOO_SLOW)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival {
            self.unproven.held.lock().remove(self.network, arrival);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn address(number: u32) -> Option<IpAddr> {
        Some(std::net::Ipv4Addr::from(number).into())
    }

    /// Takes bodies of 1 MiB from an address, until one is refused or gets its room from another of that
    /// address; how many more it holds.
    fn flood<'u>(unproven: &'u Unproven, from: Option<IpAddr>, kept: &mut Vec<Share<'u>>) -> usize {
        let held = || unproven.held.lock().of(network(from.unwrap()).into());
        let before = held();
        loop {
            let so_far = held();
            let mut share = unproven.share(from);
            let grown = share.grow(MIB);
            kept.push(share);
            if grown.is_err() || held() == so_far {
                return (so_far - before) / MIB;
            }
        }
    }

    fn is_displaced(share: &Share<'_>) -> bool {
        share.displaced().now_or_never().is_some()
    }

    #[test]
    fn however_many_take_all_they_can_get_there_is_room_for_somebody_else() {
        let unproven = Unproven::new(ByteSize::from_kib(1024));
        let mut kept = Vec::new();
        assert_eq!(flood(&unproven, address(1), &mut kept), 12);
        assert_eq!(flood(&unproven, address(1), &mut kept), 0);
        assert_eq!(flood(&unproven, address(2), &mut kept), 10);
        for attacker in 3..1_000 {
            flood(&unproven, address(attacker), &mut kept);
        }
        let mut honest = unproven.share(address(1_000));
        assert!(honest.grow(MIB / 2).is_ok());
        assert!(unproven.held.lock().all <= LEAST);
        drop((kept, honest));
        assert_eq!(unproven.held.lock().all, 0);
        assert!(unproven.held.lock().by_network.is_empty());
        assert_eq!(flood(&unproven, address(1), &mut Vec::new()), 12);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let unproven = Unproven::new(ByteSize::from_kib(1024));
        let mut kept = Vec::new();
        let of = |host: &str| Some(host.parse().unwrap());
        assert_eq!(flood(&unproven, of("2001:db8::1"), &mut kept), 12);
        assert_eq!(flood(&unproven, of("2001:db8::2"), &mut kept), 0);
    }

    #[test]
    fn the_largest_bodies_fit() {
        let unproven = Unproven::new(ByteSize::from_kib(100 * 1024));
        let mut shares = [unproven.share(None), unproven.share(address(1))];
        assert!(shares.iter_mut().all(|share| share.grow(100 * MIB).is_ok()));
        assert!(!shares.iter().any(is_displaced));
        assert!(unproven.share(None).grow(100 * MIB).is_ok());
        assert!(is_displaced(&shares[0]) && !is_displaced(&shares[1]));
        assert_eq!(unproven.held.lock().all, 100 * MIB);
    }

    #[test]
    fn whoever_holds_bodies_back_makes_room_for_one_that_comes() {
        let unproven = Unproven::new(ByteSize::from_kib(1024));
        let shares = std::iter::repeat_with(|| unproven.share(address(1)));
        let mut idle: Vec<_> = shares.take(12).collect();
        assert!(idle.iter_mut().all(|share| share.grow(MIB).is_ok()));
        let mut elsewhere = unproven.share(address(2));
        elsewhere.grow(MIB).unwrap();

        // Something comes of the first one, so the second is idle for longest.
        idle[0].grow(1).unwrap();
        let mut honest = unproven.share(address(1));
        honest.grow(MIB / 2).unwrap();
        honest.grow(MIB / 2).unwrap();
        let told: Vec<_> = idle.iter().map(is_displaced).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(told[1], "{told:?}");

        // It is refused from then on, takes no room of others, and gives none back twice.
        let refused = idle[1].grow(1).unwrap_err();
        assert_eq!(refused.admission_code(), Some(Code::RateLimited));
        assert!(!is_displaced(&idle[2]));
        assert_eq!(unproven.held.lock().of(address(1)), 12 * MIB + 1);

        // A body that is too large for the address displaces none, and is not held.
        let mut greedy = unproven.share(address(1));
        greedy.grow(1).unwrap();
        assert!(greedy.grow(13 * MIB).is_err());
        assert!(!idle[2..].iter().any(is_displaced));
        assert_eq!(unproven.held.lock().of(address(1)), 12 * MIB + 1);

        // Others have no part in it.
        assert!(!is_displaced(&honest) && !is_displaced(&elsewhere));
        drop((idle, honest, greedy, elsewhere));
        assert_eq!(unproven.held.lock().all, 0);
        assert!(unproven.held.lock().by_network.is_empty());
    }
}
