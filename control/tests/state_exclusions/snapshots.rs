//! Exclusions in a state that somebody else sent.

use std::collections::BTreeMap;

use mesh_control::command::Command;
use mesh_control::state::exclusions::{EXCLUSION_MS, MAX_EXCLUDED, PAUSE_MS, quorum};
use mesh_control::state::invites::INVITE_MEMORY_MS;
use mesh_control::state::members::{Departed, Farewell};
use mesh_control::state::{Actor, Event, State};
use mesh_model::audit::Link;
use mesh_model::trust::{Admission, ChainError, Misconduct, REPORT_LIFETIME_MS, Report, Ruling};
use mesh_model::{LogIndex, MemberId, Signed, codec};

use crate::fixture::forge::{Forge, ForgedExclusion, forged};
use crate::fixture::{BORN_MS, Host, LIFETIME_MS, Ticket};
use crate::{Member, all_by, at, exclude, is_out, join, one_excluded, separate};

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

/// Has `reporters` exclude `subject`, of so many lineages, a second after the mesh began, and the trail tell of it, last.
fn plant(
    forge: &mut Forge,
    subject: MemberId,
    reporters: &[Member],
    reports: Vec<Signed<Report>>,
    lineages: u32,
) {
    let last = forge.audit.1.last().expect("entries").entry.index;
    plant_at(forge, last + 100, subject, reporters, (reports, lineages));
}

/// The same, wherever in the trail.
fn plant_at(
    forge: &mut Forge,
    at: LogIndex,
    subject: MemberId,
    reporters: &[Member],
    (reports, lineages): (Vec<Signed<Report>>, u32),
) {
    let since_ms = BORN_MS + 1000;
    let exclusion = (reports, lineages, since_ms, at, false, BTreeMap::new());
    forge.exclusions.insert(subject, exclusion);
    let by = Actor::Members { members: reporters.iter().map(|member| member.0).collect() };
    let (until_ms, misconduct) = (since_ms + EXCLUSION_MS, vec![Misconduct::Floods]);
    let event = Event::Excluded { member: subject, until_ms, lineages, misconduct };
    let entry = mesh_control::state::Entry { index: at, at_ms: since_ms, by, event };
    let mut entries: Vec<_> = forge.audit.1.drain(..).map(|link| link.entry).collect();
    entries.push(entry);
    entries.sort_by_key(|entry| entry.index);
    let mut head = forge.audit.0;
    for entry in entries {
        let link = Link::new(head, entry);
        head = link.hash;
        forge.audit.1.push(link);
    }
}

#[test]
fn a_snapshot_in_which_one_lineage_speaks_for_three_does_not_verify() {
    let (mesh, mut log, members) = separate(5);
    let stolen = mesh.invite(50, 9);
    log.apply(0, stolen.add());
    let puppets = all_by(&stolen, &mut log, 50..53);
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
fn nobody_was_excluded_before_it_came() {
    let (mesh, mut log, mut members) = separate(5);
    // Of an invite that is there already the trail tells nothing.
    log.apply(0, mesh.invite(1, 1).add());
    let free = members[4].0.0 + 1;
    members.push(join(&mesh, &mut log, 5));
    let (subject, reporters) = (&members[5], &members[..3]);
    let state = |at| {
        let Command::Exclude { reports, .. } = exclude(&mesh, reporters, subject, 1000) else {
            panic!("just made")
        };
        forged(&log.state, |forge| plant_at(forge, at, subject.0, reporters, (reports, 5)))
    };
    assert_eq!(state(subject.0.0 + 1).verify(&mesh.root), Ok(()));
    assert_eq!(
        state(free).verify(&mesh.root),
        Err(ChainError::Contradiction("an exclusion of one that was no member yet"))
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
