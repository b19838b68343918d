//! Members that lie, and bytes that mean nothing.

use mesh_control::gossip::{Drop, MAX_DATAGRAM};
use mesh_model::api::v1::GossipState::{Alive, Dead};
use mesh_model::facts::Facts;
use mesh_model::{Fault, Signed, codec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::world::{BOOT_MS, World, m, secs, view};

/// A gossip datagram as anyone could make it: the wire format, spelt a second time.
#[derive(Serialize, Deserialize)]
pub(crate) struct Forged {
    generation: u64,
    swim: Vec<u8>,
    facts: Vec<Signed<Facts>>,
    digest: Option<Range>,
}

mesh_model::message!(Forged, "gossip datagram", version 1, limit 64 * 1024);

#[derive(Debug, Serialize, Deserialize)]
struct Range {
    first: u64,
    last: u64,
    have: Vec<(u64, u64, u64)>,
    ask: bool,
}

pub(crate) struct FactsSource(pub(crate) Signed<Facts>);

impl Forged {
    pub(crate) fn facts(source: FactsSource) -> Self {
        Self { facts: vec![source.0], ..Self::swim(Vec::new()) }
    }

    fn swim(swim: Vec<u8>) -> Self {
        Self { generation: 0, swim, facts: Vec::new(), digest: None }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

const GOSSIP: u8 = 8;
const TURN_UNDEAD: u8 = 10;
const SUSPECT: u8 = 1;
const DOWN: u8 = 2;

/// A SWIM message: from, to, kind, and updates (member, generation, incarnation, state).
fn swim(from: (u64, u64), to: (u64, u64), kind: u8, updates: &[(u64, u64, u16, u8)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let id = |bytes: &mut Vec<u8>, (member, generation): (u64, u64)| {
        bytes.extend(member.to_be_bytes());
        bytes.extend(generation.to_be_bytes());
    };
    id(&mut bytes, from);
    bytes.extend(0_u16.to_be_bytes());
    id(&mut bytes, to);
    bytes.push(kind);
    bytes.extend((updates.len() as u16).to_be_bytes());
    for (member, generation, incarnation, state) in updates {
        id(&mut bytes, (*member, *generation));
        bytes.extend(incarnation.to_be_bytes());
        bytes.push(*state);
    }
    bytes
}

/// A world of three in which member 1 gets `swim` through member 2's tunnel.
fn tell(swim: Vec<u8>) -> World {
    let mut world = World::new(3, 6);
    world.run(secs(5));
    let payload = Forged::swim(swim).encode();
    world.with(m(1), |node, now| node.handle_datagram(m(2), &payload, now));
    world
}

#[test]
fn a_member_speaks_for_itself_only() {
    let world = tell(swim((3, BOOT_MS), (1, BOOT_MS), GOSSIP, &[(2, BOOT_MS, 0, DOWN)]));
    assert_eq!(world.nodes[&m(1)].drops().of(Drop::ForeignSource), 1);
    assert!(world.all(Alive));
}

#[test]
fn what_is_meant_for_another_is_refused() {
    let world = tell(swim((2, BOOT_MS), (3, BOOT_MS), GOSSIP, &[]));
    assert_eq!(world.nodes[&m(1)].drops().of(Drop::WrongTarget), 1);
}

#[test]
fn rumours_about_strangers_and_impossible_lives_are_taken_out() {
    let updates = [(77, 1, 0, DOWN), (3, u64::MAX, 0, DOWN), (3, BOOT_MS, 0, SUSPECT)];
    let mut world = tell(swim((2, BOOT_MS), (1, BOOT_MS), GOSSIP, &updates));
    let drops = world.nodes[&m(1)].drops();
    assert_eq!(drops.of(Drop::UnknownMember), 1);
    assert_eq!(drops.of(Drop::Generation), 1);
    assert_eq!(drops.of(Drop::Malformed), 0, "the rest is taken");
    let suspected = |world: &World| world.state(m(1), m(3)) != Alive;
    assert!(suspected(&world));
    world.run(secs(3));
    assert!(!suspected(&world), "and refuted");
    let mut peers = world.nodes[&m(1)].peers();
    let third = peers.find(|peer| peer.member == m(3)).expect("present");
    assert!(third.incarnation > 0);
}

#[test]
fn a_slandered_member_outlives_the_rumour() {
    // The highest generation that may be rumoured: its owner has to outbid it.
    for generation in [BOOT_MS, 1 << 62] {
        let mut world = tell(swim((2, BOOT_MS), (1, BOOT_MS), GOSSIP, &[(3, generation, 0, DOWN)]));
        assert_eq!(world.state(m(1), m(3)), Dead);
        world.run(secs(10));
        assert!(world.all(Alive), "generation {generation}");
        // Nor does a restart with an honest clock lock it out.
        world.kill(m(3));
        world.run(secs(1));
        world.boot(m(3), BOOT_MS + 16_000, view(&[1, 2, 3], 1), Vec::new());
        world.run(secs(5));
        assert!(world.all(Alive), "generation {generation}, restarted");
    }
}

#[test]
fn no_generation_that_is_claimed_for_a_member_locks_it_out() {
    const BOUND: u64 = 1 << 62;
    let claims = [BOUND - 1, BOUND, BOUND + 1, BOUND + (1 << 32), u64::MAX - 1, u64::MAX];
    for generation in claims {
        let mut world = World::new(3, 6);
        world.run(secs(5));
        let greeting = swim((2, BOOT_MS), (3, BOOT_MS), GOSSIP, &[]);
        let lie = Forged { generation, ..Forged::swim(greeting) }.encode();
        // Twice: the second time the victim may already live above the bound.
        for _ in 0..2 {
            world.with(m(3), |node, now| node.handle_datagram(m(2), &lie, now));
            world.run(secs(10));
            assert!(world.all(Alive), "generation {generation}");
        }
        let refused = world.nodes[&m(3)].drops().of(Drop::Generation);
        assert_eq!(refused > 0, generation > BOUND, "generation {generation}");
        // Suspected in the life it was talked into, it refutes.
        let life = world.nodes[&m(3)].own().generation;
        let rumour = swim((2, BOOT_MS), (1, BOOT_MS), GOSSIP, &[(3, life, 0, SUSPECT)]);
        let rumour = Forged::swim(rumour).encode();
        world.with(m(1), |node, now| node.handle_datagram(m(2), &rumour, now));
        world.run(secs(10));
        assert!(world.all(Alive), "generation {generation}, suspected");
        assert_eq!(world.nodes[&m(3)].own().generation, life, "it need not die for that");
        // Nor does a restart with an honest clock lock it out.
        world.kill(m(3));
        world.run(secs(20));
        assert_eq!(world.state(m(1), m(3)), Dead);
        world.boot(m(3), BOOT_MS + 60_000, view(&[1, 2, 3], 1), Vec::new());
        world.run(secs(10));
        assert!(world.all(Alive), "generation {generation}, restarted");
    }
}

#[test]
fn a_member_talked_out_of_its_life_introduces_the_next_until_it_is_heard() {
    let mut world = World::new(3, 6);
    world.run(secs(5));
    let mut dead_wrong = swim((2, BOOT_MS), (3, BOOT_MS), TURN_UNDEAD, &[]);
    dead_wrong.truncate(dead_wrong.len() - 2);
    let payload = Forged::swim(dead_wrong).encode();
    world.part(&[3], &[1, 2]);
    world.with(m(3), |node, now| node.handle_datagram(m(2), &payload, now));
    world.run(std::time::Duration::from_millis(100));
    world.cut.clear();
    world.run(secs(10));
    assert_eq!(world.nodes[&m(3)].own().generation, BOOT_MS + 1);
    assert!(world.all(Alive));
    assert!(world.verdicts.iter().all(|v| v.3 == Alive), "{:?}", world.verdicts);
}

#[test]
fn strangers_are_not_heard() {
    let mut world = World::new(3, 6);
    let payload = Forged::swim(swim((77, 1), (1, BOOT_MS), GOSSIP, &[])).encode();
    world.with(m(1), |node, now| node.handle_datagram(m(77), &payload, now));
    world.with(m(1), |node, now| node.handle_datagram(m(1), &payload, now));
    assert_eq!(world.nodes[&m(1)].drops().of(Drop::UnknownSender), 2);
}

#[test]
fn an_overlong_datagram_is_refused_unread() {
    let mut world = World::new(3, 6);
    let payload = Forged::swim(vec![0; MAX_DATAGRAM]).encode();
    world.with(m(1), |node, now| node.handle_datagram(m(2), &payload, now));
    assert_eq!(world.nodes[&m(1)].drops().of(Drop::Malformed), 1);
}

#[test]
fn a_datagram_of_a_newer_version_is_nobodys_fault() {
    let mut world = World::new(3, 6);
    let mut payload = Forged::swim(Vec::new()).encode();
    payload[0] = u8::MAX;
    world.with(m(1), |node, now| node.handle_datagram(m(2), &payload, now));
    let drops = world.nodes[&m(1)].drops();
    assert_eq!((drops.of(Drop::Newer), drops.of(Drop::Malformed)), (1, 0));
    assert_eq!(Drop::Newer.fault(), Fault::World);
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let id = || (1..5_u64, prop_oneof![Just(BOOT_MS), any::<u64>()]);
    let update = (1..5_u64, prop_oneof![Just(BOOT_MS), any::<u64>()], any::<u16>(), 0..4_u8);
    let updates = prop::collection::vec(update, 0..6);
    (id(), id(), 0..12_u8, updates, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(from, to, kind, updates, cut, whole)| {
            let mut bytes = swim(from, to, kind, &updates);
            if !whole {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            bytes
        },
    )
}

fn digest() -> impl Strategy<Value = Option<Range>> {
    let entry = (0..5_u64, any::<u64>(), any::<u64>());
    let have = prop::collection::vec(entry, 0..5);
    let range = (any::<u64>(), any::<u64>(), have, any::<bool>());
    prop::option::of(range.prop_map(|(first, last, have, ask)| Range { first, last, have, ask }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn garbage_never_panics(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut world = World::new(3, 1);
        for payload in payloads {
            world.with(m(1), |node, now| node.handle_datagram(m(2), &payload, now));
        }
        world.run(secs(2));
    }

    #[test]
    fn plausible_lies_never_panic_and_the_mesh_recovers(
        lies in prop::collection::vec((any::<u64>(), message(), digest()), 1..20),
    ) {
        let mut world = World::new(3, 1);
        world.run(secs(2));
        for (generation, swim, digest) in lies {
            let payload = Forged { generation, digest, ..Forged::swim(swim) }.encode();
            world.with(m(1), |node, now| node.handle_datagram(m(2), &payload, now));
            world.run(std::time::Duration::from_millis(50));
        }
        world.run(secs(40));
        prop_assert!(world.all(Alive));
    }
}
