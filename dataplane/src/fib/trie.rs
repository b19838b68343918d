//! Longest prefix match over the allowed IPs of all peers.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::peers::Slot;

/// Prefixes of both families and who holds them. A prefix has one holder.
///
/// Its size is that of the plan: peers times their allowed IPs, both decided by agreement.
#[derive(Default)]
pub(crate) struct Fib {
    v4: PrefixMap<Ipv4Net, Slot>,
    v6: PrefixMap<Ipv6Net, Slot>,
}

impl Fib {
    /// Gives `prefix` to `peer` and returns who held it before.
    pub(crate) fn insert(&mut self, prefix: IpNet, peer: Slot) -> Option<Slot> {
        match prefix {
            IpNet::V4(net) => self.v4.insert(net, peer),
            IpNet::V6(net) => self.v6.insert(net, peer),
        }
    }

    /// Takes `prefix` from whoever holds it.
    pub(crate) fn remove(&mut self, prefix: IpNet) {
        match prefix {
            IpNet::V4(net) => self.v4.remove(&net),
            IpNet::V6(net) => self.v6.remove(&net),
        };
    }

    /// Who holds the longest prefix that contains `addr`.
    pub(crate) fn lookup(&self, addr: IpAddr) -> Option<Slot> {
        match addr {
            IpAddr::V4(v4) => self.v4.get_lpm(&Ipv4Net::from(v4)).map(|found| *found.1),
            IpAddr::V6(v6) => self.v6.get_lpm(&Ipv6Net::from(v6)).map(|found| *found.1),
        }
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
