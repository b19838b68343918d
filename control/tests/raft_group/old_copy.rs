//! Voters whose disk somebody put an older copy of in its place.

use std::time::Duration;

use mesh_control::raft::{GroupFailure, MemoryDisk, Role, StoreError};
use mesh_model::{LogIndex, MemberId};
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

/// Time for the words of all to be with all: a few of the pauses between two signings.
const WORDS: Duration = Duration::from_secs(1);

/// A voter that does not lead, and a copy of its disk from before `entries` more were agreed.
async fn copied(world: &mut World, entries: usize) -> (MemberId, MemoryDisk) {
    let leader = world.leader().await;
    let voters = world.status(leader).voters;
    let voter = voters.into_iter().rfind(|voter| *voter != leader).expect("three vote");
    world.stop(voter).await;
    let copy = MemoryDisk::holding(world.disk(voter).bytes());
    world.restart(voter).await;
    agreed(world, leader, entries).await;
    world.settle().await;
    sleep(WORDS).await;
    (voter, copy)
}

async fn agreed(world: &World, at: MemberId, entries: usize) {
    for _ in 0..entries {
        world.propose(at, world.filler()).await.expect("agreed");
    }
}

/// The third of three.
fn other_than(world: &World, two: [MemberId; 2]) -> MemberId {
    world.running().into_iter().find(|id| !two.contains(id)).expect("three run")
}

/// What ended agreement at `member`: where its disk ended, and what it had signed.
async fn found_old(world: &World, member: MemberId) -> (LogIndex, LogIndex) {
    world.until("it is found out", |world| world.group(member).fatal().is_some()).await;
    match world.group(member).fatal() {
        Some(GroupFailure::Store(StoreError::OldCopy { ends, signed })) => (ends, signed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_old_copy_of_a_voters_disk_is_found_and_stays_found() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 90).await;
        let (voter, copy) = copied(&mut world, 4).await;
        let before = world.status(voter).applied;
        world.crash(voter).await;
        world.replace_disk(voter, copy);
        world.restart(voter).await;
        let (ends, signed) = found_old(&world, voter).await;
        assert!(ends < signed && signed <= before, "{ends} {signed} {before}");

        // Nobody is there that could tell it again.
        world.crash(voter).await;
        for other in world.running() {
            world.crash(other).await;
        }
        let refused = world.try_restart(voter).await.expect_err("it is written down");
        assert!(refused.to_string().contains("old copy"), "{refused}");
    });
}

#[test]
fn it_is_found_too_when_the_one_that_remembers_answers_late() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 94).await;
        let (voter, copy) = copied(&mut world, 4).await;
        let leader = world.leader().await;
        let third = other_than(&world, [voter, leader]);
        world.crash(voter).await;
        world.replace_disk(voter, copy);
        world.crash(third).await;
        // The third has forgotten, and cannot ask the leader either.
        world.cut(leader);
        world.restart(third).await;
        world.restart(voter).await;
        sleep(Duration::from_millis(100)).await;
        world.heal(leader);
        found_old(&world, voter).await;
    });
}

#[test]
fn an_old_copy_elects_nobody_that_lacks_what_was_agreed_while_one_remembers_some_of_it() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 91).await;
        let (voter, copy) = copied(&mut world, 4).await;
        let leader = world.leader().await;
        let away = other_than(&world, [voter, leader]);
        world.cut(away);
        let admitted = world.admit(leader).await.expect("two of three agree");
        world.crash(voter).await;
        world.crash(leader).await;
        world.heal(away);
        world.replace_disk(voter, copy);
        world.restart(voter).await;
        found_old(&world, voter).await;
        sleep(Duration::from_secs(30)).await;
        assert_ne!(world.status(away).leadership.role, Role::Leader, "it lacks what was agreed");

        world.restart(leader).await;
        let knows = |world: &World| {
            let view = world.group(away).views().borrow().clone();
            view.members.contains_key(&admitted)
        };
        world.until("what was agreed stays agreed", knows).await;
    });
}

#[test]
fn a_sole_voter_hears_of_it_from_whoever_follows_it() {
    in_virtual_time(|| async {
        let mut world = World::of(2, 92).await;
        let founder = MemberId::FOUNDER;
        world.stop(founder).await;
        let copy = MemoryDisk::holding(world.disk(founder).bytes());
        world.restart(founder).await;
        agreed(&world, founder, 8).await;
        world.settle().await;
        sleep(WORDS).await;
        world.crash(founder).await;
        world.replace_disk(founder, copy);
        world.restart(founder).await;
        found_old(&world, founder).await;
    });
}

#[test]
fn a_disk_that_forgot_nothing_it_had_flushed_is_no_old_copy() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 93).await;
        for round in 0..12 {
            let leader = world.leader().await;
            agreed(&world, leader, 3).await;
            let voters = world.status(leader).voters;
            let victim = voters[round % voters.len()];
            world.crash(victim).await;
            world.restart(victim).await;
            world.settle().await;
            assert_eq!(world.group(victim).fatal(), None);
        }
    });
}
