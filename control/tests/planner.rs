//! From the agreed view and heard endpoints to tunnels.

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use fixture::{Host, Log, Mesh};
use mesh_control::planner::{KEEPALIVE, KEPT_ALIVE_MEMBERS, plan};
use mesh_model::plan::{MAX_CANDIDATES, Update};
use mesh_model::view::ClusterView;
use mesh_model::{MemberId, TunnelKey};

const TWO: MemberId = MemberId(3);
const THREE: MemberId = MemberId(4);

/// A mesh of founder, [`TWO`] and [`THREE`].
fn view() -> ClusterView {
    let mesh = Mesh::new(1);
    let ticket = mesh.invite(1, 2);
    let mut log = Log::of(&mesh);
    log.apply(0, ticket.add());
    log.admit(&ticket, &Host::new(1));
    log.admit(&ticket, &Host::new(2));
    log.state.view(4)
}

fn heard(endpoints: &[&str]) -> BTreeMap<MemberId, Vec<SocketAddr>> {
    let endpoints = endpoints.iter().map(|text| text.parse().expect("an endpoint")).collect();
    BTreeMap::from([(TWO, endpoints)])
}

/// The endpoints planned for [`TWO`] when `heard` was heard.
fn planned(texts: &[&str]) -> Vec<String> {
    let plan = plan(&view(), THREE, &heard(texts));
    let peer = plan.peers.values().find(|peer| peer.member == TWO).expect("a peer");
    peer.endpoints.iter().map(ToString::to_string).collect()
}

#[test]
fn every_other_member_is_a_peer_with_its_own_addresses() {
    let view = view();
    let plan = plan(&view, THREE, &heard(&["192.0.2.1:51820"]));
    let members: Vec<_> = plan.peers.values().map(|peer| peer.member).collect();
    assert_eq!(members.len(), 2);
    assert!(members.contains(&MemberId::FOUNDER) && members.contains(&TWO));
    let two = &view.members[&TWO];
    let peer = &plan.peers[&two.tunnel];
    assert_eq!(peer.allowed_ips, two.addrs.host_prefixes());
    assert_eq!(peer.keepalive, Some(KEEPALIVE));
    let founder = &plan.peers[&view.members[&MemberId::FOUNDER].tunnel];
    assert!(founder.endpoints.is_empty(), "nothing was heard of it");
}

#[test]
fn only_a_small_mesh_keeps_idle_tunnels_alive() {
    let mut view = view();
    let founder = view.members[&MemberId::FOUNDER].clone();
    let mut keepalives = |members: usize| {
        for id in 100.. {
            if view.members.len() == members {
                break;
            }
            let mut another = founder.clone();
            another.id = MemberId(id);
            another.tunnel = TunnelKey([id as u8; 32]);
            view.members.insert(another.id, another);
        }
        let plan = plan(&view, THREE, &BTreeMap::new());
        assert_eq!(plan.peers.len(), members - 1);
        plan.peers.into_values().map(|peer| peer.keepalive).collect::<BTreeSet<_>>()
    };
    assert_eq!(keepalives(KEPT_ALIVE_MEMBERS), [Some(KEEPALIVE)].into());
    assert_eq!(keepalives(KEPT_ALIVE_MEMBERS + 1), [None].into());
}

#[test]
fn a_host_that_is_no_member_has_no_tunnels() {
    assert!(plan(&view(), MemberId(99), &BTreeMap::new()).peers.is_empty());
}

#[test]
fn endpoints_keep_their_order_and_come_once() {
    let texts = ["192.0.2.2:1", "[2001:db8::1]:2", "192.0.2.2:1", "[::ffff:192.0.2.2]:1"];
    assert_eq!(planned(&texts), ["192.0.2.2:1", "[2001:db8::1]:2"]);
}

#[test]
fn endpoints_that_cannot_work_are_left_out() {
    let inside = view().members[&TWO].addrs;
    let inside = [format!("{}:51820", inside.v4), format!("[{}]:51820", inside.v6)];
    let useless = [
        "192.0.2.1:0",
        "0.0.0.0:51820",
        "[::]:51820",
        "224.0.0.1:51820",
        "[ff02::1]:51820",
        "255.255.255.255:51820",
        &inside[0],
        &inside[1],
    ];
    assert_eq!(planned(&useless), [""; 0]);
    // A mesh on one machine lives on loopback.
    assert_eq!(planned(&["127.0.0.1:51820"]), ["127.0.0.1:51820"]);
}

#[test]
fn endpoints_are_bounded() {
    let texts: Vec<_> = (1..=40).map(|port| format!("192.0.2.1:{port}")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    assert_eq!(planned(&texts), texts[..MAX_CANDIDATES]);
}

#[test]
fn a_departure_is_one_removal() {
    let (mesh, before) = (Mesh::new(1), view());
    let mut after = before.clone();
    after.members.remove(&TWO);
    let none = BTreeMap::new();
    let updates = plan(&before, THREE, &none).diff(&plan(&after, THREE, &none));
    let tunnel = Host::new(1).record(mesh.id()).tunnel;
    assert_eq!(updates, [Update::RemovePeer(tunnel)]);
}
