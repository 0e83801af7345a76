//! What belongs to one subscriber: receives an address, hands on the network that is counted as one.

use std::net::IpAddr;

/// The address itself; of IPv6 its first half, for the rest is for whoever has the network to choose.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let first_half = u128::from(address) >> 64 << 64;
            IpAddr::V6(first_half.into())
        }
        v4 => v4,
    }
}
