//! Who is shut out on the word of other members, and on whose word nobody is.

#[path = "../fixture/mod.rs"]
mod fixture;
mod lasting;
mod reporting;
mod snapshots;

use std::ops::Range;

use fixture::{Host, Log, Mesh, Ticket, after};
use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::state::State;
use mesh_model::MemberId;

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

/// Lets hosts in by one token.
fn all_by(ticket: &Ticket, log: &mut Log, numbers: Range<u64>) -> Vec<Member> {
    let host = |number| {
        let host = Host::new(number);
        (log.admit(ticket, &host).0, host)
    };
    numbers.map(host).collect()
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
