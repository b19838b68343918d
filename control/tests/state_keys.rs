//! Which WireGuard key a member has, and who says so.

mod fixture;

use fixture::forge::{Forge, forged};
use fixture::{BORN_MS, Host, Log, Mesh, after, ban, degenerate, three};
use mesh_control::command::{Command, Outcome, Refusal, RekeyRefusal};
use mesh_control::planner::plan;
use mesh_control::rotation::{taken_by, waited_for};
use mesh_control::state::State;
use mesh_model::audit::{Actor, Event};
use mesh_model::trust::{ChainError, Rekey, Ruling};
use mesh_model::view::KeyChange;
use mesh_model::{MemberId, Signed, TunnelKey, TunnelSecret};

/// The key of host `number` after its `nth` change; the one it came in with for 0.
fn key(number: u64, nth: u64) -> TunnelSecret {
    Host::new(number + 100 * nth).tunnel
}

/// The `nth` change of host `number`, which is `member`.
fn change(mesh: &Mesh, (member, number): (MemberId, u64), nth: u64) -> Command {
    let keys = (&key(number, nth - 1), &key(number, nth));
    Command::Rekey(Host::new(number).rekey(mesh.id(), member, nth, keys))
}

/// Applies what is refused, and checks that it changed nothing, and that it gets no place in the log.
#[track_caller]
fn refused(log: &mut Log, command: Command) -> Refusal {
    let before = log.state.hash();
    let foreseen = log.state.would_refuse(&after(9, command.clone()));
    match log.apply(9, command) {
        Outcome::Refused(refusal) => {
            assert_eq!(log.state.hash(), before);
            assert_eq!(foreseen.as_ref(), Some(&refusal));
            refusal
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn tunnel(state: &State, member: MemberId) -> (TunnelKey, Option<KeyChange>) {
    let member = state.view(0).members[&member].clone();
    (member.tunnel, member.change)
}

#[test]
fn a_member_has_the_key_it_says_it_has() {
    let (mesh, mut log, [one, _]) = three();
    assert_eq!(tunnel(&log.state, one), (key(1, 0).public(), None));
    let at = log.next;
    assert_eq!(log.apply(7, change(&mesh, (one, 1), 1)), Outcome::Rekeyed(one));
    let before = key(1, 0).public();
    let told = KeyChange { serial: 1, before, at, since_ms: BORN_MS + 7 };
    assert_eq!(tunnel(&log.state, one), (key(1, 1).public(), Some(told)));
    let entry = log.state.audit().iter().last().expect("an entry");
    assert_eq!((entry.index, &entry.by), (at, &Actor::Member { member: one }));
    let key_now = key(1, 1).public();
    assert_eq!(entry.event, Event::Rekeyed { member: one, serial: 1, key: key_now });

    assert_eq!(log.apply(8, change(&mesh, (one, 1), 2)), Outcome::Rekeyed(one));
    let (now, told) = tunnel(&log.state, one);
    assert_eq!(now, key(1, 2).public());
    assert_eq!(told.map(|told| (told.serial, told.before)), Some((2, key_now)));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn what_a_daemon_signs_is_the_next_change() {
    let (mesh, mut log, [one, _]) = three();
    for nth in 1..4 {
        let new = key(1, nth).public();
        let rekey = log.state.next_rekey(one, new).expect("a member");
        assert_eq!((rekey.serial, rekey.before), (nth, key(1, nth - 1).public()));
        let signed = Signed::seal(&rekey, &Host::new(1).identity);
        assert_eq!(log.apply(nth, Command::Rekey(signed)), Outcome::Rekeyed(one));
    }
    assert_eq!(log.state.next_rekey(MemberId(77), key(1, 9).public()), None);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn nobody_says_it_for_another_nor_for_another_mesh() {
    let (mesh, mut log, [one, two]) = three();
    let keys = (&key(1, 0), &key(1, 1));
    let other = Host::new(2);
    for signed in [
        other.rekey(mesh.id(), one, 1, keys),
        Host::new(1).rekey(Mesh::new(2).id(), one, 1, keys),
        Host::new(1).rekey(mesh.id(), two, 1, keys),
    ] {
        let refusal = refused(&mut log, Command::Rekey(signed));
        assert!(matches!(refusal, Refusal::Chain(_)), "{refusal:?}");
    }
    let nobody = Host::new(1).rekey(mesh.id(), MemberId(77), 1, keys);
    assert_eq!(refused(&mut log, Command::Rekey(nobody)), Refusal::UnknownMember(MemberId(77)));
}

#[test]
fn only_the_next_change_counts_and_an_old_one_never_again() {
    let (mesh, mut log, [one, _]) = three();
    let stale = |serial| Refusal::Rekey(RekeyRefusal::Stale { member: one, serial });
    assert_eq!(refused(&mut log, change(&mesh, (one, 1), 2)), stale(0));
    log.apply(1, change(&mesh, (one, 1), 1));
    log.apply(2, change(&mesh, (one, 1), 2));
    assert_eq!(refused(&mut log, change(&mesh, (one, 1), 1)), stale(2));
    let with = |serial, nth| {
        let keys = (&key(1, nth), &key(1, 9));
        Command::Rekey(Host::new(1).rekey(mesh.id(), one, serial, keys))
    };
    for serial in [0, 1, 2, 4, u64::MAX] {
        assert_eq!(refused(&mut log, with(serial, 2)), stale(2), "{serial}");
    }
    let other = Refusal::Rekey(RekeyRefusal::OtherKey(one));
    assert_eq!(refused(&mut log, with(3, 1)), other);
}

#[test]
fn a_member_cannot_push_the_past_out_of_the_trail() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    const MOST_A_DAY: u64 = 16;
    let (mesh, mut log, [one, two]) = three();
    let told = log.state.audit().iter().next().cloned();
    for nth in 1..=MOST_A_DAY {
        assert_eq!(log.apply(nth, change(&mesh, (one, 1), nth)), Outcome::Rekeyed(one));
    }
    let too_often = Refusal::Rekey(RekeyRefusal::TooOften(one));
    for nth in [MOST_A_DAY + 1, MOST_A_DAY + 1] {
        assert_eq!(refused(&mut log, change(&mesh, (one, 1), nth)), too_often);
    }
    // Said again it is no change, and others have not changed theirs.
    assert_eq!(log.apply(20, change(&mesh, (one, 1), MOST_A_DAY)), Outcome::Rekeyed(one));
    assert_eq!(log.apply(20, change(&mesh, (two, 2), 1)), Outcome::Rekeyed(two));
    // A day after the first there is room for one, and no more.
    let next = |nth| change(&mesh, (one, 1), nth);
    assert_eq!(log.apply(DAY_MS + 1, next(MOST_A_DAY + 1)), Outcome::Rekeyed(one));
    assert_eq!(log.apply(DAY_MS + 1, next(MOST_A_DAY + 2)), Outcome::Refused(too_often),);
    assert_eq!(log.state.audit().iter().next(), told.as_ref());
}

#[test]
fn nobody_gets_a_key_that_somebody_has_or_had() {
    let (mesh, mut log, [one, two]) = three();
    log.apply(1, change(&mesh, (two, 2), 1));
    let used = [key(0, 0), key(2, 1), key(2, 0), key(1, 0)];
    for secret in &used {
        let signed = Host::new(1).rekey(mesh.id(), one, 1, (&key(1, 0), secret));
        let refusal = refused(&mut log, Command::Rekey(signed));
        assert_eq!(refusal, Refusal::Rekey(RekeyRefusal::KeyUsed));
    }
    let ticket = mesh.invite(1, 4);
    for secret in used {
        let newcomer = Host { tunnel: secret, ..Host::new(7) };
        let outcome = log.apply(2, ticket.admit(&newcomer));
        assert!(matches!(outcome, Outcome::Refused(Refusal::Join(_))), "{outcome:?}");
    }
    // A key that was given up twice is nobody's.
    log.apply(3, change(&mesh, (two, 2), 2));
    let newcomer = Host { tunnel: key(2, 0), ..Host::new(7) };
    let outcome = log.apply(4, ticket.admit(&newcomer));
    assert!(matches!(outcome, Outcome::Admitted { .. }), "{outcome:?}");
}

#[test]
fn a_key_that_keeps_no_secret_is_refused() {
    let (mesh, mut log, [one, _]) = three();
    for tunnel in degenerate(key(1, 1).public()) {
        let before = key(1, 0).public();
        let rekey = Rekey { mesh: mesh.id(), member: one, serial: 1, before, tunnel };
        let signed = Signed::seal(&rekey, &Host::new(1).identity);
        let refusal = refused(&mut log, Command::Rekey(signed));
        assert_eq!(refusal, Refusal::Rekey(RekeyRefusal::Degenerate), "{tunnel}");
    }
}

#[test]
fn a_member_that_is_banned_or_gone_changes_nothing() {
    let (mesh, mut log, [one, two]) = three();
    log.apply(1, change(&mesh, (one, 1), 1));
    log.apply(1, change(&mesh, (two, 2), 1));
    log.apply(2, mesh.judge((one, &Host::new(1)), 5, ban(None)));
    let banned = Refusal::Rekey(RekeyRefusal::Banned(one));
    assert_eq!(refused(&mut log, change(&mesh, (one, 1), 2)), banned);
    // Its key is kept for when it is pardoned.
    assert_eq!(log.state.view(0).banned[&one].member.tunnel, key(1, 1).public());
    log.apply(3, mesh.judge((one, &Host::new(1)), 6, Ruling::Pardoned));
    assert_eq!(log.apply(4, change(&mesh, (one, 1), 2)), Outcome::Rekeyed(one));

    log.apply(5, Host::new(2).depart(mesh.id(), two));
    assert_eq!(refused(&mut log, change(&mesh, (two, 2), 2)), Refusal::UnknownMember(two));
    assert_eq!(log.state.keys().iter().len(), 1, "nothing is kept of who is gone");
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn who_is_out_for_a_time_is_waited_for_as_who_is_away_is() {
    let (mesh, mut log, [one, two]) = three();
    log.apply(2, mesh.judge((one, &Host::new(1)), 5, ban(Some(1000))));
    log.apply(2, mesh.judge((two, &Host::new(2)), 5, ban(None)));
    let view = log.state.view(9);
    assert_eq!(waited_for(&view, vec![MemberId::FOUNDER]), [MemberId::FOUNDER, one]);
}

#[test]
fn the_plan_names_both_keys() {
    let (mesh, mut log, [one, two]) = three();
    let before = plan(&log.state.view(0), two, &Default::default());
    log.apply(1, change(&mesh, (one, 1), 1));
    let after = plan(&log.state.view(0), two, &Default::default());
    assert_eq!(after.peers[&key(1, 1).public()].before, Some(key(1, 0).public()));
    let updates = before.diff(&after);
    assert_eq!(updates.len(), 2, "rekeyed and set, and nobody removed: {updates:?}");
}

/// What a newcomer says of a state in which `plant` was done after a change of member `one`'s key.
fn verdict(plant: impl FnOnce(&mut Forge, &Mesh, MemberId)) -> Result<(), ChainError> {
    let (mesh, mut log, [one, _]) = three();
    log.apply(1, change(&mesh, (one, 1), 1));
    forged(&log.state, |forge| plant(forge, &mesh, one)).verify(&mesh.root)
}

#[track_caller]
fn assert_found(verdict: &Result<(), ChainError>, needle: &str) {
    let error = verdict.as_ref().expect_err("found").to_string();
    assert!(error.contains(needle), "{error}");
}

#[test]
fn a_snapshot_with_a_made_up_key_is_found() {
    assert_eq!(verdict(|_, _, _| ()), Ok(()));
    let by_another = verdict(|forge, mesh, one| {
        let said = Host::new(2).rekey(mesh.id(), one, 1, (&key(1, 0), &key(1, 9)));
        forge.keys.get_mut(&one).expect("a change").0 = said;
    });
    assert_found(&by_another, "signature");
    let skipped = verdict(|forge, mesh, one| {
        let said = Host::new(1).rekey(mesh.id(), one, 1, (&key(1, 8), &key(1, 9)));
        forge.keys.get_mut(&one).expect("a change").0 = said;
    });
    assert_found(&skipped, "did not have");
    let far = verdict(|forge, mesh, one| {
        let said = Host::new(1).rekey(mesh.id(), one, 99, (&key(1, 0), &key(1, 1)));
        forge.keys.get_mut(&one).expect("a change").0 = said;
    });
    assert_found(&far, "nothing leads to");
    let another = verdict(|forge, mesh, one| {
        let said = Host::new(1).rekey(mesh.id(), one, 1, (&key(1, 0), &key(1, 9)));
        forge.keys.get_mut(&one).expect("a change").0 = said;
    });
    assert_found(&another, "audit trail does not tell of");
    let moved = verdict(|forge, _, one| {
        let entry = forge.keys.remove(&one).expect("a change");
        forge.keys.insert(MemberId(77), entry);
    });
    assert_found(&moved, "of nobody");
    let stolen = verdict(|forge, mesh, one| {
        let said = Host::new(1).rekey(mesh.id(), one, 1, (&key(1, 0), &key(2, 0)));
        forge.keys.get_mut(&one).expect("a change").0 = said;
    });
    assert_found(&stolen, "key twice");
    let empty = verdict(|forge, mesh, one| {
        let (before, tunnel) = (key(1, 0).public(), TunnelKey([0; 32]));
        let rekey = Rekey { mesh: mesh.id(), member: one, serial: 1, before, tunnel };
        let said = Signed::seal(&rekey, &Host::new(1).identity);
        forge.keys.get_mut(&one).expect("a change").0 = said;
    });
    assert_found(&empty, "keeps no secret");
    let early = verdict(|forge, _, one| {
        forge.keys.get_mut(&one).expect("a change").2 = BORN_MS - 1;
    });
    assert_found(&early, "before the genesis");
}

#[test]
fn a_later_state_forgets_no_change_and_makes_none_in_the_past() {
    let (mesh, mut log, [one, two]) = three();
    let first = log.state.clone();
    log.apply(1, change(&mesh, (one, 1), 1));
    let earlier = log.state.clone();
    log.apply(2, change(&mesh, (one, 1), 2));
    log.apply(3, change(&mesh, (two, 2), 1));
    let later = log.state.clone();
    assert!(earlier.continues(&first) && later.continues(&earlier) && later.continues(&first));
    assert!(!earlier.continues(&later) && !first.continues(&earlier));
    let breaks = |plant: &dyn Fn(&mut Forge)| !forged(&later, plant).continues(&earlier);
    let kept = |forge: &mut Forge, at| forge.keys.get_mut(&one).expect("a change").1 = at;
    assert!(breaks(&|forge| kept(forge, 2)), "changed in the past");
    assert!(breaks(&|forge| forge.keys.get_mut(&two).expect("a change").1 = 2), "a first one, too");
    assert!(breaks(&|forge| drop(forge.keys.remove(&one))), "forgotten");
    log.apply(4, Host::new(1).depart(mesh.id(), one));
    assert!(log.state.continues(&later), "whoever is gone has no key");
}

#[test]
fn a_key_that_somebody_else_takes_first_is_his_and_the_host_takes_another() {
    let (mesh, mut log, [one, two]) = three();
    let at = log.state.clone();
    let asked = change(&mesh, (one, 1), 1);
    // The one that leads has seen it, and says that the key is its own.
    let steal = |serial, from: &TunnelSecret, to: &TunnelSecret| {
        Command::Rekey(Host::new(2).rekey(mesh.id(), two, serial, (from, to)))
    };
    let stolen = key(1, 1);
    assert_eq!(taken_by(&at.view(0), one, stolen.public()), None);
    assert_eq!(log.apply(1, steal(1, &key(2, 0), &stolen)), Outcome::Rekeyed(two));
    assert_eq!(refused(&mut log, asked.clone()), Refusal::Rekey(RekeyRefusal::KeyUsed));
    assert_eq!(taken_by(&log.state.view(0), one, stolen.public()), Some(two));
    assert_eq!(taken_by(&log.state.view(0), two, stolen.public()), None, "nobody else");
    log.apply(2, mesh.judge((two, &Host::new(2)), 5, ban(None)));
    assert_eq!(taken_by(&log.state.view(0), one, stolen.public()), Some(two), "banned or not");
    log.apply(3, mesh.judge((two, &Host::new(2)), 6, Ruling::Pardoned));

    // Once it has another two, what was asked for may be agreed after all: so the host must have that key still.
    log.apply(4, steal(2, &stolen, &key(2, 2)));
    assert_eq!(taken_by(&log.state.view(0), one, stolen.public()), Some(two), "the one before");
    log.apply(5, steal(3, &key(2, 2), &key(2, 3)));
    assert_eq!(taken_by(&log.state.view(0), one, stolen.public()), None);
    let mut late = log.state.clone();
    assert_eq!(late.apply(log.next, &after(6, asked.clone())), Outcome::Rekeyed(one));
    // And no more once another one is agreed.
    let keys = (&key(1, 0), &key(1, 9));
    let another = Command::Rekey(Host::new(1).rekey(mesh.id(), one, 1, keys));
    assert_eq!(log.apply(6, another), Outcome::Rekeyed(one));
    let stale = RekeyRefusal::Stale { member: one, serial: 1 };
    assert_eq!(refused(&mut log, asked), Refusal::Rekey(stale));
}
