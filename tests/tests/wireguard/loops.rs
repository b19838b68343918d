//! Tunnels inside tunnels, and tunnels that lead into themselves.
//!
//! Red when: a device that is handed its own messages wraps them again and again, or does not come back from it.

use std::net::SocketAddr;

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::traffic::{Transfer, ping};
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{Capture, Device, End, Family, PORT, SecretKey};
use mesh_tests::{eventually, needs_namespaces};

use crate::{LIMIT, NEVER, assert_answers, assert_reaches, pair, program};

/// One more than the outer device's.
const INNER_PORT: u16 = PORT + 1;

/// A second device at an end, that reaches its like through the first.
fn nested(end: &End, other: &End, number: usize) -> Device {
    let own = SecretKey::numbered(10 + number);
    let peer = SecretKey::numbered(10 + 3 - number).public();
    let device = Device::start(&program(), end.netns()).unwrap();
    let there = SocketAddr::new(other.inner(Family::V6), INNER_PORT);
    let changes =
        Changes::new().private_key(&own).listen_port(INNER_PORT).peer(peer).endpoint(there);
    device.set(&changes.allowed_ip("10.98.0.0/24")).unwrap();
    device.set_mtu(1_280).unwrap();
    device.add_address(format!("10.98.0.{number}").parse().unwrap(), 24).unwrap();
    device.up().unwrap();
    device
}

#[test]
fn a_tunnel_through_a_tunnel_carries_everything() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let _devices = [nested(one, two, 1), nested(two, one, 2)];
    let target = "10.98.0.2".parse().unwrap();
    assert_answers(one.netns(), target);
    let transfer = Transfer::of(4_000_000, 31);
    transfer.check(&transfer.run(one.netns(), two.netns(), target).unwrap()).unwrap();
}

/// More than a few echoes and handshakes, and far less than one packet that goes round and round makes in
/// the time of a single echo.
const FEW: u64 = 70_000;

#[test]
fn a_peer_that_is_reached_through_itself_is_not_wrapped_without_end() {
    needs_namespaces!();
    let mut tunnel = pair();
    let (inner, peer) = (tunnel.end(2).inner(Family::V4), tunnel.end(2).key());
    assert_reaches(tunnel.end(1), tunnel.end(2));
    let one = &tunnel.end(1).device;
    let before = one.peer(peer).unwrap().tx_bytes;
    one.set(&Changes::new().peer(peer).endpoint(SocketAddr::new(inner, 7))).unwrap();
    for _ in 0..10 {
        assert!(ping(one.netns(), inner, NEVER).is_err(), "there is no way to it");
    }
    let sent = one.peer(peer).unwrap().tx_bytes - before;
    assert!(sent < FEW, "{sent} bytes for ten echoes");
    assert!(tunnel.end_mut(1).device.is_running());
    tunnel.introduce(Family::V4).unwrap();
    assert_reaches(tunnel.end(1), tunnel.end(2));
}

#[test]
#[ignore = "meshd wraps without end here: docs/testing.md, what is not yet right"]
fn two_tunnels_that_lead_into_each_other_do_not_wrap_without_end() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let [mut inner, _far] = [nested(one, two, 1), nested(two, one, 2)];
    let target = "10.98.0.2".parse().unwrap();
    assert_answers(one.netns(), target);
    // The outer device is now reached through the inner one, and that through the outer.
    one.device.set(&Changes::new().peer(two.key()).endpoint(SocketAddr::new(target, 7))).unwrap();
    let sent = || {
        let of = |device: &Device| {
            device.get().unwrap().peers.values().map(|peer| peer.tx_bytes).sum::<u64>()
        };
        of(&one.device) + of(&inner)
    };
    let before = sent();
    for _ in 0..10 {
        assert!(ping(one.netns(), target, NEVER).is_err(), "there is no way to it");
    }
    let grown = sent() - before;
    assert!(grown < FEW, "{grown} bytes for ten echoes");
    assert!(inner.is_running());
    tunnel.introduce(Family::V4).unwrap();
    assert_answers(one.netns(), target);
}

#[test]
fn a_packet_for_the_devices_own_endpoint_is_not_its_end() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    // It talks to itself: what arrives is from nobody it knows.
    let capture = Capture::start(two.netns(), UNDERLAY).unwrap();
    let itself = SocketAddr::new(one.endpoint(Family::V4).ip(), PORT);
    one.device.set(&Changes::new().peer(two.key()).endpoint(itself)).unwrap();
    assert!(ping(one.netns(), two.inner(Family::V4), NEVER).is_err());
    assert_eq!(capture.datagrams(), []);
    one.device.set(&Changes::new().peer(two.key()).endpoint(two.endpoint(Family::V4))).unwrap();
    eventually(LIMIT, "it finds its peer again", || {
        ping(one.netns(), two.inner(Family::V4), NEVER).ok()
    })
    .unwrap();
}
