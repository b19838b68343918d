//! Who is shut out on the word of other members, and on whose word nobody is.

mod fixture;

use std::collections::BTreeMap;

use fixture::forge::{Forge, ForgedExclusion, forged};
use fixture::{BORN_MS, Host, LIFETIME_MS, Log, Mesh, Ticket, after, ban};
use mesh_control::command::{Command, ExclusionRefusal, Outcome, Refusal};
use mesh_control::state::exclusions::{
    EXCLUSION_MS, MAX_EXCLUDED, MAX_QUORUM, MAX_REMEMBERED, PAUSE_MS, quorum,
};
use mesh_control::state::invites::INVITE_MEMORY_MS;
use mesh_control::state::members::{Departed, Farewell};
use mesh_control::state::{Actor, Event, Lineage, State};
use mesh_model::audit::Link;
use mesh_model::trust::{
    AdminChange, AdminStep, Admission, ChainError, Misconduct, REPORT_LIFETIME_MS, REPORT_SKEW_MS,
    Report, Ruling,
};
use mesh_model::view::ExclusionView;
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{AdminId, Cosigned, IdentitySecret, MemberId, Signed, codec};

/// A member and its host.
type Member = (MemberId, Host);

fn at(member: &Member) -> (MemberId, &Host) {
    (member.0, &member.1)
}

/// A mesh whose members came in by an invite each, the founder first; host `n` is the `n`th.
fn separate(hosts: u64) -> (Mesh, Log, Vec<Member>) {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let mut members = vec![(MemberId::FOUNDER, mesh.founder.clone())];
    for number in 1..hosts {
        members.push(join(&mesh, &mut log, number));
    }
    (mesh, log, members)
}

/// Lets host `number` in by an invite of its own.
fn join(mesh: &Mesh, log: &mut Log, number: u64) -> Member {
    let ticket = mesh.invite(number, 1);
    log.apply(0, ticket.add());
    let host = Host::new(number);
    (log.admit(&ticket, &host).0, host)
}

/// "Shut `subject` out": `reporters` said so `ms` milliseconds after the mesh began.
fn exclude(mesh: &Mesh, reporters: &[Member], subject: &Member, ms: u64) -> Command {
    let report = |reporter| mesh.report(at(reporter), at(subject), ms);
    Command::Exclude { subject: subject.0, reports: reporters.iter().map(report).collect() }
}

/// Applies what is refused, and checks that it changed nothing and was foreseen.
#[track_caller]
fn refused(log: &mut Log, ms: u64, command: Command) -> Refusal {
    let before = log.state.hash();
    let foreseen = log.state.would_refuse(&after(ms, command.clone()));
    assert_eq!(log.state.would_lose(&after(ms, command.clone())), None);
    match log.apply(ms, command) {
        Outcome::Refused(refusal) => {
            assert_eq!(log.state.hash(), before);
            assert_eq!(foreseen.as_ref(), Some(&refusal));
            refusal
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// A mesh of five of which the last was excluded a second after the mesh began.
fn one_excluded() -> (Mesh, Log, Vec<Member>) {
    let (mesh, mut log, members) = separate(5);
    let command = exclude(&mesh, &members[..3], &members[4], 1000);
    assert_eq!(log.state.would_lose(&after(1000, command.clone())), Some(members[4].0));
    assert_eq!(log.apply(1000, command), Outcome::Excluded(members[4].0));
    (mesh, log, members)
}

fn is_out(state: &State, member: &Member) -> bool {
    let view = state.view(0);
    assert_eq!(view.banned.contains_key(&member.0), state.is_out(member.0));
    assert_ne!(view.banned.contains_key(&member.0), view.members.contains_key(&member.0));
    state.is_out(member.0)
}

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
fn hosts_of_one_token_have_one_voice() {
    let (mesh, mut log, mut members) = separate(5);
    let subject = members[4].clone();
    let stolen = mesh.invite(50, 100);
    log.apply(0, stolen.add());
    let puppets: Vec<Member> = (50..90)
        .map(|number| {
            let host = Host::new(number);
            (log.admit(&stolen, &host).0, host)
        })
        .collect();
    assert_eq!(log.state.lineages_beside(subject.0).len(), 5, "four hosts and one token");
    let refusal = refused(&mut log, 1000, exclude(&mesh, &puppets[..32], &subject, 1000));
    assert_eq!(refusal, ExclusionRefusal::SameLineage(puppets[1].0).into());
    // Not even in company: two honest ones were misled, and a third lineage is that of the token.
    members.truncate(1);
    members.extend_from_slice(&puppets[..2]);
    let refusal = refused(&mut log, 1000, exclude(&mesh, &members, &subject, 1000));
    assert_eq!(refusal, ExclusionRefusal::SameLineage(puppets[1].0).into());
    // An honest one of the same token has its voice, once.
    let (_, _, all) = separate(5);
    let voices = [all[0].clone(), all[1].clone(), puppets[7].clone()];
    assert_eq!(
        log.apply(1000, exclude(&mesh, &voices, &subject, 1000)),
        Outcome::Excluded(subject.0)
    );
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn the_quorum_is_more_than_half_of_all_lineages_within_bounds() {
    for (lineages, needed) in [(0, 3), (1, 3), (3, 3), (4, 3), (5, 3), (6, 4), (7, 4), (62, 32)] {
        assert_eq!(quorum(lineages), needed, "of {lineages}");
    }
    assert_eq!(quorum(10_000), MAX_QUORUM);
    let (mesh, mut log, members) = separate(7);
    let few = exclude(&mesh, &members[..3], &members[6], 1000);
    let refusal = ExclusionRefusal::TooFewReports { have: 3, needed: 4 };
    assert_eq!(refused(&mut log, 1000, few), refusal.into());
    let outcome = log.apply(1000, exclude(&mesh, &members[..4], &members[6], 1000));
    assert_eq!(outcome, Outcome::Excluded(members[6].0));
}

#[test]
fn two_lineages_can_do_nothing() {
    let (mesh, mut log, members) = separate(3);
    let refusal = refused(&mut log, 1000, exclude(&mesh, &members[..2], &members[2], 1000));
    assert_eq!(refusal, ExclusionRefusal::TooFewReports { have: 2, needed: 3 }.into());
}

#[test]
fn those_who_are_out_have_no_say_and_do_not_count() {
    let (mesh, mut log, members) = separate(7);
    log.apply(1, mesh.judge(at(&members[1]), 5, ban(None)));
    assert_eq!(log.state.lineages_beside(members[6].0).len(), 5);
    let refusal = refused(&mut log, 1000, exclude(&mesh, &members[..3], &members[6], 1000));
    assert_eq!(refusal, ExclusionRefusal::NoReporter(members[1].0).into());
    let voices = [members[0].clone(), members[2].clone(), members[3].clone()];
    let outcome = log.apply(1000, exclude(&mesh, &voices, &members[6], 1000));
    assert_eq!(outcome, Outcome::Excluded(members[6].0), "three of five");
}

#[test]
fn every_report_is_a_present_members_own_about_that_member_and_of_this_mesh() {
    let (mesh, mut log, members) = separate(5);
    let subject = &members[4];
    let good = exclude(&mesh, &members[..3], subject, 1000);
    let mut with = |report: Signed<Report>| {
        let Command::Exclude { subject, mut reports } = good.clone() else { panic!("just made") };
        reports[2] = report;
        refused(&mut log, 1000, Command::Exclude { subject, reports })
    };
    let said = |change: &dyn Fn(&mut Report), by: &IdentitySecret| {
        let mut report = mesh.report(at(&members[2]), at(subject), 1000).peek().expect("ours");
        change(&mut report);
        Signed::seal(&report, by)
    };
    let own = &members[2].1.identity;
    let nobody = MemberId(99);
    assert!(matches!(with(said(&|_| {}, &members[3].1.identity)), Refusal::Chain(_)));
    assert!(matches!(with(said(&|it| it.mesh = Mesh::new(2).id(), own)), Refusal::Chain(_)));
    assert_eq!(
        with(said(&|it| it.reporter = nobody, own)),
        ExclusionRefusal::NoReporter(nobody).into()
    );
    assert_eq!(with(said(&|it| it.subject = nobody, own)), Refusal::UnknownMember(nobody));
    let other = members[3].1.identity.public();
    assert_eq!(with(said(&|it| it.identity = other, own)), Refusal::OtherIdentity(subject.0));
    let elsewhere = mesh.report(at(&members[2]), at(&members[3]), 1000);
    assert_eq!(with(elsewhere), ExclusionRefusal::OtherSubject(members[2].0).into());
    let itself = mesh.report(at(subject), at(subject), 1000);
    assert_eq!(with(itself), ExclusionRefusal::OfItself(subject.0).into());
    let twice = mesh.report(at(&members[1]), at(subject), 1000);
    assert_eq!(with(twice), ExclusionRefusal::OutOfOrder(members[1].0).into());
    let unknown = Command::Exclude { subject: nobody, reports: Vec::new() };
    assert_eq!(refused(&mut log, 1000, unknown), Refusal::UnknownMember(nobody));
}

#[test]
fn more_reports_than_are_ever_needed_are_not_looked_at() {
    let (mesh, mut log, members) = separate(5);
    let one = mesh.report(at(&members[0]), at(&members[4]), 1000);
    let reports = vec![one; MAX_QUORUM + 1];
    let refusal = refused(&mut log, 1000, Command::Exclude { subject: members[4].0, reports });
    assert_eq!(refusal, ExclusionRefusal::TooManyReports(MAX_QUORUM + 1).into());
}

#[test]
fn reports_count_for_an_hour_and_not_before_they_are_made() {
    let (mesh, mut log, members) = separate(5);
    let made = REPORT_LIFETIME_MS;
    let command = exclude(&mesh, &members[..3], &members[4], made);
    let stale = Refusal::from(ExclusionRefusal::NotFresh(members[0].0));
    assert_eq!(refused(&mut log, made - REPORT_SKEW_MS - 1, command.clone()), stale);
    assert_eq!(refused(&mut log, made + REPORT_LIFETIME_MS, command.clone()), stale);
    // No supervisor's clock makes it longer than the reporters' clocks allow.
    let last = made + REPORT_LIFETIME_MS - 1;
    assert_eq!(log.apply(last, command), Outcome::Excluded(members[4].0));
    let until_ms = log.state.view(0).banned[&members[4].0].until_ms;
    assert_eq!(until_ms, Some(BORN_MS + last + EXCLUSION_MS));
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
fn what_was_reported_before_an_admin_spoke_does_not_count() {
    let (mesh, mut log, members) = separate(5);
    let subject = &members[4];
    log.apply(1000, mesh.judge(at(subject), 5, Ruling::Pardoned));
    let refusal = Refusal::from(ExclusionRefusal::BeforeRuling(members[0].0));
    assert_eq!(refused(&mut log, 2000, exclude(&mesh, &members[..3], subject, 1000)), refusal);
    let outcome = log.apply(2000, exclude(&mesh, &members[..3], subject, 1001));
    assert_eq!(outcome, Outcome::Excluded(subject.0));
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

#[test]
fn invites_of_an_admin_that_was_removed_are_one_lineage() {
    let (mesh, mut log, members) = separate(4);
    let alice = IdentitySecret::from_seed(fixture::seed(fixture::Purpose::Admin, 1));
    let change = |log: &Log, step| {
        let (serial, before) = (log.state.admins().serial() + 1, log.state.admins().head());
        let change = AdminChange { mesh: mesh.id(), serial, before, step };
        let mut signed = Cosigned::new(&change);
        assert!(signed.sign(&mesh.root_secret));
        Command::ChangeAdmins(signed)
    };
    let name = fixture::name("alice");
    let add = change(&log, AdminStep::Add { name: name.clone(), key: alice.public() });
    assert_eq!(log.apply(0, add), Outcome::AdminsChanged(1));
    let puppets: Vec<Member> = (50..53)
        .map(|number| {
            let mut ticket = mesh.invite(number, 1);
            ticket.signed = Signed::seal(&ticket.invite, &alice);
            log.apply(0, ticket.add());
            let host = Host::new(number);
            (log.admit(&ticket, &host).0, host)
        })
        .collect();
    let subject = &members[3];
    assert_eq!(log.state.lineages_beside(subject.0).len(), 6);
    let before = log.next;
    let remove = AdminStep::Remove { admin: AdminId(1), name, revoke_invites: false };
    let remove = change(&log, remove);
    assert_eq!(log.apply(0, remove), Outcome::AdminsChanged(2));
    assert_eq!(log.state.lineages_beside(subject.0).len(), 4);
    let lineage = |at| log.state.lineage(puppets[0].0, at);
    assert_eq!(lineage(before), Some(Lineage::Removed(AdminId(1))));
    assert!(matches!(lineage(before - 1), Some(Lineage::Invite(_))), "it was in office then");
    let refusal = refused(&mut log, 1000, exclude(&mesh, &puppets, subject, 1000));
    assert_eq!(refusal, ExclusionRefusal::SameLineage(puppets[1].0).into());
}

/// One lie about an exclusion, and what is found.
type Lie = (fn(&mut ForgedExclusion), &'static str);

const LIES: [Lie; 7] = [
    (|(reports, ..)| drop(reports.pop()), "too few"),
    (|(_, lineages, ..)| *lineages = 6, "too few"),
    (|(reports, ..)| reports.swap(0, 1), "out of order"),
    (|(reports, ..)| reports[1] = reports[0].clone(), "out of order"),
    (|(_, _, since_ms, ..)| *since_ms += 2 * REPORT_LIFETIME_MS, "another time"),
    (|(_, _, _, at, ..)| *at = 3, "no member yet"),
    (|(.., has_lapsed, _)| *has_lapsed = true, "before its time"),
];

#[test]
fn whoever_sends_a_snapshot_cannot_make_an_exclusion_up() {
    let (mesh, log, members) = one_excluded();
    let id = members[4].0;
    let found = |plant: &dyn Fn(&mut Forge)| match forged(&log.state, plant).verify(&mesh.root) {
        Err(ChainError::Contradiction(what)) => what,
        verdict => panic!("{verdict:?}"),
    };
    for (plant, expected) in LIES {
        let what = found(&|forge| plant(forge.exclusions.get_mut(&id).expect("it is there")));
        assert!(what.contains(expected), "{what}, not {expected}");
    }
    let moved = found(&|forge| {
        let moved = forge.exclusions.remove(&id).expect("it is there");
        forge.exclusions.insert(MemberId(77), moved);
    });
    assert_eq!(moved, "an exclusion of nobody");
    let with = |reports: Vec<Signed<Report>>| {
        let state = forged(&log.state, |forge| {
            forge.exclusions.get_mut(&members[4].0).expect("it is there").0 = reports;
        });
        state.verify(&mesh.root)
    };
    let signed_by = |by: &Host| {
        let own = |member: &Member| {
            Signed::seal(
                &mesh.report(at(member), at(&members[4]), 1000).peek().expect("ours"),
                &by.identity,
            )
        };
        members[..3].iter().map(own).collect()
    };
    assert!(matches!(with(signed_by(&members[0].1)), Err(ChainError::Signed(_))));
    let Command::Exclude { reports, .. } = exclude(&mesh, &members[1..4], &members[4], 1000) else {
        panic!("just made")
    };
    assert_eq!(
        with(reports),
        Err(ChainError::Contradiction("a statement the audit trail does not tell of")),
        "genuine reports, but not those that it was agreed on"
    );
}

/// Has `reporters` exclude `subject`, of so many lineages, a second after the mesh began, and the trail tell of it.
fn plant(
    forge: &mut Forge,
    subject: MemberId,
    reporters: &[Member],
    reports: Vec<Signed<Report>>,
    lineages: u32,
) {
    let last = forge.audit.1.last().expect("entries");
    let (head, at, since_ms) = (last.hash, last.entry.index + 100, BORN_MS + 1000);
    let exclusion = (reports, lineages, since_ms, at, false, BTreeMap::new());
    forge.exclusions.insert(subject, exclusion);
    let by = Actor::Members { members: reporters.iter().map(|member| member.0).collect() };
    let (until_ms, misconduct) = (since_ms + EXCLUSION_MS, vec![Misconduct::Floods]);
    let event = Event::Excluded { member: subject, until_ms, lineages, misconduct };
    let entry = mesh_control::state::Entry { index: at, at_ms: since_ms, by, event };
    forge.audit.1.push(Link::new(head, entry));
}

#[test]
fn a_snapshot_in_which_one_lineage_speaks_for_three_does_not_verify() {
    let (mesh, mut log, members) = separate(5);
    let stolen = mesh.invite(50, 9);
    log.apply(0, stolen.add());
    let puppets: Vec<Member> = (50..53)
        .map(|number| {
            let host = Host::new(number);
            (log.admit(&stolen, &host).0, host)
        })
        .collect();
    let subject = &members[4];
    let Command::Exclude { reports, .. } = exclude(&mesh, &puppets, subject, 1000) else {
        panic!("just made")
    };
    let state = forged(&log.state, |forge| {
        plant(forge, subject.0, &puppets, reports, 5);
    });
    assert_eq!(
        state.verify(&mesh.root),
        Err(ChainError::Contradiction("a lineage that counts twice"))
    );
}

#[test]
fn whoever_sends_a_snapshot_cannot_have_members_come_report_and_leave_again() {
    let (mesh, log, members) = separate(5);
    let subject = &members[4];
    let invented: Vec<Member> =
        (80..83).map(|number| (MemberId(number), Host::new(number))).collect();
    let Command::Exclude { reports, .. } = exclude(&mesh, &invented, subject, 1000) else {
        panic!("just made")
    };
    let said = |member: &Member| match member.1.depart(mesh.id(), member.0) {
        Command::Depart { departure, .. } => Farewell::Own(departure),
        _ => panic!("just made"),
    };
    let lie = |forge: &mut Forge| {
        for member in &invented {
            let identity = member.1.identity.public();
            forge.departed.insert(member.0, Departed { identity, farewell: said(member) });
        }
        plant(forge, subject.0, &invented, reports.clone(), 3);
    };
    let verdict = |state: State| match state.verify(&mesh.root) {
        Err(ChainError::Contradiction(what)) => what.to_owned(),
        Err(error) => error.to_string(),
        Ok(()) => "nothing is wrong".to_owned(),
    };
    assert_eq!(verdict(forged(&log.state, lie)), "a report of nobody");
    // With an admission by an invite that they do not have the secret of.
    let tickets: Vec<_> = (1..4).map(|number| mesh.invite(number, 1)).collect();
    let with = |of: &dyn Fn(&Ticket, &Host) -> Admission| {
        forged(&log.state, |forge| {
            lie(forge);
            let gone = &mut forge.exclusions.get_mut(&subject.0).expect("just planted").5;
            for ((id, host), ticket) in invented.iter().zip(&tickets) {
                gone.insert(*id, of(ticket, host));
            }
        })
    };
    let own = mesh.invite(99, 1).secret;
    let unsigned = |ticket: &Ticket, host: &Host| {
        Admission::sign(&host.record(mesh.id()), ticket.invite.id, &own, &host.identity)
    };
    assert!(verdict(with(&unsigned)).contains("signature"), "{}", verdict(with(&unsigned)));
    // By one that nobody made.
    let unknown = |_: &Ticket, host: &Host| mesh.invite(99, 1).admission(host);
    assert_eq!(verdict(with(&unknown)), "a reporter whose invite is missing");
    // By one token that was stolen.
    let stolen = |_: &Ticket, host: &Host| tickets[0].admission(host);
    assert_eq!(verdict(with(&stolen)), "a lineage that counts twice");
}

#[test]
fn whoever_sends_a_snapshot_cannot_make_the_quorum_as_small_as_it_likes() {
    let (mesh, log, members) = separate(12);
    let subject = &members[11];
    let state = |reporters: &[Member], lineages| {
        let Command::Exclude { reports, .. } = exclude(&mesh, reporters, subject, 1000) else {
            panic!("just made")
        };
        forged(&log.state, |forge| plant(forge, subject.0, reporters, reports, lineages))
    };
    let too_few = "an exclusion by a quorum of fewer lineages than there were";
    let verdict = state(&members[..3], 4).verify(&mesh.root);
    assert_eq!(verdict, Err(ChainError::Contradiction(too_few)), "of eleven");
    // A few may have been excluded themselves.
    let few = 11 - MAX_EXCLUDED;
    let enough = &members[..quorum(few)];
    assert_eq!(state(enough, few as u32).verify(&mesh.root), Ok(()));
    assert_eq!(
        state(enough, few as u32 - 1).verify(&mesh.root),
        Err(ChainError::Contradiction(too_few))
    );
}

#[test]
fn a_reporter_that_leaves_is_believed_still() {
    let (mesh, mut log, members) = one_excluded();
    let known = log.state.clone();
    log.apply(2000, members[1].1.depart(mesh.id(), members[1].0));
    log.apply(2000, mesh.judge(at(&members[2]), 5, Ruling::Removed));
    log.apply(2000, members[0].1.depart(mesh.id(), members[0].0));
    assert!(log.state.continues(&known));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    assert!(is_out(&log.state, &members[4]));
    // Their invites stay as long as somebody is out on their word, and no longer.
    let (late, id) = (LIFETIME_MS + INVITE_MEMORY_MS, mesh.invite(1, 1).invite.id);
    let next = |number, ms: u64| mesh.invite_until(number, 1, BORN_MS + ms + 1).add();
    log.apply(late, next(60, late));
    assert!(log.state.invites().get(&id).is_some());
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    // What they came in with is no less known later.
    let ungrateful = forged(&log.state, |forge| {
        forge.exclusions.get_mut(&members[4].0).expect("it is there").5.clear();
    });
    assert!(!ungrateful.continues(&log.state) && log.state.continues(&known));
    assert_eq!(ungrateful.verify(&mesh.root), Err(ChainError::Contradiction("a report of nobody")));
    let back: State = codec::decode(&codec::encode(&log.state)).expect("our own bytes");
    assert_eq!(back, log.state);
    log.apply(2000, members[4].1.depart(mesh.id(), members[4].0));
    assert_eq!(log.state.exclusions().iter().len(), 0, "nothing to remember it for");
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    log.apply(late, next(61, late));
    assert!(log.state.invites().get(&id).is_none());
}

#[test]
fn a_snapshot_that_forgets_or_ends_an_exclusion_does_not_continue_what_was_known() {
    let (mesh, mut log, members) = one_excluded();
    let (subject, known) = (members[4].clone(), log.state.clone());
    let forgotten = forged(&known, |forge| forge.exclusions.clear());
    assert!(!forgotten.continues(&known));
    assert!(!known.continues(&forgotten), "an index that was passed without it");
    let until = 1000 + EXCLUSION_MS;
    log.apply(until, Command::Lapse(subject.0));
    assert!(log.state.continues(&known));
    assert!(!known.continues(&log.state), "not over after all");
    let over = log.state.clone();
    let rested = until + PAUSE_MS;
    log.apply(rested, exclude(&mesh, &members[1..4], &subject, rested));
    assert!(log.state.continues(&known) && log.state.continues(&over));
}
