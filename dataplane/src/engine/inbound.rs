//! What arrives: from datagram to inner packet.

use std::ops::Range;
use std::time::Instant;

use mesh_model::{MemberId, TunnelKey};

use super::Engine;
use super::handed::Leg;
use crate::drops::Drop;
use crate::endpoint::Endpoint;
use crate::handshake::Admission;
use crate::packet::ip::Inner;
use crate::peer::Opened;
use crate::peers::Slot;
use crate::sink::{Parcel, Sink};
use crate::slice::GATEKEEPER;
use crate::tunnel::{COOKIE, Hello, INITIATION, Identity, PLAIN, RESPONSE};
use crate::turn::room_for;

/// Whose packet it is.
#[derive(Clone, Copy)]
struct Sender {
    slot: Slot,
    member: MemberId,
    /// Whether the policy holds it to anything.
    is_held: bool,
    /// Whether its session is for daemons only.
    is_barred: bool,
}

impl Engine {
    /// Type 1: who is it, and may it cost us a handshake? One slice judges all that strangers send; a
    /// peer of another slice costs a second look at whose it is.
    pub(super) fn handle_initiation(
        &mut self,
        from: Endpoint,
        message: &[u8; INITIATION],
        leg: Leg,
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<(), Drop> {
        let own = self.addressed(message)?;
        if leg != Leg::Admitted {
            if self.slice.this() != GATEKEEPER {
                let parcel = Parcel::Datagram { from, bytes: message, admitted: false };
                sink.hand_on(GATEKEEPER, parcel);
                return Ok(());
            }
            let admission = self.gate.admit_initiation(from.remote, message, now);
            self.obey(admission, own, from, message, now, sink)?;
        }
        let hello = Hello::read(self.own(own)?, message)?;
        let slot = self.peers.by_key(hello.peer).ok_or(Drop::UnknownPeer)?;
        let Some(peer) = self.peers.get_mut(slot) else {
            let elsewhere = self.peers.elsewhere(slot).filter(|_| leg != Leg::Admitted);
            let slice = elsewhere.ok_or(Drop::Moved)?;
            sink.hand_on(slice, Parcel::Datagram { from, bytes: message, admitted: true });
            return Ok(());
        };
        let handled =
            peer.handle_initiation(from, own, hello, message, &mut self.kit.turn(now, sink));
        self.peers.settle(slot);
        handled
    }

    /// Type 2: the answer to an initiation of ours.
    pub(super) fn handle_response(
        &mut self,
        from: Endpoint,
        receiver: u32,
        message: &[u8; RESPONSE],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<(), Drop> {
        let slot = self.kit.indices.holder(receiver).ok_or(Drop::UnknownIndex)?;
        let own = self.addressed(message)?;
        let admission = self.gate.admit_response(from.remote, message, now);
        let admitted = self.obey(admission, own, from, message, now, sink);
        let peer = self.peers.get_mut(slot).ok_or(Drop::UnknownIndex)?;
        let handled = admitted.and_then(|()| {
            peer.handle_response(from, receiver, message, &mut self.kit.turn(now, sink))
        });
        if handled == Err(Drop::CookieRequired) {
            // Only another initiation can bring the response that shows the cookie.
            peer.repeat_early();
        }
        self.peers.settle(slot);
        handled
    }

    /// Type 3: a cookie for our next handshake message.
    pub(super) fn handle_cookie(
        &mut self,
        receiver: u32,
        message: &[u8; COOKIE],
        now: Instant,
    ) -> Result<(), Drop> {
        let slot = self.kit.indices.holder(receiver).ok_or(Drop::UnknownIndex)?;
        let peer = self.peers.get_mut(slot).ok_or(Drop::UnknownIndex)?;
        let handled = peer.handle_cookie(receiver, message, now);
        self.peers.settle(slot);
        handled
    }

    /// Type 4: a sealed packet.
    pub(super) fn handle_data(
        &mut self,
        from: Endpoint,
        receiver: u32,
        datagram: &mut [u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<Option<Range<usize>>, Drop> {
        let slot = self.kit.indices.holder(receiver).ok_or(Drop::UnknownIndex)?;
        let peer = self.peers.get_mut(slot).ok_or(Drop::UnknownIndex)?;
        let (member, is_held) = (peer.member(), peer.held_to().is_some());
        let opened = peer.handle_data(from, receiver, datagram, &mut self.kit.turn(now, sink));
        self.peers.settle(slot);
        let Opened { len, is_barred } = opened?;
        if len == 0 {
            return Ok(None);
        }
        let sender = Sender { slot, member, is_held, is_barred };
        self.accept(sender, &datagram[PLAIN..PLAIN + len], now, sink)
    }

    /// Takes an inner packet if its source is the sender's and the policy lets it in. Ours never is, even where a peer holds
    /// a wide prefix around it: it would pass for this host. Returns where it lies in its datagram
    /// if it is for the kernel.
    fn accept(
        &mut self,
        from: Sender,
        plain: &[u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<Option<Range<usize>>, Drop> {
        let inner = Inner::parse(plain).map_err(|_| Drop::DecryptedMalformed)?;
        if self.role.is_own(inner.src()) || !self.fib.is_source_of(from.slot, inner.src()) {
            return Err(Drop::SourceNotAllowed);
        }
        if !self.role.accepts(inner.dst()) {
            return Err(Drop::NotForUs);
        }
        if self.role.is_control(&inner) {
            sink.control(from.member, inner.bytes());
            return Ok(None);
        }
        if from.is_barred {
            return Err(Drop::NoPairKey);
        }
        if from.is_held && !self.lets_in(from, &inner, now) {
            return Err(Drop::PolicyDenied);
        }
        Ok(Some(PLAIN..PLAIN + inner.bytes().len()))
    }

    /// Whether the policy lets in what a peer has sent that is held to something. What daemons say to each other is not
    /// asked about: a mesh that could not agree could not mend its policy either.
    fn lets_in(&mut self, from: Sender, inner: &Inner<'_>, now: Instant) -> bool {
        let Self { peers, access, fib, .. } = self;
        let Some(held_to) = peers.get_mut(from.slot).and_then(|peer| peer.held_to()) else {
            return false;
        };
        let is_its = |address| fib.is_source_of(from.slot, address);
        access.admits(from.member, held_to, inner, now, is_its)
    }

    /// Which of our keys a handshake message is for. That is all a stranger costs who knows none of them.
    fn addressed(&self, message: &[u8]) -> Result<TunnelKey, Drop> {
        let ours = self.kit.own.as_ref().ok_or(Drop::NoPrivateKey)?;
        ours.addressed(message).map(|own| *own.key())
    }

    /// Our key pair of `key`.
    fn own(&self, key: TunnelKey) -> Result<&Identity, Drop> {
        self.kit.own.as_ref().and_then(|ours| ours.of(&key)).ok_or(Drop::NoPrivateKey)
    }

    /// Carries out the gate's answer to a message for our key `own`; `Ok` to go on.
    fn obey(
        &mut self,
        admission: Admission,
        own: TunnelKey,
        from: Endpoint,
        message: &[u8],
        now: Instant,
        sink: &mut impl Sink,
    ) -> Result<(), Drop> {
        match admission {
            Admission::Pass => Ok(()),
            Admission::Refuse(drop) => Err(drop),
            Admission::Challenge => {
                if let Some(own) = self.kit.own.as_ref().and_then(|ours| ours.of(&own))
                    && let Some(out) = room_for::<COOKIE>(sink, &mut self.kit.drops)
                {
                    self.gate.challenge(own, from.remote, message, now, out);
                    sink.send(from, COOKIE);
                }
                Err(Drop::CookieRequired)
            }
        }
    }
}
