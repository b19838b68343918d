//! One peer: where it is, its tunnel, what waits for it and when it needs attention.
//!
//! ```text
//!            first packet, keepalive, or an initiation from it
//!   no tunnel ------------------------------------------------> tunnel, made by `peers`
//!       ^                                                         |  attempt: initiations until confirmed
//!       |  no session left and no attempt under way               v
//!       +---------------------------------------------------- sessions: confirmed for 180 s each
//! ```
//!
//! boringtun decides when a session is old enough for the next handshake. When an attempt is
//! repeated and when it ends is decided here.

mod attempt;
mod endpoints;
mod held;
mod receive;
mod send;
mod session;
mod timers;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use mesh_model::plan::PeerPlan;
use mesh_model::{MemberId, PresharedKey, TunnelKey};

use crate::stats::PeerStats;
use crate::tunnel::Tunnel;
use attempt::Attempt;
use endpoints::Endpoints;
use held::Held;
use session::Sessions;

/// A peer of the plan.
pub(crate) struct Peer {
    key: TunnelKey,
    member: MemberId,
    /// The prefixes that the table gives to this peer.
    pub(crate) allowed_ips: Vec<IpNet>,
    keepalive: Option<Duration>,
    psk: Option<PresharedKey>,
    endpoints: Endpoints,
    live: Option<Live>,
    held: Held,
    keepalive_at: Option<Instant>,
    last_sent: Option<Instant>,
    last_handshake: Option<Instant>,
    last_received: Option<Instant>,
    rx_bytes: u64,
    tx_bytes: u64,
    /// Index of a tunnel that is gone, until the table of indices has heard of it.
    retired: Option<u32>,
}

/// What exists only while there is a tunnel.
struct Live {
    tunnel: Box<dyn Tunnel>,
    index: u32,
    sessions: Sessions,
    attempt: Option<Attempt>,
    /// The longest packet that the tunnel itself keeps for want of a session.
    kept: Option<usize>,
    last_tick: Instant,
    next_tick: Instant,
}

impl Peer {
    /// A peer without a tunnel.
    pub(crate) fn new(key: TunnelKey, member: MemberId) -> Self {
        Self {
            key,
            member,
            allowed_ips: Vec::new(),
            keepalive: None,
            psk: None,
            endpoints: Endpoints::default(),
            live: None,
            held: Held::default(),
            keepalive_at: None,
            last_sent: None,
            last_handshake: None,
            last_received: None,
            rx_bytes: 0,
            tx_bytes: 0,
            retired: None,
        }
    }

    /// Takes over what the plan says, but for the allowed IPs, which are the engine's to divide.
    pub(crate) fn update(&mut self, plan: &PeerPlan, now: Instant) {
        self.member = plan.member;
        if self.psk != plan.preshared_key {
            self.psk.clone_from(&plan.preshared_key);
            self.close();
        }
        if self.endpoints.set_candidates(&plan.endpoints)
            && let Some(attempt) = self.attempt_mut()
        {
            attempt.hurry(now);
        }
        if self.keepalive != plan.keepalive {
            self.keepalive = plan.keepalive;
            self.keepalive_at = None;
        }
        if self.keepalive.is_some() && self.keepalive_at.is_none() && self.is_reachable() {
            self.keepalive_at = Some(now);
        }
    }

    /// The member behind the key.
    pub(crate) fn member(&self) -> MemberId {
        self.member
    }

    /// What both ends know beforehand.
    pub(crate) fn preshared_key(&self) -> Option<&PresharedKey> {
        self.psk.as_ref()
    }

    /// The operator says that it is at `endpoint`.
    pub(crate) fn move_to(&mut self, endpoint: SocketAddr, now: Instant) {
        self.endpoints.move_to(endpoint);
        if let Some(attempt) = self.attempt_mut() {
            attempt.hurry(now);
        }
        if self.keepalive.is_some() && self.keepalive_at.is_none() {
            self.keepalive_at = Some(now);
        }
    }

    /// The key.
    pub(crate) fn key(&self) -> TunnelKey {
        self.key
    }

    /// Whether anybody knows where it is.
    pub(crate) fn is_reachable(&self) -> bool {
        self.endpoints.current().is_some()
    }

    /// Whether a tunnel exists.
    pub(crate) fn has_tunnel(&self) -> bool {
        self.live.is_some()
    }

    /// Whether a tunnel is to be made for the keepalive's sake.
    pub(crate) fn wants_tunnel(&self, now: Instant) -> bool {
        self.live.is_none() && self.is_reachable() && self.keepalive_at.is_some_and(|at| at <= now)
    }

    /// Takes a new tunnel into use.
    pub(crate) fn open_tunnel(
        &mut self,
        tunnel: Box<dyn Tunnel>,
        index: u32,
        now: Instant,
        next_tick: Instant,
    ) {
        self.live = Some(Live {
            tunnel,
            index,
            sessions: Sessions::default(),
            attempt: None,
            kept: None,
            last_tick: now,
            next_tick,
        });
    }

    /// The index of a tunnel that is gone, once.
    pub(crate) fn take_retired(&mut self) -> Option<u32> {
        self.retired.take()
    }

    /// Wipes everything secret. Returns how many packets waited.
    pub(crate) fn close(&mut self) -> usize {
        self.retired = self.live.take().map(|live| live.index).or(self.retired);
        self.held.clear()
    }

    /// What can be said about it.
    pub(crate) fn stats(&self) -> PeerStats {
        PeerStats {
            member: self.member,
            key: self.key,
            endpoint: self.endpoints.current(),
            allowed_ips: self.allowed_ips.clone(),
            last_handshake: self.last_handshake,
            last_received: self.last_received,
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            established: self.live.as_ref().is_some_and(|live| live.sessions.was_confirmed()),
            keepalive: self.keepalive,
        }
    }

    /// When it needs attention next, and why.
    pub(crate) fn due(&self) -> Option<(Instant, &'static str)> {
        let live = self.live.as_ref();
        let attempt = live.and_then(|live| live.attempt.as_ref());
        [
            attempt.map(|attempt| (attempt.next(), "handshake retry")),
            self.keepalive_at.map(|at| (at, "keepalive")),
            live.map(|live| (live.next_tick, "tunnel timers")),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    fn is_confirmed(&self, now: Instant) -> bool {
        self.live.as_ref().is_some_and(|live| live.sessions.is_confirmed(now))
    }

    fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        self.live.as_mut()?.attempt.as_mut()
    }
}
