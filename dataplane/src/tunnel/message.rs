//! The four WireGuard messages, told apart by type and length (WireGuard paper, section 5.4).

use super::OVERHEAD;

/// Bytes of an initiation.
pub(crate) const INITIATION: usize = 148;

/// Bytes of a response.
pub(crate) const RESPONSE: usize = 92;

/// Bytes of a cookie reply.
pub(crate) const COOKIE: usize = 64;

/// Where the fields of an initiation lie (5.4.2).
pub(super) mod initiation {
    use std::ops::Range;

    pub(in crate::tunnel) const EPHEMERAL: Range<usize> = 8..40;
    pub(in crate::tunnel) const STATIC: Range<usize> = 40..88;
    pub(in crate::tunnel) const STAMP: Range<usize> = 88..116;
}

/// Where the fields of a response lie (5.4.3).
pub(super) mod response {
    use std::ops::Range;

    pub(in crate::tunnel) const EPHEMERAL: Range<usize> = 12..44;
    pub(in crate::tunnel) const EMPTY: Range<usize> = 44..60;
}

/// Where the fields of a cookie reply lie (5.4.7).
pub(super) mod cookie {
    use std::ops::Range;

    pub(in crate::tunnel) const TYPE: Range<usize> = 0..4;
    pub(in crate::tunnel) const RECEIVER: Range<usize> = 4..8;
    pub(in crate::tunnel) const NONCE: Range<usize> = 8..32;
    pub(in crate::tunnel) const SEALED: Range<usize> = 32..48;
    pub(in crate::tunnel) const TAG: Range<usize> = 48..64;
}

/// Which message a datagram is. `receiver` is the session index it names, one of ours if it is
/// genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// Type 1: somebody wants a session.
    Initiation(&'a [u8; INITIATION]),
    /// Type 2: the answer to an initiation of ours.
    Response { receiver: u32, message: &'a [u8; RESPONSE] },
    /// Type 3: a handshake message of ours is to be repeated with a cookie.
    Cookie { receiver: u32, message: &'a [u8; COOKIE] },
    /// Type 4: a sealed packet.
    Data { receiver: u32 },
}

impl<'a> Message<'a> {
    /// Reads type and length; `None` when they do not match.
    pub(crate) fn of(datagram: &'a [u8]) -> Option<Self> {
        match *datagram.first_chunk::<4>()? {
            [1, 0, 0, 0] => datagram.try_into().ok().map(Self::Initiation),
            [2, 0, 0, 0] => {
                let message = datagram.try_into().ok()?;
                Some(Self::Response { receiver: word(datagram, 8)?, message })
            }
            [3, 0, 0, 0] => {
                let message = datagram.try_into().ok()?;
                Some(Self::Cookie { receiver: word(datagram, 4)?, message })
            }
            [4, 0, 0, 0] if datagram.len() >= OVERHEAD => {
                Some(Self::Data { receiver: word(datagram, 4)? })
            }
            _ => None,
        }
    }
}

/// The index under which the sender of an initiation or a response wants to be reached.
pub(crate) fn sender(handshake: &[u8]) -> u32 {
    word(handshake, 4).unwrap_or_default()
}

/// Writes type and sender of an initiation.
pub(crate) fn begin_initiation(out: &mut [u8; INITIATION], sender: u32) {
    out[..4].copy_from_slice(&[1, 0, 0, 0]);
    out[4..8].copy_from_slice(&sender.to_le_bytes());
}

/// Writes type, sender and receiver of a response.
pub(crate) fn begin_response(out: &mut [u8; RESPONSE], sender: u32, receiver: u32) {
    out[..4].copy_from_slice(&[2, 0, 0, 0]);
    out[4..8].copy_from_slice(&sender.to_le_bytes());
    out[8..12].copy_from_slice(&receiver.to_le_bytes());
}

/// The session index that a datagram names as its receiver's, by its type alone.
pub(crate) fn receiver(datagram: &[u8]) -> Option<u32> {
    match *datagram.first_chunk::<4>()? {
        [2, 0, 0, 0] => word(datagram, 8),
        [3 | 4, 0, 0, 0] => word(datagram, 4),
        _ => None,
    }
}

fn word(datagram: &[u8], at: usize) -> Option<u32> {
    datagram.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_length_must_match() {
        for (kind, len) in [(1, 148), (2, 92), (3, 64), (4, 32), (4, 1500)] {
            let mut datagram = vec![0; len];
            datagram[0] = kind;
            assert!(Message::of(&datagram).is_some(), "{kind} {len}");
            datagram[3] = 1;
            assert_eq!(Message::of(&datagram), None, "reserved byte set");
        }
        for (kind, len) in [(1, 147), (1, 149), (2, 93), (3, 63), (4, 31), (0, 148), (5, 64)] {
            let mut datagram = vec![0; len];
            datagram[0] = kind;
            assert_eq!(Message::of(&datagram), None, "{kind} {len}");
        }
        assert_eq!(Message::of(&[1, 0, 0]), None);
    }
}
