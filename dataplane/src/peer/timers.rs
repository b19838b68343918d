//! What a peer does as time passes (section 6): handshakes repeated and given up, silence broken,
//! keys wiped.

use std::time::Instant;

use super::Peer;
use crate::drops::Drop;
use crate::sink::Sink;
use crate::turn::Turn;

impl Peer {
    /// When it needs attention next, and why.
    #[inline]
    pub(crate) fn due(&self) -> Option<(Instant, &'static str)> {
        [
            (self.attempt.as_ref().map(|attempt| attempt.next()), "handshake retry"),
            (self.clocks.keepalive_at, "keepalive"),
            (self.clocks.reply_at, "nothing said for long"),
            (self.clocks.missing_at, "nothing heard for long"),
            (self.sessions.first_end(), "end of a session"),
            (self.pending.until(), "end of a handshake"),
        ]
        .into_iter()
        .filter_map(|(at, why)| Some((at?, why)))
        .min_by_key(|(at, _)| *at)
    }

    /// Does what is due by time. Harmless when nothing is.
    pub(crate) fn handle_timeout<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= turn.now);
        let clocks = &self.clocks;
        let (silent, missing) = (due(clocks.reply_at), due(clocks.missing_at));
        let keepalive = due(clocks.keepalive_at);
        if due(self.sessions.first_end()) {
            self.sessions.expire(turn.now, turn.indices);
        }
        if due(self.pending.until()) {
            self.pending.clear(turn.indices);
        }
        if let Some(attempt) = self.attempt.as_ref().filter(|attempt| attempt.next() <= turn.now) {
            if attempt.is_hopeless(turn.now) {
                self.abandon_attempt(turn);
            } else {
                self.initiate(turn);
            }
        }
        if silent {
            let again = self.clocks.take_reply();
            if self.send_keepalive(turn) && again {
                self.clocks.heard_data(turn.now);
            }
        }
        if missing {
            self.clocks.missing_at = None;
            self.start_handshake(turn);
        }
        if keepalive {
            self.keep_alive(turn);
        }
    }

    fn keep_alive<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(interval) = self.keepalive.filter(|_| self.is_reachable()) else {
            self.clocks.keepalive_at = None;
            return;
        };
        // Any packet keeps the mapping open, so the pause counts from the last one.
        let confirmed = self.sessions.is_confirmed(turn.now);
        let next = self.clocks.last_sent.map(|sent| sent + interval);
        if let Some(next) = next.filter(|next| confirmed && *next > turn.now) {
            self.clocks.keepalive_at = Some(next);
            return;
        }
        self.clocks.keepalive_at = Some(turn.now + interval);
        if !self.send_keepalive(turn) {
            self.start_handshake(turn);
        }
    }

    /// The attempt has gone on for too long; an older session may still live.
    fn abandon_attempt<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        self.attempt = None;
        self.pending.clear(turn.indices);
        turn.drops.add(Drop::HandshakeTimeout, self.held.clear(turn.room));
    }
}
