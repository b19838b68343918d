//! What a peer does with its datagrams. Each has passed `handshake` or names an index of this peer.

use std::net::SocketAddr;

use super::Peer;
use crate::drops::Drop;
use crate::event::Event;
use crate::sink::Sink;
use crate::tunnel::{MIN_OUT, sender_of_response};
use crate::turn::{Turn, room};

/// A data message that was opened.
pub(crate) struct Opened {
    /// Bytes of the inner packet, at the start of the turn's scratch; zero for a keepalive.
    pub(crate) len: usize,
    /// A session was confirmed by it: [`Peer::flush_confirmed`] once the scratch is free.
    pub(crate) confirmed: bool,
}

impl Peer {
    /// Answers its initiation, to where it came from. That is all a recording can obtain.
    pub(crate) fn handle_initiation<S: Sink>(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        turn: &mut Turn<'_, S>,
    ) -> Result<(), Drop> {
        let live = self.live.as_mut().ok_or(Drop::NoSession)?;
        let Some(out) = room(turn.sink, turn.drops, MIN_OUT) else {
            return Ok(());
        };
        match live.tunnel.answer(datagram, out) {
            Ok(len) => {
                if let Some(index) = sender_of_response(out) {
                    live.sessions.offer(index, turn.now);
                }
                self.rx_bytes += datagram.len() as u64;
                self.transmit(Some(from), len, turn);
                Ok(())
            }
            Err(drop) => {
                // Do not keep a tunnel for somebody who could not use it.
                if live.attempt.is_none() && live.sessions.expire(turn.now) {
                    self.close();
                }
                Err(drop)
            }
        }
    }

    /// Takes the response to our initiation: there is a session.
    pub(crate) fn handle_response<S: Sink>(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        turn: &mut Turn<'_, S>,
    ) -> Result<(), Drop> {
        let live = self.live.as_mut().ok_or(Drop::NoSession)?;
        let Some(out) = room(turn.sink, turn.drops, MIN_OUT) else {
            return Ok(());
        };
        let len = live.tunnel.complete(datagram, out)?;
        live.sessions.confirm(turn.now);
        // The keepalive in the slot tells the responder that the session is real.
        self.transmit(Some(from), len, turn);
        self.heard(from, datagram.len(), turn);
        self.session_confirmed(turn);
        self.flush(turn);
        Ok(())
    }

    /// Keeps a cookie for the next initiation, which is due soon anyway. The endpoint stays: a
    /// cookie proves less than a handshake.
    pub(crate) fn handle_cookie(&mut self, datagram: &[u8]) -> Result<(), Drop> {
        let live = self.live.as_mut().ok_or(Drop::NoSession)?;
        live.tunnel.keep_cookie(datagram)
    }

    /// Opens a data message of session `index` into the turn's scratch.
    pub(crate) fn handle_data<S: Sink>(
        &mut self,
        from: SocketAddr,
        index: u32,
        datagram: &[u8],
        turn: &mut Turn<'_, S>,
    ) -> Result<Opened, Drop> {
        let live = self.live.as_mut().ok_or(Drop::NoSession)?;
        let len = live.tunnel.open(datagram, turn.scratch)?;
        let confirmed = live.sessions.heard(index);
        self.heard(from, datagram.len(), turn);
        if confirmed {
            self.session_confirmed(turn);
        }
        Ok(Opened { len, confirmed })
    }

    /// Sends what waited for the session that [`handle_data`](Self::handle_data) confirmed.
    pub(crate) fn flush_confirmed<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        self.flush(turn);
    }

    fn session_confirmed<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        if let Some(live) = &mut self.live {
            live.attempt = None;
        }
        self.last_handshake = Some(turn.now);
        turn.event(Event::HandshakeDone { member: self.member });
    }

    /// An authentic datagram arrived: the peer is where it came from.
    fn heard<S: Sink>(&mut self, from: SocketAddr, len: usize, turn: &mut Turn<'_, S>) {
        self.rx_bytes += len as u64;
        self.last_received = Some(turn.now);
        if self.endpoints.heard_from(from) {
            turn.event(Event::EndpointChanged { member: self.member, endpoint: from });
            if self.keepalive.is_some() && self.keepalive_at.is_none() {
                self.keepalive_at = Some(turn.now);
            }
        }
    }
}
