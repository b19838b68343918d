//! Views made up for the invariants' own tests.

use std::collections::BTreeMap;

use mesh_model::addr::DEFAULT_IPV4_PREFIX;
use mesh_model::trust::MeshRoot;
use mesh_model::view::{BannedView, ClusterView, MemberView, StateHash};
use mesh_model::{IdentitySecret, MemberId, OverlayAddrs, Prefixes, TunnelSecret};

/// A view of `members` (id and last two IPv4 octets), with a made-up hash.
pub(super) fn view(applied: u64, hash: u8, members: &[(u64, [u8; 2])]) -> ClusterView {
    let key = IdentitySecret::from_seed([1; 32]).public();
    let root = MeshRoot::of(key);
    let prefixes = Prefixes::for_mesh(root.mesh, DEFAULT_IPV4_PREFIX).unwrap();
    let member = |(id, v4): &(u64, [u8; 2])| {
        let id = MemberId(*id);
        let addrs = OverlayAddrs { v4: [100, 88, v4[0], v4[1]].into(), v6: prefixes.ipv6_of(id) };
        let tunnel = TunnelSecret::from_bytes([id.0 as u8; 32]).public();
        let name = format!("h{}", id.0).parse().unwrap();
        let tags = Default::default();
        (id, MemberView { id, name, identity: key, tunnel, addrs, tags, change: None })
    };
    let members = members.iter().map(member).collect();
    let mesh_name = "sim".parse().unwrap();
    let (hash, banned) = (StateHash([hash; 32]), BTreeMap::new());
    let access = None;
    ClusterView { root, mesh_name, prefixes, applied, hash, members, banned, access }
}

/// The same view, with `id` banned for good.
pub(super) fn ban(mut view: ClusterView, id: MemberId) -> ClusterView {
    let member = view.members.remove(&id).unwrap();
    view.banned.insert(
        id,
        BannedView { member, since_ms: 0, until_ms: None, reason: None, exclusion: None },
    );
    view
}
