//! Leaders that are gone, or hear nobody, and how soon others take over: soon where lines are short, and not for nothing
//! where they are long.

use std::time::Duration;

use mesh_control::raft::Timing;
use mesh_model::MemberId;
use tokio::time::{Instant, sleep, timeout};

use crate::world::{World, in_virtual_time};

/// How long the next leader may take to be there and agree on something, where lines are short: the longest silence, two
/// questions for votes and what each change of roles still has to send.
fn soon() -> Duration {
    Timing::default().election_max + Duration::from_millis(150)
}

/// Somebody other than `member`.
fn another(world: &World, member: MemberId) -> MemberId {
    *world.running().iter().find(|id| **id != member).expect("another")
}

#[test]
fn who_writes_when_the_leader_has_just_died_is_answered_by_the_next_one() {
    for seed in 60..70 {
        in_virtual_time(move || async move {
            let world = World::of(3, seed).await;
            let leader = world.leader().await;
            let at = another(&world, leader);
            // Some time between two heartbeats.
            sleep(Duration::from_millis(13 * u64::from(seed))).await;
            world.vanish(leader).await;
            let begun = Instant::now();
            world.propose(at, world.filler()).await.expect("agreed");
            let took = begun.elapsed();
            assert!(took < soon(), "{took:?} with seed {seed}");
        });
    }
}

#[test]
fn voters_far_apart_keep_their_leader_on_lossy_lines_and_replace_one_that_is_gone() {
    for (seed, travel_ms) in [(71, 100), (72, 150), (73, 200)] {
        in_virtual_time(move || async move {
            let travel = Duration::from_millis(travel_ms);
            let world = World::across(travel, 3, seed).await;
            let leader = world.leader().await;
            // They have to hear it for a while to know what is usual.
            sleep(Duration::from_secs(10)).await;
            let term = world.status(leader).leadership.term;
            world.lose_one(9);
            sleep(Duration::from_secs(600)).await;
            world.lose_one(0);
            assert_eq!(world.status(leader).leadership.term, term, "{travel_ms} ms apart");
            world.vanish(leader).await;
            let at = another(&world, leader);
            let replaced =
                |world: &World| world.status(at).leadership.leader.is_some_and(|now| now != leader);
            world.until("another leader", replaced).await;
            world.propose(at, world.filler()).await.expect("agreed");
        });
    }
}

#[test]
fn a_leader_that_hears_nobody_is_replaced_even_while_it_tries_to_get_something_agreed() {
    in_virtual_time(|| async {
        let world = World::of(3, 74).await;
        let leader = world.leader().await;
        let at = another(&world, leader);
        world.deafen(leader);
        let busy = async {
            loop {
                // In vain, and again and again: each try is a word of the leader to the others.
                let _ =
                    timeout(Duration::from_millis(50), world.propose(leader, world.filler())).await;
            }
        };
        let next = world.until("the others agree on another leader", |world| {
            world.status(at).leadership.leader.is_some_and(|now| now != leader)
        });
        let replaced = timeout(2 * Timing::default().recent + soon(), next);
        tokio::select! {
            biased;
            replaced = replaced => replaced.expect("in time"),
            () = busy => {}
        }
    });
}

#[test]
fn a_voter_that_only_misses_the_leader_deposes_nobody() {
    for seed in 75..80 {
        in_virtual_time(move || async move {
            let world = World::of(3, seed).await;
            let leader = world.leader().await;
            let term = world.status(leader).leadership.term;
            let misses = another(&world, leader);
            world.sever(leader, misses);
            for _ in 0..60 {
                sleep(Duration::from_secs(1)).await;
                world.propose(leader, world.filler()).await.expect("agreed with the other");
            }
            world.splice();
            world.settle().await;
            assert_eq!(world.status(leader).leadership.term, term, "seed {seed}");
        });
    }
}

#[test]
fn a_leader_whose_links_are_cut_is_replaced_as_soon_as_a_dead_one() {
    for seed in 80..85 {
        in_virtual_time(move || async move {
            let world = World::of(3, seed).await;
            let leader = world.leader().await;
            let others: Vec<_> = world.running().into_iter().filter(|id| *id != leader).collect();
            for other in &others {
                world.sever(leader, *other);
            }
            let begun = Instant::now();
            world.propose(others[0], world.filler()).await.expect("agreed by the others");
            let took = begun.elapsed();
            assert!(took < soon(), "{took:?} with seed {seed}");
        });
    }
}
