//! Who is alive, and who finds out when.

use mesh_control::gossip::Drop;
use mesh_model::api::v1::GossipState::{Alive, Dead, Suspect, Unknown};

use crate::world::{BOOT_MS, World, m, secs, view};

#[test]
fn all_are_alive_within_a_second_of_the_start() {
    for seed in 0..10 {
        let mut world = World::new(7, seed);
        world.run(secs(1));
        assert!(world.all(Alive), "seed {seed}");
    }
}

#[test]
fn a_mesh_without_news_does_not_wake_to_pass_news_on() {
    let mut world = World::new(3, 1);
    let mut rounds = |time| {
        let mut seen = false;
        for _ in 0..time * 20 {
            world.run(secs(1) / 20);
            for id in 1..=3 {
                world.with(m(id), |node, _| {
                    seen |= node.poll_timeout().is_some_and(|(_, why)| why == "gossip round");
                });
            }
        }
        seen
    };
    assert!(rounds(2), "all are news to each other");
    rounds(10);
    assert!(!rounds(60));
}

#[test]
fn a_killed_member_is_suspect_then_dead_at_everybody() {
    for seed in 0..20 {
        let mut world = World::new(3, seed);
        world.run(secs(10));
        let killed = world.elapsed();
        world.kill(m(2));
        world.run(secs(15));
        for at in [1, 3] {
            let suspect = world.when(at, 2, Suspect, killed) - killed;
            let dead = world.when(at, 2, Dead, killed) - killed;
            assert!(suspect <= secs(4), "seed {seed}: suspect after {suspect:?}");
            assert!(dead > suspect, "seed {seed}");
            assert!(dead <= secs(8), "seed {seed}: dead after {dead:?}");
        }
        assert!(world.all(Alive), "seed {seed}: the others still are");
    }
}

#[test]
fn a_restarted_member_is_alive_again_in_a_greater_generation() {
    for pause in [0, 2, 20] {
        let mut world = World::new(3, pause);
        world.run(secs(5));
        let generation = |world: &World| {
            let mut peers = world.nodes[&m(1)].peers();
            peers.find(|peer| peer.member == m(2)).expect("present").generation
        };
        let before = generation(&world);
        world.kill(m(2));
        world.run(secs(pause));
        world.boot(m(2), BOOT_MS + 5000 + pause, view(&[1, 2, 3], 1), Vec::new());
        world.run(secs(1));
        assert!(world.all(Alive), "after {pause} s");
        assert!(generation(&world) > before, "after {pause} s");
    }
}

#[test]
fn a_member_whose_clock_went_back_is_alive_again_too() {
    let mut world = World::new(3, 4);
    world.run(secs(5));
    world.kill(m(2));
    world.run(secs(20));
    world.boot(m(2), 1000, view(&[1, 2, 3], 1), Vec::new());
    world.run(secs(2));
    assert!(world.all(Alive));
    world.run(secs(10));
    for at in [1, 3] {
        let peers: Vec<_> = world.nodes[&m(at)].peers().collect();
        let facts = peers.iter().find(|p| p.member == m(2)).and_then(|p| p.facts);
        assert!(facts.expect("known").freshness() > (BOOT_MS, 1));
    }
}

#[test]
fn two_that_lost_sight_of_each_other_meet_again() {
    for members in [2, 5] {
        let mut world = World::new(members, members);
        world.run(secs(5));
        let right: Vec<u64> = (3..=members).collect();
        world.part(&[1], &[2]);
        world.part(&[1, 2], &right);
        world.run(secs(60));
        assert_eq!(world.state(m(1), m(2)), Dead);
        assert_eq!(world.state(m(2), m(1)), Dead);
        world.cut.clear();
        world.run(secs(15));
        assert!(world.all(Alive), "{members} members");
    }
}

#[test]
fn a_fifth_of_all_datagrams_lost_kills_nobody() {
    for seed in 0..6 {
        let mut world = World::new(3 + seed % 3 * 2, seed);
        world.loss = 20;
        world.run(secs(300));
        let dead: Vec<_> = world.verdicts.iter().filter(|v| v.3 == Dead).collect();
        assert!(dead.is_empty(), "seed {seed}: {dead:?}");
        let suspected = world.verdicts.iter().any(|v| v.3 == Suspect);
        assert!(suspected, "seed {seed}: the loss was felt");
        // A refuted suspicion costs an incarnation, never a life.
        for node in world.nodes.values() {
            assert_eq!(node.own().generation, BOOT_MS, "seed {seed}");
        }
    }
}

#[test]
fn a_cut_between_two_of_three_is_bridged_by_the_third() {
    let mut world = World::new(3, 1);
    world.run(secs(3));
    world.part(&[1], &[2]);
    world.run(secs(60));
    assert!(world.verdicts.iter().all(|v| v.3 == Alive), "{:?}", world.verdicts);
}

#[test]
fn a_daemon_that_overslept_blames_nobody() {
    for seed in 0..10 {
        let mut world = World::new(3, seed);
        world.run(secs(5));
        for _ in 0..10 {
            world.stall(m(1), secs(3));
            world.run(secs(7));
        }
        let blamed: Vec<_> =
            world.verdicts.iter().filter(|v| v.1 == m(1) && v.3 != Alive).collect();
        assert!(blamed.is_empty(), "seed {seed}: {blamed:?}");
        let dead = world.verdicts.iter().any(|v| v.3 == Dead);
        assert!(!dead, "seed {seed}: nor did anyone give it up");
    }
}

#[test]
fn a_new_member_is_found_through_the_view_and_a_removed_one_disappears() {
    let mut world = World::new(3, 9);
    world.run(secs(5));
    let grown = view(&[1, 2, 3, 9], 2);
    world.agree(&grown);
    assert_eq!(world.state(m(1), m(9)), Unknown);
    world.boot(m(9), BOOT_MS + 5000, grown, Vec::new());
    world.run(secs(2));
    assert!(world.all(Alive));

    world.agree(&view(&[1, 3, 9], 3));
    assert_eq!(world.removed, [m(2)]);
    world.run(secs(30));
    assert_eq!(world.removed, [m(2)], "said once");
    world.kill(m(2));
    assert!(world.all(Alive));
    for node in world.nodes.values() {
        assert!(node.peers().all(|peer| peer.member != m(2)));
    }
}

#[test]
fn a_removed_member_says_and_hears_nothing_more() {
    let mut world = World::new(3, 9);
    world.run(secs(5));
    world.with(m(2), |node, now| node.handle_view(view(&[1, 3], 2), now));
    let sent = world.sent;
    world.kill(m(1));
    world.kill(m(3));
    assert_eq!(world.nodes[&m(2)].poll_timeout(), None);
    world.with(m(2), |node, now| node.handle_datagram(m(1), &[1], now));
    assert_eq!(world.sent, sent);
    assert_eq!(world.nodes[&m(2)].drops().of(Drop::Removed), 1);
}

#[test]
fn idling_costs_a_few_datagrams_a_second() {
    let mut world = World::new(3, 3);
    world.run(secs(30));
    let before = world.sent;
    world.run(secs(100));
    let per_node_and_second = (world.sent - before) as f64 / 300.0;
    assert!(per_node_and_second < 3.0, "{per_node_and_second}");
}

#[test]
fn one_seed_gives_one_trace() {
    let run = |seed| {
        let mut world = World::new(5, seed);
        world.loss = 10;
        world.run(secs(20));
        world.kill(m(2));
        world.run(secs(20));
        world.boot(m(2), BOOT_MS + 40_000, view(&[1, 2, 3, 4, 5], 1), Vec::new());
        world.run(secs(20));
        (world.trace, world.verdicts)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn early_wakes_change_nothing() {
    let mut world = World::new(3, 5);
    world.run(secs(5));
    let sent = world.sent;
    let wake = world.nodes[&m(1)].poll_timeout();
    for _ in 0..10 {
        world.with(m(1), mesh_control::node::Node::handle_timeout);
    }
    assert_eq!(world.sent, sent);
    assert_eq!(world.nodes[&m(1)].poll_timeout(), wake);
}
