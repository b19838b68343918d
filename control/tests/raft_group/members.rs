//! Founding, joining, forwarding, electing, catching up.

use std::time::Duration;

use futures_util::future::join_all;
use mesh_control::command::{Outcome, Refusal};
use mesh_control::raft::MemoryDisk;
use mesh_control::raft::{ProposeError, Role, SnapshotError, Start, Store, StoreError};
use mesh_control::refusals::Refused;
use mesh_model::MemberId;
use mesh_model::trust::AdminsHead;
use tokio::time::Instant;

use crate::fixture::{Host, Mesh, after};
use crate::world::{World, in_virtual_time};

const FOUNDER: MemberId = MemberId::FOUNDER;

#[test]
fn a_founder_leads_at_once_and_again_after_a_restart() {
    in_virtual_time(|| async {
        let begun = Instant::now();
        let mut world = World::found(1).await;
        assert_eq!(world.leader().await, FOUNDER);
        assert!(begun.elapsed() < Duration::from_millis(200), "no election to wait for");

        world.stop(FOUNDER).await;
        world.restart(FOUNDER).await;
        let begun = Instant::now();
        world.admit(FOUNDER).await.expect("agreed");
        assert!(begun.elapsed() < Duration::from_millis(500), "no election to wait for");
    });
}

#[test]
fn those_that_vote_may_send_what_is_as_long_as_the_state() {
    in_virtual_time(|| async {
        let world = World::of(5, 4).await;
        let leader = world.leader().await;
        let asked = *world.running().last().expect("five");
        for other in world.running().into_iter().filter(|id| *id != asked) {
            let votes = world.status(leader).voters.contains(&other);
            assert_eq!(world.group(asked).may_ask_much(other).await, votes, "{other}");
        }
        assert!(world.group(asked).refusals().of(Refused::AgreementNotAVoter) > 0);
    });
}

#[test]
fn no_admission_gets_the_founders_number() {
    in_virtual_time(|| async {
        let mut world = World::found(2).await;
        // Index 0 is the founding membership, 1 the first leader's blank entry, 2 the invite.
        let first = world.admit(FOUNDER).await.expect("agreed");
        assert_eq!(first, MemberId(3));
        assert!(first > FOUNDER);
        assert!(world.group(FOUNDER).views().borrow().members.contains_key(&FOUNDER));
    });
}

#[test]
fn members_join_follow_and_vote() {
    in_virtual_time(|| async {
        let mut world = World::of(2, 3).await;
        let second = world.running()[1];
        assert_eq!(world.status(second).leadership.role, Role::Learner);
        let third = world.join().await;
        world.settle().await;
        assert_eq!(world.status(third).voters, [FOUNDER, second, third]);
        let fourth = world.join().await;
        world.settle().await;
        assert_eq!(world.status(fourth).voters, [FOUNDER, second, third]);
        assert_eq!(world.status(fourth).learners, [fourth]);
    });
}

#[test]
fn a_followers_proposal_is_agreed() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 4).await;
        let leader = world.leader().await;
        for follower in world.running().into_iter().filter(|id| *id != leader) {
            let member = world.admit(follower).await.expect("forwarded");
            let everywhere = |world: &World| {
                let knows =
                    |id: &MemberId| world.group(*id).views().borrow().members.contains_key(&member);
                world.running().iter().all(knows)
            };
            world.until("known everywhere", everywhere).await;
        }
    });
}

#[test]
fn a_refusal_is_an_answer() {
    in_virtual_time(|| async {
        let world = World::of(3, 5).await;
        let foreign = Mesh::new(2).invite(1, 1).add();
        for member in world.running() {
            let applied = world.propose(member, foreign.clone()).await.expect("decided");
            assert!(matches!(applied.outcome, Outcome::Refused(Refusal::Chain(_))));
        }
    });
}

#[test]
fn what_anybody_could_have_made_up_is_refused_without_a_place_in_the_log() {
    in_virtual_time(|| async {
        let mut world = World::of(3, 27).await;
        let foreign = Mesh::new(2).invite(1, 1);
        let before = world.status(FOUNDER).commit;
        for member in world.running() {
            for made_up in [foreign.add(), foreign.admit(&Host::new(99))] {
                let applied = world.propose(member, made_up).await.expect("decided");
                assert!(matches!(applied.outcome, Outcome::Refused(_)), "{applied:?}");
                assert_eq!(applied.index, before);
            }
        }
        assert_eq!(world.status(FOUNDER).commit, before);
        let admitted = world.admit(FOUNDER).await.expect("agreed");
        assert_eq!(admitted, MemberId(before + 1));
    });
}

#[test]
fn a_proposers_clock_ends_no_invite() {
    const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;
    in_virtual_time(|| async {
        let mut world = World::of(3, 28).await;
        for member in world.running() {
            // Told to the leader itself and forwarded to it.
            let admission = world.admission();
            let applied = world.group(member).propose(after(YEAR_MS, admission)).await;
            let outcome = applied.expect("agreed").outcome;
            assert!(matches!(outcome, Outcome::Admitted { .. }), "{outcome:?}");
        }
    });
}

#[test]
fn a_voter_that_was_wiped_gets_no_second_start() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 29).await;
        let newcomer = world.admit(FOUNDER).await.expect("agreed");
        let voters = world.status(FOUNDER).voters;
        assert_eq!(voters.len(), 3);
        for member in world.running() {
            for voter in &voters {
                assert!(!world.group(member).may_welcome(*voter), "{voter} at {member}");
            }
        }
        let leader = world.leader().await;
        let learner = world.running()[3];
        assert!(!world.group(leader).may_welcome(learner), "it holds part of the log");
        assert!(world.group(leader).may_welcome(newcomer));
    });
}

#[test]
fn a_leader_that_is_heard_is_kept() {
    in_virtual_time(|| async {
        let world = World::of(3, 33).await;
        world.settle().await;
        let before = world.status(FOUNDER).leadership;
        let mut changes = world.group(FOUNDER).leadership();
        changes.mark_unchanged();
        let minutes = Duration::from_secs(600);
        let changed = tokio::time::timeout(minutes, changes.changed()).await;
        assert!(changed.is_err(), "{:?} after {before:?}", world.status(FOUNDER).leadership);
        assert!(before.leader.is_some());
    });
}

#[test]
fn another_leads_when_the_leader_is_gone_and_the_old_one_follows_when_it_is_back() {
    for seed in 0..5 {
        in_virtual_time(move || async move {
            let mut world = World::of(3, seed).await;
            let first = world.leader().await;
            let term = world.status(first).leadership.term;
            world.cut(first);
            let second = world.leader().await;
            assert!(second != first && world.status(second).leadership.term > term);
            let admitted = world.admit(second).await.expect("two of three agree");

            // Alone it decides nothing, and says so.
            let lonely = world.propose(first, world.filler()).await;
            assert_eq!(lonely, Err(ProposeError::NoQuorum));
            assert!(!world.group(first).views().borrow().members.contains_key(&admitted));

            world.heal(first);
            let caught_up = |world: &World| {
                let known = world.group(first).views().borrow().members.contains_key(&admitted);
                known && world.status(first).leadership.role == Role::Follower
            };
            world.until("the old leader follows", caught_up).await;
        });
    }
}

#[test]
fn a_host_that_comes_back_does_not_unseat_a_leader_the_others_are_happy_with() {
    in_virtual_time(|| async {
        let world = World::of(3, 7).await;
        let leader = world.leader().await;
        let term = world.status(leader).leadership.term;
        let away = *world.running().iter().find(|id| **id != leader).expect("a follower");
        world.cut(away);
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.heal(away);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(world.leader().await, leader);
        assert_eq!(world.status(leader).leadership.term, term);
        assert_eq!(world.status(away).leadership.leader, Some(leader));
    });
}

#[test]
fn a_member_that_was_away_for_long_gets_the_whole_state() {
    in_virtual_time(|| async {
        let mut world = World::of(4, 8).await;
        let leader = world.leader().await;
        let away = world.running()[3];
        world.cut(away);
        let before = world.status(away).applied;
        // More than the leader keeps: a snapshot each 1000 entries, 200 kept behind it.
        for _ in 0..13 {
            let batch = (0..100).map(|_| world.propose(leader, world.filler()));
            assert!(join_all(batch).await.iter().all(Result::is_ok));
        }
        world.admit(leader).await.expect("agreed");
        world.heal(away);
        world.settle().await;
        assert!(world.status(away).applied > before + 1300);
        // What it was sent is what it finds after a crash.
        let hash = world.status(away).state_hash;
        world.crash(away).await;
        let found = world.store(away).view();
        assert!(found.applied >= before + 1000);
        world.restart(away).await;
        world.settle().await;
        assert_eq!(world.status(away).state_hash, hash);
    });
}

#[test]
fn a_welcome_that_is_not_genuine_is_refused() {
    in_virtual_time(|| async {
        let world = World::of(2, 9).await;
        let snapshot = world.group(FOUNDER).snapshot();
        let knew = AdminsHead::of_root(&world.mesh.root.key);
        let create = |root, admins, snapshot: Vec<u8>| {
            let genesis = world.mesh.genesis.clone();
            let start = Start::Welcome { member: MemberId(3), genesis, admins, snapshot };
            Store::create(MemoryDisk::new(), root, start).err()
        };
        let other = Mesh::new(2);
        let refused = create(&other.root, knew, snapshot.clone());
        assert!(matches!(refused, Some(StoreError::Forged(SnapshotError::Chain(_)))));
        let refused = create(&world.mesh.root, knew, snapshot[..snapshot.len() - 1].to_vec());
        assert!(matches!(refused, Some(StoreError::Forged(_))), "{refused:?}");
        // The token knows of admins that this state has not heard of, or never had.
        let refused = create(&world.mesh.root, AdminsHead([7; 32]), snapshot.clone());
        assert!(matches!(refused, Some(StoreError::Forged(SnapshotError::Chain(_)))));
        assert_eq!(create(&world.mesh.root, knew, snapshot), None);
    });
}

#[test]
fn a_member_knows_the_mesh_before_agreement_runs_and_with_no_leader_anywhere() {
    in_virtual_time(|| async {
        let world = World::of(3, 10).await;
        let hash = world.status(FOUNDER).state_hash;
        // Long enough for the commit index to be flushed.
        tokio::time::sleep(Duration::from_secs(2)).await;
        for member in world.running() {
            world.crash(member).await;
            let view = world.store(member).view();
            assert_eq!((view.members.len(), view.hash), (3, hash));
        }
    });
}

#[test]
fn status_says_what_is_so() {
    in_virtual_time(|| async {
        let world = World::of(3, 11).await;
        let leader = world.leader().await;
        for member in world.running() {
            let status = world.status(member);
            let role = if member == leader { Role::Leader } else { Role::Follower };
            assert_eq!(status.leadership.role, role);
            assert_eq!(status.leadership.leader, Some(leader));
            assert_eq!(world.group(member).leadership().borrow().leader, Some(leader));
            assert_eq!(status.state_hash, world.group(member).views().borrow().hash);
            assert!(status.commit >= status.applied);
        }
        let group = world.group(leader);
        world.stop(leader).await;
        assert_eq!(group.status().leadership.role, Role::Stopped);
        assert_eq!(
            group.propose(crate::fixture::after(0, world.filler())).await,
            Err(ProposeError::Stopped)
        );
    });
}
