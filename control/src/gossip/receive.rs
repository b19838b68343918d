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

/// Generations above [`HIGHEST_RUMOURED`] that a member may be told to outbid: more lives than
/// anyone can be talked out of.
const OUTBID_MARGIN: u64 = 1 << 32;

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
        let packet: Packet = codec::decode(payload).map_err(|_| Drop::Malformed)?;
        if packet.generation > HIGHEST_RUMOURED + OUTBID_MARGIN {
            return Err(Drop::Generation);
        }
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
        let mut screen = Screen { me: self.me, table: &self.table, drops: &mut self.drops };
        let (to, admitted) = screen.admit(from, &packet.swim)?;
        let outbid = self.swim.outbid(packet.generation);
        self.expect_swim(outbid);
        self.swim.handle_data(&admitted).map_err(|_| Drop::Protocol)?;
        Ok(Some(to))
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
