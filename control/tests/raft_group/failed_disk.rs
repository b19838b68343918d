//! A member whose disk fails stays where it is and says nothing; the others go on without it.

use mesh_control::raft::{Aftermath, ProposeError, Role, Timing, TransferError};
use mesh_model::MemberId;
use tokio::time::timeout;

use crate::world::{World, in_virtual_time};

/// Has `member`'s disk fail with the next entry, which `at` asks for.
async fn fail(world: &World, member: MemberId, at: MemberId) {
    let group = world.group(member);
    world.disk(member).fail_flushes_after(0);
    let filler = world.filler();
    let (_, failure) = tokio::join!(world.propose(at, filler), group.failed());
    assert_eq!(Aftermath::of(&failure), Aftermath::Degraded, "{failure}");
}

#[test]
fn a_leader_whose_disk_failed_leads_nobody_and_its_mesh_goes_on() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 80).await;
        let first = world.leader().await;
        let before = world.status(first);
        let view = world.group(first).views().borrow().clone();
        fail(&world, first, first).await;

        let told = world.status(first);
        assert_eq!((told.leadership.role, told.leadership.leader), (Role::Stopped, None));
        assert_eq!(world.group(first).followers(), None);
        assert_eq!(world.group(first).views().borrow().hash, view.hash, "what it knew stays");
        // It runs on, and is asked for its vote like before.
        let elsewhere = |world: &World| {
            world.running().iter().any(|id| {
                let seen = world.status(*id).leadership;
                seen.role == Role::Leader && seen.term > before.leadership.term
            })
        };
        world.until("another leader", elsewhere).await;
        let second = world.leader().await;
        assert_ne!(second, first);
        let admitted = world.admit(second).await.expect("two of three agree");

        world.crash(first).await;
        world.restart(first).await;
        let back = |world: &World| {
            let view = world.group(first).views().borrow().clone();
            view.members.contains_key(&admitted)
                && world.status(first).leadership.role != Role::Stopped
        };
        world.until("it follows again", back).await;
    });
}

#[test]
fn whatever_is_asked_of_a_host_whose_disk_failed_is_refused_at_once() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 81).await;
        let first = world.leader().await;
        fail(&world, first, first).await;
        // Long before it would give up looking for a leader; its own departure is what takes the most steps.
        let limit = Timing::default().propose / 2;
        let group = world.group(first);
        for command in [world.filler(), world.admission(), world.goodbye(first)] {
            let refused = timeout(limit, world.propose(first, command)).await;
            assert_eq!(refused.expect("at once"), Err(ProposeError::Stopped));
        }
        let refused = timeout(limit, group.transfer(None)).await;
        assert_eq!(refused.expect("at once"), Err(TransferError::Stopped));
        // Ending what has ended already does no harm.
        world.stop(first).await;
        assert_eq!(Aftermath::of(&group.fatal().expect("ended")), Aftermath::Degraded);
    });
}

#[test]
fn a_voter_whose_disk_failed_loses_its_vote_to_a_member_that_is_there() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 82).await;
        let leader = world.leader().await;
        let voters = world.status(leader).voters;
        let failing = *voters.iter().find(|id| **id != leader).expect("three voters");
        fail(&world, failing, leader).await;
        tokio::time::sleep(Timing::default().settle).await;
        let replaced = |world: &World| {
            let now = world.status(leader);
            now.voters.len() == 3 && !now.voters.contains(&failing) && !now.changing
        };
        world.until("its vote is another's", replaced).await;
        assert_eq!(world.leader().await, leader);
        world.admit(leader).await.expect("agreed");
    });
}
