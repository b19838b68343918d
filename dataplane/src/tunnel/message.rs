//! The four WireGuard messages, told apart by type and length (WireGuard paper, section 5.4).

use super::OVERHEAD;

/// Which message a datagram is. `receiver` is the session index it names, one of ours if it is
/// genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// Type 1: somebody wants a session.
    Initiation,
    /// Type 2: the answer to an initiation of ours.
    Response { receiver: u32 },
    /// Type 3: an initiation of ours is to be repeated with a cookie.
    Cookie { receiver: u32 },
    /// Type 4: a sealed packet.
    Data { receiver: u32 },
}

impl Message {
    /// Reads type and length; `None` when they do not match.
    pub(crate) fn of(datagram: &[u8]) -> Option<Self> {
        let kind = datagram.first_chunk::<4>()?;
        match (kind, datagram.len()) {
            ([1, 0, 0, 0], 148) => Some(Self::Initiation),
            ([2, 0, 0, 0], 92) => Some(Self::Response { receiver: word(datagram, 8)? }),
            ([3, 0, 0, 0], 64) => Some(Self::Cookie { receiver: word(datagram, 4)? }),
            ([4, 0, 0, 0], OVERHEAD..) => Some(Self::Data { receiver: word(datagram, 4)? }),
            _ => None,
        }
    }
}

/// The index under which the sender of a response wants to be reached.
pub(crate) fn sender_of_response(response: &[u8]) -> Option<u32> {
    word(response, 4)
}

fn word(datagram: &[u8], at: usize) -> Option<u32> {
    let bytes = datagram.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
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
