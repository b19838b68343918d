//! Packets that carry a tunnel's messages: they pass, but not without end.

use mesh_dataplane::Drop;
use mesh_dataplane::packet::udp;

use crate::wire::{KERNEL_PORT, Wire, single};

/// A WireGuard message from host 0 to host 1, in a packet with so many hops to live.
fn message(wire: &Wire, hops: u8) -> Vec<u8> {
    let message = [&[4, 0, 0, 0][..], &[7; 60]].concat();
    let mut packet = wire.packet(0, 1, KERNEL_PORT, &message, true);
    packet[7] = hops;
    packet
}

/// What host 0 lets the datagrams around `packet` live.
fn lives(wire: &mut Wire, packet: &[u8]) -> Vec<Option<u8>> {
    let now = wire.now;
    let host = &mut wire.hosts[0];
    host.out.lives.clear();
    host.engine.handle_kernel(&single(packet), now, &mut host.out);
    host.out.lives.clone()
}

#[test]
fn each_tunnel_around_a_tunnel_shortens_its_life() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(50);
    for (hops, around) in [(64, 48), (48, 32), (32, 16), (17, 1)] {
        let packet = message(&wire, hops);
        assert_eq!(lives(&mut wire, &packet), [Some(around)]);
    }
    let packet = message(&wire, 16);
    assert_eq!(lives(&mut wire, &packet), []);
    assert_eq!(wire.hosts[0].drops(Drop::RoutingLoop), 1);
    for other in [&b"no message"[..], &[4, 0, 0, 0, 1, 2, 3, 4]] {
        let mut packet = wire.packet(0, 1, KERNEL_PORT, other, true);
        packet[7] = 1;
        assert_eq!(lives(&mut wire, &packet), [None]);
    }
}

#[test]
fn what_waits_for_a_handshake_lives_no_longer_for_it() {
    let mut wire = Wire::mesh(2);
    let packet = message(&wire, 64);
    assert_eq!(lives(&mut wire, &packet), [None], "an initiation");
    let second = message(&wire, 48);
    assert_eq!(lives(&mut wire, &second), []);
    wire.drain(0);
    wire.run_ms(50);
    let lives: Vec<_> = wire.hosts[0].out.lives.iter().flatten().copied().collect();
    assert_eq!(lives, [48, 32]);
    assert_eq!(wire.hosts[1].out.delivered.len(), 2);
    assert!(udp::parse(&wire.hosts[1].out.delivered[0]).is_ok());
}
