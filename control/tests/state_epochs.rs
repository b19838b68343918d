//! Epochs: who may begin one, what a snapshot shows of it, and who goes over.

mod fixture;

use fixture::forge::{Forge, forged};
use fixture::{BORN_MS, Host, Log, Mesh, Purpose, ban, name, seed, settled};
use mesh_control::command::{Command, Outcome};
use mesh_control::state::{Actor, CrossingError, EpochError, Event, State};
use mesh_model::trust::{AdminChange, AdminStep, EPOCH_LEAP, Epoch, EpochHead, MAX_EPOCHS};
use mesh_model::{AdminId, Cosigned, IdentitySecret, LogIndex, MemberId, codec};

/// A member whose log the mesh goes on from.
const VOTER: MemberId = MemberId(3);

/// The secret of admin `number`.
fn key(number: u64) -> IdentitySecret {
    IdentitySecret::from_seed(seed(Purpose::Admin, number))
}

/// `epoch`, signed by some.
fn signed(epoch: &Epoch, signers: &[&IdentitySecret]) -> Cosigned<Epoch> {
    let mut cosigned = Cosigned::new(epoch);
    for signer in signers {
        assert!(cosigned.sign(signer));
    }
    cosigned
}

/// The last index of `log`.
fn last(log: &Log) -> LogIndex {
    log.next - 1
}

/// The epoch that would go on from `log`.
fn next(log: &Log) -> Epoch {
    log.state.next_epoch(last(log), VOTER, BORN_MS + 5, "burnt".parse().ok())
}

/// Begins the epoch that goes on from `log`, signed by `signers`.
fn begin(log: &mut Log, signers: &[&IdentitySecret]) -> Epoch {
    let begun = signed(&next(log), signers);
    let epoch = log.state.begin_epoch(last(log), &begun).expect("theirs to begin");
    log.next = epoch.first + 1;
    epoch
}

/// Has `step` agreed, signed by `signers`.
fn change(log: &mut Log, mesh: &Mesh, step: AdminStep, signers: &[&IdentitySecret]) {
    let admins = log.state.admins();
    let (serial, before) = (admins.serial() + 1, admins.head());
    let mut change = Cosigned::new(&AdminChange { mesh: mesh.id(), serial, before, step });
    assert!(signers.iter().all(|signer| change.sign(signer)));
    let outcome = log.apply(0, Command::ChangeAdmins(change));
    assert_eq!(outcome, Outcome::AdminsChanged(serial));
}

/// Admins `a1`, called a, and `a2`, called b, besides the root; two have to sign.
fn three_admins() -> (Mesh, Log) {
    let (mesh, mut log) = settled();
    let add = |text: &str, number| AdminStep::Add { name: name(text), key: key(number).public() };
    change(&mut log, &mesh, add("a", 1), &[&mesh.root_secret]);
    change(&mut log, &mesh, add("b", 2), &[&mesh.root_secret]);
    change(&mut log, &mesh, AdminStep::Threshold(2), &[&mesh.root_secret]);
    (mesh, log)
}

fn copy(log: &Log) -> Log {
    Log { state: log.state.clone(), next: log.next }
}

#[test]
fn enough_admins_begin_an_epoch_that_everybody_can_check() {
    let (mesh, mut log) = three_admins();
    log.state.note_voters([MemberId(1), VOTER, MemberId(4)].into_iter());
    let before = log.state.epoch();
    let epoch = begin(&mut log, &[&mesh.root_secret, &key(2)]);
    assert_eq!((before.number, epoch.number), (0, 1));
    assert_eq!(epoch.first, epoch.from + EPOCH_LEAP);
    let now = log.state.epoch();
    assert!(now.number == 1 && now.head != before.head && now.first_term() == 1 << 40);
    assert!(log.state.has_voted(VOTER) && !log.state.has_voted(MemberId(4)));
    assert_eq!(log.state.last_index(), epoch.first);

    let entry = log.state.audit().iter().next_back().expect("it is in the trail").clone();
    assert_eq!(entry.index, epoch.first);
    assert_eq!(entry.by, Actor::admins(vec![AdminId::ROOT, AdminId(2)]));
    let reason = "burnt".parse().ok();
    let event = Event::EpochBegan { number: 1, from: epoch.from, voter: VOTER, reason };
    assert_eq!(entry.event, event);

    let read: State = codec::decode(&codec::encode(&log.state)).expect("its own bytes");
    assert_eq!(read, log.state);
    assert_eq!(read.verify(&mesh.root), Ok(()));
    // It goes on, and another may follow.
    assert!(matches!(log.apply(9, mesh.invite(9, 1).add()), Outcome::InviteAdded(_)));
    begin(&mut log, &[&key(1), &key(2)]);
    assert_eq!(log.state.epoch().number, 2);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn what_does_not_begin_an_epoch_changes_nothing() {
    let (mesh, mut log) = three_admins();
    let enough = [&mesh.root_secret, &key(1)];
    let refused = |log: &Log, begun: Cosigned<Epoch>| {
        let mut state = log.state.clone();
        let refused = state.begin_epoch(last(log), &begun).expect_err("not to be begun");
        assert_eq!(state, log.state);
        refused
    };
    let with = |plant: &dyn Fn(&mut Epoch)| {
        let mut epoch = next(&log);
        plant(&mut epoch);
        refused(&log, signed(&epoch, &enough))
    };
    let stale = EpochError::Stale(log.state.epoch());
    assert_eq!(with(&|epoch| epoch.number = 2), stale);
    assert_eq!(with(&|epoch| epoch.before = EpochHead([7; 32])), stale);
    assert_eq!(with(&|epoch| epoch.mesh = Mesh::new(2).id()), EpochError::OtherMesh);
    let from = last(&log);
    assert_eq!(with(&|epoch| epoch.first += 1), EpochError::Beginning(from + EPOCH_LEAP + 1));
    assert_eq!(with(&|epoch| epoch.state.0[0] ^= 1), EpochError::OtherLog(from));
    let other = |epoch: &mut Epoch| (epoch.from, epoch.first) = (from - 1, from - 1 + EPOCH_LEAP);
    assert_eq!(with(&other), EpochError::OtherLog(from - 1));
    // Who left, and who never was.
    assert_eq!(with(&|epoch| epoch.voter = MemberId(5)), EpochError::Voter(MemberId(5)));
    assert_eq!(with(&|epoch| epoch.voter = MemberId(77)), EpochError::Voter(MemberId(77)));

    let by = |signers: &[&IdentitySecret]| refused(&log, signed(&next(&log), signers));
    let few = |have| EpochError::TooFewSignatures { have, needed: 2 };
    assert_eq!(by(&[]), few(0));
    assert_eq!(by(&[&key(1), &key(1)]), few(1));
    assert_eq!(by(&[&key(1), &key(9)]), EpochError::NoAdmin(key(9).public()));
    let mut altered = codec::encode(&signed_message(&signed(&next(&log), &enough)));
    let at = altered.len() - 1;
    altered[at] ^= 1;
    let Wrapped(altered) = codec::decode(&altered).expect("still the shape of one");
    assert!(matches!(refused(&log, altered), EpochError::Signed(_)));

    let verdict = mesh.judge((VOTER, &Host::new(1)), 7, ban(None));
    assert_eq!(log.apply(0, verdict), Outcome::Judged(VOTER));
    assert_eq!(refused(&log, signed(&next(&log), &enough)), EpochError::Voter(VOTER));
}

/// A cosigned epoch by itself, to be damaged.
#[derive(serde::Serialize, serde::Deserialize)]
struct Wrapped(Cosigned<Epoch>);

mesh_model::message!(Wrapped, "wrapped", version 1, limit 4096);

fn signed_message(begun: &Cosigned<Epoch>) -> Wrapped {
    Wrapped(begun.clone())
}

#[test]
fn there_are_only_so_many() {
    let (mesh, mut log) = settled();
    for _ in 0..MAX_EPOCHS {
        begin(&mut log, &[&mesh.root_secret]);
    }
    let begun = signed(&next(&log), &[&mesh.root_secret]);
    assert_eq!(log.state.begin_epoch(last(&log), &begun), Err(EpochError::TooMany));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

/// What `verify` says of a state in epoch 1 of three admins' mesh after `plant`.
#[track_caller]
fn found(plant: impl FnOnce(&mut Forge, &Mesh, &Log), part: &str) {
    let (mesh, mut log) = three_admins();
    begin(&mut log, &[&mesh.root_secret, &key(1)]);
    let planted = forged(&log.state, |forge| plant(forge, &mesh, &log));
    let text = planted.verify(&mesh.root).expect_err("not found").to_string();
    assert!(text.contains(part), "{text}");
}

#[test]
fn an_epoch_that_nobody_began_is_found_in_a_snapshot() {
    const NOBODY: &str = "an epoch that nobody could have begun";
    let said = |forge: &Forge| forge.epochs[0].peek().expect("our own");
    found(|forge, mesh, _| forge.epochs = vec![signed(&said(forge), &[&mesh.root_secret])], NOBODY);
    found(|forge, _, _| forge.epochs = vec![signed(&said(forge), &[&key(8), &key(9)])], NOBODY);
    // The same again, and a second one that does not follow it.
    found(|forge, _, _| forge.epochs.push(forge.epochs[0].clone()), NOBODY);
    // Left out, though the trail tells of it; and told of where it is not.
    found(|forge, _, _| forge.epochs.clear(), "the audit trail alone tells of");
    found(|forge, _, _| drop(forge.audit.1.pop()), "the audit trail does not tell of");
    // Before those who signed it were admins.
    let early = |forge: &mut Forge, mesh: &Mesh, _: &Log| {
        let epoch = Epoch { from: 6, first: 6 + EPOCH_LEAP, ..said(forge) };
        forge.epochs = vec![signed(&epoch, &[&mesh.root_secret, &key(1)])];
        let moved = forge.admins.1.iter_mut();
        moved.for_each(|(_, at)| *at += 2 * EPOCH_LEAP);
    };
    found(early, NOBODY);
}

#[test]
fn a_later_epoch_continues_what_led_to_it_and_nothing_else() {
    let (mesh, mut log) = three_admins();
    log.state.note_voters([MemberId(1), VOTER].into_iter());
    let before = copy(&log);
    begin(&mut log, &[&mesh.root_secret, &key(1)]);
    assert!(log.state.continues(&before.state) && !before.state.continues(&log.state));
    let mut ahead = copy(&before);
    ahead.apply(0, mesh.invite(9, 1).add());
    assert!(!log.state.continues(&ahead.state), "it knows nothing of that invite");
    let mut rival = copy(&before);
    let mut other = next(&rival);
    other.at_ms += 1;
    let begun = signed(&other, &[&mesh.root_secret, &key(1)]);
    rival.state.begin_epoch(last(&rival), &begun).expect("theirs to begin");
    assert!(!log.state.continues(&rival.state) && !rival.state.continues(&log.state));
}

#[test]
fn those_behind_and_those_ahead_go_over() {
    let (mesh, mut log) = three_admins();
    let behind = copy(&log);
    log.apply(0, mesh.invite(8, 1).add());
    let mut ahead = copy(&log);
    ahead.apply(0, mesh.invite(9, 1).add());
    begin(&mut log, &[&mesh.root_secret, &key(1)]);
    let me = MemberId(4);
    for ours in [&behind, &ahead] {
        assert_eq!(ours.state.check_crossing(&log.state, me), Ok(()));
    }
    // Also one that was away for two of them.
    begin(&mut log, &[&key(1), &key(2)]);
    assert_eq!(behind.state.check_crossing(&log.state, me), Ok(()));
    // Nobody goes back, or over to what it has.
    let epoch = log.state.epoch();
    assert_eq!(log.state.check_crossing(&log.state, me), Err(CrossingError::NotLater(epoch)));
    let first = behind.state.epoch();
    assert_eq!(log.state.check_crossing(&behind.state, me), Err(CrossingError::NotLater(first)));
    let other = Mesh::new(2).state();
    assert_eq!(behind.state.check_crossing(&other, me), Err(CrossingError::OtherMesh));
}

#[test]
fn whoever_came_in_by_what_is_lost_or_has_voted_since_does_not_go_over() {
    let (mesh, mut log) = settled();
    let mut ahead = copy(&log);
    let ticket = mesh.invite(8, 1);
    ahead.apply(0, ticket.add());
    let (newcomer, _) = ahead.admit(&ticket, &Host::new(8));
    let old = copy(&log);
    begin(&mut log, &[&mesh.root_secret]);
    let refused = ahead.state.check_crossing(&log.state, newcomer);
    assert_eq!(refused, Err(CrossingError::NoMember(newcomer)));
    // Its id is nobody else's in the new epoch.
    log.apply(0, ticket.add());
    assert!(log.admit(&ticket, &Host::new(9)).0 > newcomer);
    // A copy of an old disk under a voter.
    let refused = old.state.check_crossing(&log.state, VOTER);
    assert_eq!(refused, Err(CrossingError::HasVoted(VOTER)));
}

#[test]
fn two_epochs_after_the_same_one_are_rivals() {
    let (mesh, mut log) = settled();
    let mut other = copy(&log);
    other.apply(0, mesh.invite(9, 1).add());
    for one in [&mut log, &mut other] {
        begin(one, &[&mesh.root_secret]);
    }
    let (ours, theirs) = (log.state.epoch(), other.state.epoch());
    assert!(ours.number == theirs.number && ours.head != theirs.head);
    let me = MemberId(4);
    let rivals = Err(CrossingError::Rival { ours, theirs });
    assert_eq!(log.state.check_crossing(&other.state, me), rivals);
    // Not one that grew out of it either, and not by more epochs.
    begin(&mut other, &[&mesh.root_secret]);
    assert_eq!(log.state.check_crossing(&other.state, me), rivals);
    begin(&mut log, &[&mesh.root_secret]);
    assert_eq!(log.state.check_crossing(&other.state, me), rivals);
}

#[test]
fn an_admin_that_was_removed_has_no_second_time() {
    let (mesh, mut log) = settled();
    let alice = AdminStep::Add { name: name("alice"), key: key(1).public() };
    change(&mut log, &mesh, alice, &[&mesh.root_secret]);
    let mut stolen = copy(&log);
    let remove = |admin, text: &str| AdminStep::Remove {
        admin: AdminId(admin),
        name: name(text),
        revoke_invites: false,
    };
    change(&mut log, &mesh, remove(1, "alice"), &[&mesh.root_secret]);
    begin(&mut stolen, &[&key(1)]);
    assert_eq!(stolen.state.verify(&mesh.root), Ok(()), "by itself it holds");
    let me = MemberId(4);
    let refused = log.state.check_crossing(&stolen.state, me);
    let nobody = EpochError::NoAdmin(key(1).public());
    assert_eq!(refused, Err(CrossingError::NotEntitled(nobody.clone())));
    // As a rival of a true one it is nothing to be alarmed about.
    begin(&mut log, &[&mesh.root_secret]);
    let refused = log.state.check_crossing(&stolen.state, me);
    assert_eq!(refused, Err(CrossingError::NotEntitled(nobody)));
}

#[test]
fn whoever_is_an_admin_still_may_lose_a_change_of_admins() {
    let (mesh, mut log) = settled();
    let behind = copy(&log);
    let mut ahead = copy(&log);
    let alice = AdminStep::Add { name: name("alice"), key: key(1).public() };
    change(&mut ahead, &mesh, alice.clone(), &[&mesh.root_secret]);
    begin(&mut log, &[&mesh.root_secret]);
    assert_eq!(ahead.state.check_crossing(&log.state, MemberId(4)), Ok(()));
    // The other way round: one that knows less learns of the admins with the epoch.
    let mut later = copy(&behind);
    change(&mut later, &mesh, alice, &[&mesh.root_secret]);
    begin(&mut later, &[&key(1)]);
    assert_eq!(behind.state.check_crossing(&later.state, MemberId(4)), Ok(()));
    // More have to sign by what this host knows than did.
    change(&mut ahead, &mesh, AdminStep::Threshold(2), &[&mesh.root_secret]);
    let few = EpochError::TooFewSignatures { have: 1, needed: 2 };
    let refused = ahead.state.check_crossing(&log.state, MemberId(4));
    assert_eq!(refused, Err(CrossingError::NotEntitled(few)));
}
