//! Tunnels inside tunnels, and tunnels that lead into themselves.
//!
//! Red when: a device that is handed its own messages wraps them again and again, or does not come back from it.

use std::net::{IpAddr, SocketAddr};

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::traffic::{Transfer, ping};
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{Capture, Device, End, Family, PORT, SecretKey};
use mesh_tests::{eventually, needs_namespaces};

use crate::{LIMIT, NEVER, assert_answers, assert_reaches, pair, program};

/// A second device at an end, that reaches its like through the first; and a third, that does so through
/// the second.
#[derive(Clone, Copy)]
struct Layer {
    depth: u8,
    /// What it takes: so much less than the one below that it fits in there.
    mtu: u32,
}

const SECOND: Layer = Layer { depth: 1, mtu: 1_280 };
const THIRD: Layer = Layer { depth: 2, mtu: 1_200 };

impl Layer {
    /// The address of end `number` in it.
    fn inner(self, number: usize) -> IpAddr {
        IpAddr::from([10, 100 + self.depth, 0, number as u8])
    }

    /// Its device at `end`, whose like is at `there`, inside the layer below.
    fn device(self, end: &End, there: IpAddr) -> Device {
        let number = end.number();
        let key = |number: usize| SecretKey::numbered(10 * usize::from(self.depth) + number);
        let port = PORT + u16::from(self.depth);
        let device = Device::start(&program(), end.netns()).unwrap();
        let changes = Changes::new().private_key(&key(number)).listen_port(port);
        let changes = changes.peer(key(3 - number).public()).endpoint(SocketAddr::new(there, port));
        device.set(&changes.allowed_ip(&format!("{}/24", self.inner(0)))).unwrap();
        device.set_mtu(self.mtu).unwrap();
        device.add_address(self.inner(number), 24).unwrap();
        device.up().unwrap();
        device
    }
}

/// The second devices of both ends.
fn second([one, two]: [&End; 2]) -> [Device; 2] {
    [(one, two), (two, one)].map(|(end, other)| SECOND.device(end, other.inner(Family::V6)))
}

fn assert_carries([one, two]: [&End; 2], target: IpAddr) {
    assert_answers(one.netns(), target);
    let transfer = Transfer::of(4_000_000, 31);
    transfer.check(&transfer.run(one.netns(), two.netns(), target).unwrap()).unwrap();
}

#[test]
fn a_tunnel_through_a_tunnel_carries_everything() {
    needs_namespaces!();
    let tunnel = pair();
    let ends = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(ends[0], ends[1]);
    let _devices = second(ends);
    assert_carries(ends, SECOND.inner(2));
}

#[test]
fn and_so_does_a_third_tunnel_through_both() {
    needs_namespaces!();
    let tunnel = pair();
    let ends = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(ends[0], ends[1]);
    let _second = second(ends);
    assert_answers(ends[0].netns(), SECOND.inner(2));
    let _third =
        [(ends[0], 2), (ends[1], 1)].map(|(end, other)| THIRD.device(end, SECOND.inner(other)));
    assert_carries(ends, THIRD.inner(2));
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
fn two_tunnels_that_lead_into_each_other_do_not_wrap_without_end() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let [mut inner, _far] = second([one, two]);
    let target = SECOND.inner(2);
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
