//! Whose reports count, and how many it takes.

use mesh_control::command::{Command, ExclusionRefusal, Outcome, Refusal};
use mesh_control::state::Lineage;
use mesh_control::state::exclusions::{EXCLUSION_MS, MAX_QUORUM, quorum};
use mesh_model::trust::{
    AdminChange, AdminStep, REPORT_LIFETIME_MS, REPORT_SKEW_MS, Report, Ruling,
};
use mesh_model::{AdminId, Cosigned, IdentitySecret, MemberId, Signed};

use crate::fixture::{BORN_MS, Host, Log, Mesh, ban};
use crate::{Member, all_by, at, exclude, refused, separate};

#[test]
fn hosts_of_one_token_have_one_voice() {
    let (mesh, mut log, mut members) = separate(5);
    let subject = members[4].clone();
    let stolen = mesh.invite(50, 100);
    log.apply(0, stolen.add());
    let puppets = all_by(&stolen, &mut log, 50..90);
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
fn invites_of_an_admin_that_was_removed_are_one_lineage() {
    let (mesh, mut log, members) = separate(4);
    let alice = IdentitySecret::from_seed(crate::fixture::seed(crate::fixture::Purpose::Admin, 1));
    let change = |log: &Log, step| {
        let (serial, before) = (log.state.admins().serial() + 1, log.state.admins().head());
        let change = AdminChange { mesh: mesh.id(), serial, before, step };
        let mut signed = Cosigned::new(&change);
        assert!(signed.sign(&mesh.root_secret));
        Command::ChangeAdmins(signed)
    };
    let name = crate::fixture::name("alice");
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
