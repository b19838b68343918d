//! Whose datagram is this? One UDP port serves WireGuard, QUIC and, later, our own frames.

/// Who a datagram is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// A WireGuard message: give it to [`Engine::handle_datagram`](crate::Engine::handle_datagram).
    WireGuard,
    /// QUIC from a stranger who wants to join.
    Quic,
    /// Nobody's.
    Other,
}

/// Tells from its first bytes who a datagram is for. Nothing is verified.
///
/// WireGuard messages start with a type from 1 to 4 and three zero bytes. Every QUIC packet has the
/// fixed bit 0x40 set in its first byte (RFC 9000, section 17), which no type has, so the two never
/// meet. Our endpoints do not grease that bit (RFC 9287).
pub fn steer(datagram: &[u8]) -> Steer {
    match datagram {
        [1..=4, 0, 0, 0, ..] => Steer::WireGuard,
        [first, ..] if first & 0x40 != 0 => Steer::Quic,
        _ => Steer::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        for kind in 1..=4 {
            assert_eq!(steer(&[kind, 0, 0, 0]), Steer::WireGuard);
            assert_eq!(steer(&[kind, 0, 1, 0]), Steer::Other);
            assert_eq!(steer(&[kind, 0, 0]), Steer::Other);
        }
        for first in [0x40, 0xc0, 0x7f, 0xff] {
            assert_eq!(steer(&[first]), Steer::Quic);
        }
        for datagram in [&[][..], &[0], &[5, 0, 0, 0], &[0x80, 0, 0, 0]] {
            assert_eq!(steer(datagram), Steer::Other);
        }
    }
}
