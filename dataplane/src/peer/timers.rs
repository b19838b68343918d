//! What a peer does as time passes: its tunnel's own timers, handshakes repeated and given up,
//! keepalives.

use std::time::Duration;

use super::Peer;
use super::attempt::Attempt;
use super::session::Sessions;
use crate::drops::Drop;
use crate::sink::Sink;
use crate::tunnel::{MIN_OUT, Tick};
use crate::turn::{Turn, room};

/// A tunnel in use looks at the clock this often. boringtun stamps what it sends and receives with
/// the time of its last look, and compares such stamps to tell whether an answer came after the
/// question.
const PRECISION: Duration = Duration::from_millis(100);

impl Peer {
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
            // What has expired is older than an attempt that could not send anything yet.
            Tick::Expired if live.attempt.as_ref().is_some_and(|attempt| !attempt.has_begun()) => {
                live.sessions = Sessions::default();
                live.kept = None;
            }
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

    pub(super) fn keep_alive<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
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

    pub(super) fn start_handshake<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        if live.attempt.is_none() {
            live.attempt = Some(Attempt::new(turn.now));
            self.initiate(turn);
        }
    }

    pub(super) fn initiate<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        let written =
            room(turn.sink, turn.drops, MIN_OUT).and_then(|out| live.tunnel.initiate(out));
        self.send_initiation(written.unwrap_or(0), turn);
    }

    /// Sends the initiation of `len` bytes in the last slot and waits for the answer. If there is
    /// none, for want of room, the same try is made again a little later.
    pub(super) fn send_initiation<S: Sink>(&mut self, len: usize, turn: &mut Turn<'_, S>) {
        let to = if len > 0 { self.endpoints.next_try() } else { None };
        self.transmit(to, len, turn);
        let Some(live) = &mut self.live else { return };
        let attempt = live.attempt.get_or_insert_with(|| Attempt::new(turn.now));
        if to.is_some() {
            attempt.sent(turn.now, turn.rng);
        } else {
            attempt.put_off(turn.now);
        }
    }

    /// The attempt has gone on for too long; an older session may still live.
    pub(super) fn abandon_attempt<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(live) = &mut self.live else { return };
        live.attempt = None;
        if live.sessions.expire(turn.now) {
            self.give_up(turn);
        } else {
            turn.drops.add(Drop::HandshakeTimeout, self.held.clear());
        }
    }

    /// Nothing is left of the tunnel that is worth keeping.
    pub(super) fn give_up<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let waited = self.close();
        turn.drops.add(Drop::HandshakeTimeout, waited);
    }
}
