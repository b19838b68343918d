//! Whoever lost an answer asks again, and hears where it was agreed: also when others have said more about it since,
//! and without anything being changed by that.

mod fixture;

use fixture::{Host, Log, Mesh, Purpose, after, ban, name, rule, seed};
use mesh_control::command::{Command, Outcome, Refusal};
use mesh_model::access::{Protocol, Selector};
use mesh_model::trust::{AdminChange, AdminStep, Ruling};
use mesh_model::{Cosigned, IdentitySecret, LogIndex, MemberId};

/// Applies `command`, which is done; where that was.
#[track_caller]
fn agree(log: &mut Log, command: &Command) -> (LogIndex, Outcome) {
    let index = log.next;
    assert_eq!(log.state.agreed_at(command), None, "not yet");
    let outcome = log.apply(0, command.clone());
    assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(log.state.agreed_at(command), Some(index));
    (index, outcome)
}

/// Repeats `command`, which came to `outcome` at `index`.
#[track_caller]
fn repeat(log: &mut Log, command: &Command, (index, outcome): &(LogIndex, Outcome)) {
    let before = log.state.clone();
    assert_eq!(log.state.would_refuse(&after(0, command.clone())), None);
    assert_eq!(log.apply(0, command.clone()), *outcome);
    assert_eq!(log.state, before, "nothing comes of it");
    assert_eq!(log.state.agreed_at(command), Some(*index));
}

/// Has `first` agreed, then `second`, about the same thing; then `first` again.
#[track_caller]
fn overtaken(log: &mut Log, first: &Command, second: &Command) {
    let agreed = agree(log, first);
    repeat(log, first, &agreed);
    agree(log, second);
    repeat(log, first, &agreed);
}

/// The next change of admins, signed by `by`.
fn change(mesh: &Mesh, log: &Log, step: AdminStep, by: &IdentitySecret) -> Command {
    let admins = log.state.admins();
    let (serial, before) = (admins.serial() + 1, admins.head());
    let mut cosigned = Cosigned::new(&AdminChange { mesh: mesh.id(), serial, before, step });
    cosigned.sign(by);
    Command::ChangeAdmins(cosigned)
}

#[test]
fn a_key_that_was_changed_stays_changed() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let keys = (&mesh.founder.tunnel, &Host::new(100).tunnel);
    let rekey = Command::Rekey(mesh.founder.rekey(mesh.id(), MemberId::FOUNDER, 1, keys));
    let agreed = agree(&mut log, &rekey);
    repeat(&mut log, &rekey, &agreed);
}

#[test]
fn a_change_of_admins_that_was_made_stays_made() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let key = |number| IdentitySecret::from_seed(seed(Purpose::Admin, number));
    let add = |text, number| AdminStep::Add { name: name(text), key: key(number).public() };
    let alice = change(&mesh, &log, add("alice", 1), &mesh.root_secret);
    let agreed = agree(&mut log, &alice);
    let bob = change(&mesh, &log, add("bob", 2), &key(1));
    agree(&mut log, &bob);
    repeat(&mut log, &alice, &agreed);
    // Nor does it matter that who signed it is an admin no more.
    let removal = change(
        &mesh,
        &log,
        AdminStep::Remove {
            admin: mesh_model::AdminId::ROOT,
            name: name("root"),
            revoke_invites: false,
        },
        &key(2),
    );
    agree(&mut log, &removal);
    repeat(&mut log, &alice, &agreed);
}

#[test]
fn a_policy_that_stood_is_remembered_as_agreed() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let everybody = [Selector::Any];
    let said = |serial, protocol| {
        Command::SetAccess(mesh.access(serial, vec![rule(&everybody, &everybody, protocol, &[])]))
    };
    overtaken(&mut log, &said(1, Protocol::Icmp), &said(2, Protocol::Any));
    // Another one with its serial was not.
    let never = said(1, Protocol::Any);
    assert_eq!(log.state.agreed_at(&never), None);
    assert_eq!(log.apply(0, never), Outcome::Refused(Refusal::StaleAccess(2)));
}

#[test]
fn tags_that_were_said_are_known_from_the_trail() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let member = MemberId::FOUNDER;
    let said =
        |serial, tags: &[&str]| Command::Tag(mesh.tagging((member, &mesh.founder), serial, tags));
    overtaken(&mut log, &said(1, &["web"]), &said(2, &["db"]));
    // The same tags under another serial are another statement, which was not agreed.
    agree(&mut log, &said(4, &["db"]));
    let never = said(3, &["web"]);
    assert_eq!(log.state.agreed_at(&never), None);
    let stale = Refusal::StaleTags { member, serial: 4 };
    assert_eq!(log.apply(0, never), Outcome::Refused(stale));
}

#[test]
fn invites_revocations_rulings_and_who_votes_say_where_they_were_agreed() {
    let (mesh, host) = (Mesh::new(1), Host::new(1));
    let mut log = Log::of(&mesh);
    let ticket = mesh.invite(1, 1);
    let agreed = agree(&mut log, &ticket.add());
    let (member, _) = log.admit(&ticket, &host);
    repeat(&mut log, &ticket.add(), &agreed);
    let rulings = [ban(None), Ruling::Pardoned, Ruling::Removed];
    for (serial, ruling) in (1..).zip(rulings) {
        let verdict = mesh.judge((member, &host), serial, ruling);
        let agreed = agree(&mut log, &verdict);
        repeat(&mut log, &verdict, &agreed);
    }
    for command in
        [Command::Revoke(mesh.revoke(&ticket)), Command::SetVoters(mesh.policy(1, None, &[]))]
    {
        let agreed = agree(&mut log, &command);
        repeat(&mut log, &command, &agreed);
    }
    assert_eq!(log.state.agreed_at(&ticket.admit(&host)), None, "no word of an admin's");
}
