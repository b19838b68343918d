//! What the packet core is told.

use std::net::SocketAddr;

use mesh_model::api::v1::GossipState::Unknown;
use mesh_model::plan::{PeerPlan, Update};
use mesh_model::wire::join::PeerHint;

use crate::world::{BOOT_MS, World, m, own_endpoint, secs, view};

fn set(updates: &[Update]) -> Vec<&PeerPlan> {
    let each = updates.iter().filter_map(|update| match update {
        Update::SetPeer(_, peer) => Some(peer),
        Update::RemovePeer(_) => None,
    });
    each.collect()
}

fn alone(hints: Vec<PeerHint>) -> World {
    let mut world = World::new(0, 1);
    world.boot(m(2), BOOT_MS, view(&[1, 2, 3], 7), hints);
    world
}

#[test]
fn tunnels_come_up_from_the_disk_with_nobody_there() {
    let seen: SocketAddr = "203.0.113.9:4000".parse().expect("an endpoint");
    let world = alone(vec![PeerHint { member: m(1), endpoint: Some(seen), facts: None }]);
    let peers = set(&world.updates[&m(2)]);
    let members: Vec<_> = peers.iter().map(|peer| peer.member).collect();
    assert_eq!(members, [m(1), m(3)]);
    assert_eq!(peers[0].endpoints, [seen]);
    assert_eq!(world.sent, 2, "and everyone is called upon");
    assert_eq!(world.state(m(2), m(1)), Unknown);
}

#[test]
fn announced_endpoints_reach_the_packet_core_and_observed_ones_come_first() {
    let mut world = World::new(2, 1);
    world.run(secs(3));
    let last = |world: &World| set(&world.updates[&m(1)]).last().expect("told").endpoints.clone();
    assert_eq!(last(&world), [own_endpoint(m(2))]);

    let seen: SocketAddr = "203.0.113.9:4000".parse().expect("an endpoint");
    world.with(m(1), |node, now| node.handle_endpoint(m(2), seen, now));
    assert_eq!(last(&world), [seen, own_endpoint(m(2))]);
    let told = world.updates[&m(1)].len();
    world.with(m(1), |node, now| node.handle_endpoint(m(2), seen, now));
    assert_eq!(world.updates[&m(1)].len(), told, "nothing new, nothing told");
    let hints = world.nodes[&m(1)].hints();
    assert_eq!(hints.iter().find(|h| h.member == m(2)).and_then(|h| h.endpoint), Some(seen));
}

#[test]
fn only_changes_of_endpoints_are_told_not_every_revision_of_facts() {
    let mut world = World::new(2, 1);
    world.run(secs(5));
    let told = world.updates[&m(1)].len();
    for applied in 2..6 {
        world.agree(&view(&[1, 2], applied));
        world.run(secs(2));
    }
    assert_eq!(world.updates[&m(1)].len(), told);
}

#[test]
fn a_removed_members_tunnel_goes_and_the_removed_loses_all() {
    let mut world = World::new(3, 1);
    world.run(secs(3));
    world.updates.clear();
    world.agree(&view(&[1, 3], 2));
    let removals = |id| {
        let updates = &world.updates[&m(id)];
        let gone = updates.iter().filter(|u| matches!(u, Update::RemovePeer(_)));
        (gone.count(), updates.len())
    };
    assert_eq!(removals(1), (1, 1));
    assert_eq!(removals(2), (2, 2));
    assert_eq!(world.removed, [m(2)]);
}
