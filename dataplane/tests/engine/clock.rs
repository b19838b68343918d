//! What only time brings.

use mesh_dataplane::Drop;

use crate::wire::{Wire, underlay};

#[test]
fn sessions_are_renewed_under_traffic_without_a_gap() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(500);
    for second in 0..1000u32 {
        wire.send(0, 1, &second.to_be_bytes());
        wire.send(1, 0, &second.to_be_bytes());
        wire.run_ms(1000);
    }
    assert_eq!(wire.hosts[1].out.delivered.len(), 1001);
    assert_eq!(wire.hosts[0].out.delivered.len(), 1000);
    for host in &wire.hosts {
        // Every 120 s and a little.
        assert!((8..=9).contains(&host.handshakes()), "{}", host.handshakes());
        assert_eq!(host.engine.drops().total(), 0);
    }
}

#[test]
fn an_idle_tunnel_goes_and_comes_back() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(181_000);
    for host in 0..2 {
        assert_eq!(wire.hosts[host].engine.poll_timeout(), None);
        assert!(!wire.hosts[host].peer(wire.hosts[1 - host].key()).established);
    }
    let sent = wire.seen.len();
    wire.run_ms(600_000);
    assert_eq!(wire.seen.len(), sent, "silence");
    let packet = wire.send(1, 0, b"back");
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].out.delivered, [packet]);
}

#[test]
fn a_restarted_host_is_not_taken_for_a_replay() {
    let mut wire = Wire::mesh(2);
    for second in 0..300u32 {
        wire.send(0, 1, &second.to_be_bytes());
        wire.run_ms(1000);
    }
    wire.restart(0);
    wire.introduce(0, 1);
    let packet = wire.send(0, 1, b"back again");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered.last(), Some(&packet));
    assert_eq!(wire.hosts[1].drops(Drop::HandshakeReplay), 0);
}

#[test]
fn a_peer_that_restarted_silently_is_found_again() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(10_000);
    wire.restart(1);
    wire.introduce(1, 0);
    // Keepalive-Timeout and Rekey-Timeout: 15 s after the first packet without an answer.
    for second in 0..20u32 {
        wire.send(0, 1, &second.to_be_bytes());
        wire.run_ms(1000);
    }
    let packet = wire.send(0, 1, b"found");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered.last(), Some(&packet));
    assert!(wire.hosts[1].drops(Drop::UnknownIndex) > 0);
}

#[test]
fn a_receiver_with_nothing_to_say_says_so() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(500);
    wire.send(0, 1, b"anybody?");
    let before = wire.seen.len();
    wire.run_ms(13_000);
    let answers: Vec<_> =
        wire.seen[before..].iter().filter(|datagram| datagram.from == underlay(2)).collect();
    assert_eq!(answers.len(), 1, "a passive keepalive after ten seconds");
    assert_eq!(answers[0].bytes.len(), 32);
}

#[test]
fn a_live_tunnel_wakes_its_host_rarely() {
    let mut wire = Wire::mesh(3);
    for (from, to) in [(0, 1), (0, 2)] {
        wire.send(from, to, b"hello");
    }
    wire.run_ms(1000);
    let before = wire.hosts[0].wakes;
    // A packet a second each way, so every deadline moves all the time.
    for second in 0..100u8 {
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
            wire.send(from, to, &[second]);
        }
        wire.run_ms(1000);
    }
    let wakes = wire.hosts[0].wakes - before;
    assert!(wakes <= 22, "two tunnels, ten seconds each: {wakes}");
}

#[test]
fn a_packet_right_after_a_long_sleep_of_the_shell_crosses() {
    // The shell was stopped: nobody called the timers for an hour.
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(100);
    wire.skip_ms(3_600_000);
    let packet = wire.send(0, 1, b"awake");
    wire.run_ms(1000);
    assert_eq!(wire.hosts[1].out.delivered.last(), Some(&packet));
}

#[test]
fn keys_that_expire_do_not_take_along_an_attempt_that_could_not_begin() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"hello");
    wire.run_ms(100);
    // Long after the session has died.
    wire.hosts[0].out.room = Some(0);
    wire.skip_ms(600_000);
    let packet = wire.send(0, 1, b"waits for room");
    wire.run_ms(1000);
    wire.hosts[0].out.room = None;
    wire.run_ms(1000);
    assert_eq!(wire.hosts[1].out.delivered.last(), Some(&packet));
    assert_eq!(wire.hosts[0].drops(Drop::HandshakeTimeout), 0);
}
