//! No two members share an overlay address, be they banned or not, all addresses lie in the mesh's prefixes, and an
//! IPv6 address belongs to one member for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use mesh_model::MemberId;
use mesh_model::view::ClusterView;

use super::Violation;

/// See the [module](self).
#[derive(Default)]
pub struct NoAddressTwice {
    for_ever: BTreeMap<Ipv6Addr, MemberId>,
}

impl NoAddressTwice {
    /// Somebody has `view`.
    pub fn check(&mut self, view: &ClusterView) -> Result<(), Violation> {
        let mut taken = BTreeSet::new();
        let banned = view.banned.values().map(|banned| &banned.member);
        for member in view.members.values().chain(banned) {
            let first = *self.for_ever.entry(member.addrs.v6).or_insert(member.id);
            let addrs = [IpAddr::from(member.addrs.v4), IpAddr::from(member.addrs.v6)];
            for addr in addrs {
                let ours = view.prefixes.contains(addr);
                if !ours || !taken.insert(addr) || first != member.id {
                    let message = format!("{addr} of {} at index {}", member.id, view.applied);
                    return Err(Violation::new("no_address_twice", message));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::{ban, view};

    #[test]
    fn an_address_is_one_members() {
        let mut addresses = NoAddressTwice::default();
        addresses.check(&view(4, 1, &[(1, [0, 1]), (3, [0, 2])])).unwrap();
        addresses.check(&view(9, 1, &[(1, [0, 1]), (8, [0, 2])])).unwrap();
        assert!(addresses.check(&view(9, 1, &[(1, [0, 1]), (8, [0, 1])])).is_err());
        let shared = ban(view(9, 1, &[(1, [0, 1]), (8, [0, 1])]), MemberId(8));
        assert!(addresses.check(&shared).is_err(), "one that is banned keeps its own");
    }
}
