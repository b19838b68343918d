//! Whatever is proposed, in whatever order: replicas agree, addresses stay distinct, every state
//! that can be reached verifies, and a snapshot is as good as the log.

mod fixture;

use std::collections::BTreeSet;

use fixture::{BORN_MS, Host, LIFETIME_MS, Mesh, after, ban};
use mesh_control::command::{Command, Outcome};
use mesh_control::state::State;
use mesh_model::trust::{Admission, Ruling, Verdict};
use mesh_model::{MemberId, Signed, codec};
use proptest::prelude::*;

/// More hosts than the prefix has addresses, so that it runs out.
const PREFIX: &str = "10.9.8.0/29";
const HOSTS: u64 = 9;
const INVITES: u64 = 4;

/// What somebody tries, well or badly.
#[derive(Debug, Clone)]
enum Step {
    Invite { number: u64, uses: u32, lifetime_ms: u64, by_root: bool },
    Admit { host: u64, invite: u64, lie: Lie },
    Depart { host: u64, said_by: u64 },
    Judge { host: u64, serial: u64, ruling: Ruling, by_root: bool },
    Lapse { host: u64 },
}

/// How a joiner cheats.
#[derive(Debug, Clone, Copy)]
enum Lie {
    None,
    NotTheInvitesKey,
    NotItsIdentity,
    AnotherMesh,
    AnothersName,
    AnothersTunnel,
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        6 => Just(Lie::None),
        1 => Just(Lie::NotTheInvitesKey),
        1 => Just(Lie::NotItsIdentity),
        1 => Just(Lie::AnotherMesh),
        1 => Just(Lie::AnothersName),
        1 => Just(Lie::AnothersTunnel),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..INVITES, 0..6u32, 0..2 * LIFETIME_MS, prop::bool::weighted(0.9)).prop_map(
            |(number, uses, lifetime_ms, by_root)| Step::Invite { number, uses, lifetime_ms, by_root }
        ),
        6 => (0..HOSTS, prop_oneof![3 => Just(0), 1 => 0..INVITES], lie())
            .prop_map(|(host, invite, lie)| Step::Admit { host, invite, lie }),
        3 => (0..HOSTS, prop::option::weighted(0.2, 0..HOSTS)).prop_map(|(host, other)| {
            Step::Depart { host, said_by: other.unwrap_or(host) }
        }),
        3 => (0..HOSTS, 0..8u64, ruling(), prop::bool::weighted(0.9)).prop_map(
            |(host, serial, ruling, by_root)| Step::Judge { host, serial, ruling, by_root }
        ),
        1 => (0..HOSTS).prop_map(|host| Step::Lapse { host }),
    ]
}

fn ruling() -> impl Strategy<Value = Ruling> {
    prop_oneof![
        4 => prop::option::of(0..LIFETIME_MS).prop_map(ban),
        3 => Just(Ruling::Pardoned),
        1 => Just(Ruling::Removed),
    ]
}

/// Steps with their time, which jumps forth and back. The first opens the door wide, so that enough
/// come in to use the prefix up.
fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let first = Step::Invite { number: 0, uses: 50, lifetime_ms: 2 * LIFETIME_MS, by_root: true };
    let rest = prop::collection::vec((0..LIFETIME_MS + LIFETIME_MS / 4, step()), 1..60);
    rest.prop_map(move |rest| std::iter::once((0, first.clone())).chain(rest).collect())
}

fn command(mesh: &Mesh, state: &State, step: &Step) -> Command {
    let id = |host: u64| {
        let identity = Host::new(host).identity.public();
        state.members().by_identity(&identity).map_or(MemberId(999), |(id, _)| id)
    };
    match *step {
        Step::Invite { number, uses, lifetime_ms, by_root } => {
            let ticket = mesh.invite_until(number, uses, BORN_MS + lifetime_ms);
            let signer = if by_root { &mesh.root_secret } else { &mesh.founder.identity };
            Command::Invite(Signed::seal(&ticket.invite, signer))
        }
        Step::Admit { host, invite, lie } => Command::Admit(admission(mesh, host, invite, lie)),
        Step::Depart { host, said_by } => Host::new(said_by).depart(mesh.id(), id(host)),
        Step::Judge { host, serial, ref ruling, by_root } => {
            let (member, identity) = (id(host), Host::new(host).identity.public());
            let (mesh_id, ruling) = (mesh.id(), ruling.clone());
            let verdict = Verdict { mesh: mesh_id, member, identity, serial, ruling };
            let signer = if by_root { &mesh.root_secret } else { &mesh.founder.identity };
            Command::Judge(Signed::seal(&verdict, signer))
        }
        Step::Lapse { host } => Command::Lapse(id(host)),
    }
}

fn admission(mesh: &Mesh, number: u64, invite: u64, lie: Lie) -> Admission {
    let ticket = mesh.invite(invite, 1);
    let host = Host::new(number);
    let other = Host::new((number + 1) % HOSTS);
    let mut record = host.record(mesh.id());
    match lie {
        Lie::AnotherMesh => record.mesh = Mesh::new(2).id(),
        Lie::AnothersName => record.name = other.name.clone(),
        Lie::AnothersTunnel => record.tunnel = other.tunnel.public(),
        Lie::None | Lie::NotTheInvitesKey | Lie::NotItsIdentity => {}
    }
    let key = match lie {
        Lie::NotTheInvitesKey => &host.identity,
        _ => &ticket.secret,
    };
    let identity = match lie {
        Lie::NotItsIdentity => &other.identity,
        _ => &host.identity,
    };
    Admission::sign(&record, ticket.invite.id, key, identity)
}

/// What holds in every state.
fn check(state: &State, mesh: &Mesh) {
    assert_eq!(state.verify(&mesh.root), Ok(()));
    let view = state.view(0);
    let members = view.members.values();
    let v4: BTreeSet<_> = members.clone().map(|member| member.addrs.v4).collect();
    let v6: BTreeSet<_> = members.clone().map(|member| member.addrs.v6).collect();
    assert_eq!((v4.len(), v6.len()), (view.members.len(), view.members.len()));
    assert!(members.clone().all(|member| view.prefixes.contains(member.addrs.v4.into())));
    for (_, entry) in state.invites().iter() {
        assert!(entry.used() <= entry.terms().uses);
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn replicas_agree_and_a_snapshot_is_as_good_as_the_log(steps in steps(), cut in 0..60usize) {
        let mesh = Mesh::over(1, PREFIX);
        let mut one = mesh.state();
        let mut two = mesh.state();
        let mut ids = BTreeSet::from([MemberId::FOUNDER]);
        for (at, (ms, step)) in steps.iter().enumerate() {
            let index = at as u64 + 2;
            let proposal = after(*ms, command(&mesh, &one, step));
            // What is applied is what was read from the log.
            let read = codec::decode(&codec::encode(&proposal)).expect("its own encoding");
            prop_assert_eq!(&proposal, &read);
            let before = one.clone();
            let outcome = one.apply(index, &proposal);
            prop_assert_eq!(&outcome, &two.apply(index, &read));
            prop_assert_eq!(one.hash(), two.hash());
            prop_assert!(one.now_ms() >= before.now_ms());
            match &outcome {
                Outcome::Refused(_) => prop_assert_eq!(&one, &before),
                Outcome::Admitted { member, .. } if one != before => {
                    prop_assert!(ids.insert(*member), "{} was given before", member);
                }
                _ => {}
            }
            let heard: Outcome = codec::decode(&codec::encode(&outcome)).expect("its own encoding");
            prop_assert_eq!(&outcome, &heard);
            // Asking again is told the same, unless it was refused for the time.
            let again = one.clone().apply(index + 1, &proposal);
            prop_assert_eq!(&outcome, &again);
            check(&one, &mesh);
            if at == cut {
                two = codec::decode(&codec::encode(&two)).expect("a snapshot");
                prop_assert_eq!(&one, &two);
            }
        }
    }
}
