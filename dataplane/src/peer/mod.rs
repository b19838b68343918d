//! One peer: where it is, its sessions, what waits for it and when it needs attention.
//!
//! ```text
//!            first packet, keepalive, or a session worn out: attempt begins
//!   no session ------------------------------> initiations, repeated until one is answered
//!       ^                                                       |
//!       |  180 s after it was made                              v
//!       +------------------------------------------------ current session
//!       ^                                                       ^
//!       |  180 s without any data                               |  first data in it
//!       +---------- offered session <------- initiation of the peer, answered
//! ```
//!
//! A packet costs a few comparisons with `now`; the timers are in `timers`.

mod attempt;
mod clocks;
mod endpoints;
mod held;
mod keys;
mod mixing;
mod pending;
mod receive;
mod send;
mod sessions;
mod shake;
mod timers;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use mesh_model::access::{Inbound, Openings};
use mesh_model::plan::PeerPlan;
use mesh_model::{MemberId, TunnelKey};

use crate::endpoint::Way;
use crate::indices::Indices;
use crate::packet::ip::Inner;
use crate::peers::Slot;
use crate::sink::Sink;
use crate::stats::PeerStats;
use crate::tunnel::{Jar, Keyring};
use crate::turn::Turn;
use crate::wall::WallTime;
use attempt::Attempt;
pub(crate) use attempt::Pace;
use clocks::Clocks;
use endpoints::Endpoints;
use held::Held;
pub(crate) use held::Room;
use keys::Keys;
use mixing::Mixing;
use pending::Pending;
pub(crate) use receive::Opened;
use sessions::Sessions;

/// A peer of the plan.
pub(crate) struct Peer {
    /// Its place in the table of peers.
    slot: Slot,
    keys: Keys,
    /// The key of ours that it knows us by, as far as its handshakes have shown.
    known_as: Option<TunnelKey>,
    member: MemberId,
    mixing: Mixing,
    /// What it may begin with this host; `None` where there is no policy.
    held_to: Option<Arc<Openings>>,
    endpoints: Endpoints,
    sessions: Sessions,
    /// A handshake of ours under way.
    attempt: Option<Attempt>,
    pending: Pending,
    held: Held,
    jar: Jar,
    /// The stamp of our last initiation.
    stamped: Option<WallTime>,
    /// How often an empty packet keeps NAT mappings open.
    keepalive: Option<Duration>,
    clocks: Clocks,
    last_handshake: Option<Instant>,
    last_received: Option<Instant>,
    rx_bytes: u64,
    tx_bytes: u64,
}

impl Peer {
    /// A peer without a session.
    pub(crate) fn new(slot: Slot, key: TunnelKey, member: MemberId) -> Self {
        Self {
            slot,
            keys: Keys::new(key),
            known_as: None,
            member,
            mixing: Mixing::default(),
            held_to: None,
            endpoints: Endpoints::default(),
            sessions: Sessions::default(),
            attempt: None,
            pending: Pending::default(),
            held: Held::default(),
            jar: Jar::default(),
            stamped: None,
            keepalive: None,
            clocks: Clocks::default(),
            last_handshake: None,
            last_received: None,
            rx_bytes: 0,
            tx_bytes: 0,
        }
    }

    /// Takes over what the plan says, but for the allowed IPs, which are the engine's to divide. A
    /// pre-shared key counts from the next handshake on.
    pub(crate) fn update(&mut self, plan: &PeerPlan, now: Instant) {
        self.member = plan.member;
        self.keys.set_before(plan.before);
        self.mixing.set(&plan.preshared);
        self.held_to = match &plan.inbound {
            Inbound::Everything => None,
            Inbound::Only(openings) => Some(Arc::clone(openings)),
        };
        if self.endpoints.set_candidates(&plan.endpoints)
            && let Some(attempt) = &mut self.attempt
        {
            attempt.hurry(now);
        }
        if self.keepalive != plan.keepalive {
            self.keepalive = plan.keepalive;
            self.clocks.keepalive_at = None;
        }
        self.begin_keepalives(now);
    }

    /// It goes by `key` from now on. Its sessions go on, and so does what is under way: it answers to the key before
    /// for a while.
    pub(crate) fn rekey(&mut self, key: TunnelKey) {
        self.keys.change(key);
    }

    /// Our own keys have changed. Sessions go on until they are renewed.
    pub(crate) fn keep_shared(&mut self, ours: &Keyring) {
        self.keys.keep_shared(Some(ours));
    }

    /// A new session is to be made now. One that is under way is not waited for.
    pub(crate) fn renew<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        match &mut self.attempt {
            Some(attempt) => attempt.hurry(turn.now),
            None => self.start_handshake(turn),
        }
    }

    /// The operator says that it is at `endpoint`.
    pub(crate) fn move_to(&mut self, endpoint: SocketAddr, now: Instant) {
        self.endpoints.move_to(endpoint);
        if let Some(attempt) = &mut self.attempt {
            attempt.hurry(now);
        }
        self.begin_keepalives(now);
    }

    /// The first keepalive is due as soon as somebody knows where the peer is.
    fn begin_keepalives(&mut self, now: Instant) {
        if self.keepalive.is_some() && self.is_reachable() {
            self.clocks.keepalive_at.get_or_insert(now);
        }
    }

    /// Nothing can be sent from `local` any more.
    pub(crate) fn forget_local(&mut self, local: IpAddr) {
        self.endpoints.forget_local(local);
    }

    /// The way on which it is answered from the address it spoke to.
    pub(crate) fn way(&self) -> Option<Way> {
        self.endpoints.way()
    }

    /// What is sent to it from there leaves by `interface` now.
    pub(crate) fn leaves_by(&mut self, interface: u32) {
        self.endpoints.leaves_by(interface);
    }

    /// Whether `packet` goes to where the peer itself is.
    #[inline]
    pub(crate) fn is_at(&self, packet: &Inner<'_>) -> bool {
        let Some(endpoint) = self.endpoints.current() else { return false };
        endpoint.remote.ip() == packet.dst()
            && packet.udp_dst_port() == Some(endpoint.remote.port())
    }

    /// The member behind the key.
    pub(crate) fn member(&self) -> MemberId {
        self.member
    }

    /// What it may begin with this host; `None` where there is no policy.
    #[inline]
    pub(crate) fn held_to(&self) -> Option<&Openings> {
        self.held_to.as_deref()
    }

    /// Whether anybody knows where it is.
    pub(crate) fn is_reachable(&self) -> bool {
        self.endpoints.current().is_some()
    }

    /// Our own key has changed, or nobody knows how old the sessions are: everything made so far is
    /// wiped, and what was under way begins anew.
    pub(crate) fn start_over<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        self.wipe(turn.indices);
        self.keys.keep_shared(turn.own);
        self.clocks.keepalive_at = None;
        self.begin_keepalives(turn.now);
        if !self.held.is_empty() {
            self.start_handshake(turn);
        }
    }

    /// Wipes everything secret and forgets what waits. Returns how many packets waited.
    pub(crate) fn close(&mut self, indices: &mut Indices, room: &mut Room) -> usize {
        self.wipe(indices);
        self.held.clear(room)
    }

    fn wipe(&mut self, indices: &mut Indices) {
        self.sessions.clear(indices);
        self.pending.clear(indices);
        self.attempt = None;
        self.clocks.forget_packets();
    }

    /// What can be said about it, which has `allowed_ips` now.
    pub(crate) fn stats(&self, allowed_ips: &BTreeSet<IpNet>) -> PeerStats {
        PeerStats {
            member: self.member,
            key: *self.keys.key(),
            endpoint: self.endpoints.current().map(|endpoint| endpoint.remote),
            allowed_ips: allowed_ips.iter().copied().collect(),
            last_handshake: self.last_handshake,
            last_received: self.last_received,
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            established: self.sessions.was_confirmed(),
            is_paired: self.sessions.is_paired(),
            keepalive: self.keepalive,
        }
    }
}
