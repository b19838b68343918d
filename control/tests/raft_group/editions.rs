//! Members of one edition among members of the next, which has a kind of command that they cannot read.

use mesh_control::command::{Command, Outcome};
use mesh_control::raft::{HeldBack, ProposeError, Role, StoreError, Timing};
use mesh_model::{Edition, MemberId};
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

const OLD: Edition = Edition::FIRST;
const NEW: Edition = Edition(2);

/// `member` starts again as a build that reads no later edition than `reads`.
async fn reinstall(world: &mut World, member: MemberId, reads: Edition) {
    world.stop(member).await;
    world.install(member, reads);
    world.restart(member).await;
}

/// A mesh of `members`, all of which run the old build and are known to.
async fn of_old(members: usize, seed: u8) -> World {
    let mut world = World::of(members, seed).await;
    for member in world.running() {
        reinstall(&mut world, member, OLD).await;
    }
    world.leader().await;
    world.spread_word();
    world
}

/// Proposes what only the new edition has, at `at`.
async fn try_out(world: &World, at: MemberId) -> Result<Outcome, ProposeError> {
    world.propose(at, Command::Trial(7)).await.map(|applied| applied.outcome)
}

fn held_back(result: Result<Outcome, ProposeError>) -> HeldBack {
    match result {
        Err(ProposeError::HeldBack(held)) => *held,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mesh_goes_on_once_everybody_reads_the_next_edition() {
    in_virtual_time(|| async {
        let mut world = of_old(5, 110).await;
        for member in world.running() {
            let leader = world.leader().await;
            let held = held_back(try_out(&world, leader).await);
            assert!(held.older.contains(&member) && held.silent.is_empty(), "{held:?}");
            assert_eq!((held.edition, held.members), (NEW, 5));
            reinstall(&mut world, member, NEW).await;
            world.leader().await;
            world.spread_word();
            let filler = world.filler();
            let agreed = world.propose(member, filler).await;
            assert!(agreed.is_ok(), "members of two editions agree: {agreed:?}");
            let someone_is_old = world.running().last() != Some(&member);
            if someone_is_old {
                // Its leader may not even understand the question.
                let held = held_back(try_out(&world, member).await);
                assert!(!held.older.contains(&member), "{held:?}");
                assert!(world.running().iter().all(|id| world.group(*id).outdated().is_none()));
            }
        }
        for member in world.running() {
            assert_eq!(try_out(&world, member).await, Ok(Outcome::Tried(7)));
        }
        world.settle().await;
        for member in world.running() {
            assert_eq!(world.status(member).edition, NEW);
            assert_eq!(world.group(member).outdated(), None);
        }
    });
}

#[test]
fn the_way_back_is_open_until_something_new_was_agreed() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 111).await;
        for member in world.running() {
            reinstall(&mut world, member, OLD).await;
        }
        world.settle().await;
        for member in world.running() {
            reinstall(&mut world, member, NEW).await;
        }
        let leader = world.leader().await;
        world.spread_word();
        assert_eq!(try_out(&world, leader).await, Ok(Outcome::Tried(7)));
        world.settle().await;
        for member in world.running() {
            world.stop(member).await;
            match world.store(member).read_up_to(OLD).map(drop) {
                Err(StoreError::OtherVersion(found)) => assert!(found.is_newer(), "{found}"),
                other => panic!("{other:?}"),
            }
            // It still serves the build that wrote it.
            world.restart(member).await;
        }
        world.leader().await;
    });
}

#[test]
fn a_snapshot_of_a_mesh_that_went_on_is_not_for_who_was_left_behind() {
    in_virtual_time(|| async {
        let world = World::of(1, 112).await;
        let founder = MemberId::FOUNDER;
        let before = world.group(founder).snapshot();
        assert_eq!(try_out(&world, founder).await, Ok(Outcome::Tried(7)));
        let after = world.group(founder).snapshot();
        for (snapshot, reads, is_read) in
            [(&before, OLD, true), (&before, NEW, true), (&after, OLD, false), (&after, NEW, true)]
        {
            let store = world.founder_from(snapshot.clone()).read_up_to(reads);
            assert_eq!(store.is_ok(), is_read, "{reads}");
        }
    });
}

#[test]
fn a_member_that_was_not_heard_of_holds_up_what_it_may_have_to_hold() {
    in_virtual_time(|| async {
        let world = World::of(3, 113).await;
        let leader = world.leader().await;
        let held = held_back(try_out(&world, leader).await);
        assert_eq!((held.silent.len(), held.older.len()), (2, 0), "{held:?}");
        // Gossip tells while the proposal waits.
        let word = async {
            sleep(Timing::default().election_min).await;
            world.spread_word();
        };
        let (tried, ()) = futures_util::future::join(try_out(&world, leader), word).await;
        assert_eq!(tried, Ok(Outcome::Tried(7)));
    });
}

#[test]
fn one_that_went_back_too_late_follows_as_far_as_it_can_read_and_does_not_vote() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 114).await;
        let leader = world.leader().await;
        world.spread_word();
        let behind = world.status(leader).voters.into_iter().find(|voter| *voter != leader);
        let behind = behind.expect("three voters");
        // Its operator goes back at the moment at which the others go on.
        reinstall(&mut world, behind, OLD).await;
        world.until("it follows", |world| world.status(behind).leadership.leader.is_some()).await;
        let term = world.status(behind).leadership.term;
        assert_eq!(try_out(&world, leader).await, Ok(Outcome::Tried(7)));
        let says_so = |world: &World| world.group(behind).outdated().is_some();
        world.until("it says that it was left behind", says_so).await;
        let applied = world.status(behind).applied;
        assert_eq!(world.status(behind).edition, OLD);

        sleep(Timing::default().settle).await;
        world.replaced(leader, &[behind]).await;
        let now = world.status(behind);
        assert_eq!((now.applied, now.leadership.term), (applied, term), "it stays where it was");
        assert!(says_so(&world), "the leader's signs of life are no entries");

        // Nobody else leads: it does not ask for votes, and gives none.
        world.crash(leader).await;
        sleep(Timing::default().settle).await;
        assert_ne!(world.status(behind).leadership.role, Role::Leader);
        assert_eq!(world.status(behind).applied, applied);

        world.restart(leader).await;
        reinstall(&mut world, behind, NEW).await;
        let caught_up = |world: &World| world.status(behind).edition == NEW;
        world.until("it was upgraded and follows", caught_up).await;
        assert_eq!(world.group(behind).outdated(), None);
    });
}

#[test]
fn a_follower_left_behind_takes_what_came_before_and_stops_there() {
    in_virtual_time(|| async {
        let mut world = World::of(8, 115).await;
        let leader = world.leader().await;
        let status = world.status(leader);
        let is_fed = |id: &MemberId| status.voters.contains(id) || status.learners.contains(id);
        let follower = world.running().into_iter().find(|id| !is_fed(id)).expect("eight members");
        world.spread_word();
        world.stop(follower).await;
        world.install(follower, OLD);
        let filler = world.filler();
        let last = world.propose(leader, filler).await.expect("agreed").index;
        // The voters sign what it led to, which proves it.
        sleep(Timing::default().election_max).await;
        assert_eq!(try_out(&world, leader).await, Ok(Outcome::Tried(7)));
        world.restart(follower).await;
        let says_so = |world: &World| world.group(follower).outdated().is_some();
        world.until("it says that it was left behind", says_so).await;
        assert_eq!(world.status(follower).applied, last);
        world.spread_word();
        assert_eq!(try_out(&world, leader).await, Ok(Outcome::Tried(7)), "it is too late for it");
        assert!(says_so(&world));

        reinstall(&mut world, follower, NEW).await;
        let caught_up = |world: &World| world.status(follower).edition == NEW;
        world.until("it was upgraded and follows", caught_up).await;
    });
}
