//! The packet core: routes packets between peers, sink and table; decides nothing about a single
//! one.

mod changes;
mod config;
mod handed;
mod inbound;
mod link;
mod outbound;
mod ways;

use std::net::IpAddr;
use std::ops::Range;
use std::time::Instant;

use mesh_model::addr::OVERLAY_MTU;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use crate::access::Access;
use crate::drops::{Drop, Drops};
use crate::endpoint::Endpoint;
use crate::event::{Event, Events};
use crate::fib::Fib;
use crate::handshake::Gate;
use crate::indices::Indices;
use crate::keys::OwnKeys;
use crate::peer::Room;
use crate::peers::{Peers, Slot};
use crate::sink::Sink;
use crate::slice::{MAX_SLICES, Slice};
use crate::stats::PeerStats;
use crate::tunnel::{Keyring, Message, OVERHEAD, PADDING, StampClock};
use crate::turn::Kit;
use crate::wall::WallTime;
pub use config::{EngineConfig, Role};
use handed::Leg;

/// The longest datagram there is, in bytes: what an IP packet can state.
pub const MAX_DATAGRAM: usize = 65_535;

/// The longest inner packet, in bytes: a UDP payload over IPv4 (65507) less WireGuard's 32, cut to
/// whole paddings of 16.
pub const MAX_INNER: usize = 65_472;

/// What an inner packet becomes longer by when it is sealed, in bytes, at most: padding, header and tag.
pub const MAX_SEALING: usize = PADDING - 1 + OVERHEAD;

/// The packet core of one host.
///
/// One `handle_*`, then drain [`poll_event`](Self::poll_event), then the next. `now` never goes
/// back; calling [`handle_timeout`](Self::handle_timeout) early is harmless.
pub struct Engine {
    role: Role,
    /// Whether the interface is switched on.
    up: bool,
    slice: Slice,
    gate: Gate,
    fib: Fib,
    peers: Peers,
    access: Access,
    kit: Kit,
    /// Scratch of `handle_timeout`.
    due: Vec<Slot>,
}

impl Engine {
    /// An engine without peers. All its randomness comes from `seed`, keys included.
    pub fn new(config: EngineConfig, seed: [u8; 32], now: Instant) -> Self {
        Self::sliced(config, Slice::WHOLE, seed, now)
    }

    /// One of the engines that share a host: all with the same config, seed and start.
    pub fn sliced(config: EngineConfig, slice: Slice, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        // The slices of a host have one seed, and must not make the same keys from it.
        rng.set_stream(slice.this() as u64);
        let mut gate_seed = [0; 32];
        rng.fill_bytes(&mut gate_seed);
        // A stream of its own: what the policy draws must not shift what handshakes draw.
        let mut own = ChaCha20Rng::from_seed(seed);
        own.set_stream((MAX_SLICES + slice.this()) as u64);
        let access = Access::new(own.next_u64(), now);
        Self {
            role: config.role,
            up: true,
            slice,
            gate: Gate::new(config.budget.share(slice), gate_seed, now),
            fib: Fib::default(),
            peers: Peers::new(slice),
            access,
            kit: Kit {
                drops: Drops::default(),
                events: Events::default(),
                rng,
                own: config.secret.clone().map(OwnKeys::from).as_ref().map(Keyring::new),
                stamps: StampClock::new(config.wall, config.stamp_floor, now),
                indices: Indices::new(slice),
                room: Room::of(slice),
                pace: config.role.pace(),
                mtu: OVERLAY_MTU.into(),
            },
            due: Vec::new(),
        }
    }

    /// Takes a WireGuard datagram off the wire; see [`steer`](crate::steer()).
    ///
    /// Data is opened in place. Returns where in `datagram` an inner packet for the kernel lies
    /// now: its source is its sender's, and what was padding is left out.
    #[must_use = "the kernel waits for the packet"]
    pub fn handle_datagram(
        &mut self,
        from: Endpoint,
        datagram: &mut [u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Option<Range<usize>> {
        self.receive(from, datagram, Leg::First, now, sink)
    }

    #[inline]
    fn receive(
        &mut self,
        from: Endpoint,
        datagram: &mut [u8],
        leg: Leg,
        now: Instant,
        sink: &mut impl Sink,
    ) -> Option<Range<usize>> {
        if !self.up {
            self.kit.drops.count(Drop::InterfaceDown);
            return None;
        }
        let message = Message::of(datagram).filter(|_| datagram.len() <= MAX_DATAGRAM);
        let handled = match message {
            Some(Message::Initiation(message)) => {
                self.handle_initiation(from, message, leg, now, sink).map(|()| None)
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
            self.refuse(drop, from, datagram, leg, sink);
            None
        })
    }

    /// One of this host's addresses is no longer usable: no peer is to be answered from it.
    pub fn handle_local_gone(&mut self, local: IpAddr) {
        for slot in self.peers.slots() {
            if let Some(peer) = self.peers.get_mut(slot) {
                peer.forget_local(local);
            }
        }
    }

    /// Does what is due: handshake retries, keepalives, the tunnels' own timers.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut impl Sink) {
        if !self.up {
            return;
        }
        let mut due = std::mem::take(&mut self.due);
        self.peers.take_due(now, &mut due);
        for slot in due.drain(..) {
            self.run_timers(slot, now, sink);
        }
        self.due = due;
    }

    fn run_timers(&mut self, slot: Slot, now: Instant, sink: &mut impl Sink) {
        if let Some(peer) = self.peers.get_mut(slot).filter(|_| self.up) {
            peer.handle_timeout(&mut self.kit.turn(now, sink));
        }
        self.peers.settle(slot);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why. `None` while there is no
    /// session, no handshake and no keepalive to send, and while the interface is off. Now and then the
    /// wake finds nothing to do: packets put deadlines off without a note of it.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.peers.next_wake().filter(|_| self.up)
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

    /// All peers of this slice, by key.
    pub fn peers(&self) -> impl Iterator<Item = PeerStats> + '_ {
        self.peers.iter().map(|(peer, allowed_ips)| peer.stats(allowed_ips))
    }
}
