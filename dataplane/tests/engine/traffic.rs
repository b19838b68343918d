//! Packets that should arrive, and where.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use mesh_dataplane::packet::udp;
use mesh_dataplane::{Drop, Event};
use mesh_model::TunnelKey;
use mesh_model::addr::port;
use mesh_model::plan::{PeerPlan, Update};

use crate::wire::{KERNEL_PORT, Wire, secret, single, underlay};

#[test]
fn both_families_cross_in_both_directions() {
    let mut wire = Wire::mesh(2);
    for (from, to) in [(0, 1), (1, 0)] {
        for v6 in [false, true] {
            let packet = wire.packet(from, to, KERNEL_PORT, b"across", v6);
            wire.inner(from, &packet);
            wire.run_ms(50);
            assert_eq!(wire.hosts[to].out.delivered.pop(), Some(packet));
        }
    }
    for (host, peer) in [(0, 1), (1, 0)] {
        assert_eq!(wire.hosts[host].handshakes(), 1, "one session serves all");
        let member = wire.hosts[peer].member;
        let endpoint = underlay(peer as u8 + 1);
        assert!(wire.hosts[host].events.contains(&Event::EndpointChanged { member, endpoint }));
        assert_eq!(wire.hosts[host].engine.drops().total(), 0);
        let stats = wire.hosts[host].peer(wire.hosts[peer].key());
        assert!(stats.established && stats.last_handshake.is_some());
        let other = wire.hosts[peer].peer(wire.hosts[host].key());
        assert_eq!(stats.tx_bytes, other.rx_bytes, "both count the same bytes");
    }
}

#[test]
fn nothing_happens_until_it_is_wanted() {
    let mut wire = Wire::mesh(3);
    wire.run_ms(10_000);
    assert!(wire.seen.is_empty());
    assert!(wire.hosts.iter().all(|host| host.engine.poll_timeout().is_none()));
    wire.send(0, 1, b"now");
    wire.run_ms(50);
    assert_eq!(wire.count(1), 1);
    assert!(wire.hosts[2].engine.poll_timeout().is_none(), "no part in it");
}

#[test]
fn the_daemons_own_ports_get_their_own_lane() {
    let mut wire = Wire::mesh(2);
    for v6 in [false, true] {
        for port in [port::GOSSIP, port::AGREEMENT, port::ECHO] {
            let packet = wire.packet(0, 1, port, b"control", v6);
            wire.inner(0, &packet);
            wire.run_ms(50);
            assert_eq!(wire.hosts[1].out.control.pop(), Some((wire.hosts[0].member, packet)));
        }
    }
    assert!(wire.hosts[1].out.delivered.is_empty());
}

#[test]
fn no_local_process_speaks_for_the_daemon() {
    let mut wire = Wire::mesh(2);
    let now = wire.now;
    for v6 in [false, true] {
        let forged = wire.packet(0, 1, port::GOSSIP, b"forged", v6);
        let host = &mut wire.hosts[0];
        host.engine.handle_kernel(&single(&forged), now, &mut host.out);
    }
    assert_eq!(wire.hosts[0].drops(Drop::ControlFromKernel), 2);
    let plain = wire.packet(0, 1, KERNEL_PORT, b"plain", true);
    let host = &mut wire.hosts[0];
    host.engine.handle_kernel(&single(&plain), now, &mut host.out);
    assert_eq!(host.out.sent.len(), 1, "an initiation, for the plain packet only");
}

#[test]
fn datagrams_are_padded_to_sixteen_and_unpadded_on_arrival() {
    let mut wire = Wire::mesh(2);
    for len in [0, 1, 15, 16, 17, 1000, 1400 - 48] {
        let packet = wire.send(0, 1, &vec![9; len]);
        wire.run_ms(50);
        assert_eq!(wire.hosts[1].out.delivered.pop(), Some(packet), "{len}");
    }
    let data = wire.seen.iter().map(|datagram| &datagram.bytes);
    for datagram in data.filter(|bytes| bytes[0] == 4) {
        let full = datagram.len() == 1400 + 32;
        assert!(datagram.len().is_multiple_of(16) || full, "{}", datagram.len());
    }
}

#[test]
fn packets_wait_for_the_handshake_in_order_and_boundedly() {
    let mut wire = Wire::mesh(2);
    let sent: Vec<_> = (0..200u8).map(|n| wire.send(0, 1, &[n])).collect();
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, sent[..128]);
    assert_eq!(wire.hosts[0].drops(Drop::HoldFull), 72);
}

/// Peers of host 0 that never answer.
fn silent(wire: &Wire, count: u16) -> impl Iterator<Item = (TunnelKey, PeerPlan)> + use<> {
    let plan = wire.hosts[0].plan();
    (0..count).map(move |n| {
        let mut key = [9; 32];
        key[..2].copy_from_slice(&n.to_be_bytes());
        let addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, n);
        let plan = PeerPlan {
            allowed_ips: vec![IpNet::from(IpAddr::V6(addr))],
            endpoints: vec![underlay(77)],
            ..plan.clone()
        };
        (TunnelKey(key), plan)
    })
}

/// Host 0 has 140 kB for each of its silent peers. Returns how many bytes of that it keeps.
fn call_all(wire: &mut Wire, count: u16) -> usize {
    let before = wire.hosts[0].drops(Drop::HoldFull);
    let (own, mut offered) = (wire.hosts[0].addrs.v6, 0);
    for (_, plan) in silent(wire, count) {
        let to = SocketAddr::new(plan.allowed_ips[0].addr(), KERNEL_PORT);
        let packet = udp::encode((own, KERNEL_PORT).into(), to, &[0; 1400 - 48]).expect("fits");
        for _ in 0..100 {
            wire.inner(0, &packet);
            offered += packet.len();
        }
    }
    offered - 1400 * (wire.hosts[0].drops(Drop::HoldFull) - before) as usize
}

#[test]
fn what_waits_for_many_silent_peers_is_bounded_and_its_room_comes_back() {
    const MIB: usize = 1 << 20;
    let mut wire = Wire::strangers(1);
    let mut kept = Vec::new();
    for by_removal in [true, false, true] {
        for (key, plan) in silent(&wire, 400) {
            wire.update(0, Update::SetPeer(key, plan));
        }
        kept.push(call_all(&mut wire, 400));
        if by_removal {
            silent(&wire, 400).for_each(|(key, _)| wire.update(0, Update::RemovePeer(key)));
        } else {
            wire.run_ms(100_000);
        }
    }
    assert!((7 * MIB..=8 * MIB).contains(&kept[0]), "{kept:?}");
    assert!(kept.iter().all(|again| *again == kept[0]), "{kept:?}");
    assert_eq!(wire.hosts[0].drops(Drop::PeerRemoved) as usize * 1400, 2 * kept[0]);
    assert_eq!(wire.hosts[0].drops(Drop::HandshakeTimeout) as usize * 1400, kept[0]);
}

#[test]
fn silent_peers_leave_room_for_others_and_a_session_gives_its_room_back() {
    let mut wire = Wire::mesh(2);
    for (key, plan) in silent(&wire, 200) {
        wire.update(0, Update::SetPeer(key, plan));
    }
    call_all(&mut wire, 200);
    let packet = wire.send(0, 1, &[0; 1400 - 48]);
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);

    // More than there is room for in all, if sessions kept theirs.
    let mut wire = Wire::mesh(2);
    for _ in 0..100 {
        wire.set_secret(0, Some(secret(1)));
        (0..80).for_each(|_| drop(wire.send(0, 1, &[0; 1400 - 48])));
        wire.run_ms(200);
    }
    assert_eq!(wire.hosts[1].out.delivered.len(), 8_000);
}

#[test]
fn packets_of_the_responder_wait_for_proof() {
    let mut wire = Wire::mesh(2);
    // The keepalive that proves the initiator is lost; its first data packet proves it as well.
    wire.lose_next = vec![4];
    let now = wire.now;
    let hello = wire.send(0, 1, b"hello");
    while wire.count(2) == 0 {
        wire.run(std::time::Duration::from_micros(100));
    }
    assert!(!wire.hosts[1].peer(wire.hosts[0].key()).established);
    // It begins a handshake of its own meanwhile, which is lost too.
    wire.lose_next.insert(0, 1);
    let answer = wire.send(1, 0, b"answer");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [hello]);
    assert_eq!(wire.hosts[0].out.delivered, [answer]);
    assert!(wire.now > now);
}

#[test]
fn what_cannot_be_sent_is_counted() {
    let mut wire = Wire::mesh(2);
    let mut host = |packet: &[u8]| wire.inner(0, packet);
    host(&[]);
    host(&[0x45; 10]);
    host(&[0x00; 100]);
    assert_eq!(wire.hosts[0].drops(Drop::InnerMalformed), 3);

    let mut stray = wire.packet(0, 1, KERNEL_PORT, b"", true);
    stray[39] = 99;
    wire.inner(0, &stray);
    assert_eq!(wire.hosts[0].drops(Drop::NoRoute), 1);

    let huge = wire.packet(0, 1, KERNEL_PORT, &[0; 65_472 - 48 + 1], true);
    wire.inner(0, &huge);
    assert_eq!(wire.hosts[0].drops(Drop::InnerTooLarge), 1);

    let (key, mut plan) = (wire.hosts[1].key(), wire.hosts[1].plan());
    plan.endpoints.clear();
    wire.update(0, mesh_model::plan::Update::SetPeer(key, plan));
    wire.send(0, 1, b"where to");
    assert_eq!(wire.hosts[0].drops(Drop::NoEndpoint), 1);
    assert!(wire.seen.is_empty());
}

#[test]
fn the_largest_packet_crosses() {
    let mut wire = Wire::mesh(2);
    let packet = wire.send(0, 1, &[3; 65_472 - 48]);
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}

#[test]
fn a_full_sink_costs_packets_and_nothing_else() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"first");
    wire.run_ms(50);
    for room in [0, 31, 95] {
        wire.hosts[0].out.room = Some(room);
        wire.send(0, 1, b"no room");
    }
    assert_eq!(wire.hosts[0].drops(Drop::SinkFull), 3);
    wire.hosts[0].out.room = None;
    wire.send(0, 1, b"again");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered.len(), 2);
}

#[test]
fn an_initiation_without_room_is_not_a_try() {
    let mut wire = Wire::mesh(2);
    let (key, mut plan) = (wire.hosts[1].key(), wire.hosts[1].plan());
    plan.endpoints.extend([underlay(77), underlay(78)]);
    wire.update(0, Update::SetPeer(key, plan));
    wire.hosts[0].out.room = Some(0);
    let packet = wire.send(0, 1, b"no room yet");
    wire.run_ms(1000);
    assert!(wire.hosts[0].drops(Drop::SinkFull) > 0);
    assert!(wire.seen.is_empty());
    wire.hosts[0].out.room = None;
    wire.run_ms(290);
    assert_eq!(wire.hosts[1].out.delivered, [packet], "the best candidate is still the first");
}

#[test]
fn an_engine_can_be_given_to_a_thread() {
    fn send<T: Send>() {}
    send::<mesh_dataplane::Engine>();
}
