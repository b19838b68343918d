//! Who leaves, and who says so.

mod fixture;

use fixture::forge::forged;
use fixture::{Host, Log, Mesh, three};
use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::state::Event;
use mesh_model::MemberId;
use mesh_model::trust::Ruling;

#[test]
fn a_member_leaves_by_its_own_word_once() {
    let (mesh, mut log, [one, two]) = three();
    let goodbye = Host::new(1).depart(mesh.id(), one);
    assert_eq!(log.apply(0, goodbye.clone()), Outcome::Departed(one));
    let after = log.state.hash();
    assert_eq!(log.apply(9, goodbye), Outcome::Departed(one));
    assert_eq!(log.state.hash(), after);
    let present: Vec<_> = log.state.view(0).members.into_keys().collect();
    assert_eq!(present, [MemberId::FOUNDER, two]);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

/// A crash may come between the mesh's word and the host's first step of forgetting the mesh: its next start finishes that.
#[test]
fn one_that_left_by_its_own_word_is_told_from_one_that_was_put_out() {
    let (mesh, mut log, [one, two]) = three();
    let left = |log: &Log| [one, two].map(|id| log.state.members().said_goodbye(id));
    assert_eq!(left(&log), [false, false]);
    log.apply(0, Host::new(1).depart(mesh.id(), one));
    log.apply(0, mesh.judge((two, &Host::new(2)), 1, Ruling::Removed));
    assert!(log.state.view(0).members.keys().eq([&MemberId::FOUNDER]));
    assert_eq!(left(&log), [true, false]);
}

#[test]
fn nobody_speaks_a_goodbye_for_another() {
    let (mesh, mut log, [one, two]) = three();
    refuses_forged_goodbyes(&mesh, &mut log, one, two);
    log.apply(0, Host::new(1).depart(mesh.id(), one));
    // Nor for one that is gone: nothing would change, but it would be told that it has.
    refuses_forged_goodbyes(&mesh, &mut log, one, two);
}

fn refuses_forged_goodbyes(mesh: &Mesh, log: &mut Log, one: MemberId, two: MemberId) {
    let before = log.state.hash();
    // Signed by another member, and by the root itself.
    let stranger = Host::new(2).depart(mesh.id(), one);
    let mut root = Host::new(1);
    root.identity = mesh.root_secret.clone();
    for forged in [stranger, root.depart(mesh.id(), one)] {
        let outcome = log.apply(0, forged);
        assert!(matches!(outcome, Outcome::Refused(Refusal::Chain(_))), "{outcome:?}");
    }
    // Its own goodbye from another mesh, and one it said as another member.
    let elsewhere = Host::new(1).depart(Mesh::new(2).id(), one);
    let outcome = log.apply(0, elsewhere);
    assert!(matches!(outcome, Outcome::Refused(Refusal::Chain(_))), "{outcome:?}");
    let Command::Depart { departure, .. } = Host::new(1).depart(mesh.id(), two) else {
        panic!("a departure")
    };
    let outcome = log.apply(0, Command::Depart { member: one, departure });
    assert_eq!(outcome, Outcome::Refused(Refusal::UnknownMember(two)));
    assert_eq!(log.state.hash(), before);
}

#[test]
fn one_that_never_was_a_member_cannot_leave() {
    let (mesh, mut log, _) = three();
    let nobody = MemberId(77);
    let outcome = log.apply(0, Host::new(7).depart(mesh.id(), nobody));
    assert_eq!(outcome, Outcome::Refused(Refusal::UnknownMember(nobody)));
}

#[test]
fn a_mesh_outlives_its_founder() {
    let (mesh, mut log, _) = three();
    let outcome = log.apply(0, mesh.founder.depart(mesh.id(), MemberId::FOUNDER));
    assert_eq!(outcome, Outcome::Departed(MemberId::FOUNDER));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn a_goodbye_does_not_move_the_clock() {
    let (mesh, mut log, [one, _]) = three();
    let before = log.state.now_ms();
    let outcome = log.apply(u64::MAX - fixture::BORN_MS, Host::new(1).depart(mesh.id(), one));
    assert_eq!(outcome, Outcome::Departed(one));
    assert_eq!(log.state.now_ms(), before);
}

#[test]
fn who_ever_voted_is_known_until_it_is_gone() {
    let (mesh, mut log, [one, two]) = three();
    log.state.note_voters([one, MemberId(77)].into_iter());
    log.state.note_voters([two].into_iter());
    let voted = |log: &Log| [one, two, MemberId(77)].map(|member| log.state.has_voted(member));
    assert_eq!(voted(&log), [true, true, false], "nobody that is not there");
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let before = log.state.clone();
    log.apply(0, Host::new(1).depart(mesh.id(), one));
    assert_eq!(voted(&log), [false, true, false]);
    assert!(log.state.continues(&before));
    let forgetful = forged(&log.state, |forge| forge.voted.clear());
    assert!(!forgetful.continues(&before));
    let made_up = forged(&log.state, |forge| assert!(forge.voted.insert(MemberId(77))));
    assert!(made_up.verify(&mesh.root).is_err());
}

#[test]
fn the_audit_trail_tells_what_changed_and_nothing_else() {
    let (mesh, mut log, [one, _]) = three();
    log.apply(5, Host::new(1).depart(mesh.id(), one));
    log.apply(6, Host::new(1).depart(mesh.id(), one));
    log.apply(7, Host::new(7).depart(mesh.id(), MemberId(77)));
    let told: Vec<_> = log.state.audit().iter().map(|entry| entry.index).collect();
    assert_eq!(told, [2, 3, 4, 5]);
    let last = log.state.audit().iter().last().expect("an entry");
    assert_eq!(last.event, Event::Departed { member: one });
    assert_eq!(last.at_ms, fixture::BORN_MS + 5);
}
