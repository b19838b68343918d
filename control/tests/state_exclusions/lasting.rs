//! How long an exclusion lasts, what ends it, and how many there may be.

use mesh_control::command::{Command, ExclusionRefusal, Outcome, Refusal};
use mesh_control::state::exclusions::{EXCLUSION_MS, MAX_EXCLUDED, MAX_REMEMBERED, PAUSE_MS};
use mesh_control::state::{Actor, Event, State};
use mesh_model::trust::{Misconduct, Ruling};
use mesh_model::view::ExclusionView;
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{MemberId, codec};

use crate::fixture::{BORN_MS, Host, ban};
use crate::{at, exclude, is_out, one_excluded, refused, separate};

#[test]
fn a_quorum_of_lineages_shuts_a_member_out_for_a_time_and_is_on_record() {
    let (mesh, mut log, members) = one_excluded();
    let subject = &members[4];
    let view = log.state.view(0);
    let out = &view.banned[&subject.0];
    let until_ms = BORN_MS + 1000 + EXCLUSION_MS;
    assert_eq!((out.since_ms, out.until_ms, &out.reason), (BORN_MS + 1000, Some(until_ms), &None));
    let reporters: Vec<MemberId> = members[..3].iter().map(|member| member.0).collect();
    let exclusion = ExclusionView {
        reporters: reporters.iter().copied().collect(),
        misconduct: [Misconduct::Floods].into(),
    };
    assert_eq!(out.exclusion.as_ref(), Some(&exclusion));
    let last = log.state.audit().iter().last().expect("an entry").clone();
    let misconduct = vec![Misconduct::Floods];
    let event = Event::Excluded { member: subject.0, until_ms, lineages: 4, misconduct };
    assert_eq!((last.by, last.event), (Actor::Members { members: reporters }, event));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let back: State = codec::decode(&codec::encode(&log.state)).expect("our own bytes");
    assert_eq!(back, log.state);

    let before = log.state.hash();
    let again = exclude(&mesh, &members[..3], subject, 1000);
    assert_eq!(log.apply(1001, again), Outcome::Excluded(subject.0), "the same again");
    assert_eq!(log.state.hash(), before);
    assert!(is_out(&log.state, subject));
    let door = mesh.invite(77, 1);
    log.apply(1001, door.add());
    let joined = log.apply(1001, door.admit(&subject.1));
    assert_eq!(joined, Outcome::Refused(JoinRefusal::Banned.into()), "not by another door");
}

#[test]
fn it_ends_by_itself_and_not_sooner() {
    let (mesh, mut log, members) = one_excluded();
    let subject = &members[4];
    let until = 1000 + EXCLUSION_MS;
    assert_eq!(log.state.next_lapse(), Some((subject.0, BORN_MS + until)));
    let lapse = Command::Lapse(subject.0);
    assert_eq!(refused(&mut log, until - 1, lapse.clone()), Refusal::StillBanned(subject.0));
    assert_eq!(log.apply(until, lapse.clone()), Outcome::Lapsed(subject.0));
    assert!(!is_out(&log.state, subject));
    assert_eq!(log.state.next_lapse(), None);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let before = log.state.hash();
    assert_eq!(log.apply(until + 1, lapse), Outcome::Lapsed(subject.0), "it had");
    assert_eq!(log.state.hash(), before);
}

#[test]
fn the_first_to_end_is_the_next_whether_banned_or_excluded() {
    let (mesh, mut log, members) = one_excluded();
    log.apply(1001, mesh.judge(at(&members[3]), 5, ban(Some(EXCLUSION_MS + 999))));
    assert_eq!(log.state.next_lapse(), Some((members[3].0, BORN_MS + EXCLUSION_MS + 999)));
    log.apply(1002, mesh.judge(at(&members[3]), 6, ban(Some(EXCLUSION_MS + 1001))));
    assert_eq!(log.state.next_lapse(), Some((members[4].0, BORN_MS + EXCLUSION_MS + 1000)));
}

#[test]
fn members_do_not_set_the_meshs_clock() {
    let (_, log, _) = one_excluded();
    assert_eq!(log.state.now_ms(), BORN_MS);
}

#[test]
fn an_admins_pardon_lifts_it_at_once_and_the_same_reports_do_not_bring_it_back() {
    let (mesh, mut log, members) = one_excluded();
    let subject = &members[4];
    log.apply(2000, mesh.judge(at(subject), 5, Ruling::Pardoned));
    assert!(!is_out(&log.state, subject));
    assert_eq!(log.state.next_lapse(), None);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    log.apply(2001, exclude(&mesh, &members[..3], subject, 1000));
    assert!(!is_out(&log.state, subject), "said again, it changes nothing");
    let pause = Refusal::from(ExclusionRefusal::Pause(subject.0));
    assert_eq!(refused(&mut log, 3000, exclude(&mesh, &members[1..4], subject, 2500)), pause);
    let rested = 1000 + EXCLUSION_MS + PAUSE_MS;
    let late = |made| exclude(&mesh, &members[1..4], subject, made);
    assert_eq!(refused(&mut log, rested - 1, late(rested - 1)), pause);
    assert_eq!(log.apply(rested, late(rested)), Outcome::Excluded(subject.0));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn a_ban_overrides_it_and_goes_on_when_its_time_is_over() {
    let (mesh, mut log, members) = one_excluded();
    let subject = &members[4];
    log.apply(2000, mesh.judge(at(subject), 5, ban(None)));
    let view = log.state.view(0);
    assert_eq!(
        (view.banned[&subject.0].until_ms, &view.banned[&subject.0].exclusion),
        (None, &None)
    );
    assert_eq!(log.state.next_lapse(), None);
    let lapse = Command::Lapse(subject.0);
    assert_eq!(refused(&mut log, 1000 + EXCLUSION_MS, lapse), Refusal::StillBanned(subject.0));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn one_that_is_out_is_not_put_out_again() {
    let (mesh, mut log, members) = one_excluded();
    let out = Refusal::from(ExclusionRefusal::IsOut(members[4].0));
    assert_eq!(refused(&mut log, 2000, exclude(&mesh, &members[1..4], &members[4], 1500)), out);
    log.apply(2000, mesh.judge(at(&members[3]), 5, ban(None)));
    let refusal = refused(&mut log, 2000, exclude(&mesh, &members[..3], &members[3], 1500));
    assert_eq!(refusal, ExclusionRefusal::IsOut(members[3].0).into());
}

#[test]
fn only_a_few_are_out_at_once() {
    let (mesh, mut log, members) = separate(12);
    for subject in &members[12 - MAX_EXCLUDED..] {
        let outcome = log.apply(1000, exclude(&mesh, &members[..6], subject, 1000));
        assert_eq!(outcome, Outcome::Excluded(subject.0));
    }
    let next = &members[11 - MAX_EXCLUDED];
    let refusal = refused(&mut log, 1000, exclude(&mesh, &members[..6], next, 1000));
    assert_eq!(refusal, ExclusionRefusal::TooManyAtOnce.into());
    log.apply(1001, mesh.judge(at(&members[11]), 5, Ruling::Pardoned));
    let outcome = log.apply(1001, exclude(&mesh, &members[..6], next, 1000));
    assert_eq!(outcome, Outcome::Excluded(next.0));
}

#[test]
fn what_is_remembered_has_a_bound_and_makes_room_when_the_pause_is_over() {
    let (mesh, mut log, members) = separate(4);
    let crowd = mesh.invite(50, 100);
    log.apply(0, crowd.add());
    for number in 0..MAX_REMEMBERED as u64 {
        let host = Host::new(100 + number);
        let subject = (log.admit(&crowd, &host).0, host);
        let outcome = log.apply(1000, exclude(&mesh, &members[..4], &subject, 1000));
        assert_eq!(outcome, Outcome::Excluded(subject.0));
        log.apply(1000, mesh.judge(at(&subject), 5, Ruling::Pardoned));
    }
    let host = Host::new(99);
    let subject = (log.admit(&crowd, &host).0, host);
    let rested = 1000 + EXCLUSION_MS + PAUSE_MS;
    let refusal = refused(&mut log, rested, exclude(&mesh, &members[..4], &subject, rested));
    assert_eq!(refusal, ExclusionRefusal::TooManyLately.into(), "the mesh's clock stands");
    let before = log.state.clone();
    log.apply(rested, mesh.invite_until(60, 1, BORN_MS + rested + 1).add());
    let outcome = log.apply(rested, exclude(&mesh, &members[..4], &subject, rested));
    assert_eq!(outcome, Outcome::Excluded(subject.0));
    assert_eq!(log.state.exclusions().iter().len(), 1);
    assert!(log.state.continues(&before));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}
