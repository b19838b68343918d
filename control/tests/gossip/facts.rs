//! What everyone says of itself, and that nobody can say it for another.

use std::sync::Arc;
use std::time::Duration;

use mesh_control::gossip::Drop;
use mesh_model::api::v1::GossipState::Alive;
use mesh_model::facts::Facts;
use mesh_model::{MemberId, MeshId, Signed};

use crate::hostile::{FactsSource, Forged};
use crate::world::{BOOT_MS, World, identity, m, own_endpoint, secs, view};

fn facts_of(world: &World, at: u64, about: u64) -> Option<Facts> {
    let mut peers = world.nodes[&m(at)].peers();
    peers.find(|peer| peer.member == m(about)).expect("present").facts.cloned()
}

fn everyone_knows_everyone(world: &World) -> bool {
    world.nodes.values().all(|node| {
        node.peers().all(|peer| {
            let heard = peer.facts.map(|facts| facts.endpoints.clone());
            heard == Some(vec![own_endpoint(peer.member)])
        })
    })
}

#[test]
fn everyone_knows_everyones_facts_soon() {
    for seed in 0..10 {
        let mut world = World::new(7, seed);
        world.run(secs(3));
        assert!(everyone_knows_everyone(&world), "seed {seed}");
    }
}

/// The facts of `about` as each of the others has heard them by now.
fn heard_of(world: &World, about: u64) -> Vec<Facts> {
    let others = world.nodes.keys().filter(|at| **at != m(about));
    others.filter_map(|at| facts_of(world, at.0, about)).collect()
}

#[test]
fn the_first_that_is_heard_of_a_life_says_where_it_is() {
    for seed in 0..5 {
        let mut world = World::new(3, seed);
        world.run(secs(5));
        world.kill(m(2));
        let reborn = BOOT_MS + 5_000;
        world.boot(m(2), reborn, view(&[1, 2, 3], 1), Vec::new());
        let of_it = |world: &World| {
            let heard = heard_of(world, 2).into_iter();
            heard.filter(|facts| facts.boot_ms == reborn).collect::<Vec<_>>()
        };
        while of_it(&world).len() < 2 {
            world.run(Duration::from_millis(1));
            assert!(world.elapsed() < secs(10), "seed {seed}: it is not heard at all");
            for facts in of_it(&world) {
                assert_eq!(facts.endpoints, [own_endpoint(m(2))], "seed {seed}");
            }
        }
    }
}

#[test]
fn a_large_mesh_and_a_lossy_net_take_a_little_longer() {
    let mut world = World::new(60, 1);
    world.loss = 20;
    world.run(secs(30));
    assert!(everyone_knows_everyone(&world));
}

#[test]
fn a_newcomer_hears_everyones_facts_and_is_heard() {
    let mut world = World::new(5, 2);
    world.run(secs(60));
    let grown = view(&[1, 2, 3, 4, 5, 9], 2);
    world.agree(&grown);
    world.boot(m(9), BOOT_MS + 60_000, grown, Vec::new());
    world.run(secs(3));
    assert!(everyone_knows_everyone(&world));
}

#[test]
fn the_applied_index_spreads_within_seconds_but_writes_do_not_flood() {
    let mut world = World::new(3, 3);
    world.run(secs(10));
    let sent = world.sent;
    for applied in 2..=1001 {
        world.agree(&view(&[1, 2, 3], applied));
        world.run(Duration::from_millis(10));
    }
    let per_node_and_second = (world.sent - sent) / 30;
    assert!(per_node_and_second < 15, "{per_node_and_second}");
    let revision = facts_of(&world, 1, 2).expect("known").revision;
    assert!(revision < 20, "{revision}");
    world.run(secs(3));
    for (at, about) in [(1, 2), (2, 3), (3, 1)] {
        assert_eq!(facts_of(&world, at, about).expect("known").applied, 1001);
    }
}

#[test]
fn who_is_behind_is_everyone_not_known_to_have_applied_that_much() {
    let behind = |world: &World, index| world.nodes[&m(1)].behind(index);
    let mut world = World::new(3, 5);
    assert_eq!(behind(&world, 1), [m(2), m(3)], "nothing was heard yet");
    world.run(secs(3));
    assert!(behind(&world, 1).is_empty());
    assert_eq!(behind(&world, 9), [m(1), m(2), m(3)]);
    world.with(m(1), |node, now| node.handle_view(view(&[1, 2, 3], 9), now));
    world.with(m(3), |node, now| node.handle_view(view(&[1, 2, 3], 9), now));
    world.run(secs(3));
    assert_eq!(behind(&world, 9), [m(2)]);
}

#[test]
fn a_restart_remembers_facts_through_hints() {
    let mut world = World::new(3, 4);
    world.run(secs(5));
    let hints = world.kill(m(2)).hints();
    assert_eq!(hints.len(), 3, "itself included");
    for id in [1, 3] {
        world.kill(m(id));
    }
    world.boot(m(2), 1000, view(&[1, 2, 3], 1), hints);
    assert!(everyone_knows_everyone(&world), "with nobody there to ask");
    let own = world.nodes[&m(2)].own();
    assert!(own.generation > BOOT_MS, "the clock went back, the generation does not");
    assert!(own.facts.expect("published").freshness() > (BOOT_MS, 1));
}

#[test]
fn a_member_whose_clock_went_back_and_that_remembers_nothing_is_told_what_to_outbid() {
    for seed in 0..5 {
        let mut world = World::new(3, seed);
        world.run(secs(5));
        world.kill(m(2));
        world.run(secs(2));
        world.boot(m(2), 1000, view(&[1, 2, 3], 9), Vec::new());
        world.run(secs(60));
        for at in [1, 3] {
            let heard = facts_of(&world, at, 2).expect("known").applied;
            assert_eq!(heard, 9, "by {at}, seed {seed}");
        }
    }
}

/// A world of three and facts that member 3 never made, told by member 2 to member 1.
fn tell(forge: impl FnOnce(Facts) -> FactsSource) -> (World, Facts) {
    let mut world = World::new(3, 6);
    world.run(secs(5));
    let before = facts_of(&world, 1, 3).expect("known");
    let source = forge(before.clone());
    let payload = Forged::facts(source).encode();
    world.with(m(1), |node, now| node.handle_datagram(m(2), &payload, now));
    (world, before)
}

fn sealed(facts: &Facts, by: MemberId) -> FactsSource {
    FactsSource(Signed::seal(facts, &identity(by)))
}

fn newer(facts: Facts) -> Facts {
    Facts { revision: facts.revision + 1, version: "6.6.6".to_owned(), ..facts }
}

#[test]
fn facts_their_owner_signed_are_believed_whoever_tells_them() {
    let (world, _) = tell(|facts| sealed(&newer(facts), m(3)));
    assert_eq!(facts_of(&world, 1, 3).expect("known").version, "6.6.6");
}

#[test]
fn forged_facts_are_refused_and_counted() {
    let other_mesh = |facts| Facts { mesh: MeshId([0; 16]), ..newer(facts) };
    let stale = |facts: Facts| Facts { revision: 0, version: "6.6.6".to_owned(), ..facts };
    let unknown = |facts| Facts { member: m(77), ..newer(facts) };
    let unbounded = |facts| Facts { version: "v".repeat(40), ..newer(facts) };
    let cases: [(Drop, (World, Facts)); 5] = [
        (Drop::FactsForged, tell(|facts| sealed(&newer(facts), m(2)))),
        (Drop::FactsForged, tell(|facts| sealed(&other_mesh(facts), m(3)))),
        (Drop::FactsStale, tell(|facts| sealed(&stale(facts), m(3)))),
        (Drop::FactsUnknownMember, tell(|facts| sealed(&unknown(facts), m(77)))),
        (Drop::FactsMalformed, tell(|facts| sealed(&unbounded(facts), m(3)))),
    ];
    for (reason, (world, before)) in cases {
        assert_eq!(facts_of(&world, 1, 3), Some(before), "{reason:?}");
        assert_eq!(world.nodes[&m(1)].drops().of(reason), 1, "{reason:?}");
    }
}

#[test]
fn facts_of_a_removed_member_are_forgotten() {
    let mut world = World::new(3, 8);
    world.run(secs(5));
    world.agree(&view(&[1, 2], 2));
    world.agree(&view(&[1, 2, 3], 3));
    assert_eq!(facts_of(&world, 1, 3), None);
    assert!(world.nodes[&m(1)].hints().iter().all(|hint| hint.member != m(3)));
}

#[test]
fn honest_meshes_drop_nothing() {
    let mut world = World::new(5, 8);
    world.loss = 10;
    world.run(secs(60));
    world.agree(&view(&[1, 2, 3, 4, 5], 2));
    world.run(secs(60));
    assert!(world.all(Alive));
    for node in world.nodes.values() {
        let dropped: Vec<_> = node.drops().iter().filter(|(_, count)| *count > 0).collect();
        assert!(dropped.iter().all(|(reason, _)| *reason == Drop::FactsStale), "{dropped:?}");
    }
    let _: &Arc<_> = world.nodes[&m(1)].view();
}
