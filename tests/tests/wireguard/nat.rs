//! Address translation between the ends.
//!
//! Red when: the endpoint behind the translation is not learnt, keepalives are not sent as often as asked, or a
//! translation that has changed is not followed.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use mesh_tests::fabric::UNDERLAY;
use mesh_tests::traffic::ping;
use mesh_tests::wireguard::message::is_keepalive;
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{Capture, End, Family, Program, Star, Tunnel};
use mesh_tests::{Netns, eventually, link, needs_namespaces, rights};

use crate::{LIMIT, NEVER, assert_reaches, program};

/// How long the router remembers who sent a datagram, in seconds: keepalives of one second keep it, those of
/// ten that answer data do not.
const MEMORY: &str = "2";

/// What host 1 sends through the router gets the router's address and a port from `ports`.
fn translate(hub: &Netns, ports: &str) {
    let rules = format!(
        "add table ip translation\n\
         flush table ip translation\n\
         add chain ip translation out {{ type nat hook postrouting priority 100; }}\n\
         add rule ip translation out iifname {} ip protocol udp masquerade to {ports}\n",
        Star::port(1)
    );
    let mut nft = hub
        .run(|| Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap())
        .unwrap();
    nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success(), "nft takes\n{rules}");
}

/// A host behind the router's translation and one that only the router can reach.
fn translated() -> Option<Tunnel> {
    if Program::find("nft").is_none() {
        rights::report_skip("wireguard::nat", "nft is not installed");
        return None;
    }
    let program = program();
    let tunnel = Tunnel::new(&[&program, &program], 0).unwrap();
    let hub = tunnel.star().hub();
    translate(hub, ":6000-6000");
    hub.run(|| {
        for key in ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"] {
            std::fs::write(format!("/proc/sys/net/netfilter/{key}"), MEMORY).unwrap();
        }
    })
    .unwrap();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    one.device.set(&End::as_peer(two).endpoint(two.endpoint(Family::V4))).unwrap();
    two.device.set(&End::as_peer(one)).unwrap();
    Some(tunnel)
}

/// Waits for `count` keepalives, a second apart, to arrive at `end`.
fn wait_for_keepalives(capture: &Capture, count: usize) {
    let mut seen = 0;
    eventually(LIMIT, &format!("{count} keepalives arrive"), || {
        seen += capture.datagrams().iter().filter(|seen| is_keepalive(&seen.payload)).count();
        (seen >= count).then_some(())
    })
    .unwrap();
}

fn keepalive(from: &End, to: &End, seconds: u16) {
    from.device.set(&Changes::new().peer(to.key()).keepalive(seconds)).unwrap();
}

#[test]
fn keepalives_keep_the_way_back_through_a_translation_open() {
    needs_namespaces!();
    let Some(tunnel) = translated() else { return };
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    keepalive(one, two, 1);
    assert_reaches(one, two);
    assert_eq!(two.sees(one).unwrap().endpoint, Some((Star::v4(2, 1), 6_000).into()));
    assert_reaches(two, one);
    // Longer than the router remembers.
    let capture = Capture::start(two.netns(), UNDERLAY).unwrap();
    wait_for_keepalives(&capture, 5);
    ping(two.netns(), one.inner(Family::V4), Duration::from_secs(1)).unwrap();
    assert_eq!(two.sees(one).unwrap().endpoint, Some((Star::v4(2, 1), 6_000).into()));
}

#[test]
fn a_translation_that_changes_is_followed() {
    needs_namespaces!();
    let Some(tunnel) = translated() else { return };
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let hub = tunnel.star().hub();
    translate(hub, ":6001-6001");
    // What was translated before stays so until the cable is pulled.
    link::down(hub, &Star::port(2)).unwrap();
    link::up(hub, &Star::port(2)).unwrap();
    eventually(LIMIT, "the router's new port is followed", || {
        ping(one.netns(), two.inner(Family::V4), NEVER).ok()?;
        (two.sees(one).unwrap().endpoint == Some((Star::v4(2, 1), 6_001).into())).then_some(())
    })
    .unwrap();
    ping(two.netns(), one.inner(Family::V4), LIMIT).unwrap();
}
