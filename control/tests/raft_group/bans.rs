//! Members are banned; agreement goes on without them, and with them again.

use std::time::Duration;

use mesh_control::command::{Command, Outcome};
use mesh_control::raft::{FAR_AHEAD_MS, FarStamp, ProposeError};
use mesh_model::MemberId;
use mesh_model::trust::{Ruling, Wish};

use crate::fixture::{BORN_MS, ban};
use crate::world::{World, in_virtual_time};

const FOUNDER: MemberId = MemberId::FOUNDER;

/// Has `ruling` about `member` agreed at `at`.
async fn rule(world: &World, at: MemberId, member: MemberId, ruling: Ruling) {
    let ruled = world.propose(at, world.judge(at, member, ruling)).await.expect("agreed");
    assert_eq!(ruled.outcome, Outcome::Judged(member));
}

/// Bans `member`, whose tunnels end with that.
async fn banish(world: &World, at: MemberId, member: MemberId, until_ms: Option<u64>) {
    rule(world, at, member, ban(until_ms)).await;
    world.cut(member);
}

async fn voteless(world: &World, member: MemberId, at: MemberId) {
    world
        .until("no vote and no place in the group", |world| {
            let status = world.status(at);
            !status.voters.contains(&member) && !status.learners.contains(&member)
        })
        .await;
}

#[test]
fn a_banned_voter_is_replaced_and_follows_again_once_it_is_pardoned() {
    in_virtual_time(|| async {
        let world = World::of(4, 50).await;
        let leader = world.leader().await;
        let banned = *world.running()[..3].iter().find(|id| **id != leader).expect("a voter");
        banish(&world, leader, banned, None).await;
        voteless(&world, banned, leader).await;
        assert_eq!(world.status(leader).voters.len(), 3);
        world.propose(leader, world.filler()).await.expect("agreed without it");

        rule(&world, leader, banned, Ruling::Pardoned).await;
        world.heal(banned);
        world
            .until("it follows", |world| {
                world.status(banned).applied == world.status(leader).applied
                    && world.status(leader).learners.contains(&banned)
            })
            .await;
    });
}

#[test]
fn whoever_asks_hears_that_nobody_can_take_over_the_vote() {
    in_virtual_time(|| async {
        let world = World::of(2, 62).await;
        let other = world.running()[1];
        let never = world.mesh.policy(1, None, &[(other, Wish::Never)]);
        world.propose(FOUNDER, Command::SetVoters(never)).await.expect("agreed");
        for from in [FOUNDER, other] {
            let refused = world.propose(from, world.judge(FOUNDER, FOUNDER, ban(None))).await;
            assert_eq!(refused, Err(ProposeError::NoSuccessor(FOUNDER)), "asked by {from}");
        }
        assert!(world.group(other).views().borrow().banned.is_empty());
    });
}

#[test]
fn the_last_member_is_not_banned() {
    in_virtual_time(|| async {
        let mut world = World::of(2, 59).await;
        let other = world.running()[1];
        banish(&world, FOUNDER, other, None).await;
        for ruling in [ban(None), ban(Some(BORN_MS + 600_000)), Ruling::Removed] {
            let refused = world.propose(FOUNDER, world.judge(FOUNDER, FOUNDER, ruling)).await;
            assert_eq!(refused, Err(ProposeError::LastMember(FOUNDER)));
        }
        // Who comes in speaks with the one that votes, and so does who is pardoned.
        world.admit(FOUNDER).await.expect("agreed");
        rule(&world, FOUNDER, other, Ruling::Pardoned).await;
        world.heal(other);
        world.settle().await;
    });
}

#[test]
fn a_ban_does_not_wait_for_a_member_that_shall_always_vote_and_is_away() {
    for silence in [Duration::ZERO, Duration::from_secs(2)] {
        in_virtual_time(move || async move {
            let mut world = World::of(3, 61).await;
            let leader = world.leader().await;
            let mut others = world.running().into_iter().filter(|id| *id != leader);
            let (away, banned) = (others.next().expect("one"), others.next().expect("another"));
            let policy = world.mesh.policy(1, None, &[(away, Wish::Always)]);
            world.propose(leader, Command::SetVoters(policy)).await.expect("agreed");
            world.crash(away).await;
            tokio::time::sleep(silence).await;
            banish(&world, leader, banned, None).await;
            assert_eq!(world.status(leader).voters, [leader]);
            world.restart(away).await;
            world.until("it votes again", |world| world.status(leader).voters == [away]).await;
        });
    }
}

#[test]
fn the_leader_is_banned_and_another_one_agrees_on_it() {
    for seed in 0..4 {
        in_virtual_time(move || async move {
            let world = World::of(3, seed).await;
            let leader = world.leader().await;
            let at = *world.running().iter().find(|id| **id != leader).expect("another");
            banish(&world, at, leader, None).await;
            let next = world.leader().await;
            assert_ne!(next, leader);
            voteless(&world, leader, next).await;
            world.propose(next, world.filler()).await.expect("agreed without it");
        });
    }
}

#[test]
fn what_a_banned_member_asks_is_not_answered() {
    in_virtual_time(|| async {
        let world = World::of(3, 51).await;
        let leader = world.leader().await;
        let banned = *world.running().iter().find(|id| **id != leader).expect("another");
        rule(&world, leader, banned, ban(None)).await;
        voteless(&world, banned, leader).await;
        // Its tunnels are still there in this test: only agreement itself refuses it.
        let answer = world.propose(banned, world.filler()).await;
        assert!(
            matches!(answer, Err(ProposeError::NoQuorum | ProposeError::Timeout)),
            "{answer:?}"
        );
    });
}

#[test]
fn a_ban_ends_by_itself_when_its_time_is_over() {
    in_virtual_time(|| async {
        let world = World::of(3, 52).await;
        let leader = world.leader().await;
        let banned = *world.running().iter().find(|id| **id != leader).expect("another");
        banish(&world, leader, banned, Some(600_000)).await;
        world.set_clock(599_999);
        tokio::time::sleep(Duration::from_secs(600)).await;
        let is_banned =
            |world: &World| world.group(leader).views().borrow().banned.contains_key(&banned);
        assert!(is_banned(&world));
        world.set_clock(600_000);
        // The clock was set, not waited for: the leader looks at it once a minute.
        tokio::time::sleep(Duration::from_secs(61)).await;
        world.until("it is a member again", |world| !is_banned(world)).await;
    });
}

#[test]
fn nobody_can_end_a_ban_before_its_time() {
    in_virtual_time(|| async {
        let world = World::of(3, 53).await;
        let leader = world.leader().await;
        let mut others = world.running().into_iter().filter(|id| *id != leader);
        let (banned, at) = (others.next().expect("one"), others.next().expect("another"));
        banish(&world, leader, banned, Some(600_000)).await;
        let before = world.status(leader).applied;
        let answer = world.propose(at, Command::Lapse(banned)).await.expect("decided");
        assert!(matches!(answer.outcome, Outcome::Refused(_)), "{answer:?}");
        assert!(world.group(leader).views().borrow().banned.contains_key(&banned));
        assert!(answer.index <= before, "not even in the log");
    });
}

#[test]
fn a_leader_that_stamps_ahead_of_its_time_is_named_by_everybody_else() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 34).await;
        let leader = world.leader().await;
        let invite = |number| world.mesh.invite_until(number, 1, BORN_MS + 10 * FAR_AHEAD_MS).add();
        let invites = [50, 51, 52].map(invite);
        let [exact, first, later] = invites;
        let others: Vec<_> = world.running().into_iter().filter(|id| *id != leader).collect();
        world.set_ahead(leader, FAR_AHEAD_MS);
        world.propose(leader, exact).await.expect("agreed");
        world.until("applied everywhere", |world| is_even(world, leader)).await;
        for id in world.running() {
            assert_eq!(world.group(id).far_stamp(), None, "no clock is that exact");
        }

        world.set_ahead(leader, FAR_AHEAD_MS + 1);
        let first = world.propose(leader, first).await.expect("agreed").index;
        world.set_ahead(leader, 0);
        // What comes later takes the time over, and is no more to blame for it than whoever leads then.
        world.propose(leader, later).await.expect("agreed");
        world.until("applied everywhere", |world| is_even(world, leader)).await;
        let at_ms = BORN_MS + FAR_AHEAD_MS + 1;
        let far = FarStamp { index: first, at_ms, by: Some(leader) };
        for id in &others {
            assert_eq!(world.group(*id).far_stamp(), Some(far), "{id}");
        }
        // One that starts anew has not seen who led then.
        let again = others[0];
        world.stop(again).await;
        world.restart(again).await;
        let seen = world.group(again).far_stamp().expect("it is in the log");
        assert_eq!((seen.index, seen.at_ms), (first, at_ms));
        world.set_clock(1);
        assert_eq!(world.group(others[1]).far_stamp(), None, "the time has come");
    });
}

/// All that run have applied what `leader` has.
fn is_even(world: &World, leader: MemberId) -> bool {
    let applied = world.status(leader).applied;
    world.running().into_iter().all(|id| world.status(id).applied == applied)
}
