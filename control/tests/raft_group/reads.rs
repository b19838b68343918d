//! Reads that miss nothing, and hosts that know how old it is what they show.

use std::time::Duration;

use mesh_control::raft::ReadError;
use mesh_model::MemberId;
use tokio::time::sleep;

use crate::world::{World, in_virtual_time};

fn others(world: &World, leader: MemberId) -> Vec<MemberId> {
    world.status(leader).voters.into_iter().filter(|voter| *voter != leader).collect()
}

#[test]
fn whatever_was_agreed_before_is_read_everywhere() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 70).await;
        for _ in 0..3 {
            for at in world.running() {
                let leader = world.leader().await;
                let admitted = world.admit(leader).await.expect("agreed");
                let index = world.group(at).catch_up().await.expect("everyone is there");
                assert!(index >= admitted.0, "{at} missed {admitted}");
                world.group(at).read(|state, applied| {
                    assert!(applied >= index);
                    assert!(state.members().present().contains_key(&admitted), "{at}");
                });
            }
        }
    });
}

#[test]
fn a_leader_without_its_majority_answers_no_read() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 71).await;
        let old = world.leader().await;
        world.cut(old);
        // It does not know yet that it leads nobody, and another agrees on what it never hears of.
        let new = world.leader().await;
        world.admit(new).await.expect("agreed by the others");
        assert_eq!(world.group(old).catch_up().await, Err(ReadError::NoQuorum));
        world.heal(old);
        world.group(old).catch_up().await.expect("it is back");
    });
}

#[test]
fn one_that_is_cut_off_says_how_old_it_is_what_it_shows() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 72).await;
        let leader = world.leader().await;
        let lately = Duration::from_secs(2);
        for member in world.running() {
            let age = world.group(member).freshness().age;
            assert!(age.is_some_and(|age| age < lately), "{member}: {age:?}");
        }
        let lost = others(&world, leader)[0];
        let applied = world.group(lost).freshness().applied;
        world.cut(lost);
        world.admit(leader).await.expect("agreed without it");
        sleep(Duration::from_secs(60)).await;
        let freshness = world.group(lost).freshness();
        assert_eq!(freshness.applied, applied);
        assert!(freshness.age.is_some_and(|age| age >= Duration::from_secs(59)), "{freshness:?}");
        // A leader that hears nobody any more grows old too.
        world.heal(lost);
        let leader = world.leader().await;
        for other in others(&world, leader) {
            world.cut(other);
        }
        sleep(Duration::from_secs(30)).await;
        let age = world.group(leader).freshness().age;
        assert!(age.is_some_and(|age| age >= Duration::from_secs(29)), "{age:?}");
    });
}

#[test]
fn a_mesh_of_one_is_never_old() {
    in_virtual_time(|| async {
        let world = World::found(73).await;
        sleep(Duration::from_secs(60)).await;
        let alone = world.group(MemberId::FOUNDER);
        assert_eq!(alone.freshness().age, Some(Duration::ZERO));
        assert_eq!(alone.catch_up().await, Ok(alone.freshness().applied));
    });
}

#[test]
fn readers_that_come_together_cost_the_leader_two_rounds() {
    in_virtual_time(|| async {
        let world = World::of(3, 74).await;
        let leader = world.leader().await;
        let calls = |world: &World| world.trace().len();
        let before = calls(&world);
        let readers: Vec<_> = (0..100)
            .map(|_| {
                let group = world.group(leader);
                tokio::spawn(async move { Box::pin(group.catch_up()).await })
            })
            .collect();
        for reader in readers {
            reader.await.expect("no panic").expect("everyone is there");
        }
        // One round for the first, one for all the others; the heartbeats of that moment may come on top.
        let made = calls(&world) - before;
        assert!(made <= 12, "{made} calls for 100 readers");
    });
}

#[test]
fn a_follower_says_how_old_it_is_by_what_its_source_hears() {
    in_virtual_time(|| async {
        // Three voters, two spares, and three that follow.
        let mut world = World::of(8, 73).await;
        let leader = world.leader().await;
        let fed = |world: &World| {
            let status = world.status(leader);
            [status.voters, status.learners].concat()
        };
        world.until("five that are fed", |world| fed(world).len() == 5).await;
        let fed = fed(&world);
        let followers: Vec<MemberId> =
            world.running().into_iter().filter(|id| !fed.contains(id)).collect();
        let [follower, source, ..] = followers[..] else { panic!("three follow") };
        world.group(follower).sync_from(&[source]).expect("a member");
        world.group(source).sync_from(&[leader]).expect("a member");
        sleep(Duration::from_secs(5)).await;
        let age = |world: &World, id| world.group(id).freshness().age.expect("heard once");
        let lately = Duration::from_secs(3);
        assert!(age(&world, follower) < lately, "{:?}", age(&world, follower));

        // The two have each other and nobody else.
        for other in world.running() {
            if other != follower && other != source {
                world.sever(other, follower);
                world.sever(other, source);
            }
        }
        let applied = world.group(follower).freshness().applied;
        world.admit(leader).await.expect("agreed by the others");
        for _ in 0..30 {
            sleep(Duration::from_secs(1)).await;
            let (own, sources) = (age(&world, follower), age(&world, source));
            assert!(own >= sources, "{own:?}, but its source has heard nothing for {sources:?}");
        }
        let old = world.group(follower).freshness();
        assert_eq!(old.applied, applied, "what was agreed since is not here");
        let cut_off = Duration::from_secs(29);
        assert!(old.age.is_some_and(|age| age >= cut_off && age < cut_off + lately), "{old:?}");

        world.splice();
        let recent = |world: &World| age(world, follower) < lately;
        world.until("it hears of the mesh again", recent).await;
        let missed = world.status(leader).applied;
        world.until("what it missed", |world| world.status(follower).applied >= missed).await;
    });
}
