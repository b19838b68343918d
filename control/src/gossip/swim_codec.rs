//! SWIM messages as bytes: fixed widths, big endian, nothing to allocate, nothing to bound.
//!
//! ```text
//! header  source(16) incarnation(2) destination(16) kind(1) [subject(16)] [probe number(1)]
//! update  who(16) incarnation(2) state(1)
//! who     member(8) generation(8)
//! ```
//!
//! The version lies one layer further out, in [`super::packet::Packet`].

use bytes::{Buf, BufMut, TryGetError};
use foca::{Codec, Header, Member, Message, State};
use mesh_model::MemberId;

use super::swim_id::SwimId;

/// Bytes of one update.
pub(super) const UPDATE_LEN: usize = 19;
/// Bytes of the longest header.
const MAX_HEADER_LEN: usize = 52;

/// Why bytes are not a SWIM message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SwimCodecError {
    /// The buffer is full; the message goes out without the item.
    #[error("no room for another item")]
    NoRoom,
    /// The bytes end inside a field.
    #[error("cut off")]
    CutOff,
    /// A kind of message this build does not know.
    #[error("message kind {0} is unknown")]
    UnknownKind(u8),
    /// A state this build does not know.
    #[error("member state {0} is unknown")]
    UnknownState(u8),
}

impl From<TryGetError> for SwimCodecError {
    fn from(_: TryGetError) -> Self {
        Self::CutOff
    }
}

/// The one codec; it keeps nothing between messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct SwimCodec;

impl Codec<SwimId> for SwimCodec {
    type Error = SwimCodecError;

    fn encode_header(
        &mut self,
        header: &Header<SwimId>,
        mut buf: impl BufMut,
    ) -> Result<(), SwimCodecError> {
        if buf.remaining_mut() < MAX_HEADER_LEN {
            return Err(SwimCodecError::NoRoom);
        }
        put_id(&mut buf, header.src);
        buf.put_u16(header.src_incarnation);
        put_id(&mut buf, header.dst);
        let (kind, subject, probe) = parts(&header.message);
        buf.put_u8(kind);
        if let Some(subject) = subject {
            put_id(&mut buf, subject);
        }
        if let Some(probe) = probe {
            buf.put_u8(probe);
        }
        Ok(())
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<SwimId>, SwimCodecError> {
        Ok(Header {
            src: get_id(&mut buf)?,
            src_incarnation: buf.try_get_u16()?,
            dst: get_id(&mut buf)?,
            message: get_message(&mut buf)?,
        })
    }

    fn encode_member(
        &mut self,
        member: &Member<SwimId>,
        mut buf: impl BufMut,
    ) -> Result<(), SwimCodecError> {
        if buf.remaining_mut() < UPDATE_LEN {
            return Err(SwimCodecError::NoRoom);
        }
        put_id(&mut buf, *member.id());
        buf.put_u16(member.incarnation());
        buf.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        Ok(())
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<SwimId>, SwimCodecError> {
        let id = get_id(&mut buf)?;
        let incarnation = buf.try_get_u16()?;
        let state = match buf.try_get_u8()? {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            unknown => return Err(SwimCodecError::UnknownState(unknown)),
        };
        Ok(Member::new(id, incarnation, state))
    }
}

/// A message's kind, whom it is about besides its ends, and its probe number.
fn parts(message: &Message<SwimId>) -> (u8, Option<SwimId>, Option<u8>) {
    match *message {
        Message::Ping(probe) => (0, None, Some(probe)),
        Message::Ack(probe) => (1, None, Some(probe)),
        Message::PingReq { target, probe_number } => (2, Some(target), Some(probe_number)),
        Message::IndirectPing { origin, probe_number } => (3, Some(origin), Some(probe_number)),
        Message::IndirectAck { target, probe_number } => (4, Some(target), Some(probe_number)),
        Message::ForwardedAck { origin, probe_number } => (5, Some(origin), Some(probe_number)),
        Message::Announce => (6, None, None),
        Message::Feed => (7, None, None),
        Message::Gossip => (8, None, None),
        Message::Broadcast => (9, None, None),
        Message::TurnUndead => (10, None, None),
    }
}

/// Whom a message is about besides its two ends.
pub(super) fn subject(message: &Message<SwimId>) -> Option<SwimId> {
    parts(message).1
}

fn get_message(mut buf: impl Buf) -> Result<Message<SwimId>, SwimCodecError> {
    Ok(match buf.try_get_u8()? {
        0 => Message::Ping(buf.try_get_u8()?),
        1 => Message::Ack(buf.try_get_u8()?),
        2 => Message::PingReq { target: get_id(&mut buf)?, probe_number: buf.try_get_u8()? },
        3 => Message::IndirectPing { origin: get_id(&mut buf)?, probe_number: buf.try_get_u8()? },
        4 => Message::IndirectAck { target: get_id(&mut buf)?, probe_number: buf.try_get_u8()? },
        5 => Message::ForwardedAck { origin: get_id(&mut buf)?, probe_number: buf.try_get_u8()? },
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::Broadcast,
        10 => Message::TurnUndead,
        unknown => return Err(SwimCodecError::UnknownKind(unknown)),
    })
}

fn put_id(mut buf: impl BufMut, id: SwimId) {
    buf.put_u64(id.member.0);
    buf.put_u64(id.generation);
}

fn get_id(mut buf: impl Buf) -> Result<SwimId, SwimCodecError> {
    Ok(SwimId { member: MemberId(buf.try_get_u64()?), generation: buf.try_get_u64()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> impl Strategy<Value = SwimId> {
        any::<(u64, u64)>()
            .prop_map(|(member, generation)| SwimId { member: MemberId(member), generation })
    }

    fn message() -> impl Strategy<Value = Message<SwimId>> {
        (0..=10_u8, id(), any::<u8>()).prop_map(|(kind, id, probe)| {
            let mut bytes = vec![kind];
            if (2..=5).contains(&kind) {
                put_id(&mut bytes, id);
            }
            bytes.put_u8(probe);
            get_message(&bytes[..]).expect("a known kind, long enough")
        })
    }

    proptest! {
        #[test]
        fn headers_and_updates_round_trip(
            src in id(), src_incarnation: u16, dst in id(), message in message(), state in 0..3_u8,
        ) {
            let header = Header { src, src_incarnation, dst, message };
            let state = [State::Alive, State::Suspect, State::Down][usize::from(state)];
            let update = Member::new(dst, src_incarnation, state);
            let mut bytes = Vec::new();
            SwimCodec.encode_header(&header, &mut bytes).expect("room");
            prop_assert!(bytes.len() <= MAX_HEADER_LEN);
            let header_len = bytes.len();
            SwimCodec.encode_member(&update, &mut bytes).expect("room");
            prop_assert_eq!(bytes.len() - header_len, UPDATE_LEN);
            let mut rest = &bytes[..];
            prop_assert_eq!(SwimCodec.decode_header(&mut rest), Ok(header));
            prop_assert_eq!(SwimCodec.decode_member(&mut rest), Ok(update));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = SwimCodec.decode_header(&bytes[..]);
            let _ = SwimCodec.decode_member(&bytes[..]);
        }
    }

    #[test]
    fn a_full_buffer_is_left_clean() {
        let update = Member::alive(SwimId::any_life_of(MemberId(1)));
        let mut bytes = Vec::new().limit(UPDATE_LEN - 1);
        assert_eq!(SwimCodec.encode_member(&update, &mut bytes), Err(SwimCodecError::NoRoom));
        assert!(bytes.into_inner().is_empty());
    }
}
