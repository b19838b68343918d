//! The wire: hosts, datagrams under way, and time.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mesh_dataplane::packet::offload::Segments;
use mesh_dataplane::packet::udp;
use mesh_dataplane::{
    Drop, Endpoint, EngineConfig, Event, HandshakeBudget, Lane, PeerStats, Role, Sink, WallTime,
};
use mesh_model::plan::{PeerPlan, Preshared, Update};
use mesh_model::{MemberId, OverlayAddrs, TunnelKey, TunnelSecret};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::sliced::Sliced;

/// One way, on a wire without faults.
const DELAY: Duration = Duration::from_millis(1);

/// The hosts' wall clock at the start: earlier than today, so that whoever reads the real clock
/// comes later.
pub(crate) const WALL: WallTime = WallTime(Duration::from_secs(1_700_000_000));

/// An overlay UDP port that is the kernel's.
pub(crate) const KERNEL_PORT: u16 = 4000;

/// Everything an engine put out.
#[derive(Default)]
pub(crate) struct Outbox {
    slot: Vec<u8>,
    lane: Option<Lane>,
    /// Datagrams that left on the urgent lane.
    pub(crate) urgent: usize,
    /// How much a slot may hold.
    pub(crate) room: Option<usize>,
    pub(crate) sent: Vec<(SocketAddr, Vec<u8>)>,
    /// How far each datagram ever sent may go, where the engine said so.
    pub(crate) lives: Vec<Option<u8>>,
    pub(crate) delivered: Vec<Vec<u8>>,
    pub(crate) control: Vec<(MemberId, Vec<u8>)>,
}

impl Sink for Outbox {
    fn slot(&mut self, lane: Lane, max: usize) -> &mut [u8] {
        self.lane = Some(lane);
        // Old bytes stay in a batch's buffer, so they do here.
        self.slot.resize(max.min(self.room.unwrap_or(max)), 0xee);
        &mut self.slot
    }

    fn send(&mut self, to: Endpoint, len: usize) {
        self.lives.push(None);
        self.urgent += usize::from(self.lane == Some(Lane::Control));
        self.sent.push((to.remote, self.slot[..len].to_vec()));
    }

    fn send_no_further(&mut self, to: Endpoint, hops: u8, len: usize) {
        self.lives.push(Some(hops));
        self.sent.push((to.remote, self.slot[..len].to_vec()));
    }

    fn control(&mut self, from: MemberId, packet: &[u8]) {
        self.control.push((from, packet.to_vec()));
    }
}

/// A host's engine, whole or in slices, and what it has put out.
pub(crate) struct Host {
    pub(crate) engine: Sliced,
    pub(crate) secret: TunnelSecret,
    pub(crate) member: MemberId,
    pub(crate) addrs: OverlayAddrs,
    /// Its underlay address now.
    pub(crate) at: SocketAddr,
    pub(crate) out: Outbox,
    pub(crate) events: Vec<Event>,
    pub(crate) wakes: usize,
}

impl Host {
    pub(crate) fn key(&self) -> TunnelKey {
        self.secret.public()
    }

    /// What others' plans say of it.
    pub(crate) fn plan(&self) -> PeerPlan {
        PeerPlan {
            member: self.member,
            allowed_ips: self.addrs.host_prefixes().to_vec(),
            endpoints: vec![self.at],
            keepalive: None,
            before: None,
            preshared: Preshared::None,
            inbound: Default::default(),
        }
    }

    pub(crate) fn drops(&self, reason: Drop) -> u64 {
        self.engine.drops().get(reason)
    }

    pub(crate) fn peer(&self, key: TunnelKey) -> PeerStats {
        let mut peers = self.engine.peers();
        peers.find(|peer| peer.key == key).expect("a peer")
    }

    pub(crate) fn handshakes(&self) -> usize {
        let done = |event: &&Event| matches!(event, Event::HandshakeDone { .. });
        self.events.iter().filter(done).count()
    }
}

/// A datagram under way.
#[derive(Clone)]
pub(crate) struct Flying {
    pub(crate) due: Instant,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// What the wire does to datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Of a hundred, so many are lost.
    pub(crate) loss: u32,
    /// Of a hundred, so many arrive twice.
    pub(crate) double: u32,
    /// Up to so much later than others.
    pub(crate) delay: Duration,
}

/// What all hosts are.
#[derive(Clone, Copy)]
struct Make {
    /// Slices of each.
    of: usize,
    budget: HandshakeBudget,
    /// Devices without a mesh.
    plain: bool,
}

/// Some hosts, a wire between them, and the time.
pub(crate) struct Wire {
    pub(crate) now: Instant,
    start: Instant,
    pub(crate) hosts: Vec<Host>,
    flying: Vec<Flying>,
    /// All datagrams ever sent, also lost ones.
    pub(crate) seen: Vec<Flying>,
    pub(crate) faults: Faults,
    /// Types of the next datagrams to lose.
    pub(crate) lose_next: Vec<u8>,
    /// All datagrams are lost.
    pub(crate) cut: bool,
    /// One way, without what the faults add.
    pub(crate) way: Duration,
    make: Make,
    rng: ChaCha8Rng,
}

pub(crate) fn secret(n: u8) -> TunnelSecret {
    TunnelSecret::from_bytes([n; 32])
}

/// A packet as the kernel hands it over when it has but one.
pub(crate) fn single(packet: &[u8]) -> Segments<'_> {
    Segments::one(packet).expect("a packet")
}

pub(crate) fn underlay(n: u8) -> SocketAddr {
    ([192, 0, 2, n], 51820).into()
}

impl Wire {
    /// `n` hosts that know nothing of each other.
    pub(crate) fn strangers(n: u8) -> Self {
        Self::with_budget(n, HandshakeBudget::default())
    }

    pub(crate) fn with_budget(n: u8, budget: HandshakeBudget) -> Self {
        Self::sliced(n, usual_slices(), budget)
    }

    /// `n` devices without a mesh, that know nothing of each other.
    pub(crate) fn plain(n: u8) -> Self {
        let budget = HandshakeBudget::default();
        Self::of_hosts(n, Make { of: usual_slices(), budget, plain: true })
    }

    /// `n` hosts of `of` slices each.
    pub(crate) fn sliced(n: u8, of: usize, budget: HandshakeBudget) -> Self {
        Self::of_hosts(n, Make { of, budget, plain: false })
    }

    fn of_hosts(n: u8, make: Make) -> Self {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        let start = Instant::now();
        let mut wire = Self {
            now: start,
            start,
            hosts: Vec::new(),
            flying: Vec::new(),
            seen: Vec::new(),
            faults: Faults::default(),
            lose_next: Vec::new(),
            cut: false,
            way: DELAY,
            make,
            rng: ChaCha8Rng::from_seed([7; 32]),
        };
        wire.hosts =
            (1..=n).map(|n| new_host(n, make, (WALL, WallTime::default()), start)).collect();
        wire
    }

    /// `n` hosts that know each other.
    pub(crate) fn mesh(n: u8) -> Self {
        Self::strangers(n).introduced()
    }

    /// Everybody knows everybody.
    pub(crate) fn introduced(mut self) -> Self {
        for a in 0..self.hosts.len() {
            for b in (0..self.hosts.len()).filter(|b| *b != a) {
                self.introduce(a, b);
            }
        }
        self
    }

    pub(crate) fn seed(&mut self, seed: u64) {
        self.rng = ChaCha8Rng::seed_from_u64(seed);
    }

    /// `host` learns of `peer`.
    pub(crate) fn introduce(&mut self, host: usize, peer: usize) {
        let (key, plan) = (self.hosts[peer].key(), self.hosts[peer].plan());
        self.update(host, Update::SetPeer(key, plan));
    }

    pub(crate) fn update(&mut self, host: usize, update: Update) {
        let Host { engine, out, .. } = &mut self.hosts[host];
        engine.handle_update(update, self.now, out);
        self.drain(host);
    }

    /// A new engine with the old key, which is all that a restart keeps.
    pub(crate) fn restart(&mut self, host: usize) {
        let wall = WallTime(WALL.0 + (self.now - self.start));
        self.restart_at(host, wall, WallTime::default());
    }

    /// Like `restart`, with this on its wall clock, and this kept from the run before.
    pub(crate) fn restart_at(&mut self, host: usize, wall: WallTime, stamp_floor: WallTime) {
        let n = host as u8 + 1;
        let make = Make { budget: HandshakeBudget::default(), ..self.make };
        self.hosts[host] = new_host(n, make, (wall, stamp_floor), self.now);
    }

    /// `host` takes another private key.
    pub(crate) fn set_secret(&mut self, host: usize, secret: Option<TunnelSecret>) {
        let Host { engine, out, .. } = &mut self.hosts[host];
        engine.handle_secret(secret, self.now, out);
        self.drain(host);
    }

    /// The interface of `host` is switched on or off.
    pub(crate) fn set_link(&mut self, host: usize, up: bool) {
        let Host { engine, out, .. } = &mut self.hosts[host];
        engine.handle_link(up, self.now, out);
        self.drain(host);
    }

    /// An overlay UDP packet from one host's address to another's.
    pub(crate) fn packet(
        &self,
        from: usize,
        to: usize,
        port: u16,
        payload: &[u8],
        v6: bool,
    ) -> Vec<u8> {
        let addr = |host: usize| -> IpAddr {
            let addrs = self.hosts[host].addrs;
            if v6 { addrs.v6.into() } else { addrs.v4.into() }
        };
        let src = SocketAddr::new(addr(from), KERNEL_PORT);
        udp::encode(src, SocketAddr::new(addr(to), port), payload).expect("fits")
    }

    /// `from` sends such a packet.
    pub(crate) fn send(&mut self, from: usize, to: usize, payload: &[u8]) -> Vec<u8> {
        let packet = self.packet(from, to, KERNEL_PORT, payload, true);
        self.inner(from, &packet);
        packet
    }

    /// `host` sends this inner packet, whatever it says.
    pub(crate) fn inner(&mut self, host: usize, packet: &[u8]) {
        let Host { engine, out, .. } = &mut self.hosts[host];
        engine.handle_inner(packet, self.now, out);
        self.drain(host);
    }

    /// The kernel of `host` sends this inner packet, whatever it says.
    pub(crate) fn kernel(&mut self, host: usize, packet: &[u8]) {
        let Host { engine, out, .. } = &mut self.hosts[host];
        engine.handle_kernel(&single(packet), self.now, out);
        self.drain(host);
    }

    /// `host` receives this datagram now, whoever sent it. Returns what it sent at once.
    pub(crate) fn inject(
        &mut self,
        host: usize,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Vec<Vec<u8>> {
        let before = self.seen.len();
        let Host { engine, out, .. } = &mut self.hosts[host];
        let mut opened = datagram.to_vec();
        if let Some(inner) = engine.handle_datagram(from.into(), &mut opened, self.now, out) {
            out.delivered.push(opened[inner].to_vec());
        }
        self.drain(host);
        let sent = self.seen[before..].iter();
        sent.map(|datagram| datagram.bytes.clone()).collect()
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_due().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.step();
        }
        self.now = end;
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    /// Time passes, but nobody wakes the engines.
    pub(crate) fn skip_ms(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn next_due(&self) -> Option<Instant> {
        let wakes = self.hosts.iter().filter_map(|host| host.engine.poll_timeout());
        let flying = self.flying.iter().map(|datagram| datagram.due);
        wakes.map(|(at, _)| at).chain(flying).min()
    }

    fn step(&mut self) {
        let now = self.now;
        self.flying.sort_by_key(|datagram| datagram.due);
        let landed = self.flying.partition_point(|datagram| datagram.due <= now);
        for datagram in self.flying.drain(..landed).collect::<Vec<_>>() {
            let hosts = &self.hosts;
            if let Some(host) = hosts.iter().position(|host| host.at == datagram.to) {
                self.inject(host, datagram.from, &datagram.bytes);
            }
        }
        for host in 0..self.hosts.len() {
            let Host { engine, out, .. } = &mut self.hosts[host];
            if engine.poll_timeout().is_some_and(|(at, _)| at <= now) {
                engine.handle_timeout(now, out);
                self.hosts[host].wakes += 1;
                self.drain(host);
            }
        }
    }

    pub(crate) fn drain(&mut self, host: usize) {
        let Host { engine, out, events, at, .. } = &mut self.hosts[host];
        events.extend(std::iter::from_fn(|| engine.poll_event()));
        let (from, sent) = (*at, std::mem::take(&mut out.sent));
        for (to, bytes) in sent {
            self.carry(from, to, bytes);
        }
    }

    fn carry(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let kind = bytes[0];
        let mut datagram = Flying { due: self.now + self.way, from, to, bytes };
        self.seen.push(datagram.clone());
        if self.lose_next.first() == Some(&kind) {
            self.lose_next.remove(0);
            return;
        }
        let copies = 1 + usize::from(self.rng.random_range(0..100) < self.faults.double);
        for _ in 0..copies {
            if self.cut || self.rng.random_range(0..100) < self.faults.loss {
                continue;
            }
            let most = self.faults.delay.as_micros() as u64;
            datagram.due =
                self.now + self.way + Duration::from_micros(self.rng.random_range(0..=most));
            self.flying.push(datagram.clone());
        }
    }

    /// Datagrams of type `kind` ever sent.
    pub(crate) fn count(&self, kind: u8) -> usize {
        let of_kind = |datagram: &&Flying| datagram.bytes[0] == kind;
        self.seen.iter().filter(of_kind).count()
    }

    /// The last datagram of type `kind`.
    pub(crate) fn last(&self, kind: u8) -> Vec<u8> {
        let mut seen = self.seen.iter().rev();
        let found = seen.find(|datagram| datagram.bytes[0] == kind);
        found.expect("such a datagram").bytes.clone()
    }
}

/// How the whole suite is run against hosts of several slices.
fn usual_slices() -> usize {
    #[allow(clippy::disallowed_methods)]
    let of = std::env::var("MESH_TEST_SLICES").ok().and_then(|of| of.parse().ok());
    of.unwrap_or(1)
}

fn new_host(n: u8, make: Make, (wall, stamp_floor): (WallTime, WallTime), now: Instant) -> Host {
    let addrs = OverlayAddrs {
        v4: [100, 88, 0, n].into(),
        v6: [0xfd00, 0, 0, 0, 0, 0, 0, n.into()].into(),
    };
    let config = EngineConfig {
        secret: Some(secret(n)),
        role: if make.plain { Role::Plain } else { Role::Member(addrs) },
        budget: make.budget,
        wall,
        stamp_floor,
    };
    Host {
        engine: Sliced::new(&config, make.of, [n; 32], now),
        secret: secret(n),
        member: MemberId(n.into()),
        addrs,
        at: underlay(n),
        out: Outbox::default(),
        events: Vec::new(),
        wakes: 0,
    }
}
