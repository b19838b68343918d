//! Who shall vote: the root's word, the latest one.

mod fixture;

use fixture::forge::{by_root, forged};
use std::collections::BTreeMap;

use fixture::{Host, Log, Mesh, Ticket, after, settled};
use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::state::Event;
use mesh_control::state::serial::MAX_LEAP;
use mesh_model::trust::{Invite, MAX_WISHES, VoterPolicy, VoterTarget, Wish};
use mesh_model::{MemberId, Signed, codec};

const FOUNDER: MemberId = MemberId::FOUNDER;

fn set(policy: Signed<VoterPolicy>) -> Command {
    Command::SetVoters(policy)
}

#[test]
fn the_roots_word_stands_and_is_on_record() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let (target, wishes) = (Some(VoterTarget::Five), [(FOUNDER, Wish::Never)]);
    let policy = mesh.policy(1, target, &wishes);
    assert_eq!(log.apply(5, set(policy.clone())), Outcome::VotersSet(1));
    let standing = log.state.voters().policy().expect("it stands");
    assert_eq!((standing.target, standing.wishes.clone()), (target, wishes.into()));
    let last = log.state.audit().iter().last().expect("an entry");
    assert_eq!(last.event, Event::VotersSet { serial: 1 });
    let before = log.state.hash();
    assert_eq!(log.apply(9, set(policy)), Outcome::VotersSet(1), "again");
    assert_eq!(log.state.hash(), before);
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let back: mesh_control::state::State =
        codec::decode(&codec::encode(&log.state)).expect("our own bytes");
    assert_eq!(back, log.state);
}

#[test]
fn the_next_policy_is_the_last_with_one_thing_changed_and_without_those_who_left() {
    let (mesh, mut log) = settled();
    let first = log.state.next_policy(|policy| policy.target = Some(VoterTarget::Five));
    assert_eq!((first.mesh, first.serial, first.target), (mesh.id(), 1, Some(VoterTarget::Five)));
    let gone = MemberId(5);
    log.apply(
        8,
        set(mesh.policy(4, first.target, &[(FOUNDER, Wish::Never), (gone, Wish::Always)])),
    );
    let next = log.state.next_policy(|policy| {
        policy.wishes.insert(MemberId(3), Wish::Always);
    });
    assert_eq!((next.serial, next.target), (5, first.target));
    assert_eq!(next.wishes, [(FOUNDER, Wish::Never), (MemberId(3), Wish::Always)].into());
}

#[test]
fn an_earlier_word_does_not_come_back() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let policies = [1, 5].map(|serial| mesh.policy(serial, Some(VoterTarget::One), &[]));
    for (policy, serial) in policies.iter().zip([1, 5]) {
        assert_eq!(log.apply(0, set(policy.clone())), Outcome::VotersSet(serial));
    }
    let before = log.state.hash();
    let other = mesh.policy(5, Some(VoterTarget::Three), &[]);
    let none = Mesh::new(1).policy(0, None, &[]);
    for stale in [&policies[0], &other, &none] {
        let stale = set(stale.clone());
        let refusal = Refusal::StalePolicy(5);
        assert_eq!(log.state.would_refuse(&after(0, stale.clone())), Some(refusal.clone()));
        assert_eq!(log.apply(0, stale), Outcome::Refused(refusal));
    }
    let first = Log::of(&mesh).apply(0, set(none));
    assert_eq!(first, Outcome::Refused(Refusal::StalePolicy(0)), "serials begin with 1");
    assert_eq!(log.state.hash(), before);
}

#[test]
fn nobody_but_the_root_says_who_votes() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let genuine = mesh.policy(1, None, &[]);
    let policy = genuine.peek().expect("our own");
    let by_a_member = Signed::seal(&policy, &mesh.founder.identity);
    let elsewhere = Mesh::new(2).policy(1, None, &[]);
    let relabelled = VoterPolicy { mesh: Mesh::new(2).id(), ..policy };
    let of_another_mesh = Signed::seal(&relabelled, &mesh.root_secret);
    for forged in [by_a_member, elsewhere, of_another_mesh] {
        let refused = log.state.would_refuse(&after(0, set(forged.clone())));
        assert!(matches!(refused, Some(Refusal::Chain(_))), "{refused:?}");
        let outcome = log.apply(0, set(forged));
        assert!(matches!(outcome, Outcome::Refused(Refusal::Chain(_))), "{outcome:?}");
    }
    assert_eq!(log.state.voters().policy(), None);
}

#[test]
fn wishes_are_bounded() {
    let mesh = Mesh::new(1);
    let wishes = |number: usize| -> Vec<(MemberId, Wish)> {
        (0..number as u64).map(|below| (MemberId(u64::MAX - below), Wish::Never)).collect()
    };
    let mut log = Log::of(&mesh);
    let most = set(mesh.policy(MAX_LEAP, Some(VoterTarget::Seven), &wishes(MAX_WISHES)));
    let proposal = after(0, most.clone());
    assert_eq!(codec::decode(&codec::encode(&proposal)), Ok(proposal), "it fits an entry");
    assert_eq!(log.apply(0, most), Outcome::VotersSet(MAX_LEAP));
    let more = set(mesh.policy(u64::MAX, None, &wishes(MAX_WISHES + 1)));
    assert_eq!(log.apply(0, more), Outcome::Refused(Refusal::TooManyWishes(MAX_WISHES + 1)));
}

#[test]
fn a_snapshot_with_another_word_is_found() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let earlier = mesh.policy(1, Some(VoterTarget::One), &[]);
    log.apply(0, set(earlier.clone()));
    let first = log.state.clone();
    log.apply(0, set(mesh.policy(2, None, &[])));
    assert!(log.state.continues(&first) && log.state.continues(&log.state));

    // An old one is genuine; that it is old shows against what was agreed before.
    for planted in [Some(by_root(earlier)), None] {
        let replayed = forged(&log.state, |forge| forge.voters = planted);
        assert_eq!(replayed.verify(&mesh.root), Ok(()));
        assert!(!replayed.continues(&log.state));
    }
    let policy = log.state.voters().policy().expect("it stands").clone();
    let made_up = VoterPolicy { serial: 3, ..policy };
    let made_up = Signed::seal(&made_up, &mesh.founder.identity);
    let planted = forged(&log.state, |forge| forge.voters = Some(by_root(made_up)));
    assert!(planted.verify(&mesh.root).is_err());
}

/// Admits host `number` under an invite with or without the right to vote.
fn admit(log: &mut Log, mesh: &Mesh, number: u64, voter: bool) -> MemberId {
    let Ticket { invite, secret, .. } = mesh.invite(number, 1);
    let ticket = mesh.ticket(Invite { voter, ..invite }, secret);
    log.apply(0, ticket.add());
    log.admit(&ticket, &Host::new(number)).0
}

#[test]
fn once_three_have_the_right_to_vote_the_others_have_it_no_more() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let plain = [1, 2, 3].map(|number| admit(&mut log, &mesh, number, false));
    let first = admit(&mut log, &mesh, 4, true);
    assert!(log.state.wishes().is_empty(), "the founder and one more: everybody may");
    let second = admit(&mut log, &mesh, 5, true);
    let nobody_else: BTreeMap<MemberId, Wish> =
        plain.into_iter().map(|member| (member, Wish::Never)).collect();
    assert_eq!(log.state.wishes(), nobody_else);

    assert_eq!(log.state.without_right(), plain.into());

    // What the policy wants counts more than what an invite says.
    log.apply(0, set(mesh.policy(1, None, &[(plain[0], Wish::Always)])));
    let mut wishes = nobody_else.clone();
    wishes.insert(plain[0], Wish::Always);
    assert_eq!(log.state.wishes(), wishes);
    assert_eq!(log.state.without_right(), [plain[1], plain[2]].into());
    log.apply(0, set(mesh.policy(2, None, &[(first, Wish::Never)])));
    let wishes = BTreeMap::from([(first, Wish::Never)]);
    assert_eq!(log.state.wishes(), wishes, "two are too few");
    log.apply(0, set(mesh.policy(3, None, &[])));
    // One that is banned can do nothing with its right.
    log.apply(0, mesh.judge((second, &Host::new(5)), 1, fixture::ban(None)));
    assert!(log.state.wishes().is_empty());
}

#[test]
fn wanting_one_to_vote_takes_the_right_from_nobody() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let plain = [1, 2, 3, 4].map(|number| admit(&mut log, &mesh, number, false));
    let all = [FOUNDER, plain[0], plain[1], plain[2]].map(|member| (member, Wish::Always));
    log.apply(0, set(mesh.policy(1, None, &all)));
    assert_eq!(
        log.state.wishes(),
        all.into(),
        "three are wanted, and the fourth may vote as before"
    );
    let first = admit(&mut log, &mesh, 5, true);
    assert_eq!(log.state.wishes(), all.into(), "two came with the right");
    let last = admit(&mut log, &mesh, 6, true);
    assert_eq!(log.state.without_right(), [plain[3]].into(), "three did");
    log.apply(0, set(mesh.policy(2, None, &[(first, Wish::Always), (last, Wish::Always)])));
    assert_eq!(
        log.state.without_right(),
        plain.into(),
        "whom the policy wants has its own right too"
    );
}
