//! Longest prefix match over the allowed IPs of all peers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ranges::Ranges;
use crate::peers::Slot;

/// Prefixes of both families and who holds them. A prefix has one holder.
///
/// Its size is that of the plan. A mesh's is agreed on: a few prefixes for each of ten thousand members at
/// most. A plain device's is what its operator asks for: at most
/// [`MAX_ALLOWED_IPS`](mesh_model::uapi::MAX_ALLOWED_IPS) for each of
/// [`MAX_PEERS`](mesh_model::uapi::MAX_PEERS), which is more than memory holds, as with every WireGuard.
#[derive(Default)]
pub(crate) struct Fib {
    v4: BTreeMap<Ipv4Net, Slot>,
    v6: BTreeMap<Ipv6Net, Slot>,
    /// The same laid out for look-ups; made anew by the first look-up after a change, so that a
    /// thousand changes cost one layout.
    flat: Option<Flat>,
}

struct Flat {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl Fib {
    /// Gives `prefix` to `peer` and returns who held it before.
    pub(crate) fn insert(&mut self, prefix: IpNet, peer: Slot) -> Option<Slot> {
        self.flat = None;
        match prefix {
            IpNet::V4(net) => self.v4.insert(net.trunc(), peer),
            IpNet::V6(net) => self.v6.insert(net.trunc(), peer),
        }
    }

    /// Takes `prefix` from whoever holds it.
    pub(crate) fn remove(&mut self, prefix: IpNet) {
        self.flat = None;
        match prefix {
            IpNet::V4(net) => self.v4.remove(&net.trunc()),
            IpNet::V6(net) => self.v6.remove(&net.trunc()),
        };
    }

    /// Who holds the longest prefix that contains `addr`.
    #[inline]
    pub(crate) fn lookup(&mut self, addr: IpAddr) -> Option<Slot> {
        let Self { v4, v6, flat } = self;
        let flat = flat.get_or_insert_with(|| Flat::new(v4, v6));
        match addr {
            IpAddr::V4(v4) => flat.v4.holder(v4.to_bits()),
            IpAddr::V6(v6) => flat.v6.holder(v6.to_bits()),
        }
    }
}

impl Flat {
    /// The maps are in order of first address, wider prefixes first.
    fn new(v4: &BTreeMap<Ipv4Net, Slot>, v6: &BTreeMap<Ipv6Net, Slot>) -> Self {
        let v4 = v4.iter().map(|(net, peer)| {
            (Ipv4Addr::to_bits(net.network())..=Ipv4Addr::to_bits(net.broadcast()), *peer)
        });
        let v6 = v6.iter().map(|(net, peer)| {
            (Ipv6Addr::to_bits(net.network())..=Ipv6Addr::to_bits(net.broadcast()), *peer)
        });
        Self { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_prefix_wins_in_both_families() {
        let mut fib = Fib::default();
        for (prefix, slot) in [
            ("0.0.0.0/0", 0),
            ("10.0.0.0/8", 1),
            ("10.1.0.0/16", 2),
            ("10.1.2.3/32", 3),
            ("fd00::/8", 4),
            ("fd00::1/128", 5),
        ] {
            assert_eq!(fib.insert(net(prefix), Slot(slot)), None);
        }
        for (addr, slot) in [
            ("192.0.2.1", Some(0)),
            ("10.9.9.9", Some(1)),
            ("10.1.9.9", Some(2)),
            ("10.1.2.3", Some(3)),
            ("fd12::1", Some(4)),
            ("fd00::1", Some(5)),
            ("2001:db8::1", None),
        ] {
            assert_eq!(fib.lookup(addr.parse().unwrap()), slot.map(Slot), "{addr}");
        }
        fib.remove(net("10.1.2.3/32"));
        assert_eq!(fib.lookup("10.1.2.3".parse().unwrap()), Some(Slot(2)));
    }

    #[test]
    fn the_ends_of_the_address_space_are_in_it() {
        let mut fib = Fib::default();
        for (slot, prefix) in
            ["0.0.0.0/32", "255.0.0.0/8", "255.255.255.255/32", "::/0", "ffff::/16"]
                .iter()
                .enumerate()
        {
            fib.insert(net(prefix), Slot(slot as u32));
        }
        for (addr, slot) in [
            ("0.0.0.0", Some(0)),
            ("0.0.0.1", None),
            ("254.255.255.255", None),
            ("255.0.0.0", Some(1)),
            ("255.255.255.254", Some(1)),
            ("255.255.255.255", Some(2)),
            ("::", Some(3)),
            ("fffe::", Some(3)),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(4)),
        ] {
            assert_eq!(fib.lookup(addr.parse().unwrap()), slot.map(Slot), "{addr}");
        }
    }

    fn small_net() -> impl Strategy<Value = Ipv4Net> {
        // A small corner of the address space, so that prefixes nest and meet.
        (0u32..64, 24u8..=32)
            .prop_map(|(host, len)| Ipv4Net::new((0x0a00_0000 | host).into(), len).unwrap())
    }

    proptest! {
        #[test]
        fn agrees_with_a_linear_search(nets in prop::collection::vec(small_net(), 0..20), host in 0u32..64) {
            let mut fib = Fib::default();
            let mut list: Vec<(Ipv4Net, Slot)> = Vec::new();
            for (n, prefix) in nets.into_iter().enumerate() {
                let slot = Slot(n as u32);
                fib.insert(prefix.into(), slot);
                list.retain(|(held, _)| held.trunc() != prefix.trunc());
                list.push((prefix, slot));
            }
            let addr = std::net::Ipv4Addr::from(0x0a00_0000 | host);
            let expected = list
                .iter()
                .filter(|(net, _)| net.contains(&addr))
                .max_by_key(|(net, _)| net.prefix_len())
                .map(|(_, slot)| *slot);
            prop_assert_eq!(fib.lookup(addr.into()), expected);
        }
    }
}
