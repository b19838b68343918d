//! The overlay echo behind `mesh ping`: one request, one reply of the same size, inside the tunnel.
//!
//! ```text
//! byte 0      1         2..10
//!      kind   version   nonce (little endian)
//! ```
//!
//! Parsed by hand: it is the one message answered without a look at any state.

/// The bytes of an echo message.
pub const LEN: usize = 10;

const VERSION: u8 = 1;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// An echo message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// "Are you there?"
    Request(u64),
    /// "I am", with the nonce of the request.
    Reply(u64),
}

impl Echo {
    /// The bytes to send.
    pub fn encode(self) -> [u8; LEN] {
        let (kind, nonce) = match self {
            Self::Request(nonce) => (REQUEST, nonce),
            Self::Reply(nonce) => (REPLY, nonce),
        };
        let mut bytes = [0; LEN];
        bytes[0] = kind;
        bytes[1] = VERSION;
        bytes[2..].copy_from_slice(&nonce.to_le_bytes());
        bytes
    }

    /// The message in `bytes`; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let [kind, version, nonce @ ..] = *bytes;
        let nonce = u64::from_le_bytes(nonce);
        match (kind, version) {
            (REQUEST, VERSION) => Some(Self::Request(nonce)),
            (REPLY, VERSION) => Some(Self::Reply(nonce)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_round_trip_and_nothing_else_parses() {
        for echo in [Echo::Request(7), Echo::Reply(u64::MAX)] {
            assert_eq!(Echo::parse(&echo.encode()), Some(echo));
        }
        let request = Echo::Request(7).encode();
        assert_eq!(Echo::parse(&request[..9]), None);
        assert_eq!(Echo::parse(&[&request[..], &[0]].concat()), None);
        assert_eq!(Echo::parse(&[3, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Echo::parse(&[1, 2, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
