//! Holding a log against another member's.

use mesh_control::raft::{CompareError, Comparison};
use mesh_model::MemberId;

use crate::world::{World, in_virtual_time};

/// A settled mesh of four, its leader, and another that keeps the log from its beginning as the leader does.
async fn settled(seed: u8) -> (World, MemberId, MemberId) {
    let world = World::of(4, seed).await;
    let leader = world.leader().await;
    for _ in 0..100 {
        world.propose(leader, world.filler()).await.expect("agreed");
    }
    let other = world.running().into_iter().find(|id| *id != leader).expect("another");
    world
        .until("proven everywhere", |world| {
            let proven = |id: &MemberId| world.group(*id).sync_status().proven;
            world.running().iter().all(|id| proven(id) == world.status(leader).applied)
        })
        .await;
    (world, leader, other)
}

#[test]
fn equal_logs_are_found_equal_over_several_answers() {
    in_virtual_time(|| async {
        let (world, leader, other) = settled(110).await;
        let applied = world.status(leader).applied;
        let from = applied - 99;
        world.group(leader).sync_from(&[other]).expect("a member");
        let compared = world.group(leader).compare(from).await.expect("compared");
        let expected = Comparison { source: other, from, upto: applied, difference: None };
        assert_eq!(compared, expected);
        // The last entry alone, and by one that is not the leader.
        let compared = world.group(other).compare(applied).await.expect("compared");
        assert_eq!((compared.from, compared.upto, compared.difference), (applied, applied, None));
    });
}

#[test]
fn one_that_tells_another_log_is_named_with_the_first_difference_and_doubted() {
    in_virtual_time(|| async {
        let (world, leader, other) = settled(111).await;
        let from = world.status(leader).applied - 50;
        world.group(leader).sync_from(&[other]).expect("a member");
        world.distort(other);
        let compared = world.group(leader).compare(from).await.expect("compared");
        let difference = compared.difference.expect("the first entry's time is another");
        assert_eq!((compared.source, compared.upto, difference.index), (other, from, from));
        let there = difference.there.expect("it sent an entry");
        assert_eq!(there.term, difference.here.term);
        assert_ne!(there.hash, difference.here.hash);
        assert!(difference.is_upheld, "a majority signed what the leader's log led to");
        let report = world.group(leader).sync_status().progress;
        let blamed = report.sources.iter().find(|source| source.member == other);
        assert_eq!(blamed.expect("it was asked").wrong, 1);
    });
}

#[test]
fn what_is_not_there_is_not_compared() {
    in_virtual_time(|| async {
        let (mut world, leader, _) = settled(112).await;
        let applied = world.status(leader).applied;
        let refused = world.group(leader).compare(applied + 1).await;
        let from = applied + 1;
        assert_eq!(refused, Err(CompareError::NotApplied { from, applied }));
        // One that came later has a snapshot in the place of what was before.
        let late = world.join().await;
        world.settle().await;
        let Err(CompareError::NotKept { first }) = world.group(late).compare(applied).await else {
            panic!("it came after that");
        };
        assert!(first > applied);
        let last = world.propose(leader, world.filler()).await.expect("agreed");
        world
            .until("proven everywhere", |world| {
                let proven = |id: &MemberId| world.group(*id).sync_status().proven;
                world.running().iter().all(|id| proven(id) == last.index)
            })
            .await;
        world.group(late).compare(first).await.expect("from there on");
        for id in world.running() {
            if id != late {
                world.cut(id);
            }
        }
        assert_eq!(world.group(late).compare(first).await, Err(CompareError::NoSource(first)));
        world.stop(late).await;
    });
}
