//! What is changed, removed or taken away while traffic flows.
//!
//! Red when: a change waits for the next session, something removed still answers, or the device outlives its
//! interface or its socket.

use std::time::Duration;

use mesh_tests::daemon::STOP_LIMIT;
use mesh_tests::fabric::UNDERLAY;
use mesh_tests::route::{Route, add_rule_for_mark};
use mesh_tests::traffic::{PingStream, Transfer, ping};
use mesh_tests::wireguard::message::{Kind, is_keepalive};
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{Capture, Datagram, End, Family, PORT, Star, Tunnel};
use mesh_tests::{eventually, link, needs_namespaces};

use crate::{LIMIT, NEVER, assert_answers, assert_reaches, assert_silent, pair, program, receiver};

/// Bytes of a transfer that is under way when something happens.
const LONG: u64 = 2_000_000_000;

/// Runs `happening` while echoes flow from end 1 to end 2, and a transfer back.
fn under_traffic<T>(tunnel: &Tunnel, happening: impl FnOnce() -> T) -> T {
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let target = two.inner(Family::V4);
    let stream = PingStream::start(one.netns(), target, Duration::from_millis(1)).unwrap();
    let (to, from) = (one.netns().clone(), two.netns().clone());
    let address = one.inner(Family::V4);
    let before = two.sees(one).unwrap().tx_bytes;
    let bulk = std::thread::spawn(move || {
        Transfer { pace: Some(20_000_000), ..Transfer::of(LONG, 41) }.run(&from, &to, address)
    });
    eventually(LIMIT, "the transfer is under way", || {
        (two.sees(one).ok()?.tx_bytes > before + 1_000_000).then_some(())
    })
    .unwrap();
    let outcome = happening();
    // The transfer cannot end well; it stalls or its addresses are gone. It ends with the test's process.
    drop(bulk);
    stream.stop().unwrap();
    outcome
}

#[test]
fn a_peer_removed_under_traffic_is_gone_and_comes_back() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    under_traffic(&tunnel, || {
        for _ in 0..10 {
            two.device.set(&Changes::new().peer(one.key()).remove()).unwrap();
            assert!(two.device.get().unwrap().peers.is_empty());
            assert!(ping(one.netns(), two.inner(Family::V4), NEVER).is_err(), "it is no peer");
            two.device.set(&End::as_peer(one)).unwrap();
        }
    });
    two.device.set(&Changes::new().replace_peers()).unwrap();
    assert!(two.device.get().unwrap().peers.is_empty());
    assert_silent(one, two);
    two.device.set(&End::as_peer(one)).unwrap();
    tunnel.introduce(Family::V4).unwrap();
    assert_reaches(two, one);
    assert_reaches(one, two);
}

#[test]
fn a_device_ends_when_its_interface_is_removed_under_traffic() {
    needs_namespaces!();
    let mut tunnel = pair();
    assert_reaches(tunnel.end(1), tunnel.end(2));
    under_traffic(&tunnel, || {
        let device = &tunnel.end(2).device;
        link::remove(device.netns(), device.interface()).unwrap();
    });
    let device = &mut tunnel.end_mut(2).device;
    device.process().wait_exit(STOP_LIMIT).unwrap();
    assert!(!device.socket().path().exists(), "the socket is gone, too");
}

#[test]
fn a_device_ends_when_its_socket_is_removed() {
    needs_namespaces!();
    let mut tunnel = pair();
    assert_reaches(tunnel.end(1), tunnel.end(2));
    let device = &mut tunnel.end_mut(2).device;
    std::fs::remove_file(device.socket().path()).unwrap();
    device.process().wait_exit(STOP_LIMIT).unwrap();
    assert!(
        !link::exists(device.netns(), device.interface()).unwrap(),
        "the interface is gone, too"
    );
}

#[test]
fn a_device_that_is_asked_to_end_takes_its_interface_and_socket_along() {
    needs_namespaces!();
    let mut tunnel = pair();
    assert_reaches(tunnel.end(1), tunnel.end(2));
    let device = &mut tunnel.end_mut(2).device;
    device.process().terminate().unwrap();
    assert!(!link::exists(device.netns(), device.interface()).unwrap());
    assert!(!device.socket().path().exists());
}

/// Waits until `count` more datagrams have come to `capture`: a clock that somebody else keeps.
fn wait_for_datagrams(capture: &Capture, count: usize) {
    let mut seen = 0;
    eventually(LIMIT, "datagrams come", || {
        seen += capture.datagrams().len();
        (seen >= count).then_some(())
    })
    .unwrap();
}

/// `end` keeps in touch with `other`, and says so every second.
fn keep_in_touch(end: &End, other: &End) {
    let place = other.endpoint(Family::V4);
    end.device.set(&End::as_peer(other).endpoint(place).keepalive(1)).unwrap();
}

#[test]
fn an_interface_switched_off_is_silent_and_comes_back() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    keep_in_touch(one, two);
    keep_in_touch(two, one);
    assert_reaches(one, two);
    let [at_one, at_two] = [one, two].map(|end| Capture::start(end.netns(), UNDERLAY).unwrap());
    link::down(two.netns(), two.device.interface()).unwrap();
    // One more may have been on its way.
    wait_for_datagrams(&at_two, 1);
    at_one.datagrams();
    assert!(ping(one.netns(), two.inner(Family::V4), NEVER).is_err());
    wait_for_datagrams(&at_two, 3);
    assert_eq!(at_one.datagrams(), [], "no keepalive");
    // A stranger now, the other end asks for a handshake again and again.
    one.device.set(&Changes::new().peer(two.key()).remove()).unwrap();
    keep_in_touch(one, two);
    wait_for_datagrams(&at_two, 4);
    assert_eq!(at_one.datagrams(), [], "no answer");
    one.device.set(&Changes::new().peer(two.key()).remove()).unwrap();
    one.device.set(&End::as_peer(two)).unwrap();
    two.device.up().unwrap();
    at_one.wait_for_messages(LIMIT, Kind::Initiation, 1).unwrap();
    // Its IPv6 addresses did not outlive the switch.
    assert_answers(one.netns(), two.inner(Family::V4));
    assert_answers(two.netns(), one.inner(Family::V4));
}

#[test]
fn what_is_configured_before_the_interface_is_switched_on_sends_nothing() {
    needs_namespaces!();
    let program = program();
    let tunnel = Tunnel::new(&[&program, &program], 0).unwrap();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let [at_one, at_two] = [one, two].map(|end| Capture::start(end.netns(), UNDERLAY).unwrap());
    link::down(two.netns(), two.device.interface()).unwrap();
    keep_in_touch(two, one);
    keep_in_touch(one, two);
    wait_for_datagrams(&at_two, 4);
    assert_eq!(at_one.datagrams(), []);
    // What is sent in the very moment is not lost for that.
    two.device.up().unwrap();
    ping(two.netns(), one.inner(Family::V4), LIMIT).unwrap();
}

#[test]
fn a_port_changed_under_traffic_loses_no_session() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let handshakes = [one, two].map(|end| Capture::start(end.netns(), UNDERLAY).unwrap());
    under_traffic(&tunnel, || {
        for port in 4_000..4_010 {
            one.device.set(&Changes::new().listen_port(port)).unwrap();
            eventually(LIMIT, "the other end follows", || {
                let seen = two.sees(one).unwrap().endpoint?;
                (seen.port() == port).then_some(())
            })
            .unwrap();
        }
    });
    for capture in handshakes {
        let handshake = |seen: &Datagram| Kind::of(&seen.payload) == Some(Kind::Initiation);
        assert!(!capture.datagrams().iter().any(handshake), "the session goes on");
    }
}

#[test]
fn the_port_nobody_asked_for_is_chosen_and_told() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    one.device.set(&Changes::new().listen_port(0)).unwrap();
    let chosen = one.device.get().unwrap().listen_port;
    assert_ne!(chosen, 0);
    assert_reaches(one, two);
    assert_eq!(two.sees(one).unwrap().endpoint.map(|place| place.port()), Some(chosen));
}

#[test]
fn a_port_that_is_taken_is_refused_and_the_old_one_kept() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let taken = receiver(one.netns(), [0; 4].into());
    let port = taken.local_addr().unwrap().port();
    assert!(one.device.set(&Changes::new().listen_port(port)).is_err());
    assert_eq!(one.device.get().unwrap().listen_port, PORT);
    assert_reaches(two, one);
    assert_reaches(one, two);
}

/// A mark, and the table of the routes that hold for it: any number that is not taken.
const MARK: u32 = 51_820;

#[test]
fn a_mark_chooses_the_route_of_everything_sent() {
    needs_namespaces!();
    for family in Family::BOTH {
        let program = program();
        let tunnel = Tunnel::new(&[&program, &program], 0).unwrap();
        tunnel.introduce(family).unwrap();
        let [one, two] = [tunnel.end(1), tunnel.end(2)];
        let there = two.endpoint(family).ip();
        let router = match family {
            Family::V4 => Star::v4(1, 1),
            Family::V6 => Star::v6(1, 1),
        };
        // Unmarked, it leads into the void of the loopback interface.
        Route::host(there, "lo").add(one.netns()).unwrap();
        Route::host(there, UNDERLAY).via(router).in_table(MARK).add(one.netns()).unwrap();
        add_rule_for_mark(one.netns(), MARK, MARK).unwrap();
        assert_silent(one, two);
        one.device.set(&Changes::new().fwmark(MARK)).unwrap();
        assert_eq!(one.device.get().unwrap().fwmark, MARK);
        assert_reaches(one, two);
        one.device.set(&Changes::new().fwmark(0)).unwrap();
        assert_eq!(one.device.get().unwrap().fwmark, 0);
        assert_silent(one, two);
        one.device.set(&Changes::new().fwmark(MARK)).unwrap();
        assert_reaches(one, two);
    }
}

/// Counts the keepalives that have arrived.
fn keepalives(capture: &Capture) -> usize {
    capture.datagrams().iter().filter(|seen| is_keepalive(&seen.payload)).count()
}

#[test]
fn keepalives_are_switched_on_and_off() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let at_two = Capture::start(two.netns(), UNDERLAY).unwrap();
    one.device.set(&Changes::new().peer(two.key()).keepalive(1)).unwrap();
    assert_eq!(one.sees(two).unwrap().keepalive, 1);
    let mut seen = 0;
    eventually(LIMIT, "keepalives come by themselves, and a session for them", || {
        seen += keepalives(&at_two);
        (seen >= 3).then_some(())
    })
    .unwrap();
    assert!(!two.sees(one).unwrap().last_handshake.is_zero());

    // The other end's keepalives are the clock.
    let at_one = Capture::start(one.netns(), UNDERLAY).unwrap();
    two.device.set(&Changes::new().peer(one.key()).keepalive(1)).unwrap();
    one.device.set(&Changes::new().peer(two.key()).keepalive(0)).unwrap();
    assert_eq!(one.sees(two).unwrap().keepalive, 0);
    let mut ticks = 0;
    // The first still answers what went before.
    eventually(LIMIT, "the other end's keepalive comes", || {
        ticks += keepalives(&at_one);
        (ticks >= 1).then_some(())
    })
    .unwrap();
    keepalives(&at_two);
    eventually(LIMIT, "four more come", || {
        ticks += keepalives(&at_one);
        (ticks >= 5).then_some(())
    })
    .unwrap();
    assert_eq!(keepalives(&at_two), 0);
}
