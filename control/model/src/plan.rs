//! What the packet core must do, and the difference between two such plans.
//!
//! The planner in `mesh-control` turns the agreed view and gossip's endpoints into a [`Plan`];
//! [`Plan::diff`] turns two plans into the [`Update`]s that the packet core takes. A plan is always
//! whole, so that a missed update can be repaired by comparing with nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::access::Inbound;
use crate::facts::MAX_ENDPOINTS;
use crate::id::MemberId;
use crate::key::{PresharedKey, TunnelKey};

/// The most endpoints planned and tried for one peer: all that it may announce and, in front of
/// them, the one where it was last seen. What else is remembered of it comes last and is cut.
///
/// Each candidate may cost an initiation to somebody who never asked for one, so whoever lists more
/// is hoping to be used as a reflector.
pub const MAX_CANDIDATES: usize = MAX_ENDPOINTS + 1;

/// One tunnel's peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPlan {
    /// The member behind the key.
    pub member: MemberId,
    /// The key it went by before, which it may go by still; `None` where there was none, or none that counts.
    pub before: Option<TunnelKey>,
    /// Inner sources it may use, and destinations that go to it.
    pub allowed_ips: Vec<IpNet>,
    /// Underlay addresses to try, best first, while no authenticated packet has shown a better one;
    /// at most [`MAX_CANDIDATES`].
    pub endpoints: Vec<SocketAddr>,
    /// Keep NAT mappings open with an empty packet this often; `None` keeps silent when idle.
    pub keepalive: Option<Duration>,
    /// What its handshakes are mixed with from the next one on, besides the keys of both.
    pub preshared: Preshared,
    /// What it may begin with this host.
    pub inbound: Inbound,
}

/// A peer's pre-shared key, and what it is worth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Preshared {
    /// There is none.
    #[default]
    None,
    /// The operator has given it to both: no handshake succeeds without it.
    Fixed(PresharedKey),
    /// The pair agrees on it by itself, and either may lose it: a handshake without it succeeds too, so that the hosts can
    /// speak with each other about the next one.
    Agreed {
        /// The last one, as far as this host knows.
        key: Option<PresharedKey>,
        /// In a session made without it nothing passes but what daemons say to each other.
        is_required: bool,
    },
}

impl From<Option<PresharedKey>> for Preshared {
    fn from(fixed: Option<PresharedKey>) -> Self {
        fixed.map_or(Self::None, Self::Fixed)
    }
}

/// All peers, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The peers.
    pub peers: BTreeMap<TunnelKey, PeerPlan>,
}

/// One step from an old plan to a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// A peer appears, or everything about it but its key changes. Its session survives.
    SetPeer(TunnelKey, PeerPlan),
    /// A peer disappears: its session is wiped and its packets are dropped from now on.
    RemovePeer(TunnelKey),
    /// The operator says that the peer is at this underlay address. Outranks where it was last
    /// heard, until it is heard again. Never part of a plan's difference.
    MovePeer(TunnelKey, SocketAddr),
    /// The peer that went by the first key goes by the second now. Its sessions survive, and it is one and the same peer.
    RekeyPeer(TunnelKey, TunnelKey),
    /// There is a reason to make a new session with the peer now: a handshake is begun. Never part of a plan's difference.
    RenewPeer(TunnelKey),
}

impl Plan {
    /// The updates that lead from `self` to `next`: removals first, so that an allowed IP is free before another
    /// peer takes it. A member under another key than before is the same peer with another key.
    pub fn diff(&self, next: &Self) -> Vec<Update> {
        let gone = self.peers.iter().filter(|(key, _)| !next.peers.contains_key(key));
        let new = next.peers.iter().filter(|(key, _)| !self.peers.contains_key(key));
        let new: BTreeMap<_, _> = new.map(|(key, peer)| (peer.member, *key)).collect();
        let (mut removed, mut rekeyed) = (Vec::new(), Vec::new());
        for (key, peer) in gone {
            match new.get(&peer.member) {
                Some(to) => rekeyed.push(Update::RekeyPeer(*key, *to)),
                None => removed.push(Update::RemovePeer(*key)),
            }
        }
        let changed = next.peers.iter().filter(|(key, peer)| self.peers.get(key) != Some(peer));
        let changed = changed.map(|(key, peer)| Update::SetPeer(*key, peer.clone()));
        removed.into_iter().chain(rekeyed).chain(changed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(member: u64) -> PeerPlan {
        PeerPlan {
            member: MemberId(member),
            before: None,
            allowed_ips: Vec::new(),
            endpoints: Vec::new(),
            keepalive: None,
            preshared: Preshared::None,
            inbound: Inbound::Everything,
        }
    }

    fn plan(peers: &[(u8, u64)]) -> Plan {
        Plan {
            peers: peers
                .iter()
                .map(|(key, member)| (TunnelKey([*key; 32]), peer(*member)))
                .collect(),
        }
    }

    #[test]
    fn a_diff_holds_exactly_what_changed_removals_first() {
        let updates = plan(&[(1, 1), (2, 2), (3, 3)]).diff(&plan(&[(1, 1), (2, 9), (4, 4)]));
        assert_eq!(
            updates,
            [
                Update::RemovePeer(TunnelKey([3; 32])),
                Update::SetPeer(TunnelKey([2; 32]), peer(9)),
                Update::SetPeer(TunnelKey([4; 32]), peer(4)),
            ]
        );
    }

    #[test]
    fn a_member_with_another_key_is_the_same_peer() {
        let updates = plan(&[(1, 1), (5, 2), (6, 3)]).diff(&plan(&[(1, 1), (2, 2)]));
        assert_eq!(
            updates,
            [
                Update::RemovePeer(TunnelKey([6; 32])),
                Update::RekeyPeer(TunnelKey([5; 32]), TunnelKey([2; 32])),
                Update::SetPeer(TunnelKey([2; 32]), peer(2)),
            ]
        );
    }

    #[test]
    fn equal_plans_need_no_update() {
        assert_eq!(plan(&[(1, 1)]).diff(&plan(&[(1, 1)])), []);
    }
}
