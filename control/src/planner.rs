//! What follows from the agreed view for this host's tunnels.
//!
//! Pure: the same view and the same endpoints give the same plan. A peer's key, its id and its
//! addresses are agreed; where it can be reached is hearsay from gossip, so an endpoint that could
//! never work, or would send tunnel packets into the tunnel, is left out here. What a peer may begin with this host
//! follows from the agreed policy ([`crate::access`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mesh_model::plan::{MAX_CANDIDATES, PeerPlan, Plan, Preshared};
use mesh_model::view::{ClusterView, MemberView};
use mesh_model::{MemberId, Prefixes};

use crate::access::Doorway;

/// How often an idle tunnel says something, so that NATs and firewalls on the way keep its mapping.
///
/// RFC 4787 REQ-5 asks for mappings that live two minutes and allows less; devices at 30 s are
/// common. 25 s stays below those and is what WireGuard deployments use.
pub const KEEPALIVE: Duration = Duration::from_secs(25);

/// The most members of a mesh in which every tunnel is kept alive.
///
/// A keepalive opens the tunnel that it keeps, so this is what all pairs cost: with 31 peers each
/// host sends 31 packets of 32 bytes every 25 s and a handshake about every 4 s. Beyond it that
/// grows with the mesh while what a host talks about does not, and tunnels come and go on demand.
pub const KEPT_ALIVE_MEMBERS: usize = 32;

/// The tunnels member `me` shall have: one to every other member, reachable at `endpoints` (best
/// first). None at all once `me` is no member. A host that is banned keeps its own: nobody answers, but the
/// one that first pardons it must find it.
pub fn plan(
    view: &ClusterView,
    me: MemberId,
    endpoints: &BTreeMap<MemberId, Vec<SocketAddr>>,
) -> Plan {
    if !view.has_place(me) {
        return Plan::default();
    }
    let keepalive = (view.members.len() <= KEPT_ALIVE_MEMBERS).then_some(KEEPALIVE);
    let others = view.members.values().filter(|member| member.id != me);
    let mut doorway = Doorway::of(view, me);
    let peer = |member: &MemberView| {
        let heard = endpoints.get(&member.id).map(Vec::as_slice).unwrap_or_default();
        let peer = PeerPlan {
            member: member.id,
            before: member.change.map(|change| change.before),
            allowed_ips: member.addrs.host_prefixes().to_vec(),
            endpoints: usable(heard, &view.prefixes),
            keepalive,
            preshared: Preshared::None,
            inbound: doorway.inbound(member),
        };
        (member.tunnel, peer)
    };
    Plan { peers: others.map(peer).collect() }
}

/// The first [`MAX_CANDIDATES`] of `heard` that a datagram can go to, each once.
fn usable(heard: &[SocketAddr], prefixes: &Prefixes) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    heard
        .iter()
        .map(|endpoint| canonical(*endpoint))
        .filter(|endpoint| can_be_sent_to(*endpoint, prefixes) && seen.insert(*endpoint))
        .take(MAX_CANDIDATES)
        .collect()
}

/// An IPv4 endpoint written as IPv6 (RFC 4291, section 2.5.5.2) is an IPv4 endpoint. Others stay as
/// they are, scope of a link-local address included.
fn canonical(endpoint: SocketAddr) -> SocketAddr {
    match endpoint.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, endpoint.port())),
        IpAddr::V6(_) => endpoint,
    }
}

fn can_be_sent_to(endpoint: SocketAddr, prefixes: &Prefixes) -> bool {
    let ip = endpoint.ip();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    endpoint.port() != 0
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && !broadcast
        && !prefixes.contains(ip)
}
