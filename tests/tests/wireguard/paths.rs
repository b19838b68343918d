//! What the network between may do to packets.
//!
//! Red when: messages longer than a link on the way never arrive, data messages are not padded and tell the
//! length of what they carry, or padding makes them longer than the interface allows.

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::traffic::{echo_datagrams, ping};
use mesh_tests::wireguard::message::{DATA_OVERHEAD, Kind};
use mesh_tests::wireguard::{Capture, Family, Star};
use mesh_tests::{eventually, link, needs_namespaces};

use crate::{LIMIT, assert_reaches, pair_over};

#[test]
fn a_shorter_link_on_the_way_is_found() {
    needs_namespaces!();
    for family in Family::BOTH {
        let tunnel = pair_over(family);
        let [one, two] = [tunnel.end(1), tunnel.end(2)];
        assert_reaches(one, two);
        // Only the router and the far end know.
        link::set_mtu(tunnel.star().hub(), &Star::port(2), 1_300).unwrap();
        link::set_mtu(two.netns(), UNDERLAY, 1_300).unwrap();
        eventually(LIMIT, "a long packet gets through", || {
            echo_datagrams(one.netns(), two.netns(), two.inner(Family::V4), &[1_392]).ok()
        })
        .unwrap();
    }
}

#[test]
fn packets_are_padded_to_sixteen_bytes_but_not_beyond_the_interface() {
    needs_namespaces!();
    let tunnel = pair_over(Family::V4);
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    tunnel.set_mtu(1_500, 1_301).unwrap();
    assert_reaches(one, two);
    let capture = Capture::start(two.netns(), UNDERLAY).unwrap();
    let longest = 1_301 - Family::V4.udp_headers();
    let lengths = [0, 1, 4, 5, 100, 777, longest - 5, longest - 4, longest];
    echo_datagrams(one.netns(), two.netns(), two.inner(Family::V4), &lengths).unwrap();
    ping(one.netns(), two.inner(Family::V4), LIMIT).unwrap();
    let carried: Vec<usize> = capture
        .datagrams()
        .iter()
        .filter(|seen| Kind::of(&seen.payload) == Some(Kind::Data))
        .map(|seen| seen.payload.len() - DATA_OVERHEAD)
        .collect();
    assert!(carried.len() > lengths.len(), "{carried:?}");
    assert!(
        carried.contains(&1_301),
        "the longest is as long as the interface allows: {carried:?}"
    );
    for len in carried {
        assert!(len % 16 == 0 || len == 1_301, "a packet of {len} bytes");
    }
}
