//! Which IPv4 address a newcomer gets.
//!
//! Addresses are handed out in order, from the first host of the prefix to the last and then round
//! again, skipping those in use. A member keeps its address while it is a member, and the address of
//! one that left stays unused until the walk comes round: packets, caches and access lists that
//! still mean the old owner have died out by then.
//!
//! IPv6 needs none of this: an address is the member's id, which is never given twice.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// Where the walk through the prefix stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipam {
    /// The next host to try, counted from 0 for the address after the network address.
    next: u32,
}

impl Ipam {
    /// The next free host of `prefix`, or `None` when all are `taken`.
    ///
    /// Takes at most one step per address in `taken`, so a /8 costs no more than a /24.
    pub(super) fn allocate(
        &mut self,
        prefix: Ipv4Net,
        taken: &BTreeSet<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let hosts = host_count(prefix);
        if hosts == 0 {
            return None;
        }
        let start = self.next % hosts;
        for step in 0..hosts {
            let host = (u64::from(start) + u64::from(step)) % u64::from(hosts);
            let host = u32::try_from(host).expect("a remainder of a u32 fits");
            let addr = host_addr(prefix, host);
            if !taken.contains(&addr) {
                self.next = (host + 1) % hosts;
                return Some(addr);
            }
        }
        None
    }
}

/// A free address of `range`, a part of `prefix`, or `None` when all are `taken`. `spent` addresses of it were given out
/// under the same invite: like the walk, it goes on where it stood, so an address that was given up rests.
pub(super) fn allocate_within(
    range: Ipv4Net,
    prefix: Ipv4Net,
    spent: u32,
    taken: &BTreeSet<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    // A range of one or two addresses has no network and no broadcast address of its own.
    let whole = range.prefix_len() >= 31;
    let size = u32::try_from(1u64 << (32 - u32::from(range.prefix_len()))).unwrap_or(u32::MAX);
    let (first, count) = if whole { (0, size) } else { (1, size - 2) };
    // One more than are taken, and than can be no hosts of the prefix, are enough to find one.
    let tries = count.min(u32::try_from(taken.len()).unwrap_or(u32::MAX).saturating_add(3));
    (0..tries)
        .map(|step| (u64::from(spent) + u64::from(step)) % u64::from(count))
        .map(|at| u32::try_from(at).expect("a remainder of a u32 fits"))
        .map(|at| Ipv4Addr::from(u32::from(range.network()).wrapping_add(first).wrapping_add(at)))
        .find(|addr| is_host(prefix, *addr) && !taken.contains(addr))
}

/// How many hosts `prefix` has, its network and broadcast addresses not counted.
pub(super) fn host_count(prefix: Ipv4Net) -> u32 {
    let bits = u32::from(32 - prefix.prefix_len());
    let addresses = 1u64 << bits;
    u32::try_from(addresses.saturating_sub(2)).unwrap_or(u32::MAX)
}

/// Host `host`, counted from 0. Wraps for a host beyond the prefix, which no caller asks for.
fn host_addr(prefix: Ipv4Net, host: u32) -> Ipv4Addr {
    let network = u32::from(prefix.network());
    Ipv4Addr::from(network.wrapping_add(host).wrapping_add(1))
}

/// Whether `addr` is one that [`Ipam`] hands out from `prefix`.
pub(super) fn is_host(prefix: Ipv4Net, addr: Ipv4Addr) -> bool {
    prefix.contains(&addr) && addr != prefix.network() && addr != prefix.broadcast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a prefix")
    }

    #[test]
    fn a_30_has_two_hosts_and_then_none() {
        let (mut ipam, mut taken) = (Ipam::default(), BTreeSet::new());
        for expected in ["10.0.0.1", "10.0.0.2"] {
            let addr = ipam.allocate(net("10.0.0.0/30"), &taken).expect("free");
            assert_eq!(addr.to_string(), expected);
            taken.insert(addr);
        }
        assert_eq!(ipam.allocate(net("10.0.0.0/30"), &taken), None);
    }

    #[test]
    fn a_freed_address_waits_for_the_walk_to_come_round() {
        let (mut ipam, taken) = (Ipam::default(), BTreeSet::new());
        let given: Vec<_> =
            (0..7).map(|_| ipam.allocate(net("10.0.0.0/29"), &taken).expect("free")).collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 6);
        assert_eq!(given[6], given[0]);
    }

    #[test]
    fn a_range_is_used_up_in_order_and_goes_round() {
        let (prefix, mut taken) = (net("10.0.0.0/24"), BTreeSet::new());
        let next = |spent, taken: &BTreeSet<Ipv4Addr>| {
            allocate_within(net("10.0.0.8/29"), prefix, spent, taken).map(|addr| addr.to_string())
        };
        for spent in 0..6 {
            let addr = next(spent, &taken).expect("free");
            assert_eq!(addr, format!("10.0.0.{}", 9 + spent));
            taken.insert(addr.parse().expect("an address"));
        }
        assert_eq!(next(6, &taken), None);
        taken.remove(&"10.0.0.11".parse().expect("an address"));
        assert_eq!(next(6, &taken), Some("10.0.0.11".to_owned()));
        taken.remove(&"10.0.0.9".parse().expect("an address"));
        assert_eq!(next(8, &taken), Some("10.0.0.11".to_owned()), "from where it stood");
        let none = BTreeSet::new();
        let only = |range, spent| allocate_within(net(range), prefix, spent, &none);
        assert_eq!(only("10.0.0.77/32", 5), Some([10, 0, 0, 77].into()));
        assert_eq!(only("10.0.0.0/32", 0), None, "the mesh's network address");
        assert_eq!(only("10.0.0.254/31", 1), Some([10, 0, 0, 254].into()));
        assert_eq!(only("10.0.0.0/24", 253), Some([10, 0, 0, 254].into()));
    }

    #[test]
    fn prefixes_at_both_ends_of_the_scale_have_an_answer() {
        let none = BTreeSet::new();
        for text in ["10.0.0.0/31", "10.0.0.0/32"] {
            assert_eq!(Ipam::default().allocate(net(text), &none), None);
        }
        let mut ipam = Ipam { next: u32::MAX };
        assert!(ipam.allocate(net("0.0.0.0/0"), &none).is_some());
        assert!(ipam.allocate(net("255.255.255.252/30"), &none).is_some());
    }
}
