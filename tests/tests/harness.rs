//! The lab must be right before it may judge: namespaces, cables, the wire's misbehaviour, the traffic
//! tools and the process harness, without the programs under test.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use mesh_tests::daemon::Daemon;
use mesh_tests::fabric::{Fabric, UNDERLAY, underlay_v4, underlay_v6};
use mesh_tests::traffic::{PingStream, Transfer, ping};
use mesh_tests::wire::{Rule, Wire};
use mesh_tests::{Netns, eventually, link, needs_namespaces};

const LIMIT: Duration = Duration::from_secs(5);

/// Host 1 and host 2 on a bridge or on a wire.
fn two_hosts(fabric: &Fabric) -> [Netns; 2] {
    [1, 2].map(|number| {
        let netns = Netns::anonymous(&format!("n{number}")).unwrap();
        fabric.attach(number, &netns).unwrap();
        netns
    })
}

fn wire() -> Fabric {
    Fabric::Wire(Wire::new(1).unwrap())
}

fn addresses_of_host_two() -> [IpAddr; 2] {
    [underlay_v4(2).into(), underlay_v6(2).into()]
}

#[test]
fn a_bridge_carries_pings_and_bulk_of_both_families() {
    needs_namespaces!();
    let fabric = Fabric::bridge(Netns::anonymous("hub").unwrap()).unwrap();
    carries_everything(&fabric);
}

#[test]
fn a_wire_carries_pings_and_bulk_of_both_families() {
    needs_namespaces!();
    carries_everything(&wire());
}

fn carries_everything(fabric: &Fabric) {
    let [one, two] = two_hosts(fabric);
    for address in addresses_of_host_two() {
        ping(&one, address, LIMIT).unwrap();
        let transfer = Transfer::of(20_000_000, 7);
        let report = transfer.run(&one, &two, address).unwrap();
        transfer.check(&report).unwrap();
    }
}

#[test]
fn a_transfer_that_arrives_otherwise_is_not_whole() {
    needs_namespaces!();
    let fabric = wire();
    let [one, two] = two_hosts(&fabric);
    let report = Transfer::of(100_000, 7).run(&one, &two, underlay_v4(2).into()).unwrap();
    assert!(report.is_whole(&Transfer::of(100_000, 7)));
    assert!(!report.is_whole(&Transfer::of(100_001, 7)));
    let other = Transfer::of(100_000, 8).run(&one, &two, underlay_v4(2).into());
    assert_ne!(other.unwrap().sent_hash, report.sent_hash);
}

#[test]
fn latency_is_added_in_each_direction() {
    needs_namespaces!();
    let fabric = wire();
    let [one, _two] = two_hosts(&fabric);
    fabric.wire().rule_for_all(Rule { latency: Duration::from_millis(20), loss: 0.0 });
    // Address resolution takes its own round trip: the first ping is not the one to look at.
    ping(&one, underlay_v4(2).into(), LIMIT).unwrap();
    let round_trip = ping(&one, underlay_v4(2).into(), LIMIT).unwrap();
    assert!(round_trip >= Duration::from_millis(40), "{round_trip:?}");
}

#[test]
fn losses_happen_in_the_direction_asked_for_and_are_counted() {
    needs_namespaces!();
    let fabric = wire();
    let [one, _two] = two_hosts(&fabric);
    ping(&one, underlay_v4(2).into(), LIMIT).unwrap();
    let lossy = Rule { latency: Duration::ZERO, loss: 0.5 };
    fabric.wire().rule(1, 2, lossy);
    let stream = PingStream::start(&one, underlay_v4(2).into(), Duration::from_millis(2)).unwrap();
    // A crowded machine sends far fewer than one frame every two milliseconds.
    eventually(6 * LIMIT, "200 frames meet the rule", || {
        let count = fabric.wire().count(1, 2);
        (count.forwarded + count.lost >= 200).then_some(())
    })
    .unwrap();
    let report = stream.stop().unwrap();
    assert!(report.received < report.sent, "{report:?}");
    assert!(fabric.wire().count(1, 2).lost > 50);
    assert_eq!(fabric.wire().count(2, 1).lost, 0);
}

#[test]
fn an_isolated_host_is_silent_until_healed_and_the_gap_is_measured() {
    needs_namespaces!();
    let fabric = wire();
    let [one, _two] = two_hosts(&fabric);
    let target = underlay_v6(2).into();
    ping(&one, target, LIMIT).unwrap();

    let stream = PingStream::start(&one, target, Duration::from_millis(5)).unwrap();
    fabric.wire().isolate(2);
    let isolated = Instant::now();
    assert!(ping(&one, target, Duration::from_millis(300)).is_err());
    eventually(LIMIT, "frames meet the cut", || (fabric.wire().count(1, 2).cut > 10).then_some(()))
        .unwrap();
    let silence = isolated.elapsed();
    fabric.wire().heal();
    ping(&one, target, LIMIT).unwrap();
    let report = stream.stop().unwrap();

    // Echoes on their way when the cut began, or read late, shorten the gap.
    assert!(report.longest_gap >= silence / 2, "{report:?}, silent for {silence:?}");
}

#[test]
fn a_cut_of_one_direction_leaves_the_other() {
    needs_namespaces!();
    let fabric = wire();
    let [one, two] = two_hosts(&fabric);
    ping(&one, underlay_v4(2).into(), LIMIT).unwrap();
    let before = fabric.wire().count(1, 2).forwarded;
    fabric.wire().cut(2, 1);
    assert!(ping(&one, underlay_v4(2).into(), Duration::from_millis(100)).is_err());
    assert!(ping(&two, underlay_v4(1).into(), Duration::from_millis(100)).is_err());
    eventually(LIMIT, "the other direction is open", || {
        (fabric.wire().count(1, 2).forwarded > before).then_some(())
    })
    .unwrap();
}

#[test]
fn namespaces_are_apart_and_children_start_inside() {
    needs_namespaces!();
    let fabric = wire();
    let [one, two] = two_hosts(&fabric);
    assert!(link::exists(&one, UNDERLAY).unwrap());
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut show = Command::new("cat");
    show.arg("/proc/self/net/if_inet6");
    let mut child = Daemon::start(show, Some(&two), log.path()).unwrap();
    assert!(child.wait_exit(LIMIT).unwrap().success());
    let two_only = "fd770000000000000000000000000002";
    assert!(child.log().contains(two_only), "{}", child.log());
    assert!(!child.log().contains("fd770000000000000000000000000001"));
}

#[test]
fn a_named_namespace_lasts_until_removed() {
    needs_namespaces!();
    let name = format!("mesh-test-{}", std::process::id());
    drop(Netns::named(&name).unwrap());
    assert!(Netns::named(&name).is_err(), "the name is taken");
    let again = Netns::open(&name).unwrap();
    assert!(link::exists(&again, "lo").unwrap());
    Netns::remove(&name).unwrap();
    assert!(!Netns::exists(&name));
    Netns::remove(&name).unwrap();
}

#[test]
fn a_panic_inside_a_namespace_reaches_the_test() {
    needs_namespaces!();
    let netns = Netns::anonymous("panic").unwrap();
    let outcome = std::panic::catch_unwind(|| netns.run(|| panic!("inside")));
    assert!(outcome.is_err());
}

#[test]
fn a_process_ends_with_its_value() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let sleep = || {
        let mut command = Command::new("sleep");
        command.arg("600");
        command
    };
    let mut stopped = Daemon::start(sleep(), None, log.path()).unwrap();
    assert_eq!(stopped.poll_exit(), None);
    let status = stopped.terminate().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGTERM));
    assert!(stopped.kill().is_err(), "it has ended");

    let dropped = Daemon::start(sleep(), None, log.path()).unwrap();
    let process = format!("/proc/{}", dropped.pid());
    assert!(std::path::Path::new(&process).exists());
    drop(dropped);
    assert!(!std::path::Path::new(&process).exists());
}
