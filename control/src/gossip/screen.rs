//! The gate in front of SWIM.
//!
//! SWIM believes every word of every member. Here, words that cannot be right are taken out first:
//! the tunnel has proven who speaks, and the agreed view says who exists.

use bytes::{Buf as _, BufMut as _};
use foca::{Codec as _, Header, Member, Message};
use mesh_model::MemberId;

use super::drops::{Drop, Drops};
use super::swim_codec::{SwimCodec, SwimCodecError};
use super::swim_id::{HIGHEST_RUMOURED, SwimId};
use super::table::Table;

impl From<SwimCodecError> for Drop {
    fn from(_: SwimCodecError) -> Self {
        Self::Malformed
    }
}

/// Decides which words of a SWIM message may go in.
pub(super) struct Screen<'a> {
    /// This host's present life.
    pub(super) me: SwimId,
    /// The other members and the generation they are known by.
    pub(super) table: &'a Table,
    /// Counts what is taken out.
    pub(super) drops: &'a mut Drops,
}

/// What of a SWIM message may go in.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The sender's life; whose it is, is proven.
    pub(super) from: SwimId,
    /// The life of ours it is meant for.
    pub(super) to: SwimId,
    /// The message.
    pub(super) swim: Vec<u8>,
}

impl Screen<'_> {
    /// The part of `swim` that may go in, or why nothing may. `from` is proven.
    pub(super) fn admit(&mut self, from: MemberId, mut swim: &[u8]) -> Result<Admitted, Drop> {
        let header = SwimCodec.decode_header(&mut swim)?;
        self.check(from, &header)?;
        let mut admitted = Vec::with_capacity(swim.len());
        SwimCodec.encode_header(&header, &mut admitted)?;
        if swim.is_empty() {
            return Ok(Admitted { from: header.src, to: header.dst, swim: admitted });
        }
        if matches!(header.message, Message::Announce | Message::Broadcast | Message::TurnUndead) {
            return Err(Drop::Malformed);
        }
        let updates = self.updates(swim)?;
        let count = u16::try_from(updates.len()).map_err(|_| Drop::Malformed)?;
        admitted.put_u16(count);
        for update in updates {
            SwimCodec.encode_member(&update, &mut admitted)?;
        }
        Ok(Admitted { from: header.src, to: header.dst, swim: admitted })
    }

    fn check(&self, from: MemberId, header: &Header<SwimId>) -> Result<(), Drop> {
        if header.src.member != from {
            return Err(Drop::ForeignSource);
        }
        if header.dst.member != self.me.member {
            return Err(Drop::WrongTarget);
        }
        match super::swim_codec::subject(&header.message) {
            Some(subject) if !self.table.contains(subject.member) => Err(Drop::UnknownMember),
            _ => Ok(()),
        }
    }

    /// The updates about members, without those about strangers or impossible lives.
    fn updates(&mut self, mut swim: &[u8]) -> Result<Vec<Member<SwimId>>, Drop> {
        let count = swim.try_get_u16().map_err(SwimCodecError::from)?;
        let mut updates = Vec::new();
        for _ in 0..count {
            let update = SwimCodec.decode_member(&mut swim)?;
            match self.refusal(*update.id()) {
                None => updates.push(update),
                Some(reason) => self.drops.count(reason),
            }
        }
        if swim.is_empty() { Ok(updates) } else { Err(Drop::Malformed) }
    }

    fn refusal(&self, about: SwimId) -> Option<Drop> {
        if about.member == self.me.member {
            let highest = self.me.generation.max(HIGHEST_RUMOURED);
            return (about.generation > highest).then_some(Drop::Generation);
        }
        if !self.table.contains(about.member) {
            return Some(Drop::UnknownMember);
        }
        let known = self.table.standing(about.member);
        let highest = known.map_or(0, |known| known.generation).max(HIGHEST_RUMOURED);
        (about.generation > highest).then_some(Drop::Generation)
    }
}
