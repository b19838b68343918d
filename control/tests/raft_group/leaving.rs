//! Members go; agreement goes on with the others.

use std::time::Duration;

use mesh_control::command::Outcome;
use mesh_control::raft::{ProposeError, Role};
use mesh_model::MemberId;

use crate::world::{World, in_virtual_time};

const FOUNDER: MemberId = MemberId::FOUNDER;

/// `member` says goodbye at `at` and is gone the moment it is agreed, as its tunnels are.
async fn leave(world: &World, member: MemberId, at: MemberId) {
    let left = world.propose(at, world.goodbye(member)).await.expect("agreed");
    assert_eq!(left.outcome, Outcome::Departed(member));
    world.cut(member);
    world.stop(member).await;
}

async fn forgotten(world: &World, member: MemberId) {
    world
        .until("forgotten", |world| {
            world.running().iter().all(|id| {
                let status = world.status(*id);
                !status.voters.contains(&member) && !status.learners.contains(&member)
            })
        })
        .await;
}

#[test]
fn a_follower_leaves_and_its_place_is_taken() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 30).await;
        let leader = world.leader().await;
        let leaving = *world.running()[..3].iter().find(|id| **id != leader).expect("a voter");
        leave(&world, leaving, leaving).await;
        forgotten(&world, leaving).await;
        world.settle().await;
        assert_eq!(world.status(leader).voters.len(), 3);
        world.admit(leader).await.expect("agreed");
    });
}

#[test]
fn the_leader_leaves_and_the_others_go_on() {
    for seed in 0..4 {
        in_virtual_time(move || async move {
            let mut world = World::of(3, seed).await;
            let leader = world.leader().await;
            leave(&world, leader, leader).await;
            forgotten(&world, leader).await;
            let next = world.leader().await;
            assert_ne!(next, leader);
            world.admit(next).await.expect("agreed without the one that left");
            assert_eq!(world.status(next).voters.len(), 1, "two members, one vote");
        });
    }
}

#[test]
fn the_founder_of_two_leaves_and_the_other_one_goes_on_alone() {
    in_virtual_time(|| async {
        let mut world = World::of(2, 31).await;
        let other = world.running()[1];
        assert_eq!(world.status(other).leadership.role, Role::Learner);
        leave(&world, FOUNDER, FOUNDER).await;
        forgotten(&world, FOUNDER).await;
        assert_eq!(world.leader().await, other);
        world.admit(other).await.expect("agreed");
    });
}

#[test]
fn a_sole_voter_does_not_leave_the_others_without_one() {
    in_virtual_time(|| async {
        let world = World::of(2, 32).await;
        let other = world.running()[1];
        world.cut(other);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let refused = world.propose(FOUNDER, world.goodbye(FOUNDER)).await;
        assert_eq!(refused, Err(ProposeError::NoSuccessor(FOUNDER)));
        assert!(world.group(FOUNDER).views().borrow().members.contains_key(&FOUNDER));
        world.heal(other);
        leave(&world, FOUNDER, FOUNDER).await;
        assert_eq!(world.leader().await, other);
    });
}

#[test]
fn the_last_member_may_go() {
    in_virtual_time(|| async {
        let world = World::found(33).await;
        let left = world.propose(FOUNDER, world.goodbye(FOUNDER)).await.expect("agreed");
        assert_eq!(left.outcome, Outcome::Departed(FOUNDER));
    });
}

#[test]
fn nobody_else_can_take_a_voters_vote_by_a_goodbye() {
    in_virtual_time(|| async {
        let world = World::of(3, 34).await;
        let before = world.status(FOUNDER).voters;
        let (liar, victim) = (world.running()[1], world.running()[2]);
        // Signed by the one, about the other.
        let mut forged = world.goodbye(liar);
        if let mesh_control::command::Command::Depart { member, .. } = &mut forged {
            *member = victim;
        }
        let answer = world.propose(liar, forged).await.expect("decided");
        assert!(matches!(answer.outcome, Outcome::Refused(_)));
        assert_eq!(world.status(FOUNDER).voters, before);
        world.settle().await;
    });
}
