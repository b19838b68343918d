//! Who is banned, pardoned or removed, and who says so.

mod fixture;

use fixture::forge::{Forge, by_root, forged};
use fixture::{BORN_MS, Host, Log, Mesh, ban, three};
use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::state::Stated;
use mesh_control::state::members::{Departed, Farewell};
use mesh_model::audit::Event;
use mesh_model::trust::{ChainError, Ruling, Verdict};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{AdminId, MemberId, Signed};

/// The same, host 1 banned for good under serial 5.
fn one_banned() -> (Mesh, Log, [MemberId; 2]) {
    let (mesh, mut log, ids) = three();
    let outcome = log.apply(1, mesh.judge((ids[0], &Host::new(1)), 5, ban(None)));
    assert_eq!(outcome, Outcome::Judged(ids[0]));
    (mesh, log, ids)
}

/// Applies what is refused, and checks that it changed nothing.
#[track_caller]
fn refused(log: &mut Log, ms: u64, command: Command) -> Refusal {
    let before = log.state.hash();
    match log.apply(ms, command) {
        Outcome::Refused(refusal) => {
            assert_eq!(log.state.hash(), before);
            refusal
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_ban_takes_a_member_out_of_the_view_and_a_pardon_puts_it_back_as_it_was() {
    let (mesh, mut log, [one, two]) = three();
    let before = log.state.view(0);
    log.apply(1, mesh.judge((one, &Host::new(1)), 5, ban(Some(60_000))));
    let view = log.state.view(0);
    let present: Vec<_> = view.members.keys().copied().collect();
    assert_eq!(present, [MemberId::FOUNDER, two]);
    let banned = &view.banned[&one];
    assert_eq!(banned.member, before.members[&one]);
    assert_eq!((banned.since_ms, banned.until_ms), (BORN_MS + 1, Some(BORN_MS + 60_000)));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));

    let outcome = log.apply(2, mesh.judge((one, &Host::new(1)), 6, Ruling::Pardoned));
    assert_eq!(outcome, Outcome::Judged(one));
    assert_eq!(log.state.view(0).members, before.members);
    assert!(log.state.view(0).banned.is_empty());
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn only_the_root_rules_and_only_in_its_own_mesh() {
    let (mesh, mut log, [one, two]) = three();
    let verdict = |signer, mesh, member| {
        let identity = Host::new(1).identity.public();
        let verdict = Verdict { mesh, member, identity, serial: 1, ruling: ban(None) };
        Command::Judge(Signed::seal(&verdict, signer))
    };
    let other = Host::new(2);
    for signer in [&mesh.founder.identity, &other.identity] {
        let refusal = refused(&mut log, 1, verdict(signer, mesh.id(), one));
        assert!(matches!(refusal, Refusal::Chain(_)), "{refusal:?}");
    }
    let root = &mesh.root_secret;
    let refusal = refused(&mut log, 1, verdict(root, Mesh::new(2).id(), one));
    assert!(matches!(refusal, Refusal::Chain(_)), "{refusal:?}");
    let refusal = refused(&mut log, 1, verdict(root, mesh.id(), two));
    assert_eq!(refusal, Refusal::OtherIdentity(two), "host 1 is not member {two}");
    let nobody = MemberId(77);
    assert_eq!(
        refused(&mut log, 1, verdict(root, mesh.id(), nobody)),
        Refusal::UnknownMember(nobody)
    );
}

#[test]
fn an_old_verdict_said_again_changes_nothing() {
    let (mesh, mut log, [one, _]) = one_banned();
    let rule = |serial, ruling| mesh.judge((one, &Host::new(1)), serial, ruling);
    let before = log.state.hash();
    assert_eq!(log.apply(9, rule(5, ban(None))), Outcome::Judged(one), "the last one again");
    assert_eq!(log.state.hash(), before);
    log.apply(10, rule(6, Ruling::Pardoned));
    let overruled = |serial| Refusal::Overruled { member: one, serial };
    assert_eq!(refused(&mut log, 11, rule(5, ban(None))), overruled(6));
    log.apply(12, rule(7, ban(None)));
    assert_eq!(refused(&mut log, 13, rule(6, Ruling::Pardoned)), overruled(7));
    assert_eq!(refused(&mut log, 14, rule(7, Ruling::Pardoned)), overruled(7));
    assert!(log.state.view(0).banned.contains_key(&one));
}

#[test]
fn the_next_serial_is_later_whatever_the_clock_shows() {
    let (_, log, [one, two]) = one_banned();
    let bans = log.state.bans();
    assert_eq!(bans.next_serial(one, 3), 6);
    assert_eq!(bans.next_serial(one, 900), 900);
    assert_eq!(bans.next_serial(two, 900), 900);
}

#[test]
fn a_ban_ends_when_its_time_is_over_and_not_sooner() {
    let (mesh, mut log, [one, two]) = three();
    let sentence = mesh.judge((one, &Host::new(1)), 5, ban(Some(60_000)));
    log.apply(1, sentence.clone());
    log.apply(1, mesh.judge((two, &Host::new(2)), 5, ban(None)));
    assert_eq!(log.state.bans().next_lapse(), Some((one, BORN_MS + 60_000)));
    assert_eq!(refused(&mut log, 59_999, Command::Lapse(one)), Refusal::StillBanned(one));
    assert_eq!(
        refused(&mut log, u64::MAX - BORN_MS, Command::Lapse(two)),
        Refusal::StillBanned(two)
    );
    assert_eq!(log.apply(60_000, Command::Lapse(one)), Outcome::Lapsed(one));
    assert!(log.state.view(0).members.contains_key(&one));
    assert_eq!(log.state.bans().next_lapse(), None);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let after = log.state.hash();
    assert_eq!(log.apply(60_001, Command::Lapse(one)), Outcome::Lapsed(one), "it had");
    assert_eq!(log.state.hash(), after);
    // The same signed words do not ban it a second time.
    log.apply(60_002, sentence);
    assert!(log.state.view(0).members.contains_key(&one));
}

#[test]
fn a_banned_identity_is_not_let_in_again() {
    let (mesh, mut log, [one, _]) = one_banned();
    let refusal = refused(&mut log, 2, mesh.invite(1, 4).admit(&Host::new(1)));
    assert_eq!(refusal, Refusal::Join(JoinRefusal::Banned));
    log.apply(3, mesh.judge((one, &Host::new(1)), 6, Ruling::Pardoned));
    let outcome = log.apply(4, mesh.invite(1, 4).admit(&Host::new(1)));
    assert!(matches!(outcome, Outcome::Admitted { member, .. } if member == one), "{outcome:?}");
}

#[test]
fn one_that_is_removed_is_gone_for_good() {
    let (mesh, mut log, [one, _]) = one_banned();
    let removal = mesh.judge((one, &Host::new(1)), 6, Ruling::Removed);
    assert_eq!(log.apply(2, removal.clone()), Outcome::Judged(one));
    assert!(!log.state.view(0).has_place(one));
    assert!(log.state.bans().iter().next().is_none(), "nothing to remember it for");
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let after = log.state.hash();
    assert_eq!(log.apply(3, removal), Outcome::Judged(one));
    assert_eq!(log.state.hash(), after);
    let refusal = refused(&mut log, 4, mesh.judge((one, &Host::new(1)), 7, Ruling::Pardoned));
    assert_eq!(refusal, Refusal::UnknownMember(one));
    let refusal = refused(&mut log, 5, mesh.invite(1, 4).admit(&Host::new(1)));
    assert_eq!(refusal, Refusal::Join(JoinRefusal::Departed));
}

#[test]
fn one_that_is_banned_may_still_leave() {
    let (mesh, mut log, [one, _]) = one_banned();
    assert_eq!(log.apply(2, Host::new(1).depart(mesh.id(), one)), Outcome::Departed(one));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    assert!(!log.state.view(0).has_place(one));
}

#[test]
fn what_is_foreseen_is_what_happens() {
    let (mesh, log, [one, two]) = one_banned();
    let about = |member, number, ruling| mesh.judge((member, &Host::new(number)), 9, ruling);
    let loses = |command| log.state.would_lose(&fixture::after(2, command));
    assert_eq!(loses(about(two, 2, ban(None))), Some(two));
    assert_eq!(loses(about(two, 2, Ruling::Removed)), Some(two));
    assert_eq!(loses(about(two, 2, Ruling::Pardoned)), None);
    assert_eq!(loses(about(one, 1, Ruling::Removed)), None, "it is out of the view already");
    assert_eq!(loses(about(one, 2, Ruling::Removed)), None, "not who the verdict means");
    assert_eq!(loses(Host::new(2).depart(mesh.id(), two)), Some(two));
    assert_eq!(loses(Host::new(1).depart(mesh.id(), two)), None, "not its own word");
    let refuses = |ms, command| log.state.would_refuse(&fixture::after(ms, command));
    assert_eq!(refuses(2, Command::Lapse(one)), Some(Refusal::StillBanned(one)));
    assert_eq!(refuses(2, Command::Lapse(two)), Some(Refusal::NotBanned(two)));
    assert_eq!(refuses(2, about(two, 2, ban(None))), None);
}

#[test]
fn the_audit_trail_tells_of_rulings() {
    let (mesh, mut log, [one, two]) = one_banned();
    log.apply(2, mesh.judge((one, &Host::new(1)), 6, Ruling::Pardoned));
    log.apply(3, mesh.judge((two, &Host::new(2)), 6, Ruling::Removed));
    let events: Vec<_> = log.state.audit().iter().map(|entry| entry.event.clone()).collect();
    assert_eq!(
        events[3..],
        [
            Event::Banned { member: one, until_ms: None, reason: None },
            Event::Pardoned { member: one },
            Event::Removed { member: two },
        ]
    );
}

/// What `verify` says of a snapshot in which host 1 is banned until a minute after the mesh began.
#[track_caller]
fn found(part: &str, plant: impl FnOnce(&mut Forge, &Mesh)) {
    let (mesh, mut log, [one, _]) = three();
    log.apply(1, mesh.judge((one, &Host::new(1)), 5, ban(Some(60_000))));
    let verdict = forged(&log.state, |forge| plant(forge, &mesh)).verify(&mesh.root);
    let error: ChainError = verdict.expect_err("not found");
    assert!(error.to_string().contains(part), "{error}");
}

const ONE: MemberId = MemberId(3);
const TWO: MemberId = MemberId(4);

#[test]
fn a_ban_the_root_never_spoke_is_found() {
    found("signature", |forge, mesh| {
        let mut verdict =
            mesh.verdict((TWO, &Host::new(2)), 1, ban(None)).peek().expect("a verdict");
        verdict.member = TWO;
        forge.bans.insert(TWO, (by_root(Signed::seal(&verdict, &mesh.founder.identity)), 0, false));
    });
    found("under another id", |forge, _| {
        let ban = forge.bans[&ONE].clone();
        forge.bans.insert(TWO, ban);
    });
    found("another identity", |forge, mesh| {
        forge
            .bans
            .insert(TWO, (by_root(mesh.verdict((TWO, &Host::new(9)), 1, ban(None))), 0, false));
    });
    found("about nobody", |forge, mesh| {
        let nobody = MemberId(9);
        forge.bans.insert(
            nobody,
            (by_root(mesh.verdict((nobody, &Host::new(9)), 1, ban(None))), 0, false),
        );
    });
    found("still there", |forge, mesh| {
        forge.bans.insert(
            TWO,
            (by_root(mesh.verdict((TWO, &Host::new(2)), 1, Ruling::Removed)), 0, false),
        );
    });
}

#[test]
fn a_ban_from_before_the_mesh_began_is_found() {
    for since_ms in [0, BORN_MS - 1] {
        let since = |forge: &mut Forge, _: &Mesh| {
            forge.bans.get_mut(&ONE).expect("banned").1 = since_ms;
        };
        found("before the genesis", since);
    }
}

#[test]
fn a_ban_that_ended_before_its_time_is_found() {
    found("before its time", |forge, _| forge.bans.get_mut(&ONE).expect("banned").2 = true);
    found("before its time", |forge, mesh| {
        forge.now_ms += 120_000;
        forge
            .bans
            .insert(ONE, (by_root(mesh.verdict((ONE, &Host::new(1)), 5, ban(None))), 0, true));
    });
}

#[test]
fn a_removal_nobody_ruled_is_found() {
    let remove = |forge: &mut Forge, verdict: Signed<Verdict>| {
        let said = verdict.peek().expect("a verdict");
        let verdict = Stated::new(verdict, said, AdminId::ROOT, 2);
        forge.present.remove(&TWO);
        let identity = Host::new(2).identity.public();
        forge.departed.insert(TWO, Departed { identity, farewell: Farewell::Removed(verdict) });
    };
    found("signature", |forge, mesh| {
        let verdict = mesh.verdict((TWO, &Host::new(2)), 1, Ruling::Removed).peek().expect("one");
        remove(forge, Signed::seal(&verdict, &mesh.founder.identity));
    });
    found("does not", |forge, mesh| {
        remove(forge, mesh.verdict((TWO, &Host::new(2)), 1, ban(None)));
    });
    found("under another id", |forge, mesh| {
        remove(forge, mesh.verdict((ONE, &Host::new(2)), 1, Ruling::Removed));
    });
    found("another identity", |forge, mesh| {
        remove(forge, mesh.verdict((TWO, &Host::new(1)), 1, Ruling::Removed));
    });
}

#[test]
fn a_state_that_takes_a_ruling_back_does_not_continue_it() {
    let (mesh, mut log, [one, _]) = three();
    log.apply(1, mesh.judge((one, &Host::new(1)), 5, ban(Some(60_000))));
    let earlier = log.state.clone();
    log.apply(60_000, Command::Lapse(one));
    let lapsed = log.state.clone();
    assert!(lapsed.continues(&earlier) && !earlier.continues(&lapsed));
    log.apply(60_001, mesh.judge((one, &Host::new(1)), 6, ban(None)));
    assert!(log.state.continues(&lapsed));
    let breaks = |plant: &dyn Fn(&mut Forge)| !forged(&log.state, plant).continues(&lapsed);
    assert!(!breaks(&|_| ()));
    assert!(breaks(&|forge| drop(forge.bans.remove(&one))), "a ban left out");
    let later = |forge: &mut Forge| forge.bans.get_mut(&one).expect("ruled").1 += 1;
    assert!(!forged(&lapsed, later).continues(&lapsed), "when it began");
    assert!(breaks(&|forge| {
        let older = mesh.verdict((one, &Host::new(1)), 4, Ruling::Pardoned);
        forge.bans.insert(one, ((older, AdminId::ROOT, 9), 0, false));
    }));
    assert!(breaks(&|forge| {
        let same = mesh.verdict((one, &Host::new(1)), 5, Ruling::Pardoned);
        forge.bans.insert(one, ((same, AdminId::ROOT, 9), 0, false));
    }));
    assert!(
        !forged(&lapsed, |forge| forge.bans.get_mut(&one).expect("ruled").2 = false)
            .continues(&lapsed)
    );
}
