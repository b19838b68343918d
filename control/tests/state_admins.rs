//! Who may speak for the mesh: those who were made admins by those who were, for as long as they are.

mod fixture;

use fixture::forge::{Forge, Said, forged};
use fixture::{
    BORN_MS, Host, LIFETIME_MS, Log, Mesh, Purpose, Ticket, after, ban, name, seed, settled,
};
use mesh_control::command::{AdminRefusal, Command, Outcome, Refusal};
use mesh_control::state::serial::MAX_LEAP;
use mesh_control::state::{Actor, Event, State};
use mesh_model::trust::{
    AdminChange, AdminStep, ChainError, MAX_ADMIN_CHANGES, MAX_ADMINS, Ruling, Verdict, VoterPolicy,
};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{AdminId, Cosigned, IdentitySecret, MemberId, Signed, codec};

const ALICE: AdminId = AdminId(1);
const BOB: AdminId = AdminId(2);

/// The secret of admin `number`.
fn key(number: u64) -> IdentitySecret {
    IdentitySecret::from_seed(seed(Purpose::Admin, number))
}

/// "Admin `number` is one from now on, and is called `text`."
fn add(text: &str, number: u64) -> AdminStep {
    AdminStep::Add { name: name(text), key: key(number).public() }
}

/// "Admin `admin`, called `text`, is none any more."
fn remove(text: &str, admin: AdminId) -> AdminStep {
    AdminStep::Remove { admin, name: name(text), revoke_invites: false }
}

/// The next change of `state`'s admins.
fn next(mesh: &Mesh, state: &State, step: AdminStep) -> AdminChange {
    let admins = state.admins();
    AdminChange { mesh: mesh.id(), serial: admins.serial() + 1, before: admins.head(), step }
}

/// `change`, signed by some.
fn signed(change: &AdminChange, signers: &[&IdentitySecret]) -> Cosigned<AdminChange> {
    let mut cosigned = Cosigned::new(change);
    for signer in signers {
        assert!(cosigned.sign(signer));
    }
    cosigned
}

/// Has `step` agreed, signed by `signers`.
fn change(log: &mut Log, mesh: &Mesh, step: AdminStep, signers: &[&IdentitySecret]) -> Outcome {
    let change = next(mesh, &log.state, step);
    log.apply(0, Command::ChangeAdmins(signed(&change, signers)))
}

/// Applies what is refused, and checks that it was foreseen and changed nothing.
#[track_caller]
fn refused(log: &mut Log, command: Command) -> Refusal {
    let before = log.state.hash();
    let foreseen = log.state.would_refuse(&after(0, command.clone()));
    let Outcome::Refused(refusal) = log.apply(0, command) else { panic!("not refused") };
    assert_eq!(foreseen.as_ref(), Some(&refusal));
    assert_eq!(log.state.hash(), before);
    refusal
}

/// What comes of having `step` agreed, which is refused.
#[track_caller]
fn unchanged(
    log: &mut Log,
    mesh: &Mesh,
    step: AdminStep,
    signers: &[&IdentitySecret],
) -> AdminRefusal {
    let change = next(mesh, &log.state, step);
    match refused(log, Command::ChangeAdmins(signed(&change, signers))) {
        Refusal::Admins(refusal) => refusal,
        other => panic!("refused otherwise: {other:?}"),
    }
}

/// A mesh whose admins are the root, alice (1) and bob (2), and host 1 as a member.
fn three() -> (Mesh, Log, MemberId) {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    for (text, number) in [("alice", 1), ("bob", 2)] {
        let outcome = change(&mut log, &mesh, add(text, number), &[&mesh.root_secret]);
        assert_eq!(outcome, Outcome::AdminsChanged(number));
    }
    let ticket = mesh.invite(1, 3);
    log.apply(0, ticket.add());
    let (member, _) = log.admit(&ticket, &Host::new(1));
    (mesh, log, member)
}

/// The same verdict about host 1, by another admin.
fn verdict(mesh: &Mesh, member: MemberId, serial: u64, by: &IdentitySecret) -> Signed<Verdict> {
    let verdict = mesh.verdict((member, &Host::new(1)), serial, ban(None));
    Signed::seal(&verdict.peek().expect("a verdict"), by)
}

fn present(log: &Log) -> Vec<(AdminId, String)> {
    log.state.admins().present().map(|(id, admin)| (id, admin.name.to_string())).collect()
}

#[test]
fn whoever_is_made_an_admin_speaks_for_the_mesh() {
    let (mesh, mut log, member) = three();
    let who = [(AdminId::ROOT, "root"), (ALICE, "alice"), (BOB, "bob")];
    assert_eq!(present(&log), who.map(|(id, name)| (id, name.to_owned())));
    let outcome = log.apply(0, Command::Judge(verdict(&mesh, member, 1, &key(1))));
    assert_eq!(outcome, Outcome::Judged(member));
    let entry = log.state.audit().iter().last().expect("an entry");
    assert_eq!(entry.by, Actor::Admins { admins: vec![ALICE] });
    let mut ticket = mesh.invite(2, 1);
    ticket.signed = Signed::seal(&ticket.invite, &key(2));
    assert_eq!(log.apply(0, ticket.add()), Outcome::InviteAdded(ticket.invite.id));
    log.admit(&ticket, &Host::new(2));
    let policy = mesh.policy(1, None, &[]).peek().expect("a policy");
    let policy = Command::SetVoters(Signed::seal(&policy, &key(1)));
    assert_eq!(log.apply(0, policy), Outcome::VotersSet(1));
    let revocation = mesh.revoke(&mesh.invite(1, 3)).peek().expect("a revocation");
    let revocation = Command::Revoke(Signed::seal(&revocation, &key(2)));
    assert!(matches!(log.apply(0, revocation), Outcome::InviteRevoked(_)));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let back: State = codec::decode(&codec::encode(&log.state)).expect("our own bytes");
    assert_eq!(back, log.state);
}

#[test]
fn whoever_is_removed_speaks_for_nobody_and_what_it_said_stands() {
    let (mesh, mut log, member) = three();
    log.apply(0, Command::Judge(verdict(&mesh, member, 1, &key(1))));
    let mut ticket = mesh.invite(2, 2);
    ticket.signed = Signed::seal(&ticket.invite, &key(1));
    log.apply(0, ticket.add());
    let outcome = change(&mut log, &mesh, remove("alice", ALICE), &[&key(2)]);
    assert_eq!(outcome, Outcome::AdminsChanged(3));
    assert!(log.state.view(0).banned.contains_key(&member));
    log.admit(&ticket, &Host::new(2));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));

    let policy = mesh.policy(9, None, &[]).peek().expect("a policy");
    let mut late = mesh.invite(3, 1);
    late.signed = Signed::seal(&late.invite, &key(1));
    let revocation = mesh.revoke(&ticket).peek().expect("a revocation");
    for command in [
        Command::Judge(verdict(&mesh, member, 2, &key(1))),
        late.add(),
        Command::SetVoters(Signed::seal(&policy, &key(1))),
        Command::Revoke(Signed::seal(&revocation, &key(1))),
    ] {
        assert!(matches!(refused(&mut log, command), Refusal::Chain(_)));
    }
    let refusal = unchanged(&mut log, &mesh, add("mallory", 9), &[&key(1)]);
    assert_eq!(refusal, AdminRefusal::NoAdmin(key(1).public()));
    // Nor with the help of one that is.
    let refusal = unchanged(&mut log, &mesh, add("mallory", 9), &[&key(1), &key(2)]);
    assert_eq!(refusal, AdminRefusal::NoAdmin(key(1).public()));
}

#[test]
fn invites_of_one_that_is_removed_are_revoked_on_request() {
    let (mesh, mut log, _) = three();
    let by = |number, admin: &IdentitySecret| {
        let ticket = mesh.invite(number, 2);
        Ticket { signed: Signed::seal(&ticket.invite, admin), ..ticket }
    };
    let (hers, his) = (by(2, &key(1)), by(3, &key(2)));
    log.apply(0, hers.add());
    log.apply(0, his.add());
    log.admit(&hers, &Host::new(2));
    let step = AdminStep::Remove { admin: ALICE, name: name("alice"), revoke_invites: true };
    change(&mut log, &mesh, step, &[&mesh.root_secret]);
    let event = Event::AdminRemoved { admin: ALICE, invites_revoked: true };
    assert_eq!(log.state.audit().iter().last().expect("an entry").event, event);
    let outcome = log.apply(0, hers.admit(&Host::new(3)));
    assert_eq!(outcome, Outcome::Refused(JoinRefusal::Revoked.into()));
    log.admit(&his, &Host::new(3));
    // Whom it let in before stays, and hears so.
    assert!(matches!(log.apply(0, hers.admit(&Host::new(2))), Outcome::Admitted { .. }));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn as_many_sign_a_change_as_they_agreed_on() {
    let (mesh, mut log, _) = three();
    let root = &mesh.root_secret;
    assert_eq!(
        change(&mut log, &mesh, AdminStep::Threshold(2), &[&key(1)]),
        Outcome::AdminsChanged(3)
    );
    let few = |have| AdminRefusal::TooFewSignatures { have, needed: 2 };
    assert_eq!(unchanged(&mut log, &mesh, add("carol", 3), &[]), few(0));
    assert_eq!(unchanged(&mut log, &mesh, add("carol", 3), &[root]), few(1));
    // Twice the same is once.
    assert_eq!(unchanged(&mut log, &mesh, add("carol", 3), &[&key(1), &key(1)]), few(1));
    let stranger = unchanged(&mut log, &mesh, add("carol", 3), &[root, &key(3)]);
    assert_eq!(stranger, AdminRefusal::NoAdmin(key(3).public()));
    assert_eq!(unchanged(&mut log, &mesh, AdminStep::Threshold(1), &[root]), few(1));
    let outcome = change(&mut log, &mesh, add("carol", 3), &[&key(2), &key(1)]);
    assert_eq!(outcome, Outcome::AdminsChanged(4));
    let entry = log.state.audit().iter().last().expect("an entry");
    assert_eq!(entry.by, Actor::Admins { admins: vec![ALICE, BOB] });
    let event = Event::AdminAdded { admin: AdminId(4), name: name("carol"), key: key(3).public() };
    assert_eq!(entry.event, event);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn a_signature_over_other_bytes_counts_for_nothing() {
    let (mesh, mut log, _) = three();
    let genuine = next(&mesh, &log.state, add("carol", 3));
    let other = next(&mesh, &log.state, add("mallory", 9));
    let stolen = codec::encode(&Command3(signed(&genuine, &[&key(1)])));
    let wanted = codec::encode(&genuine);
    let at = stolen.windows(wanted.len()).position(|part| part == wanted).expect("the change");
    let mut forged = stolen.clone();
    // Both changes are of one length but for the name.
    forged.splice(at - 1..at + wanted.len(), {
        let other = codec::encode(&other);
        std::iter::once(u8::try_from(other.len()).expect("short")).chain(other).collect::<Vec<_>>()
    });
    let Command3(forged) = codec::decode(&forged).expect("well-formed");
    let refusal = refused(&mut log, Command::ChangeAdmins(forged));
    assert!(matches!(refusal, Refusal::Chain(_)), "{refusal:?}");
}

/// A change on its own.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Command3(Cosigned<AdminChange>);
mesh_model::message!(Command3, "a change alone", version 1, limit 2048);

#[test]
fn a_change_fits_one_place_in_one_history() {
    let (mesh, mut log, _) = three();
    let carol = next(&mesh, &log.state, add("carol", 3));
    let dave = next(&mesh, &log.state, add("dave", 4));
    let (carol, dave) = (signed(&carol, &[&key(1)]), signed(&dave, &[&key(2)]));
    log.apply(0, Command::ChangeAdmins(carol.clone()));
    let before = log.state.hash();
    let again = log.apply(0, Command::ChangeAdmins(carol.clone()));
    assert_eq!(again, Outcome::AdminsChanged(3), "the last one again");
    assert_eq!(log.state.hash(), before);
    let stale = |serial| Refusal::Admins(AdminRefusal::Stale(serial));
    assert_eq!(refused(&mut log, Command::ChangeAdmins(dave)), stale(3));
    change(&mut log, &mesh, remove("carol", AdminId(3)), &[&key(1)]);
    let before = log.state.hash();
    let outcome = log.apply(0, Command::ChangeAdmins(carol));
    assert_eq!((outcome, log.state.hash()), (Outcome::AdminsChanged(3), before), "she is not back");

    // The right number after other changes, and the right changes in another mesh.
    let late = next(&mesh, &log.state, add("erin", 5));
    let misplaced = AdminChange { before: Log::of(&mesh).state.admins().head(), ..late.clone() };
    let misplaced = signed(&misplaced, &[&key(1)]);
    assert_eq!(refused(&mut log, Command::ChangeAdmins(misplaced)), stale(4));
    let elsewhere = AdminChange { mesh: Mesh::new(2).id(), ..late };
    let elsewhere = signed(&elsewhere, &[&key(1)]);
    assert!(matches!(refused(&mut log, Command::ChangeAdmins(elsewhere)), Refusal::Chain(_)));
}

#[test]
fn there_is_always_somebody_who_can_sign_the_next_change() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let root = &mesh.root_secret;
    let refusal = unchanged(&mut log, &mesh, remove("root", AdminId::ROOT), &[root]);
    assert_eq!(refusal, AdminRefusal::LastAdmin);
    for (wanted, admins) in [(0, 1), (2, 1)] {
        let refusal = unchanged(&mut log, &mesh, AdminStep::Threshold(wanted), &[root]);
        assert_eq!(refusal, AdminRefusal::Threshold { wanted, admins });
    }
    change(&mut log, &mesh, add("alice", 1), &[root]);
    change(&mut log, &mesh, AdminStep::Threshold(2), &[root]);
    let both = [root, &key(1)];
    let refusal = unchanged(&mut log, &mesh, remove("alice", ALICE), &both);
    assert_eq!(refusal, AdminRefusal::BelowThreshold(2));
    change(&mut log, &mesh, AdminStep::Threshold(1), &both);
    // The root is an admin like any other: the mesh goes on without it.
    let outcome = change(&mut log, &mesh, remove("root", AdminId::ROOT), &[&key(1)]);
    assert_eq!(outcome, Outcome::AdminsChanged(4));
    assert!(matches!(refused(&mut log, mesh.invite(1, 1).add()), Refusal::Chain(_)));
    let refusal = unchanged(&mut log, &mesh, remove("alice", ALICE), &[&key(1)]);
    assert_eq!(refusal, AdminRefusal::LastAdmin);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn names_are_unique_and_keys_are_never_used_again() {
    let (mesh, mut log, _) = three();
    let root = &mesh.root_secret;
    let taken = unchanged(&mut log, &mesh, add("alice", 3), &[root]);
    assert_eq!(taken, AdminRefusal::NameTaken(name("alice")));
    let again = AdminStep::Add { name: name("again"), key: mesh.root.key };
    assert_eq!(unchanged(&mut log, &mesh, again, &[root]), AdminRefusal::KeyUsed);
    for (text, id) in [("alice", BOB), ("bob", ALICE), ("alice", AdminId(77))] {
        assert_eq!(
            unchanged(&mut log, &mesh, remove(text, id), &[root]),
            AdminRefusal::Unknown(id)
        );
    }
    change(&mut log, &mesh, remove("alice", ALICE), &[root]);
    let refusal = unchanged(&mut log, &mesh, remove("alice", ALICE), &[root]);
    assert_eq!(refusal, AdminRefusal::Unknown(ALICE), "she has gone");
    assert_eq!(unchanged(&mut log, &mesh, add("alice", 1), &[root]), AdminRefusal::KeyUsed);
    // She lost her key and has another.
    let outcome = change(&mut log, &mesh, add("alice", 3), &[root]);
    assert_eq!(outcome, Outcome::AdminsChanged(4));
    assert_eq!(log.state.admins().named(&name("alice")), Some(AdminId(4)));
}

#[test]
fn admins_and_changes_are_bounded() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let root = &mesh.root_secret;
    for number in 1..MAX_ADMINS as u64 {
        change(&mut log, &mesh, add(&format!("admin-{number}"), number), &[root]);
    }
    assert_eq!(log.state.admins().present().count(), MAX_ADMINS);
    assert_eq!(unchanged(&mut log, &mesh, add("more", 99), &[root]), AdminRefusal::TooMany);
    // All of them fit one entry of the log.
    let secrets: Vec<IdentitySecret> = (1..MAX_ADMINS as u64).map(key).collect();
    let all: Vec<&IdentitySecret> = secrets.iter().chain([root]).collect();
    let most = u8::try_from(MAX_ADMINS).expect("few");
    let long = AdminStep::Remove { admin: AdminId(1), name: name("admin-1"), revoke_invites: true };
    let proposal = after(0, Command::ChangeAdmins(signed(&next(&mesh, &log.state, long), &all)));
    assert_eq!(codec::decode(&codec::encode(&proposal)), Ok(proposal));
    change(&mut log, &mesh, AdminStep::Threshold(most), &[root]);
    change(&mut log, &mesh, AdminStep::Threshold(1), &all);

    while log.state.admins().serial() < MAX_ADMIN_CHANGES {
        change(&mut log, &mesh, AdminStep::Threshold(1), &[root]);
    }
    let refusal = unchanged(&mut log, &mesh, AdminStep::Threshold(2), &[root]);
    assert_eq!(refusal, AdminRefusal::TooManyChanges);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

/// Alice was removed; before that, she banned host 1.
fn one_removed() -> (Mesh, Log, MemberId) {
    let (mesh, mut log, member) = three();
    log.apply(0, Command::Judge(verdict(&mesh, member, 5, &key(1))));
    change(&mut log, &mesh, remove("alice", ALICE), &[&mesh.root_secret]);
    log.apply(0, mesh.invite(9, 1).add());
    (mesh, log, member)
}

/// What `verify` says of a snapshot of that mesh after `plant`.
#[track_caller]
fn found(part: &str, plant: impl FnOnce(&mut Forge, &Mesh)) {
    let (mesh, log, _) = one_removed();
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let state: Result<State, _> = {
        let mut forge: Forge = codec::decode(&codec::encode(&log.state)).expect("the same");
        plant(&mut forge, &mesh);
        codec::decode(&codec::encode(&forge))
    };
    let error = match state {
        Ok(state) => state.verify(&mesh.root).expect_err("not found").to_string(),
        Err(malformed) => malformed.to_string(),
    };
    assert!(error.contains(part), "{error}");
}

#[test]
fn a_snapshot_with_another_history_of_admins_is_found() {
    // A change nobody in office made: by a stranger, by nobody, by one who had gone.
    for signers in [vec![key(9)], vec![], vec![key(1)]] {
        found("nobody could have made", |forge, mesh| {
            let state = one_removed().1.state;
            let made_up = next(mesh, &state, add("mallory", 9));
            let signers: Vec<&IdentitySecret> = signers.iter().collect();
            forge.admins.1.push((signed(&made_up, &signers), 90));
        });
    }
    // One left out: what came after it does not follow from what came before.
    found("signed before the admins were last changed", |forge, _| {
        drop(forge.admins.1.remove(0));
    });
    found("out of order", |forge, _| forge.admins.1[1].1 = 2);
    found("does not tell of", |forge, _| forge.admins.1[2].1 += 7);
    found("root key", |forge, _| forge.admins = (key(9).public(), Vec::new()));
}

/// A ban of the founder that alice signs today, said to have been agreed at `at`.
fn backdated(mesh: &Mesh, at: u64) -> (Said<Verdict>, u64, bool) {
    let about = (MemberId::FOUNDER, &mesh.founder);
    let verdict = mesh.verdict(about, 1, ban(None)).peek().expect("a verdict");
    ((Signed::seal(&verdict, &key(1)), ALICE, at), BORN_MS, false)
}

#[test]
fn what_one_says_who_is_no_admin_any_more_is_found_wherever_it_is_put() {
    let founder = MemberId::FOUNDER;
    let (_, log, _) = one_removed();
    let alice = log.state.admins().get(ALICE).expect("she was one");
    let (since, until) = (alice.since, alice.removed.expect("removed").at);
    // Before she was one, at her own appointment, at her removal, and after it.
    for at in [0, 1, since, until, until + 1, u64::MAX] {
        found("no admin then", |forge, mesh| {
            forge.bans.insert(founder, backdated(mesh, at));
        });
    }
    // In her time, where something else was decided, or nothing.
    for at in since + 1..until {
        found("does not tell of", |forge, mesh| {
            forge.bans.insert(founder, backdated(mesh, at));
        });
    }
    found("of nobody", |forge, mesh| {
        let ((signed, _, at), since_ms, lapsed) = backdated(mesh, since + 1);
        forge.bans.insert(founder, ((signed, AdminId(77), at), since_ms, lapsed));
    });
    found("signature", |forge, mesh| {
        let ((signed, _, at), since_ms, lapsed) = backdated(mesh, since + 2);
        forge.bans.insert(founder, ((signed, BOB, at), since_ms, lapsed));
    });
}

/// The trail of `forge` with one entry more in its middle, all hashes made anew.
fn rewrite(forge: &mut Forge, at: usize, by: Actor, event: Event) {
    let mut entry = forge.audit.1[at].entry.clone();
    (entry.by, entry.event) = (by, event);
    forge.audit.1[at].entry = entry;
    let mut head = forge.audit.0;
    for link in &mut forge.audit.1 {
        *link = mesh_model::audit::Link::new(head, link.entry.clone());
        head = link.hash;
    }
}

#[test]
fn whoever_has_heard_of_a_removal_is_told_no_other_past() {
    // A voter that has her key can write the whole past anew. It verifies: nothing in it is unsigned but where it stands.
    let (mesh, log, member) = one_removed();
    let alice = log.state.admins().get(ALICE).expect("she was one").clone();
    let planted = forged(&log.state, |forge| {
        let links = forge.audit.1.iter();
        let at = links.clone().position(|link| link.entry.index == 4).expect("bob's friend");
        let event = Event::Banned { member: MemberId::FOUNDER, until_ms: None, reason: None };
        rewrite(forge, at, Actor::admin(ALICE), event);
        forge.invites.clear();
        forge.present.remove(&member);
        forge.bans = [(MemberId::FOUNDER, backdated(&mesh, 4))].into();
        forge.voted.clear();
        forge.audit.1.truncate(at + 1);
        forge.admins.1.truncate(2);
    });
    assert!(alice.since < 4);
    assert_eq!(planted.verify(&mesh.root), Ok(()), "a host that knows nothing cannot tell");
    assert_ne!(planted.audit().head(), log.state.audit().head(), "but heads differ");
    assert!(!planted.continues(&log.state));
    // And whoever made a token after the removal has written down what it knew.
    assert!(log.state.admins().came_of(log.state.admins().head()));
    assert!(!planted.admins().came_of(log.state.admins().head()));
    assert!(log.state.admins().came_of(Log::of(&mesh).state.admins().head()));
}

#[test]
fn a_state_with_more_of_the_past_than_was_known_does_not_continue_it() {
    let (mesh, log, member) = one_removed();
    let earlier = log.state.clone();
    let mut later = log;
    later.apply(0, mesh.invite(10, 1).add());
    later.apply(0, mesh.judge((member, &Host::new(1)), 6, Ruling::Pardoned));
    assert!(later.state.continues(&earlier) && !earlier.continues(&later.state));
    assert!(earlier.continues(&earlier));
    let breaks = |plant: &dyn Fn(&mut Forge)| {
        let planted = forged(&later.state, plant);
        !planted.continues(&earlier)
    };
    assert!(!breaks(&|_| ()));
    assert!(breaks(&|forge| drop(forge.bans.insert(MemberId::FOUNDER, backdated(&mesh, 4)))));
    assert!(breaks(&|forge| {
        let ticket = mesh.invite(11, 1);
        let stolen = Signed::seal(&ticket.invite, &key(1));
        forge.invites.insert(ticket.invite.id, ((stolen, ALICE, 4), 0, None));
    }));
    assert!(breaks(&|forge| {
        let policy = mesh.policy(3, None, &[]).peek().expect("a policy");
        let policy: Signed<VoterPolicy> = Signed::seal(&policy, &key(1));
        forge.voters = Some((policy, ALICE, 4));
    }));
    assert!(breaks(&|forge| {
        let entry = forge.invites.get_mut(&mesh.invite(1, 3).invite.id).expect("hers");
        let revocation = mesh.revoke(&mesh.invite(1, 3)).peek().expect("a revocation");
        entry.2 = Some((Signed::seal(&revocation, &key(1)), ALICE, 4));
    }));
    assert!(breaks(&|forge| drop(forge.admins.1.pop())), "the removal left out");
    assert!(breaks(&|forge| forge.admins.1[2].1 -= 1), "the removal elsewhere");
    assert!(
        breaks(&|forge| {
            let change = next(&mesh, &earlier, remove("bob", BOB));
            forge.admins.1.push((signed(&change, &[&mesh.root_secret]), earlier.last_index()));
        }),
        "a change nobody had heard of"
    );
    assert!(breaks(&|forge| {
        let (origin, addrs) = forge.present[&member].clone();
        forge.present.insert(MemberId(6), (origin, addrs));
    }));
}

#[test]
fn an_invite_is_spent_once_whoever_signed_it() {
    let (mesh, mut log, _) = three();
    let ticket = mesh.invite(5, 1);
    log.apply(0, ticket.add());
    log.admit(&ticket, &Host::new(5));
    // The same terms again by another admin are the same invite, and it is spent.
    let again = Command::Invite(Signed::seal(&ticket.invite, &key(1)));
    let before = log.state.hash();
    assert_eq!(log.apply(0, again), Outcome::InviteAdded(ticket.invite.id));
    assert_eq!(log.state.hash(), before);
    let outcome = log.apply(LIFETIME_MS - 1, ticket.admit(&Host::new(6)));
    assert_eq!(outcome, Outcome::Refused(JoinRefusal::Used.into()));
}

#[test]
fn the_state_holds_no_secret_of_a_token() {
    let (mesh, mut log, _) = three();
    let ticket = mesh.invite(5, 2);
    log.apply(0, ticket.add());
    log.admit(&ticket, &Host::new(5));
    let bytes = codec::encode(&log.state);
    let holds = |part: &[u8; 32]| bytes.windows(32).any(|window| window == part);
    assert!(holds(ticket.invite.key.as_bytes()), "its public key is what vouches for members");
    for secret in [ticket.secret.to_seed(), mesh.root_secret.to_seed(), key(1).to_seed()] {
        assert!(!holds(&secret));
    }
}

#[test]
fn an_error_says_what_to_do() {
    let text = |refusal: AdminRefusal| Refusal::from(refusal).to_string();
    assert!(text(AdminRefusal::LastAdmin).contains("add another one first"));
    assert!(text(AdminRefusal::BelowThreshold(2)).contains("lower the threshold first"));
    assert!(text(AdminRefusal::Stale(4)).contains("make and sign it again"));
    let _: ChainError = ChainError::OtherMesh;
}

#[test]
fn nobody_has_the_last_word_by_its_serial() {
    let (mesh, mut log) = settled();
    let (member, host) = (MemberId(3), Host::new(1));
    let pardon = |serial| mesh.judge((member, &host), serial, Ruling::Pardoned);
    let last_words = [
        pardon(u64::MAX),
        pardon(BORN_MS + 1 + MAX_LEAP + 1),
        Command::SetVoters(mesh.policy(MAX_LEAP + 1, None, &[])),
        Command::SetAccess(mesh.access(u64::MAX, Vec::new())),
        Command::Tag(mesh.tagging((member, &host), MAX_LEAP + 1, &["web"])),
    ];
    for command in last_words {
        let refused = log.state.would_refuse(&after(1, command.clone()));
        assert!(matches!(refused, Some(Refusal::SerialTooFar { .. })), "{command:?}: {refused:?}");
        assert_eq!(log.apply(1, command), Outcome::Refused(refused.expect("just seen")));
    }
    assert_eq!(log.apply(1, pardon(BORN_MS + 1 + MAX_LEAP)), Outcome::Judged(member));
    let next = log.state.bans().next_serial(member, BORN_MS + 2);
    let removal = mesh.judge((member, &host), next, Ruling::Removed);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    assert_eq!(log.apply(2, removal), Outcome::Judged(member), "there is always a next");
}
