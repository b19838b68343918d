//! What users send arrives as it was sent: both families inside, over both outside, at every size.
//!
//! Red when: a packet is lost, cut or padded visibly, offloaded packets are split wrongly, a size is off by one, a
//! length that does not fit the link below is dropped, the counters count something else.

use mesh_tests::needs_namespaces;
use mesh_tests::traffic::{Transfer, echo_datagrams, ping};
use mesh_tests::wireguard::{End, Family, Tunnel};

use crate::{LIMIT, assert_none_is_lost, assert_order_is_kept, assert_reaches, pair, pair_over};

/// Bytes of one transfer: enough for full super-packets and a window that opens.
const BULK: u64 = 8_000_000;

/// The headers a packet gets from the tunnel over IPv6, the larger of the two: 40 and 8, and 32 of WireGuard.
pub(crate) const OVERHEAD: u32 = 80;

/// Sends everything from each end to the other. `inside` is the longest packet.
pub(crate) fn carries_everything(tunnel: &Tunnel, inside: u32) {
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    for (from, to) in [(one, two), (two, one)] {
        for family in Family::BOTH {
            carries(from, to, family, inside as usize - family.udp_headers());
        }
    }
}

fn carries(from: &End, to: &End, family: Family, longest: usize) {
    let target = to.inner(family);
    for _ in 0..10 {
        ping(from.netns(), target, LIMIT).unwrap();
    }
    // Around the 16 bytes that packets are padded to, and around the longest that fits.
    let lengths = [0, 1, 3, 4, 15, 16, 17, 500, longest - 16, longest - 1, longest];
    echo_datagrams(from.netns(), to.netns(), target, &lengths).unwrap();
    assert_none_is_lost(from, to, family);
    assert_order_is_kept(from, to, family);
    let transfer = Transfer::of(BULK, 21);
    let report = transfer.run(from.netns(), to.netns(), target).unwrap();
    transfer.check(&report).unwrap();
}

fn at(outside: u32, inside: u32) {
    for family in Family::BOTH {
        let tunnel = pair_over(family);
        tunnel.set_mtu(outside, inside).unwrap();
        carries_everything(&tunnel, inside);
    }
}

#[test]
fn everything_is_carried_over_a_usual_link() {
    needs_namespaces!();
    at(1_500, 1_500 - OVERHEAD);
}

#[test]
fn everything_is_carried_over_the_shortest_link_that_can() {
    needs_namespaces!();
    at(1_280 + OVERHEAD, 1_280);
}

#[test]
fn everything_is_carried_over_a_jumbo_link() {
    needs_namespaces!();
    at(9_000, 9_000 - OVERHEAD);
}

#[test]
fn everything_is_carried_when_packets_are_longer_than_the_link_below() {
    needs_namespaces!();
    at(1_280, 1_420);
}

#[test]
fn everything_is_carried_in_packets_as_long_as_the_kernels_own_test_sends() {
    needs_namespaces!();
    at(65_535, 34_816 - OVERHEAD);
}

#[test]
fn many_streams_share_a_tunnel() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    for streams in [4, 5, 50] {
        std::thread::scope(|scope| {
            for stream in 0..streams {
                scope.spawn(move || {
                    let transfer = Transfer::of(BULK / streams, stream);
                    let (from, to) = if stream % 2 == 0 { (one, two) } else { (two, one) };
                    let target = to.inner(Family::V4);
                    let report = transfer.run(from.netns(), to.netns(), target).unwrap();
                    transfer.check(&report).unwrap();
                });
            }
        });
    }
}

/// Bytes on the wire of one echo: 84 of packet padded to 96, and 32 of WireGuard.
const ECHO: u64 = 128;

#[test]
fn a_handshake_and_ten_echoes_are_counted_to_the_byte() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    // IPv4 first: nothing but the echoes may be sent, and neighbours look for each other in IPv6.
    for _ in 0..10 {
        ping(one.netns(), two.inner(Family::V4), LIMIT).unwrap();
    }
    let (at_one, at_two) = (one.sees(two).unwrap(), two.sees(one).unwrap());
    // An initiation is 148 bytes, a response 92; a keepalive of 32 confirms the session when the first
    // packet did not.
    for (received, initiated, responded) in [
        (at_one.rx_bytes, at_one.tx_bytes, at_one.rx_bytes),
        (at_two.tx_bytes, at_two.rx_bytes, at_two.tx_bytes),
    ] {
        assert_eq!((received, responded), (92 + 10 * ECHO, 92 + 10 * ECHO));
        let expected = 148 + 10 * ECHO;
        assert!(initiated == expected || initiated == expected + 32, "{initiated}");
    }
    assert!(!at_one.last_handshake.is_zero() && !at_two.last_handshake.is_zero());
}

#[test]
fn an_idle_tunnel_loses_no_echo() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    for _ in 0..500 {
        ping(one.netns(), two.inner(Family::V6), LIMIT).unwrap();
    }
}
