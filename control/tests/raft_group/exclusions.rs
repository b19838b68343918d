//! Members report another, and the leader has it excluded.

use std::time::Duration;

use mesh_control::command::{Command, ExclusionRefusal, Outcome, Refusal};
use mesh_control::raft::{ProposeError, ReportError};
use mesh_control::reports::{Complaint, Tally};
use mesh_control::state::exclusions::EXCLUSION_MS;
use mesh_control::state::{Actor, Event};
use mesh_model::MemberId;
use mesh_model::trust::{Misconduct, Ruling, Wish};

use crate::world::{World, in_virtual_time};

/// `reporter` says that `subject` floods others.
async fn report(world: &World, reporter: MemberId, subject: MemberId) -> Complaint {
    let reported = world.group(reporter).report(subject, Misconduct::Floods, None).await;
    reported.expect("a report that counts")
}

fn is_out(world: &World, subject: MemberId, at: MemberId) -> bool {
    world.group(at).views().borrow().banned.contains_key(&subject)
}

async fn until_out(world: &World, subject: MemberId) {
    let everywhere = |world: &World| {
        world.running().into_iter().filter(|id| *id != subject).all(|id| is_out(world, subject, id))
    };
    world.until("excluded everywhere", everywhere).await;
}

/// Members that are not `subject`.
fn others(world: &World, subject: MemberId) -> Vec<MemberId> {
    world.running().into_iter().filter(|id| *id != subject).collect()
}

#[test]
fn a_quorum_of_reports_excludes_a_member_until_its_time_is_over() {
    in_virtual_time(|| async {
        let world = World::of_strangers(5, 60).await;
        let leader = world.leader().await;
        let subject = *others(&world, leader).last().expect("another");
        let reporters = others(&world, subject);
        for (at, reporter) in (1..).zip(&reporters[..3]) {
            assert!(!is_out(&world, subject, leader), "two are not enough");
            let answer = report(&world, *reporter, subject).await.answer;
            let tally = Tally { have: at, needed: 3, lineages: 4 };
            assert_eq!(answer, Some((leader, Ok(tally))));
        }
        world.until("excluded", |world| is_out(world, subject, leader)).await;
        world.cut(subject);
        until_out(&world, subject).await;
        let last = world.group(leader).read(|state, _| state.audit().iter().last().cloned());
        let last = last.expect("an entry");
        assert_eq!(last.by, Actor::Members { members: reporters[..3].to_vec() });
        assert!(matches!(last.event, Event::Excluded { member, .. } if member == subject));
        let status = world.status(leader);
        assert!(!status.voters.contains(&subject), "it has no vote");
        for reporter in &reporters {
            assert_eq!(world.group(*reporter).complaints(), [], "there is nothing more to say");
        }

        world.set_clock(EXCLUSION_MS - 1);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert!(is_out(&world, subject, leader));
        world.set_clock(EXCLUSION_MS);
        world.heal(subject);
        // The clock was set, not waited for: the leader looks at it once a minute.
        tokio::time::sleep(Duration::from_secs(61)).await;
        world.until("it is a member again", |world| !is_out(world, subject, leader)).await;
    });
}

#[test]
fn the_next_leader_hears_what_was_told_to_the_last() {
    in_virtual_time(|| async {
        let world = World::of_strangers(6, 61).await;
        let leader = world.leader().await;
        let subject = *others(&world, leader).last().expect("another");
        let reporters: Vec<_> =
            others(&world, subject).into_iter().filter(|id| *id != leader).collect();
        for reporter in &reporters[..2] {
            let answer = report(&world, *reporter, subject).await.answer;
            assert_eq!(answer.map(|(told, _)| told), Some(leader));
        }
        world.vanish(leader).await;
        let next = world.leader().await;
        world
            .until("told again", |world| {
                let cases = world.group(next).cases().unwrap_or_default();
                cases
                    .first()
                    .is_some_and(|case| case.reporters == reporters[..2].iter().copied().collect())
            })
            .await;
        report(&world, reporters[2], subject).await;
        world.cut(subject);
        until_out(&world, subject).await;
    });
}

#[test]
fn a_leader_that_is_reported_gives_up_the_lead_and_is_excluded() {
    in_virtual_time(|| async {
        let world = World::of_strangers(5, 62).await;
        let subject = world.leader().await;
        for reporter in &others(&world, subject)[..3] {
            report(&world, *reporter, subject).await;
        }
        until_out(&world, subject).await;
        let next = world.leader().await;
        assert_ne!(next, subject);
        world.propose(next, world.filler()).await.expect("agreed without it");
    });
}

#[test]
fn members_that_only_follow_report_too() {
    in_virtual_time(|| async {
        let world = World::of_strangers(8, 66).await;
        let leader = world.leader().await;
        world
            .until("some that nobody feeds", |world| {
                let status = world.status(leader);
                status.voters.len() + status.learners.len() == 5
            })
            .await;
        let status = world.status(leader);
        let is_fed = |id: &MemberId| status.voters.contains(id) || status.learners.contains(id);
        let (fed, mut following): (Vec<_>, Vec<_>) = world.running().into_iter().partition(is_fed);
        let subject = following.pop().expect("three");
        for reporter in following.iter().chain(&fed).take(4) {
            report(&world, *reporter, subject).await;
        }
        until_out(&world, subject).await;
    });
}

#[test]
fn hosts_that_came_in_by_one_token_are_one_voice() {
    in_virtual_time(|| async {
        let world = World::of(5, 63).await;
        let leader = world.leader().await;
        let subject = MemberId(world.running()[4].0);
        for reporter in &others(&world, subject)[..4] {
            let (_, answer) = report(&world, *reporter, subject).await.answer.expect("heard");
            let tally = answer.expect("kept");
            assert!(tally.have <= 2 && tally.needed == 3 && tally.lineages == 2, "{tally:?}");
        }
        world.propose(leader, world.filler()).await.expect("agreed");
        let cases = world.group(leader).cases().expect("it leads");
        assert_eq!(cases.len(), 1);
        assert_eq!(cases[0].reporters.len(), 2, "the founder and one of the token's");
        assert!(!is_out(&world, subject, leader));
    });
}

#[test]
fn what_cannot_come_to_anything_is_refused_at_once() {
    in_virtual_time(|| async {
        let world = World::of_strangers(5, 64).await;
        let leader = world.leader().await;
        let subject = *others(&world, leader).last().expect("another");
        let group = world.group(leader);
        let itself = group.report(leader, Misconduct::Other, None).await;
        assert_eq!(itself, Err(ReportError::Refused(ExclusionRefusal::OfItself(leader).into())));
        let nobody = MemberId(99);
        let unknown = group.report(nobody, Misconduct::Other, None).await;
        assert_eq!(unknown, Err(ReportError::Refused(Refusal::UnknownMember(nobody))));
        for reporter in &others(&world, subject)[..3] {
            report(&world, *reporter, subject).await;
        }
        world.until("excluded", |world| is_out(world, subject, leader)).await;
        let pardoned = world.propose(leader, world.judge(leader, subject, Ruling::Pardoned)).await;
        assert_eq!(pardoned.expect("agreed").outcome, Outcome::Judged(subject));
        assert!(!is_out(&world, subject, leader));
        let again = group.report(subject, Misconduct::Floods, None).await;
        assert_eq!(again, Err(ReportError::Refused(ExclusionRefusal::Pause(subject).into())));
    });
}

#[test]
fn nobody_ends_it_before_its_time() {
    in_virtual_time(|| async {
        let world = World::of_strangers(5, 65).await;
        let leader = world.leader().await;
        let subject = *others(&world, leader).last().expect("another");
        for reporter in &others(&world, subject)[..3] {
            report(&world, *reporter, subject).await;
        }
        until_out(&world, subject).await;
        let lapse = world.propose(leader, Command::Lapse(subject)).await.expect("decided");
        assert_eq!(lapse.outcome, Outcome::Refused(Refusal::StillBanned(subject)));
        assert!(is_out(&world, subject, leader));
    });
}

#[test]
fn a_case_that_cannot_be_agreed_holds_up_no_other() {
    in_virtual_time(|| async {
        let world = World::of_strangers(5, 67).await;
        let leader = world.leader().await;
        let subject = *others(&world, leader).last().expect("another");
        // Nobody else may vote, so nobody can take over from the leader.
        let wishes: Vec<_> = others(&world, leader).iter().map(|id| (*id, Wish::Never)).collect();
        let policy = Command::SetVoters(world.mesh.policy(1, None, &wishes));
        world.propose(leader, policy).await.expect("agreed");
        world.until("it votes alone", |world| world.status(leader).voters == [leader]).await;
        let reporters: Vec<_> =
            others(&world, leader).into_iter().filter(|id| *id != subject).collect();
        for reporter in &reporters {
            report(&world, *reporter, leader).await;
        }
        // Longer than it takes to find out that this one has to wait.
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!is_out(&world, leader, leader));
        world.set_clock(5_000);
        for reporter in &reporters {
            let (_, answer) = report(&world, *reporter, subject).await.answer.expect("heard");
            answer.expect("kept");
        }
        world.until("the other is out", |world| is_out(world, subject, leader)).await;
    });
}

#[test]
fn only_who_leads_proposes_an_exclusion() {
    in_virtual_time(|| async {
        let world = World::of_strangers(5, 68).await;
        let leader = world.leader().await;
        let subject = *others(&world, leader).last().expect("another");
        let by = others(&world, leader)[0];
        let made_up = Command::Exclude { subject, reports: Vec::new() };
        // From elsewhere it is not even looked at.
        let asked = world.propose(by, made_up.clone()).await;
        assert_eq!(asked, Err(ProposeError::Timeout));
        let refused = world.propose(leader, made_up).await.expect("decided").outcome;
        let too_few = ExclusionRefusal::TooFewReports { have: 0, needed: 3 };
        assert_eq!(refused, Outcome::Refused(too_few.into()));
        world.propose(by, world.filler()).await.expect("anything else goes on");
    });
}
