//! What leaves for a peer.

use std::time::Instant;

use super::Peer;
use crate::drops::Drop;
use crate::endpoint::Endpoint;
use crate::packet::nested::hops_around;
use crate::packet::offload::Segments;
use crate::sink::{Lane, Sink};
use crate::tunnel::{PLAIN, sealed_len};
use crate::turn::{Turn, room};

impl Peer {
    /// Sends `count` inner packets of at most `longest` bytes, now or after the handshake. `write`
    /// writes the packet of a given number to the start of its room, which is where it is sealed,
    /// and returns its length. What leaves goes no further than `hops`, if that is given.
    #[inline]
    pub(crate) fn send_run<S: Sink>(
        &mut self,
        lane: Lane,
        hops: Option<u8>,
        count: usize,
        longest: usize,
        mut write: impl FnMut(usize, &mut [u8]) -> usize,
        turn: &mut Turn<'_, S>,
    ) {
        if lane == Lane::Bulk && self.is_barred(turn.now) {
            return turn.drops.add(Drop::NoPairKey, count);
        }
        if self.seal_run(lane, hops, count, longest, &mut write, turn) {
            self.clocks.sent_data(turn.now);
            return;
        }
        for n in 0..count {
            // Before any work: a flood to a peer that does not answer ends here.
            if !self.held.has_room(lane, longest, turn.room) {
                turn.drops.count(Drop::HoldFull);
                continue;
            }
            let mut packet = vec![0; longest];
            let len = write(n, &mut packet);
            packet.truncate(len);
            packet.shrink_to_fit();
            if !self.held.push(lane, packet, turn.room) {
                turn.drops.count(Drop::HoldFull);
            }
        }
        self.start_handshake(turn);
    }

    /// Whether the session to send in is for daemons only.
    #[inline]
    fn is_barred(&mut self, now: Instant) -> bool {
        self.mixing.is_required()
            && self.sessions.sealing(now).is_some_and(|session| !session.is_paired())
    }

    /// Sends an empty packet, if there is a session.
    pub(super) fn send_keepalive<S: Sink>(&mut self, turn: &mut Turn<'_, S>) -> bool {
        self.seal_run(Lane::Control, None, 1, 0, &mut |_, _| 0, turn)
    }

    /// Seals packets where the sink wants them: one look at the session for all. `false` when there
    /// is none.
    #[inline]
    fn seal_run<S: Sink>(
        &mut self,
        lane: Lane,
        hops: Option<u8>,
        count: usize,
        longest: usize,
        write: &mut impl FnMut(usize, &mut [u8]) -> usize,
        turn: &mut Turn<'_, S>,
    ) -> bool {
        let Some(session) = self.sessions.sealing(turn.now) else { return false };
        let Some(to) = self.endpoints.current() else { return false };
        for n in 0..count {
            let need = sealed_len(longest, turn.mtu);
            let Some(slot) = room(turn.sink, turn.drops, lane, need) else { continue };
            let len = write(n, &mut slot[PLAIN..PLAIN + longest]);
            let Some(len) = session.seal(slot, len, turn.mtu) else {
                turn.drops.count(Drop::CounterExhausted);
                continue;
            };
            match hops {
                None => turn.sink.send(to, len),
                Some(hops) => turn.sink.send_no_further(to, hops, len),
            }
            self.tx_bytes += len as u64;
        }
        self.clocks.sent(turn.now);
        if session.is_worn(turn.now) {
            self.start_handshake(turn);
        }
        true
    }

    /// The last slot's first `len` bytes, a handshake message, go to `to`.
    pub(super) fn transmit<S: Sink>(&mut self, to: Endpoint, len: usize, turn: &mut Turn<'_, S>) {
        turn.sink.send(to, len);
        self.tx_bytes += len as u64;
        self.clocks.sent(turn.now);
    }

    /// Sends what waited for a session.
    pub(super) fn flush<S: Sink>(&mut self, turn: &mut Turn<'_, S>) {
        while self.sessions.is_confirmed(turn.now)
            && let Some((lane, packet)) = self.held.pop(turn.room)
        {
            let copy = |_, out: &mut [u8]| {
                out.copy_from_slice(&packet);
                packet.len()
            };
            let packets = Segments::one(&packet).ok().filter(|_| lane == Lane::Bulk);
            // It was not too deep when it came.
            let hops = packets.and_then(|packets| hops_around(&packets).ok()?);
            self.send_run(lane, hops, 1, packet.len(), copy, turn);
        }
    }
}
