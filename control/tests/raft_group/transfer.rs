//! The lead changes hands because somebody asked, and everybody remembers who led.

use std::time::Duration;

use mesh_control::raft::{Cause, HandOverRefusal, Role, TransferError};
use mesh_model::MemberId;

use crate::world::{World, in_virtual_time};

const FOUNDER: MemberId = MemberId::FOUNDER;

/// Longer than a leader must have led before other hosts may ask it to stop.
const RESTED: Duration = Duration::from_secs(11);

fn others(world: &World, leader: MemberId) -> Vec<MemberId> {
    world.status(leader).voters.into_iter().filter(|voter| *voter != leader).collect()
}

/// Why `member` thinks it is led as it is.
fn last_cause(world: &World, member: MemberId) -> Cause {
    let (told, _) = world.group(member).history();
    told.last().expect("it has started").cause
}

#[test]
fn a_voter_leads_when_it_is_asked_for_at_the_leader_a_voter_or_a_learner() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 50).await;
        let learner = world.running()[3];
        for asked in 0..3 {
            let leader = world.leader().await;
            let voters = others(&world, leader);
            let at = [leader, voters[0], learner][asked];
            tokio::time::sleep(RESTED).await;
            let before = world.status(leader).leadership.term;
            let led = world.group(at).transfer(Some(voters[1])).await.expect("handed over");
            assert_eq!(led.leader, Some(voters[1]));
            assert!(led.term > before);
            assert_eq!(world.leader().await, voters[1]);
            for voter in world.status(at).voters {
                let told = |world: &World| last_cause(world, voter) == Cause::Transferred(leader);
                world.until("the voters know why", told).await;
            }
            let seen = |world: &World| last_cause(world, learner) == Cause::Elected(Some(leader));
            world.until("the learner saw that somebody did", seen).await;
            world.admit(at).await.expect("it leads");
        }
    });
}

#[test]
fn a_leader_steps_down_for_a_voter_that_is_there() {
    in_virtual_time(|| async {
        let world = World::of(3, 51).await;
        let leader = world.leader().await;
        let voters = others(&world, leader);
        world.cut(voters[0]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let refused = world.group(leader).transfer(Some(voters[0])).await;
        assert_eq!(refused, Err(HandOverRefusal::NotReady(voters[0]).into()));
        assert_eq!(world.status(leader).leadership.leader, Some(leader), "and leads on");
        let led = world.group(leader).transfer(None).await.expect("handed over");
        assert_eq!(led.leader, Some(voters[1]));
    });
}

#[test]
fn the_lead_goes_to_nobody_that_has_no_vote() {
    in_virtual_time(|| async {
        let world = World::of(2, 52).await;
        let learner = world.running()[1];
        let refused = world.group(FOUNDER).transfer(Some(learner)).await;
        assert_eq!(refused, Err(HandOverRefusal::NotAVoter(learner).into()));
        for member in world.running() {
            let refused = world.group(member).transfer(None).await;
            assert_eq!(refused, Err(HandOverRefusal::NobodyElse.into()));
        }
        let led = world.group(learner).transfer(Some(FOUNDER)).await.expect("it leads already");
        assert_eq!(led.leader, Some(FOUNDER));
    });
}

#[test]
fn other_hosts_cannot_keep_the_lead_moving() {
    in_virtual_time(|| async {
        let world = World::of(3, 53).await;
        tokio::time::sleep(RESTED).await;
        let mut moves = 0;
        let mut refused = 0;
        // For a minute, as fast as answers come, from one member; whoever leads is told to stop.
        let asker = world.running()[2];
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        while tokio::time::Instant::now() < end {
            let leader = world.leader().await;
            if leader == asker {
                world.group(leader).transfer(None).await.expect("at its own host");
                continue;
            }
            let to = *others(&world, leader).iter().find(|id| **id != asker).expect("a third");
            match world.group(asker).transfer(Some(to)).await {
                Ok(_) => moves += 1,
                Err(TransferError::Refused(HandOverRefusal::TooSoon { .. })) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!((1..=6).contains(&moves), "{moves} moves in a minute");
        let counted: u64 =
            world.running().iter().map(|id| world.group(*id).transfers_refused()).sum();
        assert_eq!(counted, refused);
        assert!(refused > 100);
    });
}

#[test]
fn the_group_goes_on_when_the_one_that_shall_lead_is_lost_at_that_moment() {
    for seed in 54..58 {
        in_virtual_time(move || async move {
            let mut world = World::of(3, seed).await;
            let leader = world.leader().await;
            let chosen = others(&world, leader)[0];
            // Still thought to be there: it answered a moment ago.
            world.cut(chosen);
            let told = world.group(leader).transfer(Some(chosen)).await;
            assert!(told.is_err(), "{told:?}");
            let next = world.leader().await;
            assert_ne!(next, chosen);
            world.admit(next).await.expect("two of three agree");
        });
    }
}

#[test]
fn those_left_behind_remember_an_election_and_the_one_cut_off_its_lost_majority() {
    in_virtual_time(|| async {
        let world = World::of(3, 58).await;
        let first = world.leader().await;
        let term = world.status(first).leadership.term;
        world.cut(first);
        let alone = |world: &World| last_cause(world, first) == Cause::LostMajority;
        world.until("it notices", alone).await;
        let status = world.status(first).leadership;
        assert_eq!((status.role, status.leader), (Role::Follower, None));

        let second = world.leader().await;
        for member in others(&world, first) {
            let knows = |world: &World| last_cause(world, member) == Cause::Elected(Some(first));
            world.until("it knows who won", knows).await;
            let (told, _) = world.group(member).history();
            let causes: Vec<Cause> = told.iter().map(|transition| transition.cause).collect();
            assert!(matches!(causes[causes.len() - 2], Cause::Voted(_)), "{causes:?}");
            let last = told.last().expect("there is one").now;
            assert_eq!(last.leader, Some(second));
            assert!(last.term > term);
        }
        world.heal(first);
        let follows = |world: &World| last_cause(world, first) == Cause::Elected(Some(first));
        world.until("it hears who won meanwhile", follows).await;
    });
}

#[test]
fn a_leader_that_leaves_has_retired() {
    in_virtual_time(|| async {
        let world = World::of(3, 59).await;
        let leader = world.leader().await;
        let staying = others(&world, leader);
        world.propose(leader, world.goodbye(leader)).await.expect("agreed");
        world.cut(leader);
        world.stop(leader).await;
        let knows = |world: &World| {
            let histories = staying.iter().map(|id| world.group(*id).history().0);
            let causes = histories.flatten().map(|transition| transition.cause);
            causes.into_iter().any(|cause| cause == Cause::Retired(leader))
        };
        world.until("they know that it gave up its vote", knows).await;
    });
}
