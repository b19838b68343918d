//! Members, views and wires for this crate's tests.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh_model::addr::DEFAULT_IPV4_PREFIX;
use mesh_model::trust::{Genesis, MemberRecord, MeshRoot, Name};
use mesh_model::view::{ClusterView, MemberView, StateHash};
use mesh_model::{IdentitySecret, MemberId, OverlayAddrs, Prefixes, Signed, TunnelSecret};
use tokio::sync::mpsc;

use super::quic_socket::{Inbound, VirtualSocket};
use super::tls::TlsIdentity;

/// Member `id`'s identity; every number has its own.
pub(crate) fn identity(id: u8) -> IdentitySecret {
    IdentitySecret::from_seed([id; 32])
}

/// Member `id`'s identity in TLS's form.
pub(crate) fn tls(id: u8) -> TlsIdentity {
    TlsIdentity::new(&identity(id)).expect("an identity fits TLS")
}

/// Member `id`'s WireGuard secret.
pub(crate) fn tunnel(id: u8) -> TunnelSecret {
    TunnelSecret::from_bytes([id; 32])
}

/// The test mesh's root.
pub(crate) fn root() -> MeshRoot {
    MeshRoot::of(identity(200).public())
}

/// Member `id` as it enters.
pub(crate) fn record(id: u8) -> MemberRecord {
    MemberRecord {
        mesh: root().mesh,
        name: format!("n{id}").parse().expect("a name"),
        identity: identity(id).public(),
        tunnel: tunnel(id).public(),
    }
}

/// How the test mesh began: member 1 founded it.
pub(crate) fn genesis() -> Signed<Genesis> {
    let genesis = Genesis {
        root: root(),
        name: "test".parse().expect("a name"),
        prefixes: prefixes(),
        founder: record(1),
        created_ms: 0,
    };
    Signed::seal(&genesis, &identity(200))
}

/// The test mesh's prefixes.
pub(crate) fn prefixes() -> Prefixes {
    Prefixes::for_mesh(root().mesh, DEFAULT_IPV4_PREFIX).expect("the default serves")
}

/// Member `id`'s overlay addresses.
pub(crate) fn addrs(id: u8) -> OverlayAddrs {
    OverlayAddrs { v4: [100, 88, 0, id].into(), v6: prefixes().ipv6_of(MemberId(u64::from(id))) }
}

/// A view in which `ids` are the members.
pub(crate) fn view(ids: &[u8]) -> Arc<ClusterView> {
    let members = ids.iter().map(|&id| {
        let member = MemberView {
            id: MemberId(u64::from(id)),
            name: format!("n{id}").parse::<Name>().expect("a name"),
            identity: identity(id).public(),
            tunnel: tunnel(id).public(),
            addrs: addrs(id),
            tags: Default::default(),
            change: None,
        };
        (member.id, member)
    });
    Arc::new(ClusterView {
        root: root(),
        mesh_name: "test".parse().expect("a name"),
        prefixes: prefixes(),
        applied: 1,
        hash: StateHash([0; 32]),
        members: members.collect::<BTreeMap<_, _>>(),
        banned: BTreeMap::new(),
        access: None,
    })
}

/// Two sockets, each other's only partner.
pub(crate) fn wire(
    one: SocketAddr,
    two: SocketAddr,
    capacity: usize,
) -> (Arc<VirtualSocket<Inbound>>, Arc<VirtualSocket<Inbound>>) {
    let (to_one, from_two) = mpsc::channel(capacity);
    let (to_two, from_one) = mpsc::channel(capacity);
    let end = |own, inbound, outbound| {
        let wrap = move |_, payload: &[u8]| Some(Inbound { from: own, payload: payload.to_vec() });
        VirtualSocket::new(own, inbound, outbound, Box::new(wrap))
    };
    (end(one, from_two, to_two), end(two, from_one, to_one))
}

/// Says that the calling test did not run, also in the file that `scripts/verify` counts from; see
/// `mesh_tests::rights`.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: {reason}\n", thread.name().unwrap_or(module_path!()));
    eprint!("{line}");
    let log = std::env::var_os("MESH_SKIP_LOG");
    let log = log.and_then(|log| OpenOptions::new().create(true).append(true).open(log).ok());
    if let Some(mut log) = log {
        // A lost note must not fail a test that could not run anyway.
        let _ = log.write_all(line.as_bytes());
    }
}
