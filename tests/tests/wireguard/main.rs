//! Conformance: a plain WireGuard device, whoever wrote it, does what WireGuard devices do.
//!
//! The content is that of the Linux kernel's own WireGuard selftest, interop with other implementations,
//! and what strangers may try. Devices are driven by the configuration socket alone, so the same checks run
//! against any userspace implementation: `MESH_WG_PROGRAM` names another one than `meshd`. What the others
//! make of it stands in docs/testing.md.

// Everything here is test code: a panic is the report.
#![allow(clippy::unwrap_used)]

mod basic;
mod changes;
mod configuration;
mod flood;
mod interop;
mod keys;
mod loops;
mod moved;
mod nat;
mod offloads;
mod paths;
mod roaming;
mod rootless;
mod routing;
mod sticky;
mod strangers;
mod uplink;
mod workers;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use mesh_tests::traffic::{Burst, BurstReport, ping};
use mesh_tests::wireguard::{Device, End, Family, Program, Tunnel};
use mesh_tests::{Netns, eventually};
use nix::sys::signal::{Signal, kill};

/// How long something may take that must happen: an initiation that is lost, or refused because the last was
/// a moment ago, is sent again after 5 s and what the peer makes of it may need another 5.
const LIMIT: Duration = Duration::from_secs(30);

/// How long something that must not happen is waited for: had it gone wrong, it would have taken a
/// millisecond.
const NEVER: Duration = Duration::from_millis(300);

/// The program under test.
fn program() -> Program {
    Program::under_test().unwrap()
}

/// Two hosts whose devices know where the other is.
fn pair_over(family: Family) -> Tunnel {
    let program = program();
    let tunnel = Tunnel::new(&[&program, &program], 0).unwrap();
    tunnel.introduce(family).unwrap();
    tunnel
}

/// The same, where the family does not matter.
fn pair() -> Tunnel {
    pair_over(Family::V4)
}

/// Three hosts whose devices know where the others are.
fn three() -> Tunnel {
    let program = program();
    let tunnel = Tunnel::new(&[&program, &program, &program], 0).unwrap();
    tunnel.introduce(Family::V4).unwrap();
    tunnel
}

/// Waits until an echo from `from` is answered by `to`. The first may be lost while there is no session.
fn assert_reaches(from: &End, to: &End) {
    for family in Family::BOTH {
        assert_answers(from.netns(), to.inner(family));
    }
}

/// Waits until `target` answers an echo from inside `netns`.
fn assert_answers(netns: &Netns, target: IpAddr) {
    eventually(LIMIT, &format!("{} reaches {target}", netns.label()), || {
        ping(netns, target, Duration::from_millis(500)).ok()
    })
    .unwrap();
}

/// A few thousand bytes underway at a time, two thousand datagrams in all.
const PACED: Burst = Burst { count: 2_000, len: 1_000, paced: true };

/// Asserts that every datagram arrives as it was sent, once and in its turn, when no queue on its way is ever full.
/// `from` must have reached `to`: it is what waits for a session that may get lost.
fn assert_none_is_lost(from: &End, to: &End, family: Family) {
    let report = PACED.run(from.netns(), to.netns(), to.inner(family)).unwrap();
    let all = BurstReport { whole: PACED.count, ..BurstReport::default() };
    assert_eq!(report, all, "{} to {} in {family:?}", from.number(), to.number());
}

/// Asserts that as much as can be sent at once arrives as it was sent and in its order, as far as it arrives: how much
/// that is, is the machine's affair; where a dozen bursts meet on two processors all of one may be lost, and it is sent again.
fn assert_order_is_kept(from: &End, to: &End, family: Family) {
    let burst = Burst { paced: false, ..PACED };
    let (from, to, inner) = (from.netns(), to.netns(), to.inner(family));
    eventually(LIMIT, &format!("some of a burst reaches {inner}"), || {
        let report = burst.run(from, to, inner).unwrap();
        assert!(report.altered == 0 && report.out_of_order == 0, "{report:?}");
        (report.whole > 0).then_some(())
    })
    .unwrap();
}

/// Asserts that `from` gets no answer from `to`.
fn assert_silent(from: &End, to: &End) {
    for family in Family::BOTH {
        let answer = ping(from.netns(), to.inner(family), NEVER);
        assert!(answer.is_err(), "{} answers {}", to.inner(family), from.number());
    }
}

/// A socket on `address` inside `netns`.
fn receiver(netns: &Netns, address: IpAddr) -> UdpSocket {
    netns.run(|| UdpSocket::bind(SocketAddr::new(address, 0)).unwrap()).unwrap()
}

/// Sends `text` by UDP from `source` inside `netns` to `target`.
fn send_datagram(netns: &Netns, source: IpAddr, target: SocketAddr, text: &[u8]) {
    netns
        .run(|| {
            let sender = UdpSocket::bind(SocketAddr::new(source, 0)).unwrap();
            // Without a peer for the target a device may say so; that is a loss like any other.
            let _ = sender.send_to(text, target);
        })
        .unwrap();
}

/// The datagrams at `receiver`, up to and including the first that is `last`; it must come.
fn received_up_to(receiver: &UdpSocket, last: &[u8]) -> Vec<Vec<u8>> {
    receiver.set_read_timeout(Some(LIMIT)).unwrap();
    let mut all = Vec::new();
    let mut buffer = [0; 2_000];
    while all.last().is_none_or(|text: &Vec<u8>| text != last) {
        let len = receiver.recv(&mut buffer).expect("the last datagram comes");
        all.push(buffer[..len].to_vec());
    }
    all
}

/// The counters that the log tells, on the line after `seen` bytes of it, if there is one.
fn counters(log: &str, seen: usize) -> Option<&str> {
    log.get(seen..)?.lines().find(|line| line.contains("drops="))
}

/// The line that `device` writes to its log when it is asked for its counters.
fn told_counters(device: &Device) -> String {
    let seen = device.log().len();
    kill(device.pid(), Signal::SIGUSR1).unwrap();
    let told = || counters(&device.log(), seen).map(str::to_owned);
    eventually(LIMIT, "the log tells", told).unwrap()
}
