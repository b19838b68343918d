//! Sessions come about, whatever is lost.

use std::time::Duration;

use mesh_dataplane::Drop;
use mesh_model::plan::Update;

use crate::wire::{Host, KERNEL_PORT, Wire, single, underlay};

#[test]
fn a_lost_initiation_is_repeated_early() {
    let mut wire = Wire::mesh(2);
    wire.lose_next = vec![1];
    let packet = wire.send(0, 1, b"patience");
    wire.run_ms(299);
    assert_eq!(wire.count(1), 1, "not before 300 ms");
    wire.run_ms(100);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
    assert_eq!(wire.count(1), 2);
}

#[test]
fn a_plain_device_repeats_an_initiation_when_the_kernel_does() {
    let mut wire = Wire::plain(2).introduced();
    wire.lose_next = vec![1, 1];
    let packet = wire.send(0, 1, b"patience");
    for (ms, sent) in [(4_999, 1), (335, 2), (4_660, 2), (700, 3)] {
        wire.run_ms(ms);
        assert_eq!(wire.count(1), sent);
    }
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}

#[test]
fn a_lost_response_is_repeated_early() {
    let mut wire = Wire::mesh(2);
    wire.lose_next = vec![2, 2];
    let packet = wire.send(0, 1, b"patience");
    wire.run_ms(1300);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
    assert_eq!(wire.count(2), 3);
}

#[test]
fn a_peer_that_learns_of_us_late_answers_the_repetition() {
    let mut wire = Wire::strangers(2);
    wire.introduce(0, 1);
    let packet = wire.send(0, 1, b"am I admitted?");
    wire.run_ms(100);
    assert_eq!(wire.hosts[1].drops(Drop::UnknownPeer), 1);
    wire.introduce(1, 0);
    wire.run_ms(400);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}

#[test]
fn both_may_begin_at_once() {
    let mut wire = Wire::mesh(2);
    let there = wire.send(0, 1, b"there");
    let back = wire.send(1, 0, b"back");
    wire.run_ms(250);
    assert_eq!(wire.hosts[1].out.delivered, [there]);
    assert_eq!(wire.hosts[0].out.delivered, [back]);
    for n in 0..20 {
        wire.send(0, 1, &[n]);
        wire.send(1, 0, &[n]);
        wire.run_ms(100);
    }
    assert_eq!(wire.hosts[0].out.delivered.len(), 21);
    assert_eq!(wire.hosts[1].out.delivered.len(), 21);
    assert_eq!(wire.count(1), 2, "and it ends there");
}

#[test]
fn a_slow_path_does_not_outrun_the_repetitions() {
    // 700 ms each way: each end has several handshakes in flight.
    let mut wire = Wire::mesh(2);
    wire.faults.delay = Duration::from_millis(700);
    let packet = wire.send(0, 1, b"far");
    wire.run_ms(10_000);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
    // Each response counts, the later ones too: a responder may know the newest session only.
    assert_eq!(wire.hosts[0].handshakes(), wire.count(2));
    assert!(wire.count(2) > 1);
    assert_eq!(wire.hosts[0].engine.drops().total(), 0);
    let back = wire.send(1, 0, b"away");
    wire.run_ms(10_000);
    assert_eq!(wire.hosts[0].out.delivered, [back]);
}

#[test]
fn repetitions_go_round_the_candidates() {
    let mut wire = Wire::mesh(2);
    let (key, mut plan) = (wire.hosts[1].key(), wire.hosts[1].plan());
    plan.endpoints = vec![underlay(77), underlay(78), underlay(2)];
    wire.update(0, Update::SetPeer(key, plan));
    let packet = wire.send(0, 1, b"which one?");
    wire.run_ms(1_200);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
    assert_eq!(wire.hosts[0].peer(key).endpoint, Some(underlay(2)));
}

#[test]
fn a_new_candidate_is_tried_at_once() {
    let mut wire = Wire::mesh(2);
    let (key, plan) = (wire.hosts[1].key(), wire.hosts[1].plan());
    let mut wrong = plan.clone();
    wrong.endpoints = vec![underlay(77)];
    wire.update(0, Update::SetPeer(key, wrong));
    wire.send(0, 1, b"anybody?");
    wire.run_ms(3_000);
    assert_eq!(wire.hosts[0].handshakes(), 0);
    wire.update(0, Update::SetPeer(key, plan));
    wire.run_ms(10);
    assert_eq!(wire.hosts[0].handshakes(), 1);
}

#[test]
fn hopeless_attempts_end_and_a_new_packet_begins_again() {
    let mut wire = Wire::mesh(2);
    wire.cut = true;
    for n in 0..3 {
        wire.send(0, 1, &[n]);
    }
    wire.run_ms(100_000);
    assert_eq!(wire.hosts[0].drops(Drop::HandshakeTimeout), 3);
    assert_eq!(wire.hosts[0].engine.poll_timeout(), None, "and there is silence");
    wire.cut = false;
    let packet = wire.send(0, 1, b"again");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered, [packet]);
}

#[test]
fn an_update_keeps_the_session_and_a_removal_ends_it() {
    let mut wire = Wire::mesh(2);
    wire.send(0, 1, b"one");
    wire.run_ms(50);
    let (key, mut plan) = (wire.hosts[1].key(), wire.hosts[1].plan());
    plan.endpoints = vec![underlay(99)];
    plan.keepalive = Some(Duration::from_secs(25));
    wire.update(0, Update::SetPeer(key, plan));
    wire.send(0, 1, b"two");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered.len(), 2);
    assert_eq!(wire.count(1), 1, "the same session");

    wire.update(1, Update::RemovePeer(wire.hosts[0].key()));
    wire.send(0, 1, b"three");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].out.delivered.len(), 2);
    assert_eq!(wire.hosts[1].drops(Drop::UnknownIndex), 1);
    wire.send(1, 0, b"four");
    assert_eq!(wire.hosts[1].drops(Drop::NoRoute), 1);
    assert_eq!(wire.hosts[1].engine.poll_timeout(), None);

    wire.introduce(1, 0);
    let packet = wire.send(1, 0, b"five");
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].out.delivered, [packet], "a new session");
}

#[test]
fn a_removed_peers_session_is_not_inherited() {
    let mut wire = Wire::mesh(3);
    wire.send(0, 1, b"one");
    wire.run_ms(50);
    for peer in [0, 2] {
        wire.update(1, Update::RemovePeer(wire.hosts[peer].key()));
    }
    // The third takes the first one's place in the table.
    wire.introduce(1, 2);
    wire.send(2, 1, b"two");
    wire.run_ms(50);
    wire.introduce(1, 0);
    wire.send(0, 1, b"three");
    wire.run_ms(50);
    assert_eq!(wire.hosts[1].drops(Drop::UnknownIndex), 1);
    assert_eq!(wire.hosts[1].engine.drops().total(), 1);
}

#[test]
fn packets_that_wait_for_a_removed_peer_are_counted() {
    let mut wire = Wire::mesh(2);
    wire.cut = true;
    wire.send(0, 1, b"too late");
    wire.update(0, Update::RemovePeer(wire.hosts[1].key()));
    assert_eq!(wire.hosts[0].drops(Drop::PeerRemoved), 1);
    assert_eq!(wire.hosts[0].engine.peers().count(), 0);
}

#[test]
fn a_keepalive_peer_is_reached_unasked_and_kept_open() {
    let mut wire = Wire::mesh(2);
    let (key, mut plan) = (wire.hosts[1].key(), wire.hosts[1].plan());
    plan.keepalive = Some(Duration::from_secs(10));
    wire.update(0, Update::SetPeer(key, plan));
    wire.run_ms(50);
    assert_eq!(wire.hosts[0].handshakes(), 1);
    let before = wire.count(4);
    wire.run_ms(60_000);
    let sent = wire.count(4) - before;
    assert!((5..=7).contains(&sent), "{sent} in a minute");
    let own = wire.seen.iter().filter(|datagram| datagram.from == underlay(1));
    assert!(
        own.filter(|datagram| datagram.bytes[0] == 4).all(|datagram| datagram.bytes.len() == 32)
    );
}

#[test]
fn any_packet_serves_as_a_keepalive() {
    let mut wire = Wire::mesh(2);
    let (key, mut plan) = (wire.hosts[1].key(), wire.hosts[1].plan());
    plan.keepalive = Some(Duration::from_secs(10));
    wire.update(0, Update::SetPeer(key, plan));
    wire.run_ms(50);
    let before = wire.seen.len();
    for n in 0..60 {
        wire.send(0, 1, &[n]);
        wire.run_ms(1000);
    }
    let own = wire.seen[before..].iter().filter(|datagram| datagram.from == underlay(1));
    assert_eq!(own.filter(|datagram| datagram.bytes.len() == 32).count(), 0);
}

#[test]
fn a_keepalive_peer_that_is_away_is_called_again() {
    let mut wire = Wire::mesh(2);
    wire.cut = true;
    let (key, mut plan) = (wire.hosts[1].key(), wire.hosts[1].plan());
    plan.keepalive = Some(Duration::from_secs(10));
    wire.update(0, Update::SetPeer(key, plan));
    wire.run_ms(200_000);
    wire.cut = false;
    wire.run_ms(11_000);
    assert!(wire.hosts[0].peer(key).established);
}

#[test]
fn a_plan_that_names_ourselves_is_ignored() {
    let mut wire = Wire::strangers(1);
    wire.introduce(0, 0);
    assert_eq!(wire.hosts[0].engine.peers().count(), 0);
}

#[test]
fn what_the_daemon_itself_says_waits_for_a_session_and_leaves_before_bulk() {
    let mut wire = Wire::mesh(2);
    let bulk = wire.packet(0, 1, KERNEL_PORT, b"bulk", true);
    let now = wire.now;
    let Host { engine, out, .. } = &mut wire.hosts[0];
    engine.handle_kernel(&single(&bulk), now, out);
    let own = [b"first", b"other"].map(|text| wire.send(0, 1, text));
    let before = wire.hosts[0].out.urgent;
    assert_eq!(before, 1, "an initiation");
    wire.run_ms(50);
    // A keepalive, and both.
    assert_eq!(wire.hosts[0].out.urgent, before + 3);
    assert_eq!(wire.hosts[1].out.delivered, [&own[0], &own[1], &bulk].map(Vec::clone));
}
