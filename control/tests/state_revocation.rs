//! Invites that are taken back.

mod fixture;

use fixture::forge::{Forge, by_root, forged};
use fixture::{Host, Log, Mesh, Ticket};
use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::state::{Actor, Event};
use mesh_model::Signed;
use mesh_model::trust::Revocation;
use mesh_model::wire::join::JoinRefusal;

/// A mesh with an invite for three, of which host 1 has made use.
fn open() -> (Mesh, Ticket, Log) {
    let mesh = Mesh::new(1);
    let ticket = mesh.invite(1, 3);
    let mut log = Log::of(&mesh);
    log.apply(0, ticket.add());
    log.admit(&ticket, &Host::new(1));
    (mesh, ticket, log)
}

#[test]
fn a_revoked_invite_admits_nobody_and_there_is_no_way_back() {
    let (mesh, ticket, mut log) = open();
    let revocation = Command::Revoke(mesh.revoke(&ticket));
    assert_eq!(log.apply(1, revocation.clone()), Outcome::InviteRevoked(ticket.invite.id));
    let outcome = log.apply(2, ticket.admit(&Host::new(2)));
    assert_eq!(outcome, Outcome::Refused(JoinRefusal::Revoked.into()));
    let after = log.state.hash();
    assert_eq!(log.apply(3, revocation), Outcome::InviteRevoked(ticket.invite.id), "already");
    log.apply(4, ticket.add());
    assert_eq!(log.state.hash(), after, "the invite said again does not open it");
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let last = log.state.audit().iter().last().expect("an entry");
    let event = Event::InviteRevoked { invite: ticket.invite.id };
    assert_eq!((&last.by, &last.event), (&Actor::Root, &event));
}

#[test]
fn who_came_in_before_stays_and_is_known_by_the_invite() {
    let (mesh, ticket, mut log) = open();
    log.apply(1, Command::Revoke(mesh.revoke(&ticket)));
    let members: Vec<_> = log.state.admitted_under(ticket.invite.id).map(|m| m.name).collect();
    assert_eq!(members, [fixture::name("h1")]);
    // It asks again and hears what it missed.
    let outcome = log.apply(2, ticket.admit(&Host::new(1)));
    assert!(matches!(outcome, Outcome::Admitted { .. }), "{outcome:?}");
}

#[test]
fn only_the_root_revokes_and_only_what_there_is() {
    let (mesh, ticket, mut log) = open();
    let revocation = Revocation { mesh: mesh.id(), invite: ticket.invite.id };
    let usurped = Command::Revoke(Signed::seal(&revocation, &mesh.founder.identity));
    let foreign = Revocation { mesh: Mesh::new(2).id(), ..revocation };
    let foreign = Command::Revoke(Signed::seal(&foreign, &mesh.root_secret));
    let unknown = Command::Revoke(mesh.revoke(&mesh.invite(9, 1)));
    let before = log.state.hash();
    for (command, is_unknown) in [(usurped, false), (foreign, false), (unknown, true)] {
        let foreseen = log.state.would_refuse(&fixture::after(1, command.clone()));
        let Outcome::Refused(refusal) = log.apply(1, command) else { panic!("not refused") };
        assert_eq!(foreseen.as_ref(), Some(&refusal));
        assert_eq!(matches!(refusal, Refusal::NoSuchInvite(_)), is_unknown, "{refusal:?}");
        assert_eq!(matches!(refusal, Refusal::Chain(_)), !is_unknown, "{refusal:?}");
    }
    assert_eq!(log.state.hash(), before);
}

#[test]
fn a_revocation_nobody_spoke_is_found_and_one_that_is_missing_too() {
    let (mesh, ticket, mut log) = open();
    log.apply(0, mesh.invite(2, 1).add());
    let before = log.state.clone();
    let id = ticket.invite.id;
    let plant = |revoked: Signed<Revocation>| {
        forged(&before, |forge: &mut Forge| {
            forge.invites.get_mut(&id).expect("one").2 = Some(by_root(revoked))
        })
        .verify(&mesh.root)
        .map_err(|error| error.to_string())
    };
    let usurped = Revocation { mesh: mesh.id(), invite: id };
    let usurped = plant(Signed::seal(&usurped, &mesh.founder.identity));
    assert!(usurped.is_err_and(|error| error.contains("signature")));
    let other = plant(mesh.revoke(&mesh.invite(2, 1)));
    assert!(other.is_err_and(|error| error.contains("of another")));
    let early = plant(mesh.revoke(&ticket));
    assert!(early.is_err_and(|error| error.contains("does not tell of")));

    log.apply(1, Command::Revoke(mesh.revoke(&ticket)));
    assert!(log.state.continues(&before) && !before.continues(&log.state));
    let forgetful = forged(&log.state, |forge| forge.invites.get_mut(&id).expect("one").2 = None);
    assert!(!forgetful.continues(&log.state));
}
