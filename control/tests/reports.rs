//! Reports at the leader: which are kept, for how long, and when they are enough.

mod fixture;

use fixture::{BORN_MS, Host, Log, Mesh, after, ban};
use mesh_control::command::{Command, ExclusionRefusal, Outcome, Refusal};
use mesh_control::reports::{
    Complaints, Docket, MAX_COMPLAINTS, MAX_PER_LINEAGE, NotTaken, Tally, TooManyComplaints,
};
use mesh_model::trust::{REPORT_LIFETIME_MS, Report};
use mesh_model::{MemberId, Signed};

/// A member and its host.
type Member = (MemberId, Host);

/// A mesh of the founder, `apart` members with an invite each and `together` under one.
struct Scene {
    mesh: Mesh,
    log: Log,
    apart: Vec<Member>,
    together: Vec<Member>,
}

impl Scene {
    fn of(apart: u64, together: u64) -> Self {
        let mesh = Mesh::new(1);
        let mut log = Log::of(&mesh);
        let mut let_in = |invite, numbers: std::ops::Range<u64>| -> Vec<Member> {
            let ticket = mesh.invite(invite, 100);
            log.apply(0, ticket.add());
            numbers.map(Host::new).map(|host| (log.admit(&ticket, &host).0, host)).collect()
        };
        let apart: Vec<_> =
            (1..=apart).flat_map(|number| let_in(number, number..number + 1)).collect();
        let together = let_in(100, 100..100 + together);
        Self { mesh, log, apart, together }
    }

    fn report(&self, by: &Member, about: &Member, ms: u64) -> Signed<Report> {
        self.mesh.report((by.0, &by.1), (about.0, &about.1), ms)
    }

    fn take(
        &self,
        docket: &mut Docket,
        by: &Member,
        about: &Member,
        ms: u64,
    ) -> Result<Tally, NotTaken> {
        docket.take(&self.report(by, about, ms), &self.log.state, BORN_MS + ms)
    }
}

fn tally(have: u32, lineages: u32) -> Result<Tally, NotTaken> {
    let needed = (lineages / 2 + 1).max(3);
    Ok(Tally { have, needed, lineages })
}

#[test]
fn enough_reports_of_different_lineages_are_ripe_and_the_state_takes_them() {
    let mut scene = Scene::of(4, 0);
    let subject = scene.apart.pop().expect("four");
    let mut docket = Docket::default();
    // The highest id first: the state wants them ascending.
    for (have, by) in (1..).zip(scene.apart.iter().rev()) {
        assert_eq!(docket.ripe(&scene.log.state), []);
        assert_eq!(scene.take(&mut docket, by, &subject, 1000), tally(have, 4));
    }
    let [command] = &docket.ripe(&scene.log.state)[..] else { panic!("one") };
    assert_eq!(scene.log.state.would_refuse(&after(1000, command.clone())), None);
    let Outcome::Excluded(out) = scene.log.apply(1000, command.clone()) else { panic!("taken") };
    assert_eq!(out, subject.0);
    docket.tidy(&scene.log.state, BORN_MS + 1000);
    assert!(docket.is_empty(), "the case is closed");
}

#[test]
fn of_one_lineage_the_newest_report_is_kept() {
    let scene = Scene::of(2, 3);
    let subject = &scene.apart[1];
    let mut docket = Docket::default();
    for (ms, by) in (1000..).zip(&scene.together) {
        assert_eq!(scene.take(&mut docket, by, subject, ms), tally(1, 3));
    }
    let cases = docket.cases(&scene.log.state);
    assert_eq!(cases[0].reporters, [scene.together[2].0].into());
}

#[test]
fn a_flood_of_one_lineage_takes_no_place_of_another() {
    let scene = Scene::of(1 + MAX_PER_LINEAGE as u64, 40);
    let (honest, subjects) = scene.apart.split_first().expect("some");
    let mut docket = Docket::default();
    for (puppet, subject) in scene.together.iter().zip(subjects) {
        assert!(scene.take(&mut docket, puppet, subject, 1000).is_ok());
    }
    let one_more = scene.take(&mut docket, &scene.together[9], honest, 1000);
    assert_eq!(one_more, Err(NotTaken::TooMany));
    let again = scene.take(&mut docket, &scene.together[10], &subjects[0], 1000);
    assert!(again.is_ok(), "in place of its own lineage's: {again:?}");
    assert!(scene.take(&mut docket, honest, &scene.together[0], 1000).is_ok());
}

#[test]
fn a_member_is_heard_once_a_second_and_what_it_said_before_at_any_time() {
    let scene = Scene::of(3, 0);
    let [by, one, two] = &scene.apart[..] else { panic!("three") };
    let mut docket = Docket::default();
    assert!(scene.take(&mut docket, by, one, 1000).is_ok());
    assert_eq!(scene.take(&mut docket, by, two, 1999), Err(NotTaken::TooSoon));
    let before = scene.report(by, one, 1000);
    assert!(docket.take(&before, &scene.log.state, BORN_MS + 1999).is_ok());
    assert!(scene.take(&mut docket, by, two, 2000).is_ok());
}

#[test]
fn what_does_not_count_is_not_kept() {
    let mut scene = Scene::of(4, 0);
    let members = scene.apart.clone();
    let [by, one, two, three] = &members[..] else { panic!("four") };
    let mut docket = Docket::default();
    let stale = scene.report(by, one, 0);
    let taken = docket.take(&stale, &scene.log.state, BORN_MS + REPORT_LIFETIME_MS);
    assert_eq!(taken, Err(Refusal::from(ExclusionRefusal::NotFresh(by.0)).into()));
    let forged = scene.mesh.report((by.0, &two.1), (one.0, &one.1), 1000);
    let taken = docket.take(&forged, &scene.log.state, BORN_MS + 9000);
    assert!(matches!(taken, Err(NotTaken::Refused(Refusal::Chain(_)))), "{taken:?}");
    scene.log.apply(0, scene.mesh.judge((three.0, &three.1), 5, ban(None)));
    let taken = scene.take(&mut docket, by, three, 20_000);
    assert_eq!(taken, Err(Refusal::from(ExclusionRefusal::IsOut(three.0)).into()));
    assert!(docket.is_empty());
}

#[test]
fn a_report_goes_with_its_time_its_reporter_or_its_subject() {
    let mut scene = Scene::of(6, 0);
    let members = scene.apart.clone();
    let [one, two, three, subject, other, last] = &members[..] else { panic!("six") };
    let mut docket = Docket::default();
    for by in [one, two, three] {
        assert!(scene.take(&mut docket, by, subject, 1000).is_ok());
    }
    assert!(scene.take(&mut docket, last, other, 5000).is_ok());
    scene.log.apply(0, scene.mesh.judge((two.0, &two.1), 5, ban(None)));
    scene.log.apply(0, three.1.depart(scene.mesh.id(), three.0));
    scene.log.apply(0, other.1.depart(scene.mesh.id(), other.0));
    docket.tidy(&scene.log.state, BORN_MS + 5000);
    let cases = docket.cases(&scene.log.state);
    assert_eq!(cases.len(), 1);
    assert_eq!((cases[0].subject, &cases[0].reporters), (subject.0, &[one.0].into()));
    docket.tidy(&scene.log.state, BORN_MS + 1000 + REPORT_LIFETIME_MS);
    assert!(docket.is_empty());
}

#[test]
fn a_host_reports_a_few_members_and_of_each_its_last_word() {
    let scene = Scene::of(2 + MAX_COMPLAINTS as u64, 0);
    let (by, subjects) = scene.apart.split_first().expect("some");
    let mut complaints = Complaints::default();
    let mut file = |subject: &Member, ms| {
        let signed = scene.report(by, subject, ms);
        let said = signed.peek().expect("just made");
        complaints.file(signed, said)
    };
    for subject in &subjects[..MAX_COMPLAINTS] {
        assert_eq!(file(subject, 0), Ok(()));
    }
    assert_eq!(file(&subjects[MAX_COMPLAINTS], 0), Err(TooManyComplaints));
    assert_eq!(file(&subjects[0], 1000), Ok(()), "again");
    complaints.tidy(&scene.log.state, BORN_MS + REPORT_LIFETIME_MS);
    let left: Vec<_> = complaints.iter().map(|complaint| complaint.report.subject).collect();
    assert_eq!(left, [subjects[0].0], "the others have expired");
}

#[test]
fn commands_are_made_of_as_many_reports_as_are_needed_at_most() {
    let mut scene = Scene::of(70, 0);
    let subject = scene.apart.pop().expect("seventy");
    let mut docket = Docket::default();
    for by in &scene.apart {
        assert!(scene.take(&mut docket, by, &subject, 1000).is_ok());
    }
    let [Command::Exclude { reports, .. }] = &docket.ripe(&scene.log.state)[..] else {
        panic!("one")
    };
    assert_eq!(reports.len(), 32);
    let command = Command::Exclude { subject: subject.0, reports: reports.clone() };
    assert_eq!(scene.log.apply(1000, command), Outcome::Excluded(subject.0));
}
