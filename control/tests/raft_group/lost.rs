//! Voters that are gone for good, and voters that are not.

use std::time::Duration;

use mesh_control::raft::Timing;
use mesh_model::MemberId;
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

/// Time for a change of voters, beyond the silence before it.
const CHANGE: Duration = Duration::from_secs(5);

fn settle() -> Duration {
    Timing::default().settle
}

/// Two voters of `world` other than the leader.
async fn two_followers(world: &World) -> (MemberId, MemberId, MemberId) {
    let leader = world.leader().await;
    let voters = world.status(leader).voters;
    let mut others = voters.into_iter().filter(|voter| *voter != leader);
    let [one, other] = [others.next(), others.next()].map(|id| id.expect("three voters"));
    (leader, one, other)
}

#[test]
fn a_lost_voter_is_replaced_and_then_another_may_be_lost() {
    in_virtual_time(|| async {
        let mut world = World::of(5, 70).await;
        let (leader, first, second) = two_followers(&world).await;
        for lost in [first, second] {
            world.crash(lost).await;
            sleep(settle() + CHANGE).await;
            let voters = world.status(leader).voters;
            assert!(voters.len() == 3 && !voters.contains(&lost), "{voters:?}");
            world.admit(leader).await.expect("all voters are there");
        }
        // Who comes back follows, and nobody is sent away for it.
        let before = world.status(leader).voters;
        world.restart(first).await;
        let follows = |world: &World| world.status(first).learners.contains(&first);
        world.until("it follows", follows).await;
        sleep(settle() * 2).await;
        assert_eq!(world.status(leader).voters, before);
        // Of the three that voted first, the last is lost; without the exchange it were the end.
        world.crash(leader).await;
        let next = world.leader().await;
        world.admit(next).await.expect("two of three agree");
    });
}

#[test]
fn a_voter_that_is_back_in_time_keeps_its_vote() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 71).await;
        let (leader, away, _) = two_followers(&world).await;
        let before = world.status(leader).voters;
        for _ in 0..3 {
            world.crash(away).await;
            sleep(settle() - CHANGE).await;
            world.restart(away).await;
            sleep(CHANGE * 2).await;
        }
        assert_eq!(world.status(leader).voters, before);
    });
}

#[test]
fn a_new_leader_waits_for_as_long_as_the_old_one() {
    in_virtual_time(|| async {
        let world = World::of(5, 72).await;
        let (leader, ..) = two_followers(&world).await;
        world.crash(leader).await;
        let next = world.leader().await;
        sleep(settle() - CHANGE).await;
        assert!(world.status(next).voters.contains(&leader), "not yet");
        sleep(CHANGE * 2).await;
        assert!(!world.status(next).voters.contains(&leader));
    });
}

#[test]
fn without_a_majority_nobody_is_replaced_and_with_it_one_after_the_other() {
    in_virtual_time(|| async {
        let mut world = World::of(5, 73).await;
        let (leader, first, second) = two_followers(&world).await;
        let before = world.status(leader).voters;
        world.crash(first).await;
        world.crash(second).await;
        sleep(settle() * 3).await;
        for member in world.running() {
            assert_eq!(world.status(member).voters, before, "one of three decides nothing");
            assert!(!world.status(member).changing);
        }
        world.restart(first).await;
        let replaced = |world: &World| !world.status(leader).voters.contains(&second);
        world.until("the one that is still gone is replaced", replaced).await;
        assert!(world.status(leader).voters.contains(&first), "the one that is back is not");
    });
}

/// A mesh of five that have been there for ten minutes: the leader, another voter, and the two that follow.
async fn two_spares(seed: u8) -> (World, MemberId, MemberId, [MemberId; 2]) {
    let world = World::of(5, seed).await;
    sleep(Duration::from_secs(600)).await;
    let (leader, voter, _) = two_followers(&world).await;
    let spares = world.status(leader).learners.try_into().expect("two spares");
    (world, leader, voter, spares)
}

#[test]
fn the_vote_goes_to_the_one_that_was_not_away() {
    in_virtual_time(|| async {
        let (mut world, leader, lost, [away, steady]) = two_spares(74).await;
        world.crash(away).await;
        sleep(CHANGE).await;
        world.restart(away).await;
        world.crash(lost).await;
        sleep(settle() + CHANGE).await;
        let voters = world.status(leader).voters;
        assert!(voters.contains(&steady) && !voters.contains(&away), "{voters:?}");
        assert!(world.group(leader).followers().expect("it leads")[&away].ready);
    });
}

#[test]
fn of_two_that_are_as_steady_the_vote_goes_to_the_nearer() {
    in_virtual_time(|| async {
        let (world, leader, lost, [far, near]) = two_spares(75).await;
        let before = world.status(leader).voters;
        world.move_away(far, Duration::from_millis(60));
        // The voters too, but that takes nobody's vote away.
        before.iter().for_each(|id| world.move_away(*id, Duration::from_millis(20)));
        sleep(2 * settle()).await;
        assert_eq!(world.status(leader).voters, before);
        world.crash(lost).await;
        sleep(settle() + CHANGE).await;
        let voters = world.status(leader).voters;
        assert!(voters.contains(&near) && !voters.contains(&far), "{voters:?}");
    });
}
