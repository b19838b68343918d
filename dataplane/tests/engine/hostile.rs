//! Bytes nobody should send. Each is counted once, none is delivered, none panics.

use mesh_dataplane::{Drop, MAX_DATAGRAM};
use proptest::prelude::*;

use crate::attacker::Attacker;
use crate::wire::{Wire, secret, underlay};

/// Two hosts in the middle of a conversation, and one genuine datagram of each type that the second
/// has not seen.
fn conversation() -> (Wire, [Vec<u8>; 3]) {
    let mut wire = Wire::mesh(3);
    wire.send(0, 1, b"hello");
    wire.run_ms(50);
    wire.send(0, 1, b"unseen");
    let data = wire.last(4);
    wire.send(1, 2, b"who?");
    let initiation = Attacker::new(&secret(1), wire.hosts[1].key()).initiation();
    let mut third = Attacker::new(&secret(3), wire.hosts[1].key());
    let response = third.read(&wire.last(1)).expect("a response");
    (wire, [initiation, response, data])
}

fn total(wire: &Wire) -> u64 {
    wire.hosts[1].engine.drops().total()
}

#[test]
fn the_genuine_datagrams_are_taken() {
    let (mut wire, genuine) = conversation();
    let (drops, sent) = (total(&wire), wire.seen.len());
    for datagram in &genuine {
        wire.inject(1, underlay(66), datagram);
    }
    assert_eq!(total(&wire), drops);
    assert!(wire.seen.len() >= sent + 2, "a response, and the packet that waited");
}

#[test]
fn wrong_lengths_of_every_type_are_counted() {
    let (mut wire, _) = conversation();
    let mut expected = total(&wire);
    for kind in 0..=5 {
        for len in (0..200).chain([MAX_DATAGRAM, MAX_DATAGRAM + 1, 100_000]) {
            let mut datagram = vec![0; len];
            if let Some(first) = datagram.first_mut() {
                *first = kind;
            }
            assert!(wire.inject(1, underlay(66), &datagram).is_empty());
            expected += 1;
            assert_eq!(total(&wire), expected, "type {kind}, {len} bytes");
        }
    }
    assert!(wire.hosts[1].drops(Drop::DatagramMalformed) > 0);
}

#[test]
fn a_long_datagram_for_a_live_session_is_counted() {
    let (mut wire, [_, _, data]) = conversation();
    let mut long = data.clone();
    long.resize(MAX_DATAGRAM, 0);
    wire.inject(1, underlay(66), &long);
    assert_eq!(wire.hosts[1].drops(Drop::DecryptFailed), 1);
    long.push(0);
    wire.inject(1, underlay(66), &long);
    assert_eq!(wire.hosts[1].drops(Drop::DatagramMalformed), 1);
}

#[test]
fn counters_at_the_end_of_their_range_are_refused() {
    let (mut wire, [_, _, data]) = conversation();
    for counter in [u64::MAX, u64::MAX - (1 << 13)] {
        let mut datagram = data.clone();
        datagram[8..16].copy_from_slice(&counter.to_le_bytes());
        wire.inject(1, underlay(66), &datagram);
    }
    assert_eq!(wire.hosts[1].drops(Drop::CounterExhausted), 2);
    let mut datagram = data;
    datagram[8..16].copy_from_slice(&(u64::MAX - (1 << 13) - 1).to_le_bytes());
    wire.inject(1, underlay(66), &datagram);
    assert_eq!(wire.hosts[1].drops(Drop::DecryptFailed), 1);
}

/// A flipped bit here goes unnoticed: the second MAC counts only when proof is demanded.
fn is_second_mac(datagram: &[u8], at: usize) -> bool {
    matches!((datagram[0], at), (1, 132..) | (2, 76..))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_are_counted(kind in 0u8..6, bytes in prop::collection::vec(any::<u8>(), 0..300), genuine_index in any::<bool>()) {
        let (mut wire, [_, _, data]) = conversation();
        let before = total(&wire);
        let mut datagram = [&[kind, 0, 0, 0][..], &bytes].concat();
        if genuine_index && datagram.len() >= 8 {
            datagram[4..8].copy_from_slice(&data[4..8]);
        }
        prop_assert!(wire.inject(1, underlay(66), &datagram).is_empty());
        prop_assert_eq!(total(&wire), before + 1);
    }

    #[test]
    fn a_flipped_bit_is_noticed(which in 0usize..3, at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let (mut wire, genuine) = conversation();
        let mut datagram = genuine[which].clone();
        let at = at.index(datagram.len());
        prop_assume!(!is_second_mac(&datagram, at));
        datagram[at] ^= 1u8 << bit;
        let (before, delivered) = (total(&wire), wire.hosts[1].out.delivered.len());
        prop_assert!(wire.inject(1, underlay(66), &datagram).is_empty());
        prop_assert_eq!(total(&wire), before + 1);
        prop_assert_eq!(wire.hosts[1].out.delivered.len(), delivered);
        // And the genuine one is still taken.
        wire.inject(1, underlay(1), &genuine[which]);
        prop_assert_eq!(total(&wire), before + 1);
    }

    #[test]
    fn a_member_may_seal_anything(bytes in prop::collection::vec(any::<u8>(), 1..200), version in 0usize..3) {
        let mut wire = Wire::mesh(2);
        let mut attacker = Attacker::new(&secret(1), wire.hosts[1].key());
        let answer = wire.inject(1, underlay(1), &attacker.initiation());
        attacker.read(&answer[0]).expect("a session");
        let mut bytes = bytes;
        bytes[0] = [bytes[0], 0x45, 0x60][version];
        wire.inject(1, underlay(1), &attacker.seal(&bytes));
        prop_assert_eq!(total(&wire), 1);
        prop_assert!(wire.hosts[1].out.delivered.is_empty());
    }
}
