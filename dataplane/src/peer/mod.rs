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
//! boringtun decides when a session is old enough for the next handshake. When an attempt is repeated and
//! when it ends is decided here.

mod attempt;
mod endpoints;
mod held;
mod receive;
mod session;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use mesh_model::addr::OVERLAY_MTU;
use mesh_model::plan::PeerPlan;
use mesh_model::{MemberId, TunnelKey};

use crate::drops::Drop;
use crate::sink::Sink;
use crate::stats::PeerStats;
use crate::tunnel::{MIN_OUT, OVERHEAD, Sealed, Tick, Tunnel};
use crate::turn::{Turn, room};
use attempt::Attempt;
use endpoints::Endpoints;
use held::Held;
use session::Sessions;

/// WireGuard pads packets to a multiple of this, to hide their exact length (paper, section 5.4.6).
const PADDING: usize = 16;

/// A tunnel in use looks at the clock this often. boringtun stamps what it sends and receives with the time
/// of its last look, and compares such stamps to tell whether an answer came after the question.
const PRECISION: Duration = Duration::from_millis(100);

/// A peer of the plan.
pub(crate) struct Peer {
    key: TunnelKey,
    member: MemberId,
    /// The prefixes that the table gives to this peer.
    pub(crate) allowed_ips: Vec<IpNet>,
    keepalive: Option<Duration>,
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

    /// Sends an inner packet, now or after the handshake. There is a tunnel.
    pub(crate) fn send<S: Sink>(&mut self, packet: &[u8], turn: &mut Turn<'_, S>) {
        if self.is_confirmed(turn.now) {
            self.seal(packet, turn);
            return;
        }
        if !self.held.push(packet) {
            turn.drops.count(Drop::HoldFull);
        }
        self.start_handshake(turn);
    }

    /// Lets the tunnel's timers run if it has not looked at the clock for a while.
    pub(crate) fn catch_up<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        if turn.now < live.next_tick && turn.now < live.last_tick + PRECISION {
            return;
        }
        live.last_tick = turn.now;
        live.next_tick = turn.next_tick;
        let empty = live.sessions.expire(turn.now);
        let Some(out) = room(turn.sink, turn.drops, MIN_OUT) else {
            return;
        };
        match live.tunnel.tick(out) {
            Tick::Nothing => {}
            Tick::Initiation(len) => self.send_initiation(len, turn),
            Tick::Keepalive(len) => self.transmit(self.endpoints.current(), len, turn),
            Tick::Expired => return self.give_up(turn),
        }
        if empty && self.attempt_mut().is_none() {
            self.give_up(turn);
        }
    }

    /// Does what is due by time: the next initiation, a keepalive.
    pub(crate) fn handle_timeout<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let now = turn.now;
        if let Some(attempt) = self.attempt_mut()
            && attempt.next() <= now
        {
            if attempt.is_hopeless(now) {
                self.abandon_attempt(turn);
            } else {
                self.initiate(turn);
            }
        }
        if self.keepalive_at.is_some_and(|at| at <= now) {
            self.keep_alive(turn);
        }
    }

    fn keep_alive<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(interval) = self.keepalive.filter(|_| self.is_reachable()) else {
            self.keepalive_at = None;
            return;
        };
        // Any packet keeps the mapping open, so the pause counts from the last one.
        let confirmed = self.is_confirmed(turn.now);
        let next = self.last_sent.map(|sent| sent + interval);
        if let Some(next) = next.filter(|next| confirmed && *next > turn.now) {
            self.keepalive_at = Some(next);
            return;
        }
        self.keepalive_at = Some(turn.now + interval);
        if confirmed {
            self.seal(&[], turn);
        } else {
            self.start_handshake(turn);
        }
    }

    fn start_handshake<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        if live.attempt.is_none() {
            live.attempt = Some(Attempt::new(turn.now));
            self.initiate(turn);
        }
    }

    fn initiate<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        let written =
            room(turn.sink, turn.drops, MIN_OUT).and_then(|out| live.tunnel.initiate(out));
        self.send_initiation(written.unwrap_or(0), turn);
    }

    /// Sends the initiation of `len` bytes in the last slot (none if zero) and waits for the answer.
    fn send_initiation<S: Sink>(&mut self, len: usize, turn: &mut Turn<'_, S>) {
        let to = self.endpoints.next_try().filter(|_| len > 0);
        self.transmit(to, len, turn);
        if let Some(live) = &mut self.live {
            live.attempt.get_or_insert_with(|| Attempt::new(turn.now)).sent(turn.now, turn.rng);
        }
    }

    fn seal<S: Sink>(&mut self, packet: &[u8], turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        let plain = padded(packet, turn.scratch);
        let need = (plain.len() + OVERHEAD).max(MIN_OUT);
        let Some(out) = room(turn.sink, turn.drops, need) else {
            return;
        };
        match live.tunnel.seal(plain, out) {
            Sealed::Data(len) => self.transmit(self.endpoints.current(), len, turn),
            Sealed::Kept(initiation) => {
                // Its clock ran on while ours stood still: the host was suspended.
                live.sessions.lost();
                live.kept = live.kept.max(Some(plain.len()));
                match initiation {
                    Some(len) => self.send_initiation(len, turn),
                    None => self.start_handshake(turn),
                }
            }
        }
    }

    /// The last slot's first `len` bytes go to `to`.
    fn transmit<S: Sink>(&mut self, to: Option<SocketAddr>, len: usize, turn: &mut Turn<'_, S>) {
        if let Some(to) = to {
            turn.sink.send(to, len);
            self.tx_bytes += len as u64;
            self.last_sent = Some(turn.now);
        }
    }

    /// Sends what waited for a session.
    fn flush<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let kept = self.live.as_mut().and_then(|live| live.kept.take());
        while let Some(longest) = kept
            && let Some(live) = &mut self.live
            && let Some(out) = room(turn.sink, turn.drops, (longest + OVERHEAD).max(MIN_OUT))
            && let Some(len) = live.tunnel.next_kept(out)
        {
            self.transmit(self.endpoints.current(), len, turn);
        }
        while self.is_confirmed(turn.now)
            && let Some(packet) = self.held.pop()
        {
            self.seal(&packet, turn);
        }
    }

    /// The attempt has gone on for too long; an older session may still live.
    fn abandon_attempt<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        live.attempt = None;
        if live.sessions.expire(turn.now) {
            self.give_up(turn);
        } else {
            turn.drops.add(Drop::HandshakeTimeout, self.held.clear());
        }
    }

    /// Nothing is left of the tunnel that is worth keeping.
    fn give_up<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let waited = self.close();
        turn.drops.add(Drop::HandshakeTimeout, waited);
    }

    fn is_confirmed(&self, now: Instant) -> bool {
        self.live.as_ref().is_some_and(|live| live.sessions.is_confirmed(now))
    }

    fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        self.live.as_mut()?.attempt.as_mut()
    }
}

/// `packet` with zeros up to a multiple of 16 bytes, but not beyond the overlay's MTU, so that padding
/// never makes a datagram too long for its path.
fn padded<'a>(packet: &'a [u8], scratch: &'a mut [u8]) -> &'a [u8] {
    let len = packet.len();
    let most = len.max(usize::from(OVERLAY_MTU));
    let target = len.next_multiple_of(PADDING).min(most);
    if target == len {
        return packet;
    }
    let padded = &mut scratch[..target];
    padded[..len].copy_from_slice(packet);
    padded[len..].fill(0);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_fills_up_to_sixteen_but_not_past_the_mtu() {
        let mut scratch = [0xff; 2000];
        for (len, target) in [(0, 0), (1, 16), (16, 16), (1385, 1392), (1393, 1400), (1400, 1400)] {
            let packet = vec![7; len];
            let plain = padded(&packet, &mut scratch);
            assert_eq!(plain.len(), target);
            assert_eq!(&plain[..len], &packet[..]);
            assert!(plain[len..].iter().all(|byte| *byte == 0));
        }
        assert_eq!(padded(&[7; 1500], &mut scratch).len(), 1500);
    }
}
