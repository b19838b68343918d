//! Twenty thousand forged initiations a second: from a stranger's address, from the peer's own, and from any of
//! 131,072.
//!
//! What this shows: under the flood a peer's handshake completes at all, fewer bytes go out than come in, and memory
//! stays flat. What it does not show: how long the handshake takes. That is a matter of the machine, which here forges,
//! routes and answers at once; each test prints it beside the rate that the sender really kept up
//! (`--success-output final`). The rate is no verdict either, only that the forgeries have arrived.
//!
//! Red when: the flood keeps a peer from its handshake, is answered with more than it brings, or what it
//! brings is kept; when a flood under the peer's own address makes that address unwelcome for good; when only what each
//! address sends is limited, so that many of them together take the place of the peer.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mesh_tests::process::resident_memory;
use mesh_tests::traffic::ping;
use mesh_tests::wireguard::message::INITIATION_LEN;
use mesh_tests::wireguard::{Crowd, Family, Forger, Star, Tunnel};
use mesh_tests::{Netns, eventually, link, needs_namespaces};

use crate::{LIMIT, program, receiver};

/// Initiations a second.
const RATE: f64 = 20_000.0;

/// After how many the memory is looked at for the first time, and for the last.
const SOME: u64 = 40_000;
const MANY: u64 = 240_000;

/// What memory may differ by between the two looks: a queue that is full at one and empty at the other. Kept,
/// what came between them would be 28 MiB.
const FLAT: u64 = 8 << 20;

/// Bytes that must have come in by the last look: half of the messages. Where fewer arrive, somebody before the
/// device drops them, and nothing is shown.
const ARRIVED: u64 = MANY / 2 * INITIATION_LEN as u64;

/// What either side of a flood waits for: the handshake needs [`LIMIT`] at most without one, and the machine is shared
/// with whoever forges.
const PATIENCE: Duration = Duration::from_secs(4 * LIMIT.as_secs());

/// Two devices, and a stranger who floods the second.
struct Scene {
    tunnel: Tunnel,
    sent: AtomicU64,
    over: AtomicBool,
}

/// How it went. Times and rates are for people, not for a verdict.
struct Report {
    handshake: Duration,
    per_second: f64,
    grown: u64,
}

impl Scene {
    /// The number of the stranger's host.
    const STRANGER: usize = 3;

    fn new() -> Self {
        let program = program();
        let tunnel = Tunnel::new(&[&program, &program], 1).unwrap();
        Self { tunnel, sent: AtomicU64::new(0), over: AtomicBool::new(false) }
    }

    fn victim(&self) -> SocketAddr {
        self.tunnel.end(2).endpoint(Family::V4)
    }

    fn stranger(&self) -> &Netns {
        self.tunnel.star().host(Self::STRANGER)
    }

    /// Hands forgeries to `send` at the pace until told to stop; how many a second that were.
    fn flood(&self, mut send: impl FnMut(&[u8])) -> f64 {
        let mut forger = Forger::new(self.tunnel.end(2).key(), 61);
        let started = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            let due = (started.elapsed().as_secs_f64() * RATE) as u64;
            while self.sent.load(Ordering::Relaxed) < due {
                send(&forger.initiation());
                self.sent.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.sent.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
    }

    /// The victim's memory once `count` forgeries have been sent.
    fn memory_after(&self, count: u64) -> u64 {
        eventually(PATIENCE, "the flood goes on", || {
            (self.sent.load(Ordering::Relaxed) >= count).then_some(())
        })
        .unwrap();
        resident_memory(self.tunnel.end(2).device_pid()).unwrap()
    }

    /// End 1 opens a session with end 2; how long that took, and by how much memory grew under the flood.
    fn handshake(&self) -> (Duration, u64) {
        let before = self.memory_after(SOME);
        self.tunnel.introduce(Family::V4).unwrap();
        let [one, two] = [self.tunnel.end(1), self.tunnel.end(2)];
        let asked = Instant::now();
        eventually(PATIENCE, "a peer finishes its handshake under the flood", || {
            ping(one.netns(), two.inner(Family::V4), Duration::from_millis(200)).ok()
        })
        .unwrap();
        (asked.elapsed(), self.memory_after(MANY).saturating_sub(before))
    }

    fn run(&self, send: impl FnMut(&[u8]) + Send) -> Report {
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| self.flood(send));
            let outcome =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.handshake()));
            self.over.store(true, Ordering::Relaxed);
            let per_second = flood.join().unwrap();
            let (handshake, grown) =
                outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Report { handshake, per_second, grown }
        })
    }

    /// Floods with what `send` sends, and judges. Tells how it went.
    fn withstands(&self, send: impl FnMut(&[u8]) + Send) -> String {
        let Report { handshake, per_second, grown } = self.run(send);
        let (out, inward) = carried(self.tunnel.star().hub(), 2);
        let told = format!(
            "{per_second:.0} forgeries per second, handshake after {} ms; {inward} bytes in, {out} bytes out, \
             {} KiB more memory",
            handshake.as_millis(),
            grown / 1024
        );
        assert!(inward >= ARRIVED, "only {inward} bytes reached the device");
        assert!(out <= inward, "{out} bytes answer {inward}");
        assert!(grown <= FLAT, "{grown} bytes more");
        told
    }
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
    let scene = Scene::new();
    let (socket, victim) =
        (receiver(scene.stranger(), Star::v4(Scene::STRANGER, 2)), scene.victim());
    // A full queue of the stranger's is no answer of the victim's; the same below.
    println!("{}", scene.withstands(|forged| drop(socket.send_to(forged, victim))));
}

#[test]
fn forged_initiations_under_a_peers_address_do_not_keep_it_from_its_handshake() {
    needs_namespaces!();
    let scene = Scene::new();
    let (claimed, victim) = (Star::v4(1, 2), scene.victim());
    link::add_address(scene.stranger(), "lo", claimed, 32).unwrap();
    let socket = receiver(scene.stranger(), claimed);
    println!("{}", scene.withstands(|forged| drop(socket.send_to(forged, victim))));
}

#[test]
fn forged_initiations_from_everywhere_do_not_keep_a_peer_from_its_handshake() {
    needs_namespaces!();
    let scene = Scene::new();
    let mut crowd = Crowd::new(scene.tunnel.star(), Scene::STRANGER, 62).unwrap();
    let SocketAddr::V4(victim) = scene.victim() else { panic!("not reached over IPv4") };
    println!("{}", scene.withstands(|forged| drop(crowd.send(forged, victim))));
}
