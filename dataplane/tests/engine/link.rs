//! The interface of a plain device switched off and on.

use std::time::Duration;

use mesh_dataplane::Drop;
use mesh_model::plan::Update;

use crate::wire::{Wire, underlay};

/// A message that begins a handshake.
const INITIATION: u8 = 1;

/// What a peer is to be kept in touch with.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// `host` keeps in touch with `peer`.
fn keep_in_touch(wire: &mut Wire, host: usize, peer: usize) {
    let (key, mut plan) = (wire.hosts[peer].key(), wire.hosts[peer].plan());
    plan.keepalive = Some(KEEPALIVE);
    wire.update(host, Update::SetPeer(key, plan));
}

/// Two plain devices, of which the first keeps in touch with the second.
fn in_touch() -> Wire {
    let mut wire = Wire::plain(2).introduced();
    keep_in_touch(&mut wire, 0, 1);
    wire.run_ms(5_000);
    assert!(wire.hosts[0].peer(wire.hosts[1].key()).established);
    wire
}

/// How many datagrams host 0 has ever sent.
fn sent(wire: &Wire) -> usize {
    wire.seen.iter().filter(|datagram| datagram.from == underlay(1)).count()
}

#[test]
fn an_interface_switched_off_is_silent_and_deaf() {
    let mut wire = in_touch();
    let came = |wire: &Wire| wire.seen.iter().filter(|datagram| datagram.to == underlay(1)).count();
    wire.set_link(0, false);
    let (before, came_before) = (sent(&wire), came(&wire));
    assert_eq!(wire.hosts[0].engine.poll_timeout(), None);
    assert!(!wire.hosts[0].peer(wire.hosts[1].key()).established);
    for second in 0..60u8 {
        wire.send(0, 1, &[second]);
        wire.send(1, 0, &[second]);
        wire.run_ms(1_000);
    }
    assert_eq!(sent(&wire), before);
    assert!(wire.hosts[0].out.delivered.is_empty());
    let refused = 60 + came(&wire) - came_before;
    assert_eq!(wire.hosts[0].drops(Drop::InterfaceDown), refused as u64);
}

#[test]
fn an_interface_switched_on_speaks_at_once_to_whom_it_keeps_in_touch_with() {
    let mut wire = in_touch();
    wire.set_link(0, false);
    wire.run_ms(60_000);
    let (before, handshakes) = (sent(&wire), wire.count(INITIATION));
    wire.set_link(0, true);
    assert_eq!((sent(&wire), wire.count(INITIATION)), (before + 1, handshakes + 1));
    wire.run_ms(50);
    let packet = wire.send(1, 0, b"back");
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].out.delivered, [packet]);
    // What it is already is no news.
    wire.set_link(0, true);
    assert!(wire.hosts[0].peer(wire.hosts[1].key()).established);
}

#[test]
fn what_is_configured_while_the_interface_is_off_counts_when_it_is_on() {
    let mut wire = Wire::plain(2);
    wire.set_link(0, false);
    let secret = wire.hosts[0].secret.clone();
    wire.set_secret(0, Some(secret));
    keep_in_touch(&mut wire, 0, 1);
    let key = wire.hosts[1].key();
    wire.update(0, Update::MovePeer(key, underlay(2)));
    wire.introduce(1, 0);
    wire.run_ms(60_000);
    assert!(wire.seen.is_empty());
    wire.set_link(0, true);
    assert_eq!(wire.count(INITIATION), 1);
    wire.run_ms(50);
    assert!(wire.hosts[0].peer(key).established);
}

#[test]
fn nothing_that_waited_or_was_agreed_outlives_the_interface() {
    let mut wire = in_touch();
    wire.send(1, 0, b"sealed in a session that is to end");
    let sealed = wire.last(4);
    wire.set_link(0, false);
    wire.set_link(0, true);
    wire.inject(0, underlay(2), &sealed);
    assert_eq!(wire.hosts[0].drops(Drop::UnknownIndex), 1);

    let mut wire = Wire::plain(2).introduced();
    wire.cut = true;
    (0..3).for_each(|n| drop(wire.send(0, 1, &[n])));
    wire.set_link(0, false);
    assert_eq!(wire.hosts[0].drops(Drop::InterfaceDown), 3);
    wire.cut = false;
    let before = sent(&wire);
    wire.set_link(0, true);
    wire.run_ms(60_000);
    assert_eq!(sent(&wire), before, "nobody has asked for a handshake since");
    let packet = wire.send(0, 1, b"new");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}

#[test]
fn a_members_daemon_goes_on_without_its_interface() {
    let mut wire = Wire::mesh(2);
    wire.set_link(0, false);
    let packet = wire.send(0, 1, b"agreement");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
    assert_eq!(wire.hosts[0].engine.drops().total(), 0);
}
