//! A peer that moves is followed, in every direction.
//!
//! Red when: the endpoint is not taken from what arrives, only from handshakes, or only at one end.

use std::net::SocketAddr;

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{End, Family, PORT, Star, Tunnel};
use mesh_tests::{link, needs_namespaces};

use crate::{assert_reaches, pair, pair_over, program};

/// The other of two ends.
const fn other(number: usize) -> usize {
    3 - number
}

/// Asserts that `mover` can be heard, that `watcher` then sees it at `place`, and answers there.
fn assert_followed(watcher: &End, mover: &End, place: SocketAddr) {
    assert_reaches(mover, watcher);
    assert_eq!(watcher.sees(mover).unwrap().endpoint, Some(place));
    assert_reaches(watcher, mover);
    assert_eq!(watcher.sees(mover).unwrap().endpoint, Some(place));
}

#[test]
fn an_end_that_changes_its_port_is_followed() {
    needs_namespaces!();
    let tunnel = pair();
    assert_reaches(tunnel.end(1), tunnel.end(2));
    for (number, port) in [(1, 9_999), (2, 9_998), (1, 9_997)] {
        let (mover, watcher) = (tunnel.end(number), tunnel.end(other(number)));
        mover.device.set(&Changes::new().listen_port(port)).unwrap();
        assert_eq!(mover.device.get().unwrap().listen_port, port);
        let place = SocketAddr::new(mover.endpoint(Family::V4).ip(), port);
        assert_followed(watcher, mover, place);
    }
}

#[test]
fn an_end_that_changes_its_address_is_followed() {
    needs_namespaces!();
    for family in Family::BOTH {
        let tunnel = pair_over(family);
        assert_reaches(tunnel.end(1), tunnel.end(2));
        for number in [1, 2] {
            let (mover, watcher) = (tunnel.end(number), tunnel.end(other(number)));
            let (old, new) = match family {
                Family::V4 => (Star::v4(number, 2), Star::v4(number, 9)),
                Family::V6 => (Star::v6(number, 2), Star::v6(number, 9)),
            };
            tunnel.star().add_address(number, new).unwrap();
            link::remove_address(mover.netns(), UNDERLAY, old).unwrap();
            assert_followed(watcher, mover, SocketAddr::new(new, PORT));
        }
    }
}

#[test]
fn an_end_that_changes_the_family_is_followed_there_and_back() {
    needs_namespaces!();
    let tunnel = pair();
    assert_reaches(tunnel.end(1), tunnel.end(2));
    for (number, family) in [(1, Family::V6), (2, Family::V4), (2, Family::V6), (1, Family::V4)] {
        let (mover, watcher) = (tunnel.end(number), tunnel.end(other(number)));
        let to = watcher.endpoint(family);
        mover.device.set(&Changes::new().peer(watcher.key()).endpoint(to)).unwrap();
        assert_followed(watcher, mover, mover.endpoint(family));
    }
}

#[test]
fn an_end_that_is_told_no_address_learns_it() {
    needs_namespaces!();
    let program = program();
    for family in Family::BOTH {
        let tunnel = Tunnel::new(&[&program, &program], 0).unwrap();
        let [one, two] = [tunnel.end(1), tunnel.end(2)];
        one.device.set(&End::as_peer(two).endpoint(two.endpoint(family))).unwrap();
        two.device.set(&End::as_peer(one)).unwrap();
        assert_eq!(two.sees(one).unwrap().endpoint, None);
        assert_followed(two, one, one.endpoint(family));
    }
}
