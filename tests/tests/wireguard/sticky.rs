//! Sticky source addresses: a peer is answered from the address it sent to, for as long as there is one.
//!
//! Red when: the kernel chooses the source of every message, or a source that is gone is held on to.

use std::net::{IpAddr, SocketAddr};

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::link::{self, End as CableEnd};
use mesh_tests::route::Route;
use mesh_tests::traffic::ping;
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{End, Family, PORT, Star};
use mesh_tests::{eventually, needs_namespaces};

use crate::{LIMIT, NEVER, assert_reaches, pair_over};

/// Asks `asked` at `address`, and asserts that the answers come from there.
fn assert_answers_from(asker: &End, asked: &End, address: IpAddr) {
    let place = SocketAddr::new(address, PORT);
    asker.device.set(&Changes::new().peer(asked.key()).endpoint(place)).unwrap();
    // An endpoint that is told is forgotten for one that is heard from: were the answers to come from
    // elsewhere, it would show.
    assert_reaches(asker, asked);
    assert_eq!(asker.sees(asked).unwrap().endpoint, Some(place));
    assert_reaches(asked, asker);
    assert_eq!(asker.sees(asked).unwrap().endpoint, Some(place));
}

fn more_addresses(family: Family) -> [IpAddr; 3] {
    [2, 8, 9].map(|last| match family {
        Family::V4 => Star::v4(1, last),
        Family::V6 => Star::v6(1, last),
    })
}

#[test]
fn a_peer_is_answered_from_the_address_it_sent_to() {
    needs_namespaces!();
    for family in Family::BOTH {
        let tunnel = pair_over(family);
        let [one, two] = [tunnel.end(1), tunnel.end(2)];
        let addresses = more_addresses(family);
        for added in &addresses[1..] {
            tunnel.star().add_address(1, *added).unwrap();
        }
        for address in addresses.into_iter().chain([addresses[0]]) {
            assert_answers_from(two, one, address);
        }
    }
}

#[test]
fn a_peer_is_answered_from_an_address_of_another_interface() {
    needs_namespaces!();
    for (family, address) in Family::BOTH.into_iter().zip(["10.50.0.1", "fd50::1"]) {
        let tunnel = pair_over(family);
        let [one, two] = [tunnel.end(1), tunnel.end(2)];
        let address: IpAddr = address.parse().unwrap();
        link::add_address(one.netns(), "lo", address, mesh_tests::route::bits_of(address)).unwrap();
        let hub = tunnel.star().hub();
        Route::host(address, &Star::port(1)).via(one.endpoint(family).ip()).add(hub).unwrap();
        assert_answers_from(two, one, address);
    }
}

#[test]
fn an_address_that_is_gone_is_not_held_on_to() {
    needs_namespaces!();
    for family in Family::BOTH {
        let tunnel = pair_over(family);
        let [one, two] = [tunnel.end(1), tunnel.end(2)];
        let [first, second, _] = more_addresses(family);
        assert_answers_from(two, one, first);
        tunnel.star().add_address(1, second).unwrap();
        link::remove_address(one.netns(), UNDERLAY, first).unwrap();
        assert_reaches(one, two);
        assert_eq!(two.sees(one).unwrap().endpoint, Some(SocketAddr::new(second, PORT)));
        assert_reaches(two, one);
    }
}

#[test]
fn a_better_way_through_another_interface_is_taken() {
    needs_namespaces!();
    let tunnel = pair_over(Family::V4);
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let (hub, [here, router]) =
        (tunnel.star().hub(), ["10.78.0.2", "10.78.0.1"].map(|text| text.parse().unwrap()));
    link::veth(
        &CableEnd { netns: one.netns(), name: "eth1", mac: None },
        &CableEnd { netns: hub, name: "better", mac: None },
    )
    .unwrap();
    link::add_address(one.netns(), "eth1", here, 24).unwrap();
    link::add_address(hub, "better", router, 24).unwrap();
    Route::host(two.endpoint(Family::V4).ip(), "eth1").via(router).add(one.netns()).unwrap();
    // Some hear of routes from the kernel, a moment later.
    eventually(LIMIT, "the better way is taken", || {
        ping(one.netns(), two.inner(Family::V4), NEVER).ok()?;
        (two.sees(one).unwrap().endpoint == Some(SocketAddr::new(here, PORT))).then_some(())
    })
    .unwrap();
    assert_reaches(two, one);
}
