//! Everybody remembers who voted and why, also after a start; only who led knows what it measured.

use std::time::Duration;

use mesh_control::command::Command;
use mesh_control::raft::{Cause, Reason, Timing};
use mesh_model::MemberId;
use mesh_model::trust::{VoterTarget, Wish};

use crate::world::{World, in_virtual_time};

const FOUNDER: MemberId = MemberId::FOUNDER;

/// What `member` tells of votes.
fn votes(world: &World, member: MemberId) -> Vec<Cause> {
    let (told, _) = world.group(member).history();
    told.into_iter().map(|seen| seen.cause).filter(Cause::is_of_votes).collect()
}

#[test]
fn a_voter_that_falls_silent_is_replaced_and_its_leader_tells_for_how_long_it_was() {
    in_virtual_time(|| async {
        let world = World::of(4, 150).await;
        let leader = world.leader().await;
        let voters = world.status(leader).voters;
        let learner = world.running().into_iter().find(|id| !voters.contains(id)).expect("four");
        let lost = voters.iter().copied().find(|id| *id != leader).expect("three voters");
        let other = voters.into_iter().find(|id| ![leader, lost].contains(id)).expect("three");
        world.crash(lost).await;
        world.replaced(leader, &[lost]).await;
        let given = Cause::VoteGiven(learner, Reason::InPlaceOf(lost));
        let settle = Timing::default().settle.as_secs();
        let told = votes(&world, leader);
        let [.., Cause::VoteTaken(of, Reason::Silent(secs)), last] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((of, last), (lost, given));
        assert!((settle..2 * settle).contains(&secs), "{secs}");
        let taken = Cause::VoteTaken(lost, Reason::Decided(Some(leader)));
        for member in [other, learner] {
            let knows = |world: &World| votes(world, member).ends_with(&[taken, given]);
            world.until("the others know who decided", knows).await;
        }
    });
}

#[test]
fn what_the_admins_want_is_the_reason_everywhere() {
    in_virtual_time(|| async {
        let world = World::of(6, 151).await;
        let set = async |serial, target: u8, wishes: &[(MemberId, Wish)]| {
            let policy = world.mesh.policy(serial, VoterTarget::of(target), wishes);
            let at = world.leader().await;
            world.propose(at, Command::SetVoters(policy)).await.expect("agreed");
        };
        let tell = async |last: &[Cause]| {
            for member in world.running() {
                let told = |world: &World| {
                    let votes = votes(world, member);
                    last.iter().all(|cause| votes.contains(cause))
                };
                world.until("it tells why", told).await;
            }
        };
        let [.., fourth, fifth, _] = world.running()[..] else { panic!("six") };
        set(1, 5, &[]).await;
        tell(&[fourth, fifth].map(|id| Cause::VoteGiven(id, Reason::Target(5)))).await;
        let leader = world.leader().await;
        let unwanted = world.status(leader).voters.into_iter().find(|id| *id != leader);
        let unwanted = unwanted.expect("five vote");
        set(2, 5, &[(unwanted, Wish::Never)]).await;
        tell(&[Cause::VoteTaken(unwanted, Reason::Wish)]).await;
        set(3, 1, &[(unwanted, Wish::Always)]).await;
        tell(&[Cause::VoteGiven(unwanted, Reason::Wish)]).await;
    });
}

#[test]
fn a_start_goes_on_with_what_was_kept() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 152).await;
        let leader = world.leader().await;
        let away = *world.running().last().expect("four");
        let kept = world.group(away).history_to_keep();
        let (before, _) = world.group(away).history();
        let count = world.group(away).history_count();
        assert!(before.len() > 1, "{before:?}");
        world.crash(away).await;
        // Who votes changes meanwhile.
        let policy = world.mesh.policy(1, VoterTarget::of(1), &[]);
        world.propose(leader, Command::SetVoters(policy)).await.expect("agreed");
        let one = |world: &World| world.status(leader).voters.len() == 1;
        world.until("one votes", one).await;
        world.restart_recalling(away, &kept).await;
        let told = |world: &World| votes(world, away).len() >= 2 + votes_in(&before);
        world.until("it tells what happened without it", told).await;
        let (after, forgotten) = world.group(away).history();
        assert_eq!((&after[..before.len()], forgotten), (&before[..], 0));
        assert_eq!(after[before.len()].cause, Cause::Started);
        assert!(world.group(away).history_count() > count);
        let taken = |cause: &Cause| matches!(cause, Cause::VoteTaken(_, Reason::Target(1)));
        assert_eq!(votes(&world, away).into_iter().filter(taken).count(), 2);

        // Without it, the story begins anew, and says nothing of votes it did not see change.
        world.crash(away).await;
        world.restart(away).await;
        let follows = |world: &World| world.status(away).leadership.leader == Some(FOUNDER);
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.until("it follows", follows).await;
        assert_eq!(votes(&world, away), []);
    });
}

fn votes_in(told: &[mesh_control::raft::Transition]) -> usize {
    told.iter().filter(|seen| seen.cause.is_of_votes()).count()
}
