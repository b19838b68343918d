//! What a leader need not say by itself.

use std::time::Duration;

use mesh_model::MemberId;
use tokio::time::Instant;

use crate::world::{World, in_virtual_time};

/// One way between two of them. There and back is shorter than a notice waits.
const TRAVEL: Duration = Duration::from_millis(1);

/// Whom `from` sent an append, as often as it did.
fn appended(world: &World, from: MemberId) -> usize {
    let from = format!("{from}->");
    let is_append = |line: &&String| {
        let mut words = line.split(' ').skip(1);
        words.next().is_some_and(|way| way.starts_with(&from)) && words.next() == Some("0")
    };
    world.trace().iter().filter(is_append).count()
}

fn another(world: &World, leader: MemberId) -> MemberId {
    *world.status(leader).voters.iter().find(|voter| **voter != leader).expect("three vote")
}

#[test]
fn one_that_writes_and_waits_costs_each_voter_one_append_for_a_command() {
    in_virtual_time(|| async {
        let world = World::across(TRAVEL, 3, 120).await;
        let leader = world.leader().await;
        let (before, begun) = (appended(&world, leader), Instant::now());
        let mut last = 0;
        for _ in 0..60 {
            last = world.propose(leader, world.filler()).await.expect("agreed").index;
        }
        let heartbeats = 2 * (begun.elapsed().as_millis() / 150 + 1) as usize;
        let appends = appended(&world, leader) - before;
        assert!((120..=120 + heartbeats).contains(&appends), "{appends}");
        // Nothing follows the last one, and the others hear of it all the same, before the next heartbeat.
        for member in world.running() {
            let soon = Duration::from_millis(10);
            assert!(world.group(member).applied_at_least(last, soon).await, "{member}");
        }
    });
}

#[test]
fn who_reads_what_was_agreed_just_now_does_not_wait_for_it() {
    in_virtual_time(|| async {
        let world = World::across(TRAVEL, 4, 122).await;
        let leader = world.leader().await;
        for _ in 0..10 {
            for at in world.running() {
                let agreed = world.propose(leader, world.filler()).await.expect("agreed").index;
                let begun = Instant::now();
                let read = world.group(at).catch_up().await.expect("everyone is there");
                assert!(read >= agreed);
                // To the leader, from there to a majority, and back both ways.
                assert!(begun.elapsed() <= 4 * TRAVEL, "{at}: {:?}", begun.elapsed());
            }
        }
    });
}

#[test]
fn who_asked_the_leader_has_applied_what_it_asked_for_when_it_is_answered() {
    in_virtual_time(|| async {
        let world = World::across(TRAVEL, 3, 121).await;
        let leader = world.leader().await;
        let at = another(&world, leader);
        for _ in 0..20 {
            let index = world.propose(at, world.filler()).await.expect("agreed").index;
            let at_once = Duration::from_micros(100);
            assert!(world.group(at).applied_at_least(index, at_once).await, "{index}");
        }
    });
}
