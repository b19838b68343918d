//! What a WireGuard device owes its peers and its operator beyond carrying packets.

use std::time::Duration;

use mesh_dataplane::{Drop, WallTime};
use mesh_model::TunnelKey;
use mesh_model::plan::Update;

use crate::attacker::Attacker;
use crate::wire::{WALL, Wire, secret, underlay};

/// Points of low order on the curve and its twist, with both encodings of those that have two.
fn low_order_keys() -> Vec<TunnelKey> {
    let small = |n: u8| {
        let mut key = [0; 32];
        key[0] = n;
        key
    };
    let near_p = |low: u8| {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (low, 0x7f);
        key
    };
    let order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ];
    let parse = |text: &str| -> [u8; 32] {
        let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).expect("hex");
        std::array::from_fn(byte)
    };
    let simple = [small(0), small(1), near_p(0xec), near_p(0xed), near_p(0xee)];
    simple.into_iter().chain(order_8.map(parse)).map(TunnelKey).collect()
}

#[test]
fn a_peer_key_of_low_order_never_causes_a_packet() {
    for key in low_order_keys() {
        let mut wire = Wire::strangers(2);
        let mut plan = wire.hosts[1].plan();
        plan.keepalive = Some(Duration::from_secs(10));
        wire.update(0, Update::SetPeer(key, plan));
        wire.send(0, 1, b"anything");
        wire.run_ms(100_000);
        assert!(wire.seen.is_empty(), "{key}");
        assert_eq!(wire.hosts[0].drops(Drop::LowOrderKey), 1);
    }
}

#[test]
fn a_device_without_a_private_key_is_silent_until_it_has_one() {
    let mut wire = Wire::mesh(2);
    wire.set_secret(0, None);
    wire.send(0, 1, b"no");
    assert_eq!(wire.hosts[0].drops(Drop::NoPrivateKey), 1);
    let hello = Attacker::new(&secret(2), secret(1).public()).initiation();
    assert!(wire.inject(0, underlay(2), &hello).is_empty());
    assert_eq!(wire.hosts[0].drops(Drop::NoPrivateKey), 2);
    wire.run_ms(30_000);
    assert!(wire.seen.is_empty());
    wire.set_secret(0, Some(secret(1)));
    let packet = wire.send(0, 1, b"yes");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}

#[test]
fn a_new_private_key_ends_all_sessions_and_a_peer_that_is_oneself() {
    let mut wire = Wire::mesh(3);
    for to in [1, 2] {
        wire.send(0, to, b"hello");
    }
    wire.run_ms(50);
    wire.send(1, 0, b"on its way");
    // What was host 2's key is host 0's now.
    wire.set_secret(0, Some(secret(3)));
    assert_eq!(wire.hosts[0].engine.peers().count(), 1);
    assert!(!wire.hosts[0].peer(secret(2).public()).established);
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].drops(Drop::UnknownIndex), 1);
    assert!(wire.hosts[0].out.delivered.is_empty());
    // Host 1 knows host 0 under its old key: no handshake, until it learns the new one.
    wire.update(1, Update::RemovePeer(secret(3).public()));
    wire.send(0, 1, b"who am I?");
    wire.run_ms(1000);
    assert_eq!(wire.hosts[0].handshakes(), 2);
    wire.update(1, Update::RemovePeer(secret(1).public()));
    let plan = wire.hosts[0].plan();
    wire.update(1, Update::SetPeer(secret(3).public(), plan));
    wire.run_ms(6000);
    assert_eq!(wire.hosts[0].handshakes(), 3);
    assert_eq!(wire.hosts[1].out.delivered.len(), 2, "what waited was sent anew");
}

#[test]
fn a_host_that_was_asleep_begins_anew() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(100);
    // Minutes pass that no clock here counts: the other end has wiped its session.
    wire.set_secret(1, Some(secret(2)));
    let now = wire.now;
    let host = &mut wire.hosts[0];
    host.engine.handle_resume(now, &mut host.out);
    let packets: Vec<_> = (0..3).map(|n| wire.send(0, 1, &[n; 500])).collect();
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered[1..], packets);
    assert_eq!(wire.hosts[0].engine.drops().total(), 0);
}

#[test]
fn the_operator_says_where_a_peer_is_and_the_peer_has_the_last_word() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(50);
    let key = wire.hosts[1].key();
    wire.update(0, Update::MovePeer(key, underlay(77)));
    assert_eq!(wire.hosts[0].peer(key).endpoint, Some(underlay(77)));
    wire.send(0, 1, b"lost");
    assert_eq!(wire.seen.last().map(|datagram| datagram.to), Some(underlay(77)));
    wire.send(1, 0, b"here I am");
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].peer(key).endpoint, Some(underlay(2)));
    // For a peer of which nothing was known, it is the first word as well.
    let mut wire = Wire::strangers(2);
    wire.introduce(1, 0);
    let mut plan = wire.hosts[1].plan();
    plan.endpoints.clear();
    wire.update(0, Update::SetPeer(key, plan));
    wire.update(0, Update::MovePeer(key, underlay(2)));
    let packet = wire.send(0, 1, b"found");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}

#[test]
fn only_the_initiator_renews_an_old_session_by_sending() {
    for (sender, renewed) in [(0, 2), (1, 1)] {
        let mut wire = Wire::mesh(2);
        wire.send(0, 1, b"hello");
        wire.run_ms(119_000);
        wire.send(sender, 1 - sender, b"in time");
        assert_eq!(wire.count(1), 1);
        wire.run_ms(1_100);
        wire.send(sender, 1 - sender, b"late");
        wire.run_ms(50);
        assert_eq!(wire.count(1), renewed);
        assert_eq!(wire.hosts[1 - sender].out.delivered.len(), 2 + usize::from(sender == 0));
    }
}

impl Wire {
    fn delivered(&self, host: usize) -> usize {
        self.hosts[host].out.delivered.len()
    }
}

#[test]
fn the_initiator_renews_a_dying_session_on_hearing_from_it() {
    for (second, renewed) in [(164, false), (166, true)] {
        let mut wire = Wire::mesh(2);
        wire.send(0, 1, b"hello");
        wire.run_ms(second * 1000);
        wire.send(1, 0, b"still there?");
        wire.run_ms(50);
        assert_eq!(wire.delivered(0), 1);
        assert_eq!(wire.count(1), 1 + usize::from(renewed), "{second} s");
    }
}

#[test]
fn a_dead_session_is_wiped_and_opens_nothing() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(179_000);
    wire.cut = true;
    wire.send(1, 0, b"kept back");
    let kept_back = wire.last(4);
    wire.run_ms(2_000);
    assert!(wire.inject(0, underlay(2), &kept_back).is_empty());
    assert_eq!(wire.hosts[0].drops(Drop::UnknownIndex), 1, "not even its index is left");
    assert_eq!(wire.delivered(0), 0);
}

#[test]
fn silence_is_broken_twice_when_more_came_meanwhile() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(500);
    let keepalives = |wire: &Wire| {
        let own = wire.seen.iter().filter(|datagram| datagram.from == underlay(2));
        own.filter(|datagram| datagram.bytes.len() == 32).count()
    };
    let before = keepalives(&wire);
    wire.send(0, 1, b"one");
    wire.run_ms(5_000);
    wire.send(0, 1, b"two");
    wire.run_ms(5_500);
    assert_eq!(keepalives(&wire) - before, 1);
    wire.run_ms(9_500);
    assert_eq!(keepalives(&wire) - before, 2);
    wire.run_ms(50_000);
    assert_eq!(keepalives(&wire) - before, 2, "and that is all");
}

#[test]
fn a_clock_set_back_between_runs_does_not_lock_the_host_out() {
    for kept in [false, true] {
        let mut wire = Wire::mesh(2);
        wire.send(0, 1, b"hello");
        wire.run_ms(5_000);
        let newest = wire.hosts[0].engine.newest_stamp().expect("an initiation");
        assert!(newest >= WallTime(WALL.0 - Duration::from_millis(20)));
        let floor = if kept { WallTime(newest.0 + Duration::from_nanos(1)) } else { newest };
        // The host comes back in 1970, remembering the floor or not.
        let floor = if kept { floor } else { WallTime::default() };
        wire.restart_at(0, WallTime::default(), floor);
        wire.introduce(0, 1);
        let packet = wire.send(0, 1, b"back again");
        wire.run_ms(3_000);
        let refused = wire.hosts[1].drops(Drop::HandshakeReplay);
        assert_eq!(wire.hosts[1].out.delivered.last() == Some(&packet), kept);
        assert_eq!(refused > 0, !kept, "{refused}");
    }
}

#[test]
fn a_clock_set_forward_lets_a_host_in_that_began_without_the_time() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(5_000);
    // The host comes back in 1970, with nothing kept.
    wire.restart_at(0, WallTime::default(), WallTime::default());
    wire.introduce(0, 1);
    let packet = wire.send(0, 1, b"what time is it?");
    wire.run_ms(3_000);
    assert_eq!(wire.hosts[0].handshakes(), 0);
    assert!(wire.hosts[1].drops(Drop::HandshakeReplay) > 0);

    let right = WallTime(WALL.0 + Duration::from_secs(8));
    wire.hosts[0].engine.handle_wall(right, wire.now);
    wire.run_ms(6_000);
    assert_eq!(wire.hosts[1].out.delivered.last(), Some(&packet));
    let newest = wire.hosts[0].engine.newest_stamp();
    assert!(newest >= Some(right));

    // Set back again, it changes nothing: the same key anew still gets in.
    wire.hosts[0].engine.handle_wall(WallTime::default(), wire.now);
    wire.set_secret(0, Some(secret(1)));
    let packet = wire.send(0, 1, b"and now?");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered.last(), Some(&packet));
    assert!(wire.hosts[0].engine.newest_stamp() > newest);
}

#[test]
fn one_seed_replays_every_byte() {
    let run = || {
        let mut wire = Wire::mesh(3);
        wire.faults.loss = 20;
        wire.faults.delay = Duration::from_millis(100);
        for n in 0..30 {
            wire.send(n % 3, (n + 1) % 3, &n.to_be_bytes());
            wire.run_ms(300);
        }
        wire.seen.into_iter().map(|datagram| datagram.bytes).collect::<Vec<_>>()
    };
    let first = run();
    assert!(first.len() > 30);
    assert_eq!(first, run());
}
