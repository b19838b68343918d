//! Both ends of a handshake, as far as one peer is concerned.

use std::time::Instant;

use mesh_model::TunnelKey;

use super::Peer;
use super::attempt::Attempt;
use crate::drops::Drop;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::sink::Sink;
use crate::tunnel::{
    COOKIE, Hello, INITIATION, Initiator, RESPONSE, Session, Stamp, begin_initiation,
    begin_response, sender,
};
use crate::turn::{Turn, room_for};

impl Peer {
    /// Begins an attempt unless one is under way. What waits is dropped if there cannot be any.
    pub(super) fn start_handshake<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        if self.attempt.is_some() {
            return;
        }
        let own = turn.own.ok_or(Drop::NoPrivateKey);
        if let Err(drop) = own.and_then(|own| self.keys.current().shared(own.current())) {
            return turn.drops.add(drop, self.held.clear(turn.room));
        }
        self.attempt = Some(Attempt::new(turn.now));
        self.initiate(turn);
    }

    /// Sends the next initiation of the attempt. If there is none, for want of room, the same try
    /// is made again a little later.
    pub(super) fn initiate<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let written = self.write_initiation(turn);
        let to = if written { self.endpoints.next_try() } else { None };
        if let Some(to) = to {
            self.transmit(to, INITIATION, turn);
        }
        if let Some(attempt) = &mut self.attempt {
            match to {
                Some(_) => attempt.sent(turn.now, turn.pace, turn.rng),
                None => attempt.put_off(turn.now),
            }
        }
    }

    /// Writes an initiation into a slot.
    fn write_initiation<S: Sink>(&mut self, turn: &mut Turn<'_, S>) -> bool {
        let Some(own) = turn.own else { return false };
        let nth = self.attempt.as_ref().map_or(0, Attempt::count);
        let own = own.greeting(nth, self.known_as);
        let Some(out) = room_for::<INITIATION>(turn.sink, turn.drops) else { return false };
        let stamp = turn.stamps.next(self.stamped, turn.now);
        let written = Initiator::write(own, self.keys.current(), Stamp::at(stamp), turn.rng, out);
        let index = match written {
            Ok(_) => turn.indices.claim(self.slot, turn.rng).ok_or(Drop::IndicesFull),
            Err(drop) => Err(drop),
        };
        let (Ok(initiator), Ok(index)) = (written, index) else {
            turn.drops.count(index.err().unwrap_or(Drop::HandshakeInvalid));
            return false;
        };
        begin_initiation(out, index);
        self.jar.sign(self.keys.current(), index, out, turn.now);
        self.stamped = Some(stamp);
        self.pending.push(index, initiator, turn.indices);
        true
    }

    /// Answers its initiation, which was for the key pair `own`, to where it came from. That is all a recording can
    /// obtain.
    pub(crate) fn handle_initiation<S: Sink>(
        &mut self,
        from: Endpoint,
        own: TunnelKey,
        mut hello: Hello,
        message: &[u8; INITIATION],
        turn: &mut Turn<'_, S>,
    ) -> Result<(), Drop> {
        let ours = turn.own.ok_or(Drop::NoPrivateKey)?;
        let own = ours.of(&own).ok_or(Drop::NoPrivateKey)?;
        let claims = hello.peer;
        let remote = self.keys.of(&claims).ok_or(Drop::UnknownPeer)?;
        let stamp = hello.stamp(remote.shared(own)?, message)?;
        if remote.heard_stamp.is_some_and(|heard| stamp <= heard) {
            return Err(Drop::HandshakeReplay);
        }
        let Some(out) = room_for::<RESPONSE>(turn.sink, turn.drops) else {
            return Ok(());
        };
        let keys = hello.answer(self.mixing.answer(), turn.rng, out)?;
        let index = turn.indices.claim(self.slot, turn.rng).ok_or(Drop::IndicesFull)?;
        let theirs = sender(message);
        begin_response(out, index, theirs);
        self.jar.sign(remote, index, out, turn.now);
        remote.heard_stamp = Some(stamp);
        self.keys.heard(&claims);
        self.known_as = Some(*own.key());
        let session = Session::new(&keys, (index, theirs), false, turn.now);
        self.sessions.offer(session, turn.indices);
        self.rx_bytes += message.len() as u64;
        self.transmit(from, RESPONSE, turn);
        Ok(())
    }

    /// Takes the response to our initiation: there is a session.
    pub(crate) fn handle_response<S: Sink>(
        &mut self,
        from: Endpoint,
        receiver: u32,
        message: &[u8; RESPONSE],
        turn: &mut Turn<'_, S>,
    ) -> Result<(), Drop> {
        let ours = turn.own.ok_or(Drop::NoPrivateKey)?;
        let initiator = self.pending.get(receiver).ok_or(Drop::HandshakeUnexpected)?;
        let own = ours.of(initiator.own()).ok_or(Drop::HandshakeUnexpected)?;
        let keys = self.mixing.read(|psk| initiator.read(own, psk, message))?;
        if self.attempt.is_none() && self.sessions.is_paired() && !keys.is_paired {
            // An answer to one initiation too many, behind the one that made the session.
            return Err(Drop::HandshakeUnexpected);
        }
        self.known_as = Some(*own.key());
        self.pending.answered(receiver, turn.indices);
        let session = Session::new(&keys, (receiver, sender(message)), true, turn.now);
        self.sessions.confirm_own(session, turn.indices);
        self.heard(from, message.len(), turn);
        self.session_confirmed(turn);
        // Tells the responder that the session is real.
        self.send_keepalive(turn);
        self.flush(turn);
        Ok(())
    }

    /// Keeps a cookie for the next initiation, which is due soon then. The endpoint stays: a cookie proves
    /// less than a handshake.
    pub(crate) fn handle_cookie(
        &mut self,
        receiver: u32,
        message: &[u8; COOKIE],
        now: Instant,
    ) -> Result<(), Drop> {
        self.jar.keep(receiver, message, now)?;
        self.repeat_early();
        Ok(())
    }

    /// One end or the other asks for a cookie: an attempt that is under way goes on soon.
    pub(crate) fn repeat_early(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.repeat_early();
        }
    }

    /// The peer has proven that it holds the keys of the current session.
    pub(super) fn session_confirmed<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        let is_paired = self.sessions.is_paired();
        self.mixing.confirmed(is_paired);
        self.attempt = None;
        self.pending.close(turn.now);
        self.last_handshake = Some(turn.now);
        turn.event(Event::HandshakeDone { member: self.member, is_paired });
    }
}
