//! The endpoint follows the peer, and only the peer.

use mesh_dataplane::{Drop, Event};

use crate::attacker::Attacker;
use crate::wire::{Wire, secret, underlay};

fn talking() -> Wire {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(50);
    wire.send(1, 0, b"hello");
    wire.run_ms(50);
    wire
}

#[test]
fn answers_follow_a_peer_that_moves() {
    let mut wire = talking();
    wire.hosts[0].at = underlay(50);
    wire.send(0, 1, b"moved");
    wire.run_ms(50);
    let member = wire.hosts[0].member;
    let moved = Event::EndpointChanged { member, endpoint: underlay(50) };
    assert_eq!(wire.hosts[1].events.last(), Some(&moved));
    let answer = wire.send(1, 0, b"found you");
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].out.delivered.last(), Some(&answer));
    assert_eq!(wire.count(1), 1, "in the same session");
}

#[test]
fn a_replayed_packet_neither_arrives_nor_moves_the_endpoint() {
    let mut wire = talking();
    wire.send(0, 1, b"once");
    let copy = wire.last(4);
    wire.run_ms(50);
    let delivered = wire.hosts[1].out.delivered.len();
    for _ in 0..3 {
        assert!(wire.inject(1, underlay(66), &copy).is_empty());
    }
    assert_eq!(wire.hosts[1].out.delivered.len(), delivered);
    assert_eq!(wire.hosts[1].drops(Drop::Replay), 3);
    assert_eq!(wire.hosts[1].peer(wire.hosts[0].key()).endpoint, Some(underlay(1)));
}

#[test]
fn a_damaged_packet_does_not_move_the_endpoint() {
    let mut wire = talking();
    wire.send(0, 1, b"once");
    let mut copy = wire.last(4);
    copy[20] ^= 1;
    wire.inject(1, underlay(66), &copy);
    assert_eq!(wire.hosts[1].drops(Drop::DecryptFailed), 1);
    assert_eq!(wire.hosts[1].peer(wire.hosts[0].key()).endpoint, Some(underlay(1)));
}

#[test]
fn a_recorded_handshake_gains_nothing() {
    let mut wire = talking();
    let initiation = wire.last(1);
    wire.inject(1, underlay(66), &initiation);
    assert_eq!(wire.hosts[1].drops(Drop::HandshakeReplay), 1);
    let response = wire.last(2);
    wire.inject(0, underlay(66), &response);
    assert_eq!(wire.hosts[0].drops(Drop::HandshakeUnexpected), 1);
    for host in [0, 1] {
        let peer = wire.hosts[1 - host].key();
        assert_eq!(wire.hosts[host].peer(peer).endpoint, Some(underlay(2 - host as u8)));
    }
}

#[test]
fn an_initiation_alone_moves_nothing_until_it_is_confirmed() {
    let mut wire = Wire::mesh(2);
    let key = wire.hosts[0].key();
    // The peer's own key, as if recorded in a life before the last restart and played back now.
    let mut recorded = Attacker::new(&secret(1), wire.hosts[1].key());
    let initiation = recorded.initiation();
    let answer = wire.inject(1, underlay(66), &initiation);
    assert_eq!(answer.len(), 1);
    assert_eq!(wire.hosts[1].peer(key).endpoint, Some(underlay(1)));
    assert!(!wire.hosts[1].peer(key).established);
    assert_eq!(wire.hosts[1].events, []);
    // Whoever holds the key can confirm, and is where it says.
    let confirmation = recorded.read(&answer[0]).expect("a keepalive");
    wire.inject(1, underlay(66), &confirmation);
    assert_eq!(wire.hosts[1].peer(key).endpoint, Some(underlay(66)));
    assert_eq!(wire.hosts[1].handshakes(), 1);
}
