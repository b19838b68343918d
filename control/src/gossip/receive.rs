//! What comes in: SWIM messages, facts and digests, each through its own gate.

use std::time::Instant;

use mesh_model::facts::Facts;
use mesh_model::{MemberId, Signed, codec};

use super::Gossip;
use super::book::Received;
use super::drops::Drop;
use super::packet::Packet;
use super::screen::Screen;
use super::swim_id::{HIGHEST_RUMOURED, SwimId};

impl Gossip {
    /// Takes what holds of a datagram from `from`, who is proven.
    pub(super) fn receive(
        &mut self,
        from: MemberId,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), Drop> {
        if self.removed {
            return Err(Drop::Removed);
        }
        if !self.table.contains(from) {
            return Err(Drop::UnknownSender);
        }
        let packet: Packet = codec::decode(payload).map_err(|error| match error.is_newer() {
            true => Drop::Newer,
            false => Drop::Malformed,
        })?;
        let swim = self.receive_swim(from, &packet);
        let heard = swim.is_ok_and(|to| to == Some(self.swim.me()));
        for signed in packet.facts {
            self.receive_facts(signed);
        }
        if let Some(digest) = packet.digest {
            self.answer(from, &digest);
        }
        self.settle(now);
        if heard && self.table.is_active(from) {
            self.reach.found(from);
        }
        swim.map(|_| ())
    }

    /// Gives SWIM its message; returns which life of ours it was meant for.
    fn receive_swim(&mut self, from: MemberId, packet: &Packet) -> Result<Option<SwimId>, Drop> {
        if packet.swim.is_empty() {
            return Ok(None);
        }
        let me = self.swim.me();
        let mut screen = Screen { me, table: &self.table, drops: &mut self.drops };
        let admitted = screen.admit(from, &packet.swim)?;
        self.heed(packet.generation);
        self.believe(admitted.from);
        self.swim.handle_data(&admitted.swim).map_err(|_| Drop::Protocol)?;
        Ok(Some(admitted.to))
    }

    /// Outbids the `generation` that the sender knows us by, unless no rumour may have made it up.
    ///
    /// Such a packet is taken all the same: once we live above [`HIGHEST_RUMOURED`], every honest
    /// member says such a generation.
    fn heed(&mut self, generation: u64) {
        let highest = self.swim.me().generation.max(HIGHEST_RUMOURED);
        if generation > highest {
            return self.drops.count(Drop::Generation);
        }
        let outbid = self.swim.outbid(generation);
        self.expect_swim(outbid);
    }

    /// A member that was talked into a life above [`HIGHEST_RUMOURED`] starts its next one below,
    /// by its clock, and need not outbid what it was: the tunnel proves that it speaks itself.
    fn believe(&mut self, from: SwimId) {
        let known = self.table.standing(from.member).map_or(0, |known| known.generation);
        if known > HIGHEST_RUMOURED && from.generation <= HIGHEST_RUMOURED {
            let forgotten = self.swim.forget(from.member);
            self.expect_swim(forgotten);
        }
    }

    fn receive_facts(&mut self, signed: Signed<Facts>) {
        match self.book.receive(signed, &self.view) {
            Ok(Received::News(member)) => {
                self.news.insert(member);
                self.rumours.start(member, self.tellings());
            }
            Ok(Received::OwnAhead(boot_ms, revision)) => self.own.outbid((boot_ms, revision)),
            Ok(Received::Known) => {}
            Err(reason) => self.drops.count(reason),
        }
    }
}
