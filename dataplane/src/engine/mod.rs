//! The packet core: routes packets between peers, sink and table; decides nothing about a single
//! one.

mod config;
mod inbound;

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use mesh_model::plan::{PeerPlan, Update};
use mesh_model::{TunnelKey, TunnelSecret};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use crate::drops::{Drop, Drops};
use crate::event::{Event, Events};
use crate::fib::Fib;
use crate::handshake::Gate;
use crate::indices::Indices;
use crate::packet::ip::Inner;
use crate::peer::Peer;
use crate::peers::{Peers, Slot};
use crate::sink::Sink;
use crate::stats::PeerStats;
use crate::tunnel::{Identity, Message, StampClock};
use crate::turn::Kit;
use crate::wall::WallTime;
pub use config::{EngineConfig, Role};

/// The longest datagram there is, in bytes: what an IP packet can state.
pub const MAX_DATAGRAM: usize = 65_535;

/// The longest inner packet, in bytes: a UDP payload over IPv4 (65507) less WireGuard's 32, cut to
/// whole paddings of 16.
pub const MAX_INNER: usize = 65_472;

/// The packet core of one host.
///
/// One `handle_*`, then drain [`poll_event`](Self::poll_event), then the next. `now` never goes
/// back; calling [`handle_timeout`](Self::handle_timeout) early is harmless.
pub struct Engine {
    role: Role,
    gate: Gate,
    fib: Fib,
    peers: Peers,
    kit: Kit,
    /// Scratch of `handle_timeout`.
    due: Vec<Slot>,
}

impl Engine {
    /// An engine without peers. All its randomness comes from `seed`, keys included.
    pub fn new(config: EngineConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut gate_seed = [0; 32];
        rng.fill_bytes(&mut gate_seed);
        Self {
            role: config.role,
            gate: Gate::new(config.budget, gate_seed, now),
            fib: Fib::default(),
            peers: Peers::default(),
            kit: Kit {
                drops: Drops::default(),
                events: Events::default(),
                rng,
                identity: config.secret.as_ref().map(Identity::new),
                stamps: StampClock::new(config.wall, config.stamp_floor, now),
                indices: Indices::default(),
            },
            due: Vec::new(),
        }
    }

    /// Takes one step of the plan. A peer that stays keeps its session; one that goes loses it at
    /// once.
    pub fn handle_update(&mut self, update: Update, now: Instant, sink: &mut impl Sink) {
        match update {
            Update::SetPeer(key, plan) => self.set_peer(key, &plan, now, sink),
            Update::RemovePeer(key) => self.remove_peer(key),
            Update::MovePeer(key, endpoint) => self.move_peer(key, endpoint, now, sink),
        }
    }

    /// Takes another private key: all sessions and handshakes end, and start anew when they are
    /// needed. A peer with our own new key is removed.
    pub fn handle_secret(
        &mut self,
        secret: Option<TunnelSecret>,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        self.kit.identity = secret.as_ref().map(Identity::new);
        if let Some(own) = self.own_key() {
            self.remove_peer(own);
        }
        self.start_over(now, sink);
    }

    /// The host was asleep, which a monotonic clock does not count: sessions may have died without
    /// `now` showing it, so all of them end.
    pub fn handle_resume(&mut self, now: Instant, sink: &mut impl Sink) {
        self.start_over(now, sink);
    }

    fn start_over(&mut self, now: Instant, sink: &mut impl Sink) {
        for slot in self.peers.slots() {
            if let Some(peer) = self.peers.get_mut(slot) {
                peer.start_over(&mut self.kit.turn(now, sink));
            }
            self.run_timers(slot, now, sink);
        }
    }

    fn own_key(&self) -> Option<TunnelKey> {
        self.kit.identity.as_ref().map(|own| *own.key())
    }

    fn set_peer(&mut self, key: TunnelKey, plan: &PeerPlan, now: Instant, sink: &mut impl Sink) {
        if Some(key) == self.own_key() {
            // A tunnel with oneself cannot be; the planner leaves us out.
            tracing::error!(member = %plan.member, "the plan names this host as its own peer");
            return;
        }
        let slot = self.peers.slot_for(key, |slot| Peer::new(slot, key, plan.member));
        self.set_allowed_ips(slot, plan);
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.update(plan, now);
        }
        self.run_timers(slot, now, sink);
    }

    /// Gives `slot` exactly the plan's prefixes, taking them from whoever held them.
    fn set_allowed_ips(&mut self, slot: Slot, plan: &PeerPlan) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        for prefix in std::mem::take(&mut peer.allowed_ips) {
            self.fib.remove(prefix);
        }
        let mut allowed: Vec<_> = plan.allowed_ips.iter().map(ipnet::IpNet::trunc).collect();
        allowed.sort_unstable();
        allowed.dedup();
        for prefix in &allowed {
            if let Some(before) = self.fib.insert(*prefix, slot)
                && let Some(other) = self.peers.get_mut(before)
            {
                other.allowed_ips.retain(|held| held != prefix);
            }
        }
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.allowed_ips = allowed;
        }
    }

    fn move_peer(
        &mut self,
        key: TunnelKey,
        endpoint: SocketAddr,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        let Some(slot) = self.peers.by_key(key) else { return };
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.move_to(endpoint, now);
        }
        self.run_timers(slot, now, sink);
    }

    fn remove_peer(&mut self, key: TunnelKey) {
        let Some(mut peer) = self.peers.remove(key) else {
            return;
        };
        for prefix in std::mem::take(&mut peer.allowed_ips) {
            self.fib.remove(prefix);
        }
        let waited = peer.close(&mut self.kit.indices);
        self.kit.drops.add(Drop::PeerRemoved, waited);
    }

    /// Sends an inner packet of the daemon's own: its destination decides the peer.
    ///
    /// Packets from the kernel go through [`handle_kernel`](Self::handle_kernel).
    pub fn handle_inner(&mut self, packet: &[u8], now: Instant, sink: &mut impl Sink) {
        match Inner::parse(packet) {
            Ok(inner) => self.send(&inner, now, sink),
            Err(_) => self.kit.drops.count(Drop::InnerMalformed),
        }
    }

    /// Sends an inner packet from the kernel's TUN device.
    ///
    /// Like [`handle_inner`](Self::handle_inner), except that nobody but the daemon may talk to
    /// other daemons' ports: any local process can send UDP from any port above 1023, and the
    /// receiver would take it for this member's word.
    pub fn handle_kernel(&mut self, packet: &[u8], now: Instant, sink: &mut impl Sink) {
        match Inner::parse(packet) {
            Ok(inner) if self.role.is_control(&inner) => {
                self.kit.drops.count(Drop::ControlFromKernel)
            }
            Ok(inner) => self.send(&inner, now, sink),
            Err(_) => self.kit.drops.count(Drop::InnerMalformed),
        }
    }

    fn send(&mut self, inner: &Inner<'_>, now: Instant, sink: &mut impl Sink) {
        let packet = inner.bytes();
        if packet.len() > MAX_INNER {
            return self.kit.drops.count(Drop::InnerTooLarge);
        }
        let Some(slot) = self.fib.lookup(inner.dst()) else {
            return self.kit.drops.count(Drop::NoRoute);
        };
        let Some(peer) = self.peers.get_mut(slot).filter(|peer| peer.is_reachable()) else {
            return self.kit.drops.count(Drop::NoEndpoint);
        };
        let copy = |_, out: &mut [u8]| {
            out.copy_from_slice(packet);
            packet.len()
        };
        peer.send_run(1, packet.len(), copy, &mut self.kit.turn(now, sink));
        self.peers.settle(slot);
    }

    /// Takes a WireGuard datagram off the wire; see [`steer`](crate::steer()).
    ///
    /// Data is opened in place. Returns where in `datagram` an inner packet for the kernel lies
    /// now: its source is its sender's, and what was padding is left out.
    #[must_use = "the kernel waits for the packet"]
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Option<Range<usize>> {
        let message = Message::of(datagram).filter(|_| datagram.len() <= MAX_DATAGRAM);
        let handled = match message {
            Some(Message::Initiation(message)) => {
                self.handle_initiation(from, message, now, sink).map(|()| None)
            }
            Some(Message::Response { receiver, message }) => {
                self.handle_response(from, receiver, message, now, sink).map(|()| None)
            }
            Some(Message::Cookie { receiver, message }) => {
                self.handle_cookie(receiver, message, now).map(|()| None)
            }
            Some(Message::Data { receiver }) => {
                self.handle_data(from, receiver, datagram, now, sink)
            }
            None => Err(Drop::DatagramMalformed),
        };
        handled.unwrap_or_else(|drop| {
            self.kit.drops.count(drop);
            None
        })
    }

    /// Does what is due: handshake retries, keepalives, the tunnels' own timers.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut impl Sink) {
        let mut due = std::mem::take(&mut self.due);
        self.peers.take_due(now, &mut due);
        for slot in due.drain(..) {
            self.run_timers(slot, now, sink);
        }
        self.due = due;
    }

    fn run_timers(&mut self, slot: Slot, now: Instant, sink: &mut impl Sink) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.handle_timeout(&mut self.kit.turn(now, sink));
        }
        self.peers.settle(slot);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why. `None` while there is no
    /// session, no handshake and no keepalive to send. Now and then the wake finds nothing to do:
    /// packets put deadlines off without a note of it.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.peers.next_wake()
    }

    /// The latest stamp of a handshake so far: what a later run's
    /// [`stamp_floor`](EngineConfig::stamp_floor) must not be below.
    pub fn newest_stamp(&self) -> Option<WallTime> {
        self.kit.stamps.newest()
    }

    /// What happened to peers. Drain after each call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.kit.events.pop()
    }

    /// How many packets ended early, and why.
    pub fn drops(&self) -> &Drops {
        &self.kit.drops
    }

    /// All peers, by key.
    pub fn peers(&self) -> impl Iterator<Item = PeerStats> + '_ {
        self.peers.iter().map(Peer::stats)
    }
}
