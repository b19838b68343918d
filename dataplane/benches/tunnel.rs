//! What one packet costs: `cargo bench -p mesh-dataplane`. The reference, boringtun, does only the
//! cryptography and its timers; the engine also parses, looks up and checks sources.

// Benchmarks are no tests, but nothing is lost when they panic.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use boringtun::noise::{Tunn, TunnResult};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mesh_dataplane::packet::offload::Segments;
use mesh_dataplane::packet::udp;
use mesh_dataplane::{
    Endpoint, Engine, EngineConfig, HandshakeBudget, Lane, Rate, Role, Sink, WallTime,
};
use mesh_model::access::{Inbound, Protocol, Rule};
use mesh_model::plan::{PeerPlan, Preshared, Update};
use mesh_model::{MemberId, TunnelSecret};
use x25519_dalek::{PublicKey, StaticSecret};

/// Inner packets: a small one and a full one.
const SIZES: [usize; 2] = [100, 1420];

const ROOM: usize = 2048;

/// More handshakes than a benchmark makes.
const ANY: Rate = Rate { burst: 1_000_000, per_second: 1_000_000 };

fn main() {
    divan::main();
}

/// Keeps the last datagram.
struct Last {
    slot: Box<[u8; ROOM]>,
    len: usize,
}

impl Sink for Last {
    fn slot(&mut self, _: Lane, _: usize) -> &mut [u8] {
        &mut self.slot[..]
    }

    fn send(&mut self, _: Endpoint, len: usize) {
        self.len = len;
    }

    fn control(&mut self, _: MemberId, _: &[u8]) {}
}

struct End {
    engine: Engine,
    out: Last,
    now: Instant,
}

fn secret(n: u8) -> TunnelSecret {
    TunnelSecret::from_bytes([n; 32])
}

fn at(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 51820).into()
}

fn packet(to: [u8; 4], len: usize) -> Vec<u8> {
    let from = ([10, 0, 0, 1], 1).into();
    udp::encode(from, (to, 2).into(), &vec![7; len - 28]).unwrap()
}

impl End {
    fn new(host: u8, peer: u8, now: Instant) -> Self {
        let config = EngineConfig {
            secret: Some(secret(host)),
            role: Role::Plain,
            budget: HandshakeBudget { free: ANY, free_per_source: ANY, proven_per_source: ANY },
            wall: WallTime(Duration::from_secs(1_700_000_000)),
            stamp_floor: WallTime::default(),
        };
        let out = Last { slot: Box::new([0; ROOM]), len: 0 };
        let mut end = Self { engine: Engine::new(config, [host; 32], now), out, now };
        end.hold(peer, Inbound::Everything);
        end
    }

    /// Has `peer`, which may begin what `inbound` says.
    fn hold(&mut self, peer: u8, inbound: Inbound) {
        let plan = PeerPlan {
            member: MemberId(peer.into()),
            allowed_ips: vec![format!("10.0.0.{peer}/32").parse().unwrap()],
            endpoints: vec![at(peer)],
            keepalive: None,
            before: None,
            preshared: Preshared::None,
            inbound,
        };
        let update = Update::SetPeer(secret(peer).public(), plan);
        self.engine.handle_update(update, self.now, &mut self.out);
    }

    fn send(&mut self, packet: &[u8]) -> &[u8] {
        let packet = Segments::one(packet).unwrap();
        self.engine.handle_kernel(&packet, self.now, &mut self.out);
        &self.out.slot[..self.out.len]
    }

    fn receive(&mut self, from: u8, datagram: &mut [u8]) -> usize {
        let inner = self.engine.handle_datagram(at(from).into(), datagram, self.now, &mut self.out);
        inner.map_or(0, |inner| inner.len())
    }
}

/// Two engines with a session.
fn engines() -> (End, End) {
    // The only instant there is; nothing measures it.
    #[allow(clippy::disallowed_methods)]
    let now = Instant::now();
    let (mut near, mut far) = (End::new(1, 2, now), End::new(2, 1, now));
    let mut initiation = near.send(&packet([10, 0, 0, 2], 100)).to_vec();
    far.receive(1, &mut initiation);
    let mut response = far.out.slot[..92].to_vec();
    near.receive(2, &mut response);
    // The packet that waited went out last; it confirms the session.
    let mut data = near.out.slot[..near.out.len].to_vec();
    assert_eq!(far.receive(1, &mut data), 100);
    (near, far)
}

/// Two boringtun tunnels with a session.
fn references() -> (Tunn, Tunn) {
    let tunnel = |own: u8, peer: u8| {
        let secret_key = StaticSecret::from(*secret(own).to_bytes());
        Tunn::new(
            secret_key,
            PublicKey::from(secret(peer).public().0),
            None,
            None,
            own.into(),
            None,
        )
    };
    let (mut near, mut far) = (tunnel(1, 2), tunnel(2, 1));
    let mut datagram = written(near.format_handshake_initiation(&mut [0; ROOM], true)).unwrap();
    for turn in 0..3 {
        let to = if turn % 2 == 0 { &mut far } else { &mut near };
        match written(to.decapsulate(None, &datagram, &mut [0; ROOM])) {
            Some(next) => datagram = next,
            None => break,
        }
    }
    (near, far)
}

fn written(result: TunnResult<'_>) -> Option<Vec<u8>> {
    match result {
        TunnResult::WriteToNetwork(datagram) => Some(datagram.to_vec()),
        _ => None,
    }
}

#[divan::bench(args = SIZES)]
fn encapsulate(bencher: Bencher<'_, '_>, len: usize) {
    let (mut near, _) = engines();
    let packet = packet([10, 0, 0, 2], len);
    bencher.counter(BytesCount::new(len)).bench_local(|| near.send(black_box(&packet)).len());
}

#[divan::bench(args = SIZES)]
fn encapsulate_reference(bencher: Bencher<'_, '_>, len: usize) {
    let (mut near, _) = references();
    let packet = packet([10, 0, 0, 2], len);
    let mut out = [0; ROOM];
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        matches!(near.encapsulate(black_box(&packet), &mut out), TunnResult::WriteToNetwork(_))
    });
}

#[divan::bench(args = SIZES)]
fn decapsulate(bencher: Bencher<'_, '_>, len: usize) {
    let (near, mut far) = engines();
    let near = RefCell::new(near);
    let packet = packet([10, 0, 0, 2], len);
    bencher
        .counter(BytesCount::new(len))
        .with_inputs(|| near.borrow_mut().send(&packet).to_vec())
        .bench_local_refs(|datagram| assert_eq!(far.receive(1, datagram), len));
}

#[divan::bench(args = SIZES)]
fn decapsulate_reference(bencher: Bencher<'_, '_>, len: usize) {
    let (near, mut far) = references();
    let near = RefCell::new(near);
    let packet = packet([10, 0, 0, 2], len);
    let mut out = [0; ROOM];
    bencher
        .counter(BytesCount::new(len))
        .with_inputs(|| written(near.borrow_mut().encapsulate(&packet, &mut [0; ROOM])).unwrap())
        .bench_local_refs(|datagram| {
            let opened = far.decapsulate(None, datagram, &mut out);
            assert!(matches!(opened, TunnResult::WriteToTunnelV4(_, _)));
        });
}

/// Policies: none, one that allows everything, and one that allows what is sent here.
const POLICIES: [&str; 3] = ["none", "everything", "ports"];

fn inbound(policy: &str) -> Inbound {
    let rule = |protocol, ports: &str| Rule {
        from: vec![],
        to: vec![],
        protocol,
        ports: ports.split_terminator(' ').map(|range| range.parse().unwrap()).collect(),
    };
    match policy {
        "none" => Inbound::Everything,
        "everything" => Inbound::of([rule(Protocol::Any, "")].iter()),
        _ => Inbound::of(
            [rule(Protocol::Udp, "2 53 123 4000-4999"), rule(Protocol::Tcp, "22")].iter(),
        ),
    }
}

/// What the policy costs a packet of UDP on its way out, which may be an answer.
#[divan::bench(args = POLICIES)]
fn encapsulate_under(bencher: Bencher<'_, '_>, policy: &str) {
    let (mut near, _) = engines();
    near.hold(2, inbound(policy));
    let packet = packet([10, 0, 0, 2], SIZES[1]);
    bencher.bench_local(|| near.send(black_box(&packet)).len());
}

/// What it costs one that is let in.
#[divan::bench(args = POLICIES)]
fn decapsulate_under(bencher: Bencher<'_, '_>, policy: &str) {
    let (near, mut far) = engines();
    far.hold(1, inbound(policy));
    let near = RefCell::new(near);
    let packet = packet([10, 0, 0, 2], SIZES[1]);
    bencher
        .with_inputs(|| near.borrow_mut().send(&packet).to_vec())
        .bench_local_refs(|datagram| assert_eq!(far.receive(1, datagram), SIZES[1]));
}

/// What an initiation costs its responder: from a peer, and from somebody who only knows our key.
#[divan::bench(args = ["peer", "stranger"])]
fn answer(bencher: Bencher<'_, '_>, who: &str) {
    let (near, mut far) = engines();
    if who == "stranger" {
        let gone = Update::RemovePeer(secret(1).public());
        far.engine.handle_update(gone, far.now, &mut far.out);
    }
    let near = RefCell::new(near);
    let packet = packet([10, 0, 0, 2], 100);
    bencher
        .with_inputs(|| {
            let mut near = near.borrow_mut();
            let End { engine, out, now } = &mut *near;
            // The same key anew: the sessions are gone, and the next packet asks for another.
            engine.handle_secret(Some(secret(1)), *now, out);
            near.send(&packet).to_vec()
        })
        .bench_local_refs(|initiation| {
            far.out.len = 0;
            far.receive(1, initiation);
            assert_eq!(far.out.len > 0, who == "peer");
        });
}

/// From inner packet to peer, and no further: nobody knows where the peers are.
#[divan::bench(args = [1, 100, 1000], sample_size = 1000)]
fn look_up(bencher: Bencher<'_, '_>, peers: u16) {
    let (mut near, _) = engines();
    for n in 0..peers {
        let [high, low] = n.to_be_bytes();
        let mut key = [0; 32];
        key[..4].copy_from_slice(&[1, high, low, 9]);
        let plan = PeerPlan {
            member: MemberId(n.into()),
            allowed_ips: vec![
                format!("10.1.{high}.{low}/32").parse().unwrap(),
                format!("fd00::{n:x}/128").parse().unwrap(),
            ],
            endpoints: Vec::new(),
            keepalive: None,
            before: None,
            preshared: Preshared::None,
            inbound: Default::default(),
        };
        let update = Update::SetPeer(TunnelSecret::from_bytes(key).public(), plan);
        near.engine.handle_update(update, near.now, &mut near.out);
    }
    let packets: Vec<_> =
        (0..peers).map(|n| packet([10, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]], 100)).collect();
    // Neither in order nor at random: a step that meets all of them.
    let mut n = 0;
    bencher.bench_local(|| {
        n = (n + 37) % packets.len();
        near.send(black_box(&packets[n])).len()
    });
}
