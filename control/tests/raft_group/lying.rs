//! Sources that lie to a member that follows: it takes nothing of it, goes to another, and has what was agreed all the same.

use std::time::Duration;

use mesh_control::raft::{GroupStatus, SyncState};
use mesh_control::refusals::Refused;
use mesh_model::{IdentitySecret, MemberId};
use tokio::time::sleep;

use crate::liar::Lie;
use crate::world::{World, in_virtual_time};

/// Three voters, two spares, and three that follow.
const MEMBERS: usize = 8;

/// Long enough for a follower to have asked everybody, waited for a proof and asked the voters it knows who votes.
const A_WHILE: Duration = Duration::from_secs(30);

/// A mesh, its leader, and one of those that follow.
async fn mesh(seed: u8) -> (World, MemberId, MemberId) {
    let world = World::of(MEMBERS, seed).await;
    let leader = world.leader().await;
    let fed = |status: &GroupStatus| status.voters.len() + status.learners.len();
    world.until("five that are fed", |world| fed(&world.status(leader)) == 5).await;
    let status = world.status(leader);
    let is_fed = |id: &MemberId| status.voters.contains(id) || status.learners.contains(id);
    let victim = world.running().into_iter().find(|id| !is_fed(id)).expect("three follow");
    let level = |world: &World| world.status(victim).applied == world.status(leader).applied;
    world.until("it has all there is", level).await;
    (world, leader, victim)
}

/// What matters of what a member holds.
fn held(world: &World, member: MemberId) -> (u64, String, Vec<MemberId>) {
    let status = world.status(member);
    (status.applied, status.state_hash.to_string(), status.voters)
}

/// Everybody tells `victim` the lie `of` makes while things are agreed. It takes nothing, which is counted
/// for `reasons`, and all of it once they tell the truth.
fn all_lie(
    seed: u8,
    reasons: &'static [Refused],
    of: impl FnOnce(&World, MemberId) -> Lie + Send + 'static,
) {
    in_virtual_time(move || async move {
        let (mut world, leader, victim) = mesh(seed).await;
        let before = held(&world, victim);
        let lie = of(&world, leader);
        world.lie_to(victim, world.running(), lie);
        let lost = world.admit(leader).await.expect("agreed");
        for _ in 0..40 {
            world.propose(leader, world.filler()).await.expect("agreed");
        }
        sleep(A_WHILE).await;
        assert!(world.lies() > 0, "nobody lied");
        assert_eq!(held(&world, victim), before);
        let group = world.group(victim);
        let counted = |reason: &Refused| group.refusals().of(*reason) > 0;
        let counts: Vec<_> = Refused::ALL.iter().copied().filter(counted).collect();
        assert_eq!(counts, reasons);
        world.tell_the_truth();
        let level = |world: &World| held(world, victim) == held(world, leader);
        world.until("it has what was agreed", level).await;
        let view = world.group(victim).views().borrow().clone();
        assert!(view.members.contains_key(&lost));
    });
}

#[test]
fn an_entry_that_was_not_agreed_is_not_taken() {
    all_lie(110, &[Refused::SyncRefuted], |_, _| Lie::Content);
}

#[test]
fn a_change_of_voters_that_was_not_agreed_is_not_taken() {
    all_lie(112, &[Refused::SyncRefuted], |_, leader| Lie::Membership(leader));
}

#[test]
fn a_voter_that_names_itself_the_only_one_is_not_believed_by_its_own_word() {
    all_lie(113, &[Refused::SyncUnproven], |world, leader| {
        let voters = world.status(leader).voters;
        let usurper = *voters.iter().find(|id| **id != leader).expect("another voter");
        Lie::Usurped(usurper, Box::new(world.identity(usurper)))
    });
}

#[test]
fn words_that_voters_did_not_sign_prove_nothing() {
    all_lie(114, &[Refused::CheckpointForged, Refused::SyncUnproven], |_, _| {
        Lie::Words(Box::new(IdentitySecret::from_seed([9; 32])))
    });
}

#[test]
fn one_source_that_lies_is_left_for_another() {
    in_virtual_time(|| async {
        let (mut world, leader, victim) = mesh(115).await;
        let liar = world.status(leader).learners[0];
        let follows = |world: &World| world.group(victim).sync_status().state;
        world.group(victim).sync_from(&[liar]).expect("a member");
        let asks_it = |world: &World| follows(world) == SyncState::Follows(liar);
        world.until("it asks the liar", asks_it).await;
        world.lie_to(victim, [liar], Lie::Content);
        let agreed = world.admit(leader).await.expect("agreed");
        world.until("it hears of it", |world| world.status(victim).applied >= agreed.0).await;
        assert!(world.lies() > 0, "nobody lied");
        assert_ne!(follows(&world), SyncState::Follows(liar));
        assert_eq!(world.status(victim).state_hash, world.status(leader).state_hash);
    });
}
