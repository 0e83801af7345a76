//! How many connections there may be: receives addresses, hands on places, each held for as long as
//! its socket is open. Bounded altogether, and for each address; of IPv6, for each network.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admission::network;

/// How many connections of one listener are open.
#[derive(Debug, Clone, Default)]
pub(in crate::ingress) struct Open(Arc<AtomicUsize>);

/// Every place of one listener.
pub(super) struct Places {
    all: u32,
    open: Open,
    free: Arc<Semaphore>,
    peers: Arc<Peers>,
}

/// Open connections by the network of the other end.
struct Peers {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A place for one connection, until it is dropped.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    open: Open,
    of_peer: Option<(Arc<Peers>, IpAddr)>,
}

impl Places {
    /// So many places, and so many of them for one address. Connections from this machine itself
    /// only count among all: a proxy on it speaks for many. `open` is told how many are open.
    pub(super) fn new(all: usize, for_peer: usize, open: Open) -> Self {
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        Self {
            all,
            open,
            free: Arc::new(Semaphore::new(usize::try_from(all).unwrap_or(usize::MAX))),
            peers: Arc::new(Peers {
                most: for_peer,
                open: Mutex::default(),
            }),
        }
    }

    /// Waits until one is free.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// Gives a free one to a connection; `None` when its address has as many as it may.
    pub(super) fn give(&self, free: OwnedSemaphorePermit, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let of_peer = match peer.is_loopback() {
            true => None,
            false => {
                let network = network(peer);
                Some((self.peers.enter(network)?, network))
            }
        };
        self.open.0.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            _of_all: free,
            open: self.open.clone(),
            of_peer,
        })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        let all = usize::try_from(self.all).unwrap_or(usize::MAX);
        all.saturating_sub(self.free.available_permits())
    }

    /// Waits until every place is free again.
    pub(super) async fn emptied(&self) {
        // It is never closed, so the only way out is the one that is waited for.
        let _ = self.free.acquire_many(self.all).await;
    }
}

impl Peers {
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Arc<Self>> {
        let mut open = self.open.lock();
        let count = open.entry(peer).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(self.clone())
    }

    fn leave(&self, peer: IpAddr) {
        if let Entry::Occupied(mut count) = self.open.lock().entry(peer) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Open {
    pub(in crate::ingress) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.0.fetch_sub(1, Ordering::Relaxed);
        if let Some((peers, peer)) = &self.of_peer {
            peers.leave(*peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_no_more_places_than_it_may() {
        let places = Places::new(10, 2, Open::default());
        let enter = async |address: &str| {
            let free = places.next().await.unwrap();
            places.give(free, address.parse().unwrap())
        };
        let first = enter("192.0.2.1").await.unwrap();
        let _second = enter("::ffff:192.0.2.1").await.unwrap();
        assert!(enter("192.0.2.1").await.is_none());
        assert!(enter("192.0.2.2").await.is_some());
        drop(first);
        assert!(enter("192.0.2.1").await.is_some());
        assert_eq!((places.taken(), places.open.count()), (1, 1));
        assert_eq!(places.peers.open.lock().len(), 1);
    }

    #[tokio::test]
    async fn a_network_of_ipv6_has_no_more_places_than_an_address() {
        let places = Places::new(10, 2, Open::default());
        let enter = async |address: &str| {
            let free = places.next().await.unwrap();
            places.give(free, address.parse().unwrap())
        };
        let first = enter("2001:db8::1").await.unwrap();
        let _second = enter("2001:db8::2").await.unwrap();
        assert!(enter("2001:db8::ffff:0:0:1").await.is_none());
        assert!(enter("2001:db8:0:1::1").await.is_some());
        drop(first);
        assert!(enter("2001:db8::3").await.is_some());
        assert!(enter("::1").await.is_some(), "this machine");
    }

    #[tokio::test]
    async fn this_machine_counts_among_all_only() {
        let places = Places::new(5, 1, Open::default());
        let mut held = Vec::new();
        for _ in 0..5 {
            let free = places.next().await.unwrap();
            held.push(places.give(free, IpAddr::from([127, 0, 0, 1])).unwrap());
        }
        assert_eq!(places.taken(), 5);
        held.clear();
        places.emptied().await;
    }
}
