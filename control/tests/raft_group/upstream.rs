//! Sequences of messages that openraft once got wrong. Each is about what agreement rests on, so they are looked at again
//! whenever openraft changes.

use std::time::Duration;

use mesh_control::command::Command;
use mesh_model::MemberId;
use mesh_model::trust::{VoterTarget, Wish};
use tokio::time::{sleep, timeout};

use crate::fixture::after;
use crate::world::{World, in_virtual_time};

/// Time for a question and its answer, also over the longer of two lines.
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// How much farther away the voter is whose answers come second.
const FARTHER: Duration = Duration::from_millis(3);

/// Until a leader that nobody answers falls silent, the voters have waited for it, and the second election came about if the
/// first did not.
const SOON: Duration = Duration::from_secs(5);

/// A leader without a vote, and its five voters: the change that takes its vote is in its log, and neither agreed on nor
/// anywhere else.
async fn led_without_a_vote(seed: u8) -> (World, MemberId, [MemberId; 5]) {
    let world = World::of_voters(5, seed, 6).await;
    let leader = world.leader().await;
    // Nobody else is missed while one of the others takes the vote.
    sleep(Duration::from_secs(5)).await;
    let policy = world.mesh.policy(2, VoterTarget::of(5), &[(leader, Wish::Never)]);
    let group = world.group(leader);
    tokio::spawn(async move { group.propose(after(0, Command::SetVoters(policy))).await });
    let without = |world: &World| {
        let status = world.status(leader);
        !status.changing && !status.voters.contains(&leader)
    };
    world.until_at_once("it has no vote", without).await;
    let voters = world.status(leader).voters.try_into().expect("five voters");
    (world, leader, voters)
}

/// The leader counts two voters that have what is not agreed yet. The one that was first stays where it is, the second
/// gets ahead of it, and a third draws level with the second: two have the end of the log, three have a part of it, and the
/// leader itself does not count. Only that part is agreed (openraft issue 1802: a count in the order of the first answers
/// took the end for agreed, which the loss of two voters would have undone).
#[test]
fn what_two_of_five_hold_is_not_agreed_in_whatever_order_they_answer() {
    for seed in 90..95 {
        in_virtual_time(move || async move {
            let (world, leader, [first, second, third, fourth, fifth]) =
                led_without_a_vote(seed).await;
            world.move_away(second, FARTHER);
            [third, fourth, fifth].iter().for_each(|id| world.cut(*id));
            sleep(ROUND_TRIP).await;
            let agreed = world.status(leader).commit;
            // The first has the change, and hears no more.
            world.cut(first);
            let asked = (0..3).map(|_| {
                let (group, filler) = (world.group(leader), world.filler());
                tokio::spawn(async move { group.propose(after(0, filler)).await })
            });
            let asked: Vec<_> = asked.collect();
            sleep(ROUND_TRIP).await;
            assert_eq!(world.status(leader).commit, agreed, "one of five, and one with less");
            world.heal(third);
            let more = |world: &World| world.status(leader).commit > agreed;
            world.until_at_once("the third has what the leader has", more).await;
            assert_eq!(world.status(leader).commit, agreed + 1, "three have the change alone");
            assert!(asked.iter().all(|asked| !asked.is_finished()), "nobody was told otherwise");
            // What was not agreed may be lost with the two that have it, and nothing else is.
            for lost in [second, third, leader] {
                world.crash(lost).await;
            }
            [first, fourth, fifth].iter().for_each(|id| world.heal(*id));
            let next = world.leader().await;
            world.propose(next, world.filler()).await.expect("three of five agree");
        });
    }
}

/// Of five voters the leader reaches one alone, the bridge. That one and two others reach each other, and nobody reaches the
/// fifth. The bridge goes on hearing a leader that can get nothing agreed, and would give nobody else its vote (openraft issue
/// 2080): the leader has to fall silent, so that the three can elect one of them.
#[test]
fn a_leader_that_only_one_voter_hears_does_not_keep_three_from_electing_another() {
    for seed in 95..100 {
        in_virtual_time(move || async move {
            let world = World::of_voters(5, seed, 5).await;
            let old = world.leader().await;
            let others: Vec<_> = world.running().into_iter().filter(|id| *id != old).collect();
            let [bridge, a, b, isolated] = others.try_into().expect("four others");
            for cut_off in [a, b, isolated] {
                world.sever(old, cut_off);
            }
            for reached in [bridge, a, b] {
                world.sever(isolated, reached);
            }
            let replaced = |world: &World| {
                [a, b, bridge].iter().all(|id| {
                    let leader = world.status(*id).leadership.leader;
                    leader.is_some_and(|leader| leader != old)
                })
            };
            let in_time = timeout(SOON, world.until("three agree on another leader", replaced));
            in_time.await.expect("in time");
            world.propose(a, world.filler()).await.expect("three of five agree");
            world.splice();
            let term = world.status(a).leadership.term;
            world
                .until("all follow it", |world| {
                    world.running().iter().all(|id| world.status(*id).leadership.term == term)
                })
                .await;
        });
    }
}
