//! What arrives: from datagram to inner packet.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::Engine;
use crate::drops::Drop;
use crate::handshake::Admission;
use crate::packet::ip::Inner;
use crate::peers::Slot;
use crate::sink::Sink;
use crate::tunnel::{MIN_OUT, PLAIN};
use crate::turn::room;

impl Engine {
    /// Type 1: who is it, and may it cost us a handshake?
    pub(super) fn handle_initiation(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<(), Drop> {
        let Some(out) = room(sink, &mut self.kit.drops, MIN_OUT) else {
            return Ok(());
        };
        let admission = self.gate.admit_initiation(from.ip(), datagram, now, out);
        obey(admission, from, sink)?;
        let key = self.gate.identity.as_ref().ok_or(Drop::NoPrivateKey)?.initiator(datagram)?;
        let slot = self.peers.by_key(key).ok_or(Drop::UnknownPeer)?;
        self.catch_up(slot, now, sink);
        self.ensure_tunnel(slot, now);
        let peer = self.peers.get_mut(slot).ok_or(Drop::UnknownPeer)?;
        let handled = peer.handle_initiation(from, datagram, &mut self.kit.turn(now, sink));
        self.peers.settle(slot);
        handled
    }

    /// Type 2: the answer to an initiation of ours.
    pub(super) fn handle_response(
        &mut self,
        from: SocketAddr,
        receiver: u32,
        datagram: &[u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<(), Drop> {
        let slot = self.peers.by_session(receiver).ok_or(Drop::UnknownIndex)?;
        let Some(out) = room(sink, &mut self.kit.drops, MIN_OUT) else {
            return Ok(());
        };
        let admission = self.gate.admit_response(from.ip(), datagram, now, out);
        obey(admission, from, sink)?;
        self.catch_up(slot, now, sink);
        let peer = self.peers.get_mut(slot).ok_or(Drop::UnknownIndex)?;
        let handled = peer.handle_response(from, datagram, &mut self.kit.turn(now, sink));
        self.peers.settle(slot);
        handled
    }

    /// Type 3: a cookie for our next initiation.
    pub(super) fn handle_cookie(&mut self, receiver: u32, datagram: &[u8]) -> Result<(), Drop> {
        let slot = self.peers.by_session(receiver).ok_or(Drop::UnknownIndex)?;
        let peer = self.peers.get_mut(slot).ok_or(Drop::UnknownIndex)?;
        peer.handle_cookie(datagram)
    }

    /// Type 4: a sealed packet.
    pub(super) fn handle_data(
        &mut self,
        from: SocketAddr,
        receiver: u32,
        datagram: &mut [u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<Option<Range<usize>>, Drop> {
        let slot = self.peers.by_session(receiver).ok_or(Drop::UnknownIndex)?;
        self.catch_up(slot, now, sink);
        let peer = self.peers.get_mut(slot).ok_or(Drop::UnknownIndex)?;
        let opened = peer.handle_data(from, receiver, datagram, &mut self.kit.turn(now, sink));
        let member = peer.member();
        let handled = match &opened {
            Ok(opened) if opened.len > 0 => {
                self.accept(slot, member, opened.len, sink).map(|len| {
                    let inner = PLAIN..PLAIN + len?;
                    datagram[inner.clone()].copy_from_slice(&self.kit.scratch[..inner.len()]);
                    Some(inner)
                })
            }
            Ok(_) => Ok(None),
            Err(drop) => Err(*drop),
        };
        if opened.is_ok_and(|opened| opened.confirmed)
            && let Some(peer) = self.peers.get_mut(slot)
        {
            peer.flush_confirmed(&mut self.kit.turn(now, sink));
        }
        self.peers.settle(slot);
        handled
    }

    /// Takes the inner packet of `len` bytes in the scratch, if its source is the sender's. Ours
    /// never is, even where a peer holds a wide prefix around it: it would pass for this host.
    /// Returns its length if it is for the kernel.
    fn accept(
        &self,
        from: Slot,
        member: mesh_model::MemberId,
        len: usize,
        sink: &mut impl Sink,
    ) -> Result<Option<usize>, Drop> {
        let inner = Inner::parse(&self.kit.scratch[..len]).map_err(|_| Drop::DecryptedMalformed)?;
        if self.role.is_own(inner.src()) || !self.fib.is_source_of(from, inner.src()) {
            return Err(Drop::SourceNotAllowed);
        }
        if !self.role.accepts(inner.dst()) {
            return Err(Drop::NotForUs);
        }
        if self.role.is_control(&inner) {
            sink.control(member, inner.bytes());
            return Ok(None);
        }
        Ok(Some(inner.bytes().len()))
    }

    /// Lets a peer's timers run before it is used, should the shell be late.
    fn catch_up(&mut self, slot: Slot, now: Instant, sink: &mut impl Sink) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.catch_up(&mut self.kit.turn(now, sink));
        }
    }
}

/// Carries out the gate's answer; `Ok` to go on.
fn obey(admission: Admission, from: SocketAddr, sink: &mut impl Sink) -> Result<(), Drop> {
    match admission {
        Admission::Pass => Ok(()),
        Admission::Challenge(len) => {
            sink.send(from, len);
            Err(Drop::CookieRequired)
        }
        Admission::Refuse(drop) => Err(drop),
    }
}
