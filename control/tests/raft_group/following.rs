//! Members that the leader does not feed have what was agreed all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use mesh_control::node::Sighting;
use mesh_control::raft::{Role, SyncState};
use mesh_control::sync::{PreferenceError, Supply};
use mesh_model::MemberId;
use tokio::time::{Instant, sleep};

use crate::world::{World, in_virtual_time};

/// Three voters, two spares, and three that follow; one more makes no more voters.
const MEMBERS: usize = 8;

fn fed(world: &World, leader: MemberId) -> BTreeSet<MemberId> {
    let status = world.status(leader);
    status.voters.iter().chain(&status.learners).copied().collect()
}

/// The mesh once nobody is being made a learner any more, and its leader.
async fn crowd(seed: u8) -> (World, MemberId) {
    let world = World::of(MEMBERS, seed).await;
    let leader = world.leader().await;
    world.until("five that are fed", |world| fed(world, leader).len() == 5).await;
    (world, leader)
}

/// Those the leader does not feed.
fn followers(world: &World, leader: MemberId) -> Vec<MemberId> {
    let fed = fed(world, leader);
    world.running().into_iter().filter(|id| !fed.contains(id)).collect()
}

async fn everywhere(world: &World, index: u64) {
    world
        .until("applied everywhere", |world| {
            world.running().iter().all(|id| world.status(*id).applied >= index)
        })
        .await;
}

#[test]
fn a_commit_reaches_those_the_leader_does_not_feed() {
    in_virtual_time(|| async {
        let (world, leader) = crowd(90).await;
        sleep(Duration::from_secs(3)).await;
        let fed = fed(&world, leader);
        let before = world.trace().len();
        for _ in 0..5 {
            let begun = Instant::now();
            let applied = world.propose(leader, world.filler()).await.expect("agreed");
            everywhere(&world, applied.index).await;
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
            sleep(Duration::from_secs(2)).await;
        }
        // An append is a request of kind 0.
        let trace = world.trace();
        let appends = trace[before..].iter().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (way, kind) = (words.next()?, words.next()?);
            (kind == "0").then(|| way.split_once("->").expect("a way").1.to_owned())
        });
        let appended: BTreeSet<String> = appends.collect();
        let fed: BTreeSet<String> = fed.iter().map(ToString::to_string).collect();
        assert!(appended.is_subset(&fed), "{appended:?} were sent entries by Raft, {fed:?} should");
    });
}

#[test]
fn a_follower_knows_who_leads_and_that_nobody_does() {
    in_virtual_time(|| async {
        let (world, leader) = crowd(91).await;
        let all = world.running();
        let fed = fed(&world, leader);
        let follower = *all.iter().find(|id| !fed.contains(id)).expect("somebody follows");
        world
            .until("the follower hears of the leader", |world| {
                let seen = world.status(follower).leadership;
                seen.leader == Some(leader) && seen.role == Role::Learner
            })
            .await;
        assert!(matches!(world.group(follower).sync_status().progress.supply, Supply::Source(_)));
        world.stop(leader).await;
        let another = world.leader().await;
        world
            .until("it hears of the next", |world| {
                world.status(follower).leadership.leader == Some(another)
            })
            .await;
        for voter in world.status(another).voters {
            if world.running().contains(&voter) {
                world.cut(voter);
            }
        }
        world
            .until("and that it is gone", |world| {
                world.status(follower).leadership.leader.is_none()
            })
            .await;
    });
}

#[test]
fn a_followers_proposal_is_agreed_and_comes_back_to_it() {
    in_virtual_time(|| async {
        let (mut world, leader) = crowd(92).await;
        let fed = fed(&world, leader);
        let all = world.running();
        let follower = *all.iter().find(|id| !fed.contains(id)).expect("somebody follows");
        let member = world.admit(follower).await.expect("forwarded");
        everywhere(&world, member.0).await;
    });
}

#[test]
fn a_follower_that_was_away_for_long_is_sent_the_whole_state() {
    in_virtual_time(|| async {
        let (mut world, leader) = crowd(93).await;
        let fed = fed(&world, leader);
        let all = world.running();
        let follower = *all.iter().find(|id| !fed.contains(id)).expect("somebody follows");
        world.stop(follower).await;
        // The leader makes a snapshot every 1000 entries and keeps 200 before it.
        for _ in 0..25 {
            let fillers = (0..50).map(|_| world.propose(leader, world.filler()));
            for agreed in join_all(fillers).await {
                agreed.expect("agreed");
            }
        }
        // The last thing agreed changes the state, so a state that is not the mesh's would show.
        let last = world.admit(leader).await.expect("agreed");
        world.restart(follower).await;
        assert!(world.status(follower).applied + 1200 < last.0);
        everywhere(&world, last.0).await;
        world.settle().await;
    });
}

#[test]
fn a_follower_that_was_away_for_a_while_is_sent_what_it_lacks() {
    in_virtual_time(|| async {
        let (mut world, leader) = crowd(94).await;
        let fed = fed(&world, leader);
        let all = world.running();
        let follower = *all.iter().find(|id| !fed.contains(id)).expect("somebody follows");
        world.cut(follower);
        for _ in 0..150 {
            world.propose(leader, world.filler()).await.expect("agreed");
        }
        let last = world.admit(leader).await.expect("agreed");
        world.heal(follower);
        everywhere(&world, last.0).await;
    });
}

#[test]
fn a_follower_becomes_a_voter_when_others_are_lost() {
    in_virtual_time(|| async {
        let (world, leader) = crowd(95).await;
        let fed = fed(&world, leader);
        let follows: Vec<MemberId> =
            world.running().into_iter().filter(|id| !fed.contains(id)).collect();
        // Both spares first, then a voter: only one that followed by sync is left to take its vote.
        for spare in world.status(leader).learners {
            world.stop(spare).await;
            let seen = Sighting { member: spare, dead: true, applied: 0, reads: None };
            world.group(leader).handle_sighting(seen);
        }
        world
            .until("those that followed take their place", |world| {
                world.status(leader).learners.iter().any(|id| follows.contains(id))
            })
            .await;
        let voters = world.status(leader).voters;
        let lost = *voters.iter().find(|id| **id != leader).expect("another voter");
        world.stop(lost).await;
        sleep(Duration::from_secs(30)).await;
        world
            .until("one of them votes", |world| {
                world.status(leader).voters.iter().any(|id| follows.contains(id))
            })
            .await;
        world.propose(leader, world.filler()).await.expect("agreed");
    });
}

#[test]
fn one_that_lost_its_vote_while_it_was_away_hears_of_it() {
    in_virtual_time(|| async {
        let (mut world, leader) = crowd(96).await;
        let voters = world.status(leader).voters;
        let lost = *voters.iter().find(|id| **id != leader).expect("another voter");
        world.stop(lost).await;
        sleep(Duration::from_secs(70)).await;
        world
            .until("its vote is another's, and it is not fed", |world| {
                !fed(world, leader).contains(&lost)
            })
            .await;
        let last = world.propose(leader, world.filler()).await.expect("agreed");
        world.restart(lost).await;
        world
            .until("it follows", |world| {
                let status = world.status(lost);
                status.applied >= last.index
                    && status.leadership.role == Role::Learner
                    && status.leadership.leader == Some(leader)
            })
            .await;
    });
}

#[test]
fn a_follower_left_behind_says_so_until_it_understands_its_source_again() {
    in_virtual_time(|| async {
        let (world, leader) = crowd(93).await;
        let fed = fed(&world, leader);
        let (followers, others): (Vec<_>, Vec<_>) =
            world.running().into_iter().partition(|id| !fed.contains(id));
        world.speak_newer(others);
        world
            .until("they say that they were left behind", |world| {
                followers.iter().all(|id| world.group(*id).outdated().is_some())
            })
            .await;
        world.speak_newer([]);
        let applied = world.propose(leader, world.filler()).await.expect("agreed");
        everywhere(&world, applied.index).await;
        world
            .until("they understand the mesh again", |world| {
                followers.iter().all(|id| world.group(*id).outdated().is_none())
            })
            .await;
    });
}

#[test]
fn a_follower_asks_whom_its_operator_prefers_and_another_when_that_one_is_gone() {
    in_virtual_time(|| async {
        let (world, leader) = crowd(97).await;
        let followers = followers(&world, leader);
        let [follower, preferred, ..] = followers[..] else { panic!("three follow") };
        let state = |world: &World| world.group(follower).sync_status().state;
        world.until("it follows", |world| matches!(state(world), SyncState::Follows(_))).await;
        assert_ne!(state(&world), SyncState::Follows(preferred), "the voters come first");
        world.group(follower).sync_from(&[preferred]).expect("a member");
        let moved = SyncState::Follows(preferred);
        world.until("it follows the one preferred", |world| state(world) == moved).await;
        let status = world.group(follower).sync_status();
        assert_eq!((status.progress.preferred, status.depth), (vec![preferred], Some(2)));
        assert!(world.group(preferred).sync_status().served.contains(&follower));

        world.stop(preferred).await;
        let applied = world.propose(leader, world.filler()).await.expect("agreed");
        everywhere(&world, applied.index).await;
        assert!(matches!(state(&world), SyncState::Follows(other) if other != preferred));
    });
}

#[test]
fn who_is_fed_says_so_and_asks_nobody_whatever_is_preferred() {
    in_virtual_time(|| async {
        let (world, leader) = crowd(98).await;
        let follower = followers(&world, leader)[0];
        for (member, state) in
            [(leader, SyncState::Leads), (world.status(leader).learners[0], SyncState::Fed)]
        {
            world.group(member).sync_from(&[follower]).expect("a member");
            world.group(member).sync_fast();
            sleep(Duration::from_secs(3)).await;
            let status = world.group(member).sync_status();
            assert_eq!((status.state, status.depth), (state, Some(0)));
            assert!(!status.progress.supply.asks());
            assert_eq!(status.progress.preferred, [follower]);
        }
        let stranger = MemberId(999);
        let refused = world.group(leader).sync_from(&[stranger]);
        assert_eq!(refused, Err(PreferenceError::NotAMember(stranger)));
        let group = world.group(leader);
        world.stop(leader).await;
        let status = group.sync_status();
        assert_eq!((status.state, status.depth), (SyncState::Stopped, None));
    });
}
