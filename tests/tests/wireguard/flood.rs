//! Twenty thousand forged initiations a second.
//!
//! Red when: the flood keeps a peer from its handshake, is answered with more than it brings, or what it
//! brings is kept; when a flood under the peer's own address makes that address unwelcome for good.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mesh_tests::process::resident_memory;
use mesh_tests::traffic::ping;
use mesh_tests::wireguard::{Family, Forger, Star, Tunnel};
use mesh_tests::{Netns, eventually, link, needs_namespaces};

use crate::{LIMIT, program};

/// Initiations a second.
const RATE: f64 = 20_000.0;

/// After how many the memory is looked at for the first time, and for the last.
const SOME: u64 = 40_000;
const MANY: u64 = 240_000;

/// What memory may differ by between the two looks: a queue that is full at one and empty at the other. Kept,
/// what came between them would be 28 MiB.
const FLAT: u64 = 8 << 20;

/// Who forges, from which address, and for whom.
struct Flood<'a> {
    stranger: &'a Netns,
    from: IpAddr,
    to: SocketAddr,
    forger: Forger,
}

/// Sends forgeries at the pace until told to stop; counts them.
fn flood(mut flood: Flood<'_>, sent: &AtomicU64, over: &AtomicBool) {
    flood
        .stranger
        .run(|| {
            let socket = UdpSocket::bind((flood.from, 0)).unwrap();
            let started = Instant::now();
            while !over.load(Ordering::Relaxed) {
                let due = (started.elapsed().as_secs_f64() * RATE) as u64;
                while sent.load(Ordering::Relaxed) < due {
                    // A full queue of our own is no answer of the victim's.
                    let _ = socket.send_to(&flood.forger.initiation(), flood.to);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        })
        .unwrap();
}

/// Bytes that went in and out of the router's interface to host `number`, as (from the host, to the host).
fn carried(hub: &Netns, number: usize) -> (u64, u64) {
    let table = hub.run(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap()).unwrap();
    let name = format!("{}:", Star::port(number));
    let fields = table.lines().find_map(|line| line.trim().strip_prefix(&name)).unwrap();
    let fields: Vec<u64> = fields.split_whitespace().map(|field| field.parse().unwrap()).collect();
    // Received bytes come first, sent bytes ninth.
    (fields[0], fields[8])
}

#[test]
fn forged_initiations_do_not_keep_a_peer_from_its_handshake() {
    needs_namespaces!();
    println!("{}", handshake_under_flood(Star::v4(3, 2)));
}

#[test]
fn forged_initiations_under_a_peers_address_do_not_keep_it_from_its_handshake() {
    needs_namespaces!();
    println!("{}", handshake_under_flood(Star::v4(1, 2)));
}

/// Floods end 2 with forgeries that claim to be sent from `claimed`, while end 1 opens a session. Tells how it
/// went: how long the handshake took is for people, not for a verdict.
fn handshake_under_flood(claimed: IpAddr) -> String {
    let program = program();
    let tunnel = Tunnel::new(&[&program, &program], 1).unwrap();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let (hub, stranger) = (tunnel.star().hub(), tunnel.star().host(3));
    if claimed != Star::v4(3, 2) {
        link::add_address(stranger, "lo", claimed, 32).unwrap();
    }
    let to = two.endpoint(Family::V4);
    let attack = Flood { stranger, from: claimed, to, forger: Forger::new(two.key(), 61) };
    let (sent, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let pid = two.device_pid();
    let reach = |count: u64| {
        let patience = 4 * LIMIT;
        eventually(patience, "the flood goes on", || {
            (sent.load(Ordering::Relaxed) >= count).then_some(())
        })
        .unwrap();
        resident_memory(pid).unwrap()
    };
    let (handshake, grown) = std::thread::scope(|scope| {
        let (sent, over) = (&sent, &over);
        scope.spawn(move || flood(attack, sent, over));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let before = reach(SOME);
            tunnel.introduce(Family::V4).unwrap();
            let asked = Instant::now();
            eventually(4 * LIMIT, "a peer finishes its handshake under the flood", || {
                ping(one.netns(), two.inner(Family::V4), Duration::from_millis(200)).ok()
            })
            .unwrap();
            let handshake = asked.elapsed();
            (handshake, reach(MANY).saturating_sub(before))
        }));
        over.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let (out, inward) = carried(hub, 2);
    let report = format!(
        "a handshake under the flood took {handshake:?}; {} forgeries, {inward} bytes in, {out} bytes out, \
         {} KiB more memory",
        sent.load(Ordering::Relaxed),
        grown / 1024
    );
    assert!(out <= inward, "{out} bytes answer {inward}");
    assert!(grown <= FLAT, "{grown} bytes more: {report}");
    report
}
