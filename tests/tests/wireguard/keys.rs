//! Private keys, preshared keys, and keys that are none.
//!
//! Red when: a key or secret that changes is used only by new peers, a wrong secret is not noticed, a device
//! without a key or a peer whose key is worthless makes it send anything.

use std::time::Duration;

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::traffic::ping;
use mesh_tests::wireguard::message::{Kind, is_for};
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{Capture, End, Family, PresharedKey, PublicKey, SecretKey, Tunnel};
use mesh_tests::{eventually, needs_namespaces};

use crate::{LIMIT, NEVER, assert_reaches, assert_silent, pair, program};

/// The points whose product with any private key is the same for all (RFC 7748, section 6.1 asks to look for
/// it): 0, 1, two of order 8, and the same written otherwise: p - 1, p, p + 1.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

#[test]
fn a_peer_with_a_low_order_key_is_never_sent_anything() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let place = two.endpoint(Family::V4);
    let capture = Capture::start(two.netns(), UNDERLAY).unwrap();
    for (number, key) in LOW_ORDER.iter().enumerate() {
        // Refusing the key is an answer, too.
        let lines = format!(
            "public_key={key}\nendpoint={place}\npersistent_keepalive_interval=1\nallowed_ip=10.3.{number}.0/24\n"
        );
        let _ = one.device.socket().set_lines(&lines).unwrap();
    }
    // What a worthless key made it send would have left first; so would what its keepalives send again.
    assert_reaches(one, two);
    let keepalive = Changes::new().peer(two.key()).keepalive(1);
    one.device.set(&keepalive).unwrap();
    let mut seen = Vec::new();
    eventually(LIMIT, "three keepalives of the real peer arrive", || {
        seen.extend(capture.datagrams());
        let data =
            seen.iter().filter(|seen| mesh_tests::wireguard::message::is_keepalive(&seen.payload));
        (data.count() >= 3).then_some(())
    })
    .unwrap();
    let handshakes = seen.iter().filter(|seen| Kind::of(&seen.payload) == Some(Kind::Initiation));
    for handshake in handshakes {
        assert!(is_for(&handshake.payload, two.key()), "an initiation for nobody");
    }
    assert!(one.device.get().unwrap().peers.contains_key(&two.key()));
}

#[test]
fn a_device_without_a_private_key_says_nothing() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    one.device.set(&Changes::new().private_key(&SecretKey::NONE)).unwrap();
    assert_eq!(one.device.get().unwrap().private_key, None);
    let capture = Capture::start(two.netns(), UNDERLAY).unwrap();
    one.device.set(&Changes::new().peer(two.key()).keepalive(1)).unwrap();
    assert_silent(one, two);
    assert_eq!(capture.datagrams(), []);
    one.device.set(&Changes::new().private_key(one.secret())).unwrap();
    assert_eq!(one.device.get().unwrap().private_key.as_ref(), Some(one.secret()));
    assert_reaches(one, two);
    // And taken away from a device that is talking.
    one.device.set(&Changes::new().private_key(&SecretKey::NONE)).unwrap();
    assert_silent(one, two);
    assert_silent(two, one);
    one.device.set(&Changes::new().private_key(one.secret())).unwrap();
    assert_reaches(one, two);
}

#[test]
fn a_private_key_that_changes_is_used_at_once() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let new = SecretKey::numbered(33);
    one.device.set(&Changes::new().private_key(&new)).unwrap();
    let gone = Changes::new().peer(one.key()).remove();
    two.device.set(&gone).unwrap();
    let as_peer = Changes::new().peer(new.public()).allowed_ip(&one.inner_prefix(Family::V4));
    two.device.set(&as_peer.allowed_ip(&one.inner_prefix(Family::V6))).unwrap();
    assert_reaches(one, two);
    assert_reaches(two, one);
    assert!(!two.device.peer(new.public()).unwrap().last_handshake.is_zero());
}

#[test]
fn a_device_is_no_peer_of_its_own() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let others: Vec<PublicKey> = one.device.get().unwrap().peers.into_keys().collect();
    assert_eq!(others, [two.key()]);
    // Its own key as a peer is passed over.
    one.device.set(&Changes::new().peer(one.key()).allowed_ip("10.4.0.0/16")).unwrap();
    assert_eq!(one.device.get().unwrap().peers.into_keys().collect::<Vec<_>>(), others);
    assert_reaches(one, two);
    // A peer whose key becomes its own is forgotten.
    one.device.set(&Changes::new().private_key(two.secret())).unwrap();
    assert!(one.device.get().unwrap().peers.is_empty());
}

/// Forgets `other` at `end` and begins anew, with `secret`: its next packet needs a handshake.
fn begin_anew(end: &End, other: &End, secret: PresharedKey) {
    end.device.set(&Changes::new().peer(other.key()).remove()).unwrap();
    let there = End::as_peer(other).endpoint(other.endpoint(Family::V4));
    end.device.set(&there.preshared_key(secret)).unwrap();
}

/// Only tells `end` of a secret it shares with `other`; its session goes on.
fn share(end: &End, other: &End, secret: PresharedKey) {
    end.device.set(&Changes::new().peer(other.key()).update_only().preshared_key(secret)).unwrap();
    let seen = end.sees(other).unwrap().preshared_key;
    assert_eq!(seen, Some(secret).filter(|secret| *secret != PresharedKey::NONE));
}

#[test]
fn a_preshared_key_is_set_changed_and_removed_at_run_time() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    for secret in [PresharedKey::numbered(1), PresharedKey::numbered(2), PresharedKey::NONE] {
        share(two, one, secret);
        // The old session is not ended by a secret for the next.
        assert_reaches(one, two);
        begin_anew(one, two, secret);
        assert_reaches(one, two);
        assert_reaches(two, one);
        assert!(!one.sees(two).unwrap().last_handshake.is_zero());
    }
}

#[test]
fn all_zeroes_as_a_preshared_key_is_none() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    begin_anew(one, two, PresharedKey::NONE);
    assert_eq!(one.sees(two).unwrap().preshared_key, None);
    assert_reaches(one, two);
}

/// Waits until two handshakes of `one` have been answered by `two`, and asserts that nothing came of it.
fn assert_refuses(tunnel: &Tunnel) {
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let answers = Capture::start(one.netns(), UNDERLAY).unwrap();
    assert!(ping(one.netns(), two.inner(Family::V4), NEVER).is_err());
    answers.wait_for_messages(2 * LIMIT, Kind::Response, 2).unwrap();
    assert_silent(one, two);
    assert!(one.sees(two).unwrap().last_handshake.is_zero());
    let data =
        answers.datagrams().into_iter().find(|seen| Kind::of(&seen.payload) == Some(Kind::Data));
    assert_eq!(data, None);
}

#[test]
fn a_wrong_preshared_key_ends_every_handshake() {
    needs_namespaces!();
    let program = program();
    for (at_one, at_two) in [(1, Some(2)), (1, None)] {
        let tunnel = Tunnel::new(&[&program, &program], 0).unwrap();
        let [one, two] = [tunnel.end(1), tunnel.end(2)];
        two.device.set(&End::as_peer(one)).unwrap();
        if let Some(number) = at_two {
            share(two, one, PresharedKey::numbered(number));
        }
        begin_anew(one, two, PresharedKey::numbered(at_one));
        assert_refuses(&tunnel);
        let right = at_two.map_or(PresharedKey::NONE, PresharedKey::numbered);
        share(one, two, right);
        assert_reaches(one, two);
    }
}

#[test]
fn a_key_nobody_knows_gets_no_answer() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    two.device.set(&Changes::new().peer(one.key()).remove()).unwrap();
    let (asked, answers) = (
        Capture::start(two.netns(), UNDERLAY).unwrap(),
        Capture::start(one.netns(), UNDERLAY).unwrap(),
    );
    let _ = ping(one.netns(), two.inner(Family::V4), Duration::from_millis(1));
    asked.wait_for_messages(2 * LIMIT, Kind::Initiation, 2).unwrap();
    assert_eq!(answers.datagrams(), []);
    two.device.set(&End::as_peer(one)).unwrap();
    assert_reaches(one, two);
}
