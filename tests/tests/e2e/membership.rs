//! Joining and leaving.

use std::collections::BTreeSet;

use mesh_model::api::v1::{DaemonState, GossipState, LeaveReply, Peers, Tunnels};
use mesh_tests::host::INTERFACE;
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{eventually, link, needs_namespaces};

use crate::{LIMIT, alone, assert_reaches, bridged, with_one_supervisor};

#[test]
fn three_hosts_become_one_network() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    lab.wait_equal_state(3).unwrap();

    let statuses = with_one_supervisor(&lab);
    let meshes: BTreeSet<_> = statuses.iter().map(|status| status.mesh).collect();
    assert_eq!(meshes.len(), 1);
    let members: BTreeSet<_> = statuses.iter().map(|status| status.member).collect();
    assert_eq!(members.len(), 3);
    for (host, status) in lab.hosts().iter().zip(&statuses) {
        assert_eq!(status.state, DaemonState::Member);
        assert_eq!(status.name.as_ref().unwrap().as_str(), host.name());
        assert_eq!(status.interface.as_deref(), Some(INTERFACE));
        assert_eq!(status.peers.len(), 2);
        let prefixes = status.prefixes.unwrap();
        let addrs = status.addrs.unwrap();
        assert!(prefixes.contains(addrs.v4.into()) && prefixes.contains(addrs.v6.into()));
    }
    for from in 1..=3 {
        for to in (1..=3).filter(|&to| to != from) {
            assert_reaches(&lab, from, to);
        }
    }
}

#[test]
fn peers_and_tunnels_show_each_other_member() {
    needs_namespaces!();
    let _alone = alone();
    let lab = bridged(3);
    assert_reaches(&lab, 1, 2);
    eventually(SETTLE_LIMIT, "gossip shows both others alive", || {
        let peers: Peers = lab.host(1).mesh().get(&["peers"]).ok()?;
        let alive = peers.peers.iter().filter(|peer| peer.state == GossipState::Alive);
        (alive.count() == 2).then_some(())
    })
    .unwrap();
    let tunnels: Tunnels = lab.host(1).mesh().get(&["tunnels"]).unwrap();
    assert_eq!(tunnels.tunnels.len(), 2);
    let other = lab.host(2).membership().unwrap();
    let to_other = tunnels.tunnels.iter().find(|t| t.member == other.0).unwrap();
    assert!(to_other.established && to_other.rx_bytes > 0 && to_other.tx_bytes > 0);
    assert_eq!(to_other.allowed_ips, other.1.host_prefixes());
    let endpoint = to_other.endpoint.unwrap();
    assert!(lab.host(2).endpoints().contains(&endpoint), "{endpoint}");
}

#[test]
fn a_member_that_leaves_is_gone_for_all_and_may_not_come_back() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(3);
    let token = lab.host(1).invite(2).unwrap().token;
    let before = lab.host(3).membership().unwrap();

    let left: LeaveReply = lab.host(3).mesh().get(&["leave", "--yes"]).unwrap();
    assert_eq!(left.member, before.0);
    assert!(left.index.is_some());
    assert_eq!(lab.host(3).status().unwrap().state, DaemonState::NotJoined);
    assert!(!link::exists(lab.host(3).netns(), INTERFACE).unwrap());
    for number in [1, 2] {
        eventually(SETTLE_LIMIT, "the others agree that it left", || {
            (lab.host(number).status().ok()?.members == 2).then_some(())
        })
        .unwrap();
        let tunnels: Tunnels = lab.host(number).mesh().get(&["tunnels"]).unwrap();
        assert!(tunnels.tunnels.iter().all(|tunnel| tunnel.member != before.0), "{tunnels:?}");
    }
    assert_reaches(&lab, 1, 2);

    // Whoever left starts over as somebody new: new keys, a new id, new addresses.
    lab.host_mut(3).terminate().unwrap();
    lab.host_mut(3).start().unwrap();
    let joined = lab.host(3).join(&token).unwrap();
    assert_ne!(joined.member, before.0);
    assert_ne!(joined.addrs.v6, before.1.v6);
    lab.wait_ready().unwrap();
    assert_reaches(&lab, 3, 1);
}

#[test]
fn a_host_joins_once_and_a_name_is_given_once() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = bridged(2);
    let token = lab.host(1).invite(5).unwrap().token;

    let again = lab.host(2).mesh().run(&["join", &token]).unwrap();
    let error = again.error(exit::FAILED).unwrap();
    assert_eq!(error.code, mesh_model::api::v1::ErrorCode::AlreadyJoined);
    let founder = lab.host(2).mesh().run(&["init"]).unwrap();
    founder.error(exit::FAILED).unwrap();

    let third = lab.add_namespace_host().unwrap();
    lab.host_mut(third).start().unwrap();
    let taken = lab.host(third).mesh().run(&["join", "--name", "n2", &token]).unwrap();
    let error = taken.error(exit::FAILED).unwrap();
    assert!(error.message.contains("n2"), "{error:?}");
    lab.host(third).join(&token).unwrap();
    lab.host(third).wait_for("ready", LIMIT).unwrap();
    assert_reaches(&lab, third, 2);
}
