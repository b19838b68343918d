//! What the packet core is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_control::node::FAREWELL;
use mesh_model::TunnelKey;
use mesh_model::api::v1::GossipState::{Alive, Unknown};
use mesh_model::plan::{PeerPlan, Update};
use mesh_model::view::{KeyChange, MemberView};
use mesh_model::wire::join::PeerHint;

use crate::world::{BOOT_MS, World, banning, m, own_endpoint, secs, view};

fn set(updates: &[Update]) -> Vec<&PeerPlan> {
    let each = updates.iter().filter_map(|update| match update {
        Update::SetPeer(_, peer) => Some(peer),
        _ => None,
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

/// What `host` tells the packet core to forget.
fn gone(world: &World, host: u64) -> Vec<TunnelKey> {
    let removal = |update: &Update| match update {
        Update::RemovePeer(key) => Some(*key),
        _ => None,
    };
    world.updates.get(&m(host)).into_iter().flatten().filter_map(removal).collect()
}

fn key(member: u64) -> TunnelKey {
    view(&[member], 1).members[&m(member)].tunnel
}

/// A running mesh of `members` whose updates up to now are not looked at.
fn settled(members: u64) -> World {
    let mut world = World::new(members, 1);
    world.run(secs(3));
    world.updates.clear();
    world
}

#[test]
fn a_departed_members_tunnel_stays_for_its_farewell_and_no_longer() {
    for members in [2, 3] {
        let mut world = settled(members);
        let before = world.nodes[&m(1)].plan().clone();
        let rest: Vec<u64> = (1..=members).filter(|id| *id != 2).collect();
        world.agree(&view(&rest, 2));
        world.run(FAREWELL / 2);
        world.agree(&view(&rest, 3));
        world.run(FAREWELL / 2 - Duration::from_millis(1));
        assert_eq!(world.updates.get(&m(1)), None, "the peer stays as it was");
        assert_eq!(*world.nodes[&m(1)].plan(), before);

        world.run(Duration::from_millis(1));
        assert_eq!(world.updates[&m(1)], [Update::RemovePeer(key(2))]);
        world.agree(&view(&rest, 4));
        world.run(FAREWELL * 2);
        assert_eq!(world.updates[&m(1)].len(), 1, "said once");
    }
}

#[test]
fn a_banned_members_tunnel_ends_at_once_and_is_there_again_when_it_is_pardoned() {
    let mut world = settled(3);
    let before = world.nodes[&m(1)].plan().clone();
    let own = world.nodes[&m(2)].plan().clone();
    world.agree(&banning(&[1, 2, 3], &[2], 2));
    for other in [1, 3] {
        assert_eq!(gone(&world, other), [key(2)]);
    }
    // It keeps its own, and is no stranger: who else could tell it that it is pardoned?
    assert_eq!(gone(&world, 2), []);
    assert_eq!(*world.nodes[&m(2)].plan(), own);
    assert_eq!(world.removed, []);
    world.run(secs(20));
    let told: Vec<_> = world.nodes[&m(1)].peers().map(|peer| peer.member).collect();
    assert_eq!(told, [m(3)]);

    world.agree(&view(&[1, 2, 3], 3));
    assert_eq!(*world.nodes[&m(1)].plan(), before, "and where it was is not forgotten");
    world.run(secs(20));
    for (at, other) in [(1, 2), (2, 1), (3, 2)] {
        assert_eq!(world.state(m(at), m(other)), Alive);
    }
}

#[test]
fn an_overdue_farewell_ends_with_the_next_view_and_is_not_said_again() {
    let mut world = settled(3);
    world.agree(&view(&[1, 3], 2));
    world.stall(m(1), FAREWELL * 2);
    world.run(FAREWELL + secs(1));
    assert_eq!(gone(&world, 1), []);
    world.with(m(1), |node, now| node.handle_view(view(&[1, 3], 3), now));
    assert_eq!(gone(&world, 1), [key(2)]);
}

#[test]
fn a_removed_host_loses_all_tunnels_at_once_farewells_included() {
    let mut world = settled(3);
    world.agree(&view(&[1, 3], 2));
    assert_eq!(gone(&world, 2), [key(1), key(3)]);
    assert_eq!(world.removed, [m(2)]);

    world.run(secs(1));
    assert_eq!(gone(&world, 1), []);
    world.agree(&view(&[3], 3));
    assert_eq!(gone(&world, 1), [key(2), key(3)]);
    assert_eq!(world.nodes[&m(1)].poll_timeout(), None);
    // The one that is left still says goodbye to both, each in its time.
    world.run(FAREWELL - secs(1));
    assert_eq!(gone(&world, 3), [key(2)]);
    world.run(secs(1));
    assert_eq!(gone(&world, 3), [key(2), key(1)]);
}

#[test]
fn a_taken_over_address_or_key_ends_the_farewell_at_once() {
    type TakeOver = fn(&mut MemberView, &MemberView);
    let ways: [(TakeOver, &[TunnelKey]); 3] = [
        (|heir, departed| heir.addrs.v4 = departed.addrs.v4, &[key(2)]),
        (|heir, departed| heir.addrs.v6 = departed.addrs.v6, &[key(2)]),
        // The key itself is not forgotten: it stands for somebody else now.
        (|heir, departed| heir.tunnel = departed.tunnel, &[]),
    ];
    for (take_over, forgotten) in ways {
        for pause in [None, Some(FAREWELL / 2)] {
            let mut world = settled(3);
            if let Some(pause) = pause {
                world.agree(&view(&[1, 3], 2));
                world.run(pause);
                assert_eq!(gone(&world, 1), []);
            }
            let mut next = view(&[1, 3, 4], 3);
            let heir = Arc::make_mut(&mut next).members.get_mut(&m(4)).expect("member 4");
            take_over(heir, &view(&[2], 1).members[&m(2)]);
            let heir = heir.clone();
            world.agree(&next);

            assert_eq!(gone(&world, 1), forgotten);
            let told = &world.updates[&m(1)];
            let Some(Update::SetPeer(key, peer)) = told.last() else { panic!("{told:?}") };
            assert_eq!((*key, peer.member), (heir.tunnel, m(4)), "after the removal");
            assert_eq!(peer.allowed_ips, heir.addrs.host_prefixes());
            world.run(FAREWELL * 2);
            assert_eq!(gone(&world, 1), forgotten, "and the heir keeps it");
        }
    }
}

#[test]
fn a_present_member_with_a_new_key_keeps_its_tunnel() {
    let mut world = settled(3);
    let mut next = view(&[1, 2, 3], 2);
    let renewed = TunnelKey([99; 32]);
    Arc::make_mut(&mut next).members.get_mut(&m(2)).expect("member 2").tunnel = renewed;
    world.agree(&next);
    assert_eq!(gone(&world, 1), []);
    let told = &world.updates[&m(1)];
    assert!(told.contains(&Update::RekeyPeer(key(2), renewed)), "{told:?}");
}

#[test]
fn the_key_before_ends_once_its_owner_is_known_to_go_by_the_new_one() {
    let mut world = settled(3);
    let mut next = view(&[1, 2, 3], 2);
    let changed = Arc::make_mut(&mut next).members.get_mut(&m(2)).expect("member 2");
    changed.tunnel = TunnelKey([99; 32]);
    changed.change = Some(KeyChange { serial: 1, before: key(2), at: 2, since_ms: 0 });
    let before = |world: &World| {
        let told = &world.updates[&m(1)];
        let Some(Update::SetPeer(key, peer)) = told.last() else { panic!("{told:?}") };
        assert_eq!(*key, TunnelKey([99; 32]));
        peer.before
    };
    // Member 1 hears of the change before the one whose key it is.
    world.with(m(1), |node, now| node.handle_view(Arc::clone(&next), now));
    world.run(secs(10));
    assert_eq!(before(&world), Some(key(2)));
    world.agree(&next);
    world.run(secs(10));
    assert_eq!(before(&world), None);
    assert_eq!(gone(&world, 1), []);
}
