//! The operator's word on who votes is carried out.

use mesh_control::command::{Command, Outcome};
use mesh_model::MemberId;
use mesh_model::trust::{VoterTarget, Wish};

use crate::world::{World, in_virtual_time};

const FOUNDER: MemberId = MemberId::FOUNDER;

async fn set(world: &World, serial: u64, target: u8, wishes: &[(MemberId, Wish)]) {
    let policy = world.mesh.policy(serial, VoterTarget::of(target), wishes);
    let at = world.leader().await;
    let applied = world.propose(at, Command::SetVoters(policy)).await.expect("agreed");
    assert_eq!(applied.outcome, Outcome::VotersSet(serial));
}

/// Waits until `voters` vote, as everybody knows.
async fn vote(world: &World, voters: &[MemberId]) {
    let voters: std::collections::BTreeSet<_> = voters.iter().copied().collect();
    world
        .until("those vote that shall", |world| {
            world.running().iter().all(|id| {
                let status = world.status(*id);
                !status.changing && status.voters.iter().eq(&voters)
            })
        })
        .await;
}

#[test]
fn as_many_vote_as_shall_and_can() {
    in_virtual_time(|| async {
        let mut world = World::of(6, 80).await;
        let members = world.running();
        set(&world, 1, 5, &[]).await;
        vote(&world, &members[..5]).await;
        set(&world, 2, 7, &[]).await;
        world.join().await;
        let all = world.running();
        vote(&world, &all).await;
        set(&world, 3, 1, &[]).await;
        let leader = world.leader().await;
        vote(&world, &[leader]).await;
        set(&world, 4, 0, &[]).await;
        world.until("three again", |world| world.status(leader).voters.len() == 3).await;
        world.admit(leader).await.expect("agreed");
    });
}

#[test]
fn who_shall_never_vote_does_not_even_as_the_leader_and_who_always_shall_comes_first() {
    in_virtual_time(|| async {
        let mut world = World::of(5, 81).await;
        let members = world.running();
        let (second, third, fourth, fifth) = (members[1], members[2], members[3], members[4]);
        vote(&world, &[FOUNDER, second, third]).await;
        let leader = world.leader().await;
        set(&world, 1, 0, &[(leader, Wish::Never)]).await;
        let gone = |world: &World| {
            let status = world.status(fifth);
            let led = status.leadership.leader;
            !status.voters.contains(&leader) && led.is_some_and(|led| led != leader)
        };
        world.until("another leads, and it has no vote", gone).await;
        world.admit(leader).await.expect("it still asks");

        set(&world, 2, 0, &[(fourth, Wish::Always), (fifth, Wish::Always)]).await;
        let both = |world: &World| {
            let voters = world.status(FOUNDER).voters;
            voters.len() == 3 && voters.contains(&fourth) && voters.contains(&fifth)
        };
        world.until("those that always shall", both).await;
        world.settle().await;
    });
}

#[test]
fn with_nobody_left_to_vote_those_that_do_go_on() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 82).await;
        let members = world.running();
        let never: Vec<_> = members.iter().map(|id| (*id, Wish::Never)).collect();
        set(&world, 1, 0, &never).await;
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        vote(&world, &members).await;
        let leader = world.leader().await;
        world.admit(leader).await.expect("agreed");
    });
}

#[test]
fn a_member_away_does_not_hold_up_the_others() {
    in_virtual_time(|| async {
        let world = World::of(4, 83).await;
        let members = world.running();
        let away = members[3];
        world.cut(away);
        // Until nobody thinks that it is there.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        set(&world, 1, 0, &[(away, Wish::Always)]).await;
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        let leader = world.leader().await;
        assert_eq!(world.status(leader).voters, members[..3], "not before it is there");
        world.heal(away);
        let votes = |world: &World| world.status(leader).voters.contains(&away);
        world.until("it votes once it is", votes).await;
    });
}
