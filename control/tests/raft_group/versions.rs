//! Members of one version among members of the next.

use mesh_control::raft::{MemoryDisk, Start};
use mesh_control::raft::{Role, Store, StoreError, Timing};
use mesh_model::MemberId;
use mesh_model::codec::CodecError;
use mesh_model::trust::AdminsHead;
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

/// The leader of `world`, one of its other voters, and everybody but that one.
async fn one_left_behind(world: &World) -> (MemberId, MemberId, Vec<MemberId>) {
    let leader = world.leader().await;
    let voters = world.status(leader).voters;
    let behind = voters.into_iter().find(|voter| *voter != leader).expect("three voters");
    let others = world.running().into_iter().filter(|id| *id != behind).collect();
    (leader, behind, others)
}

#[test]
fn a_voter_left_behind_says_so_keeps_what_it_has_and_gives_its_vote_to_another() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 90).await;
        let (leader, behind, others) = one_left_behind(&world).await;
        let before = (world.status(behind).leadership.term, world.status(behind).state_hash);
        world.speak_newer(others);
        let says_so = |world: &World| world.group(behind).outdated().is_some();
        world.until("it says that it was left behind", says_so).await;
        let heard = world.group(behind).outdated().expect("just seen");
        assert!(matches!(heard, CodecError::Version { found: u8::MAX, .. }), "{heard:?}");

        world.admit(leader).await.expect("two of three understand each other");
        sleep(Timing::default().settle).await;
        world.replaced(leader, &[behind]).await;
        let now = world.status(behind);
        assert_eq!((now.leadership.term, now.state_hash), before, "nothing is made up");
        assert_eq!(now.leadership.leader, None);
        assert_eq!(world.status(leader).leadership.term, before.0, "it disturbed nobody");

        // The others go back, or it was upgraded in place: it follows, and votes when there is room.
        world.speak_newer([]);
        let follows = |world: &World| {
            world.group(behind).outdated().is_none()
                && world.status(behind).state_hash == world.status(leader).state_hash
        };
        world.until("it follows again", follows).await;
    });
}

#[test]
fn a_voter_that_only_others_tell_of_its_leader_was_left_behind() {
    in_virtual_time(|| async {
        let world = World::of(3, 94).await;
        let (_, behind, others) = one_left_behind(&world).await;
        world.answer_in_kind();
        world.speak_newer(others);
        let says_so = |world: &World| world.group(behind).outdated().is_some();
        world.until("it says that it was left behind", says_so).await;
    });
}

#[test]
fn one_left_behind_asks_for_no_votes_even_when_nobody_leads() {
    in_virtual_time(|| async {
        let world = World::of(3, 91).await;
        let (leader, behind, others) = one_left_behind(&world).await;
        world.speak_newer(others.clone());
        let says_so = |world: &World| world.group(behind).outdated().is_some();
        world.until("it says that it was left behind", says_so).await;
        let term = world.status(behind).leadership.term;
        world.crash(leader).await;
        sleep(Timing::default().settle).await;
        let now = world.status(behind).leadership;
        assert_eq!((now.term, now.role), (term, Role::Follower));
    });
}

#[test]
fn a_leader_that_said_what_nobody_reads_and_went_leaves_voters_that_elect_another() {
    in_virtual_time(|| async {
        let world = World::of(3, 95).await;
        let leader = world.leader().await;
        let others: Vec<_> = world.running().into_iter().filter(|id| *id != leader).collect();
        world.speak_newer([leader]);
        let say_so = |world: &World| others.iter().all(|id| world.group(*id).outdated().is_some());
        world.until("all say that they were left behind", say_so).await;
        world.vanish(leader).await;
        let next = world.leader().await;
        world.propose(next, world.filler()).await.expect("a majority votes");
        let are_back =
            |world: &World| others.iter().all(|id| world.group(*id).outdated().is_none());
        world.until("nobody is behind anybody", are_back).await;
    });
}

#[test]
fn who_understands_its_leader_was_not_left_behind_whatever_others_speak() {
    in_virtual_time(|| async {
        let world = World::of(4, 92).await;
        let leader = world.leader().await;
        let others: Vec<_> = world.running().into_iter().filter(|id| *id != leader).collect();
        for newer in &others {
            world.speak_newer([*newer]);
            let proposed = world.propose(*newer, world.filler()).await;
            assert!(proposed.is_err(), "nobody understood it: {proposed:?}");
            assert!(world.running().iter().all(|id| world.group(*id).outdated().is_none()));
        }
        assert_eq!(world.leader().await, leader);
    });
}

/// Nothing of that is agreed while it leads, and when it leads no more it has a say as before.
#[test]
fn a_leader_that_nobody_confirms_was_not_left_behind_whatever_it_hears() {
    in_virtual_time(|| async {
        let world = World::of(3, 96).await;
        let (leader, other, _) = one_left_behind(&world).await;
        world.cut(leader);
        let next = |world: &World| world.status(other).leadership.leader.filter(|id| *id != leader);
        world.until("the others have a leader", |world| next(world).is_some()).await;
        let alone = |world: &World| world.status(leader).leadership.leader.is_none();
        world.until("nobody confirms the first", alone).await;
        // Confirmed or not.
        let leads = |world: &World| world.group(leader).leadership().borrow().role == Role::Leader;
        assert!(leads(&world));
        world.group(leader).handle_rpc(other, &[u8::MAX]).await.expect_err("it is not understood");

        let next = next(&world).expect("just seen");
        world.crash(next).await;
        world.heal(leader);
        world.until_at_once("its term is over", |world| !leads(world)).await;
        assert_eq!(world.group(leader).outdated(), None);
    });
}

#[test]
fn a_snapshot_of_another_version_is_neither_damaged_nor_forged() {
    in_virtual_time(|| async {
        let mut world = World::of(2, 93).await;
        let leader = world.leader().await;
        let member = world.admit(leader).await.expect("agreed");
        let mut snapshot = world.group(leader).snapshot();
        for (change, newer) in [(1, true), (255, false)] {
            snapshot[0] = snapshot[0].wrapping_add(change);
            let genesis = world.mesh.genesis.clone();
            let admins = AdminsHead::of_root(&world.mesh.root.key);
            let start = Start::Welcome { member, genesis, admins, snapshot: snapshot.clone() };
            let refused = Store::create(MemoryDisk::new().attach(), &world.mesh.root, start);
            match refused.map(drop) {
                Err(StoreError::OtherVersion(version)) => assert_eq!(version.is_newer(), newer),
                other => panic!("{other:?}"),
            }
            // Back to what it was, then below it.
            snapshot[0] = snapshot[0].wrapping_sub(change);
        }
    });
}
