//! Nobody speaks for others: the device-wide source check.

use ipnet::IpNet;
use mesh_dataplane::Drop;
use mesh_dataplane::packet::udp;
use mesh_model::addr::port;
use mesh_model::plan::Update;

use crate::attacker::Attacker;
use crate::wire::{KERNEL_PORT, Wire, secret, underlay};

#[test]
fn a_member_that_forges_anothers_source_is_not_heard() {
    let mut wire = Wire::mesh(3);
    for v6 in [false, true] {
        for port in [KERNEL_PORT, port::GOSSIP] {
            // From the third host's address, sealed by the first.
            let forged = wire.packet(2, 1, port, b"I am the third", v6);
            wire.inner(0, &forged);
            wire.run_ms(50);
        }
    }
    assert!(wire.hosts[1].out.delivered.is_empty());
    assert!(wire.hosts[1].out.control.is_empty());
    assert_eq!(wire.hosts[1].drops(Drop::SourceNotAllowed), 4);
}

#[test]
fn a_wide_prefix_does_not_speak_for_a_narrow_one_inside() {
    let mut wire = Wire::mesh(3);
    let (key, mut plan) = (wire.hosts[0].key(), wire.hosts[0].plan());
    plan.allowed_ips.push("100.88.0.0/16".parse().unwrap());
    wire.update(1, Update::SetPeer(key, plan));
    let forged = wire.packet(2, 1, KERNEL_PORT, b"I am the third", false);
    wire.inner(0, &forged);
    wire.run_ms(50);
    assert!(wire.hosts[1].out.delivered.is_empty());
    assert_eq!(wire.hosts[1].drops(Drop::SourceNotAllowed), 1);
    // An address in the prefix that is nobody else's is its own.
    let mut own = "100.88.9.9:1".parse().unwrap();
    let to = format!("{}:{KERNEL_PORT}", wire.hosts[1].addrs.v4).parse().unwrap();
    wire.inner(0, &udp::encode(own, to, b"mine").unwrap());
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered.len(), 1);
    // An address outside is not.
    own.set_ip([203, 0, 113, 1].into());
    wire.inner(0, &udp::encode(own, to, b"not mine").unwrap());
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].drops(Drop::SourceNotAllowed), 2);
}

#[test]
fn our_own_address_is_nobody_elses_source() {
    let mut wire = Wire::mesh(2);
    let mut attacker = Attacker::new(&secret(1), wire.hosts[1].key());
    let answer = wire.inject(1, underlay(1), &attacker.initiation());
    attacker.read(&answer[0]).expect("a session");
    // Not even for a peer whose prefixes cover it.
    for wide in [&[][..], &["0.0.0.0/0", "::/0"]] {
        let (key, mut plan) = (wire.hosts[0].key(), wire.hosts[0].plan());
        plan.allowed_ips.extend(wide.iter().map(|prefix| prefix.parse::<IpNet>().unwrap()));
        wire.update(1, Update::SetPeer(key, plan));
        for (port, v6) in [(port::ECHO, true), (KERNEL_PORT, true), (KERNEL_PORT, false)] {
            let forged = wire.packet(1, 1, port, b"yourself", v6);
            wire.inject(1, underlay(1), &attacker.seal(&forged));
        }
    }
    assert!(wire.hosts[1].out.control.is_empty());
    assert!(wire.hosts[1].out.delivered.is_empty());
    assert_eq!(wire.hosts[1].drops(Drop::SourceNotAllowed), 6);
}

#[test]
fn what_is_not_for_us_is_not_forwarded() {
    let mut wire = Wire::mesh(3);
    let through = wire.packet(0, 2, KERNEL_PORT, b"pass it on", true);
    let mut attacker = Attacker::new(&secret(1), wire.hosts[1].key());
    let answer = wire.inject(1, underlay(1), &attacker.initiation());
    attacker.read(&answer[0]).expect("a session");
    let sent = wire.inject(1, underlay(1), &attacker.seal(&through));
    assert!(sent.is_empty());
    assert_eq!(wire.hosts[1].drops(Drop::NotForUs), 1);
    wire.inject(1, underlay(1), &attacker.seal(b"not even a packet"));
    assert_eq!(wire.hosts[1].drops(Drop::DecryptedMalformed), 1);
    let short_total = [&[0x45, 0, 0, 19][..], &[0; 16]].concat();
    wire.inject(1, underlay(1), &attacker.seal(&short_total));
    assert_eq!(wire.hosts[1].drops(Drop::DecryptedMalformed), 2);
    assert!(wire.hosts[1].out.delivered.is_empty());
}

#[test]
fn an_allowed_ip_moves_to_the_peer_that_is_given_it() {
    let mut wire = Wire::mesh(3);
    let shared: IpNet = "10.9.0.0/24".parse().unwrap();
    let from = "10.9.0.1:1".parse().unwrap();
    let to = format!("{}:{KERNEL_PORT}", wire.hosts[1].addrs.v4).parse().unwrap();
    let packet = udp::encode(from, to, b"roaming service").unwrap();
    for (holder, other) in [(0, 2), (2, 0)] {
        let (key, mut plan) = (wire.hosts[holder].key(), wire.hosts[holder].plan());
        // Host bits in a plan mean the same prefix.
        plan.allowed_ips.push("10.9.0.77/24".parse().unwrap());
        wire.update(1, Update::SetPeer(key, plan));
        assert!(wire.hosts[1].peer(key).allowed_ips.contains(&shared));
        let loser = wire.hosts[1].peer(wire.hosts[other].key());
        assert!(!loser.allowed_ips.contains(&shared));
        wire.inner(holder, &packet);
        wire.inner(other, &packet);
        wire.run_ms(50);
        assert_eq!(wire.hosts[1].out.delivered.drain(..).count(), 1);
    }
    assert_eq!(wire.hosts[1].drops(Drop::SourceNotAllowed), 2);
    // The one that lost it goes; the one that has it keeps it.
    wire.update(1, Update::RemovePeer(wire.hosts[0].key()));
    wire.inner(2, &packet);
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}
