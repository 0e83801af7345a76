//! Bodies of senders who prove with the body who they are: receives how much of each is held in memory,
//! and tells when it is too much. It knows no client, and so treats one that exists like one that does not.
//!
//! An address may hold a quarter of what it leaves free. So one that takes all it can get has a fifth of the
//! whole, each further one less, and none of them takes the last: whoever comes new finds room for a body that
//! is not too large.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

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

/// What is held of such bodies.
pub(super) struct Unproven {
    most: usize,
    held: Mutex<Held>,
    lines: Lines,
}

#[derive(Default)]
struct Held {
    all: usize,
    /// Only addresses that hold something.
    by_network: HashMap<Option<IpAddr>, usize>,
}

/// What is held of one body, until this is dropped.
pub(super) struct Share<'u> {
    unproven: &'u Unproven,
    network: Option<IpAddr>,
    bytes: usize,
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
            bytes: 0,
        }
    }
}

impl Share<'_> {
    /// So many bytes more are there.
    ///
    /// # Errors
    /// When that is too much for the moment.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        // An entry is there only for what is held.
        if bytes == 0 {
            return Ok(());
        }
        let mut held = self.unproven.held.lock();
        let held = &mut *held;
        let free = self.unproven.most.saturating_sub(held.all);
        let own = held.by_network.get(&self.network).copied();
        let own = own.unwrap_or(0).saturating_add(bytes);
        let is_modest = own.saturating_mul(PARTS_FREE) <= free.saturating_sub(bytes);
        if !is_modest {
            return Err(self.refused());
        }
        held.by_network.insert(self.network, own);
        held.all += bytes;
        self.bytes += bytes;
        Ok(())
    }

    fn refused(&self) -> Problem {
        if let Some(left_out) = self.unproven.lines.next() {
            let network = self.network.map(tracing::field::display);
            tracing::warn!(
                network,
                left_out,
                "refused a body: too much is held of senders who have yet to prove who they are"
            );
        }
        let message = "too much is being received of senders who have yet to prove who they are; send it \
                       again after Retry-After";
        let rejection = Rejection::new(Code::RateLimited, message);
        rejection.with_retry_after(RETRY).into()
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.unproven.held.lock();
        held.all -= self.bytes;
        if let Some(own) = held.by_network.get_mut(&self.network) {
            *own -= self.bytes;
            if *own == 0 {
                held.by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn address(number: u32) -> Option<IpAddr> {
        Some(std::net::Ipv4Addr::from(number).into())
    }

    /// Takes bodies of 1 MiB from an address until one is refused; how many it got.
    fn flood<'u>(unproven: &'u Unproven, from: Option<IpAddr>, kept: &mut Vec<Share<'u>>) -> usize {
        let shares = std::iter::repeat_with(|| unproven.share(from));
        let grown = shares.map_while(|mut share| share.grow(MIB).is_ok().then_some(share));
        let before = kept.len();
        kept.extend(grown);
        kept.len() - before
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
        assert!(unproven.share(None).grow(100 * MIB).is_err());
    }
}
