//! What was acknowledged is there after the worst a crash may do, and a disk that cannot flush
//! acknowledges nothing.

use std::time::Duration;

use mesh_control::raft::{GroupFailure, ProposeError, StoreError};
use mesh_model::MemberId;

use crate::world::{World, in_virtual_time};

const FOUNDER: MemberId = MemberId::FOUNDER;

#[test]
fn a_lone_founder_keeps_what_it_acknowledged() {
    in_virtual_time(|| async {
        let mut world = World::found(20).await;
        let mut acknowledged = Vec::new();
        for _ in 0..10 {
            acknowledged.push(world.admit(FOUNDER).await.expect("agreed"));
            // At once, before anything else has a reason to flush.
            world.crash(FOUNDER).await;
            world.restart(FOUNDER).await;
            let all = |world: &World| {
                let view = world.group(FOUNDER).views().borrow().clone();
                acknowledged.iter().all(|member| view.members.contains_key(member))
            };
            world.until("what was acknowledged", all).await;
        }
    });
}

#[test]
fn all_crash_at_once_and_what_was_acknowledged_is_there() {
    for seed in 0..4 {
        in_virtual_time(move || async move {
            let mut world = World::of(3, seed).await;
            let members = world.running();
            let mut acknowledged = members.clone();
            for round in 0..4 {
                // The leader's acknowledgement or a follower's: both count.
                let at = members[(round + usize::from(seed)) % 3];
                acknowledged.push(world.admit(at).await.expect("agreed"));
                for member in &members {
                    world.crash(*member).await;
                }
                for member in &members {
                    world.restart(*member).await;
                }
                let all = |world: &World| {
                    members.iter().all(|member| {
                        let view = world.group(*member).views().borrow().clone();
                        acknowledged.iter().all(|member| view.members.contains_key(member))
                    })
                };
                world.until("what was acknowledged", all).await;
            }
        });
    }
}

#[test]
fn nobody_votes_twice_in_a_term_across_a_crash() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 22).await;
        let members = world.running();
        let mut leaders = std::collections::BTreeMap::new();
        for round in 0..12usize {
            let victim = members[round % 3];
            world.crash(victim).await;
            world.restart(victim).await;
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(37)).await;
                for member in &members {
                    let now = world.status(*member).leadership;
                    if let Some(leader) = now.leader {
                        let first = leaders.entry(now.term).or_insert(leader);
                        assert_eq!(*first, leader, "two leaders in term {}", now.term);
                    }
                }
            }
        }
        assert!(leaders.len() > 1, "the crashes brought elections about");
    });
}

#[test]
fn a_change_of_voters_is_finished_by_whoever_leads_after_a_crash_half_way() {
    in_virtual_time(|| async {
        let mut world = World::of(2, 26).await;
        world.join().await;
        // Three members: the founder's vote alone is being exchanged for three.
        let changing = |world: &World| world.status(FOUNDER).changing;
        world.until_at_once("the first of the two entries", changing).await;
        world.crash(FOUNDER).await;
        world.restart(FOUNDER).await;
        world.until("half way, as it was", |world| world.status(FOUNDER).voters.len() == 3).await;
        world.settle().await;
        assert!(!world.status(world.leader().await).changing);
    });
}

#[test]
fn a_lone_founder_whose_disk_cannot_flush_acknowledges_nothing_and_says_why() {
    in_virtual_time(|| async {
        let mut world = World::found(23).await;
        let group = world.group(FOUNDER);
        world.disk(FOUNDER).fail_flushes_after(0);
        assert_eq!(world.admit(FOUNDER).await, Err(ProposeError::Stopped));
        let failure = group.failed().await;
        assert!(matches!(failure, GroupFailure::Store(StoreError::Disk(_))), "{failure:?}");
        assert_eq!(group.fatal(), Some(failure));
        // The disk recovers; this process does not.
        world.disk(FOUNDER).fail_flushes_after(1000);
        assert_eq!(world.admit(FOUNDER).await, Err(ProposeError::Stopped));
    });
}

#[test]
fn a_commit_index_that_cannot_be_flushed_ends_agreement_too() {
    in_virtual_time(|| async {
        let world = World::found(24).await;
        let group = world.group(FOUNDER);
        world.propose(FOUNDER, world.filler()).await.expect("agreed");
        // The entry is flushed, its commit index not yet.
        world.disk(FOUNDER).fail_flushes_after(0);
        let failure = group.failed().await;
        assert!(matches!(failure, GroupFailure::Store(StoreError::Disk(_))), "{failure:?}");
    });
}

#[test]
fn the_others_go_on_when_the_leaders_disk_fails() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 25).await;
        let first = world.leader().await;
        let group = world.group(first);
        world.disk(first).fail_flushes_after(0);
        let told = world.admit(first).await;
        assert!(told.is_err(), "{told:?}");
        assert!(matches!(group.failed().await, GroupFailure::Store(StoreError::Disk(_))));
        world.crash(first).await;

        let second = world.leader().await;
        assert_ne!(second, first);
        let admitted = world.admit(second).await.expect("two of three agree");
        world.restart(first).await;
        let back =
            |world: &World| world.group(first).views().borrow().members.contains_key(&admitted);
        world.until("it follows again", back).await;
    });
}
