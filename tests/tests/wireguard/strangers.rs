//! What strangers send: garbage, and what they have overheard.
//!
//! Red when: garbage is answered or counted as a peer's, an overheard packet is delivered again, or moves an
//! endpoint.

use std::net::{SocketAddr, UdpSocket};

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::rights::report_skip;
use mesh_tests::traffic::ping;
use mesh_tests::wireguard::message::Kind;
use mesh_tests::wireguard::{Capture, End, Family, Forger, PROGRAM, Program, Tunnel};
use mesh_tests::{Netns, eventually, needs_namespaces};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{
    LIMIT, assert_reaches, counters, program, received_up_to, receiver, send_datagram, three,
    told_counters,
};

/// Sends all of `messages` from a socket of its own inside `from` to `to`.
fn send_all(from: &Netns, to: SocketAddr, messages: &[Vec<u8>]) {
    from.run(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        for message in messages {
            socket.send_to(message, to).unwrap();
        }
    })
    .unwrap();
}

/// Datagrams of all lengths and first bytes, from nothing to more than fits a frame.
fn garbage(victim: &End) -> Vec<Vec<u8>> {
    let mut chance = ChaCha8Rng::seed_from_u64(51);
    let mut all = vec![Vec::new()];
    let lengths =
        [1, 3, 4, 16, 31, 32, 33, 63, 64, 65, 91, 92, 93, 147, 148, 149, 1_400, 9_000, 65_000];
    for len in lengths {
        for first in [0, 1, 2, 3, 4, 5, 255] {
            let mut message = vec![0; len];
            chance.fill_bytes(&mut message);
            for (byte, value) in message.iter_mut().zip([first, 0, 0, 0]) {
                *byte = value;
            }
            all.push(message);
        }
    }
    // Few enough that nothing is under load.
    let mut forger = Forger::new(victim.key(), 52);
    all.extend((0..5).map(|_| forger.initiation().to_vec()));
    all
}

#[test]
fn garbage_is_silence() {
    needs_namespaces!();
    let program: Program = program();
    let tunnel = Tunnel::new(&[&program, &program], 1).unwrap();
    tunnel.introduce(Family::V4).unwrap();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let heard = || (two.sees(one).unwrap().rx_bytes, two.sees(one).unwrap().endpoint);
    let before = heard();
    let stranger = tunnel.star().host(3);
    let answers = Capture::start(stranger, UNDERLAY).unwrap();
    send_all(stranger, two.endpoint(Family::V4), &garbage(two));
    for _ in 0..10 {
        ping(one.netns(), two.inner(Family::V4), LIMIT).unwrap();
    }
    // By now it has been through all of it, and ten echoes of 96 bytes and 32 of overhead.
    assert!(heard().0 <= before.0 + 10 * 128, "garbage counts as a peer's");
    assert_eq!(heard().1, before.1);
    assert_eq!(answers.datagrams(), []);
}

/// What end 2 hears while end 1 opens a session and sends a datagram with `text`.
fn overhear(one: &End, two: &End, text: &[u8]) -> Vec<Vec<u8>> {
    let capture = Capture::start(two.netns(), UNDERLAY).unwrap();
    assert_reaches(one, two);
    let receiver = receiver(two.netns(), two.inner(Family::V4));
    let target = receiver.local_addr().unwrap();
    send_datagram(one.netns(), one.inner(Family::V4), target, text);
    received_up_to(&receiver, text);
    let heard: Vec<Vec<u8>> = capture.datagrams().into_iter().map(|seen| seen.payload).collect();
    for kind in [Kind::Initiation, Kind::Data] {
        assert!(
            heard.iter().any(|message| Kind::of(message) == Some(kind)),
            "{kind:?} is overheard"
        );
    }
    heard
}

/// The same messages with one bit turned, each at a place of its own.
fn altered(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let turn = |(number, message): (usize, &Vec<u8>)| {
        let mut message = message.clone();
        let place = 4 + number * 7 % (message.len() - 4);
        message[place] ^= 0x10;
        message
    };
    messages.iter().enumerate().map(turn).collect()
}

#[test]
fn garbage_is_a_counter() {
    needs_namespaces!();
    if std::env::var_os(PROGRAM).is_some() {
        return report_skip("garbage_is_a_counter", "others have no counters to show");
    }
    let program = program();
    let mut tunnel = Tunnel::new(&[&program, &program], 1).unwrap();
    let to = tunnel.end(2).endpoint(Family::V4);
    let cut = vec![1, 0, 0, 0, 7];
    let mut nobodys = vec![0; 64];
    nobodys[0] = 4;
    let messages = [vec![cut; 5], vec![nobodys; 3]].concat();
    send_all(&tunnel.star().host(3).clone(), to, &messages);
    let device = &mut tunnel.end_mut(2).device;
    let line = eventually(LIMIT, "the log tells of everything", || {
        let line = told_counters(device);
        line.contains("unknown_index=3").then_some(line)
    })
    .unwrap();
    assert!(line.contains("datagram_malformed=5 unknown_index=3"), "{line}");
    assert!(line.contains("INFO") && line.contains("workers=") && line.contains("offloads="));
    let seen = device.log().len();
    device.process().terminate().unwrap();
    let log = device.log();
    let last = counters(&log, seen).expect("a last word");
    assert!(last.contains("datagram_malformed=5 unknown_index=3"), "{last}");
}

#[test]
fn what_was_overheard_moves_no_endpoint() {
    needs_namespaces!();
    let tunnel = three();
    let [one, two, three] = [tunnel.end(1), tunnel.end(2), tunnel.end(3)];
    let heard = overhear(one, two, b"overheard");
    assert_reaches(three, two);
    // What the thief sends reaches end 2 before what end 3 sends from the same host.
    send_all(three.netns(), two.endpoint(Family::V4), &heard);
    send_all(three.netns(), two.endpoint(Family::V4), &altered(&heard));
    for _ in 0..10 {
        ping(three.netns(), two.inner(Family::V4), LIMIT).unwrap();
    }
    assert_eq!(two.sees(one).unwrap().endpoint, Some(one.endpoint(Family::V4)));
    ping(two.netns(), one.inner(Family::V4), LIMIT).unwrap();
    assert_reaches(one, two);
}

#[test]
fn what_was_overheard_is_not_delivered_again() {
    needs_namespaces!();
    let tunnel = three();
    let [one, two, three] = [tunnel.end(1), tunnel.end(2), tunnel.end(3)];
    let receiver = receiver(two.netns(), two.inner(Family::V4));
    let target = receiver.local_addr().unwrap();
    let capture = Capture::start(two.netns(), UNDERLAY).unwrap();
    assert_reaches(one, two);
    let source = one.inner(Family::V4);
    for _ in 0..5 {
        send_datagram(one.netns(), source, target, b"once");
    }
    send_datagram(one.netns(), source, target, b"first");
    assert_eq!(received_up_to(&receiver, b"first").len(), 6);
    let heard: Vec<Vec<u8>> = capture.datagrams().into_iter().map(|seen| seen.payload).collect();
    send_all(three.netns(), two.endpoint(Family::V4), &heard);
    assert_reaches(three, two);
    send_datagram(one.netns(), source, target, b"last");
    assert_eq!(received_up_to(&receiver, b"last").len(), 1);
}
