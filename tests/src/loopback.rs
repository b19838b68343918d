//! Places on loopback for hosts that have no namespace of their own.
//!
//! A port that was free a moment ago is somebody else's a moment later: labs run beside each other, in threads and in
//! processes. So a place is claimed before it is looked at, and stays claimed: by a listener on the TCP port of the same number,
//! which no daemon wants and the kernel gives to one alone, whoever asks.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::{Error, Result};

/// Below those that Linux gives to sockets that ask for any port (32768 and up, unless told otherwise):
/// no question to a name server takes one of these by chance.
const PORTS: Range<u16> = 12_000..32_000;

/// How many ports apart two processes that follow each other begin to look: as many as most of them claim.
const APART: u32 = 16;

/// A UDP port that no other lab is given for as long as this lives.
#[derive(Debug)]
pub struct Claim {
    at: SocketAddrV4,
    _listener: TcpListener,
}

impl Claim {
    /// The next port of `address` that nobody has, neither claimed nor in use.
    pub fn next(address: Ipv4Addr) -> Result<Self> {
        static LOOKED_AT: AtomicU16 = AtomicU16::new(0);
        let begin = std::process::id().wrapping_mul(APART);
        for _ in PORTS {
            let step = u32::from(LOOKED_AT.fetch_add(1, Ordering::Relaxed));
            let offset = begin.wrapping_add(step) % u32::from(PORTS.end - PORTS.start);
            let at = SocketAddrV4::new(address, PORTS.start + offset as u16);
            if let Some(claim) = Self::of(at) {
                return Ok(claim);
            }
        }
        Err(Error::Failed(format!(
            "all ports from {} to {} of {address} are taken",
            PORTS.start, PORTS.end
        )))
    }

    /// This one, unless somebody has it.
    fn of(at: SocketAddrV4) -> Option<Self> {
        let listener = TcpListener::bind(at).ok()?;
        UdpSocket::bind(at).ok()?;
        Some(Self { at, _listener: listener })
    }

    /// Where a daemon may listen.
    pub fn at(&self) -> SocketAddrV4 {
        self.at
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_place_is_given_once_while_it_is_claimed() {
        let claims: Vec<_> = (0..100).map(|_| Claim::next(Ipv4Addr::LOCALHOST).unwrap()).collect();
        for claim in &claims {
            assert!(UdpSocket::bind(claim.at()).is_ok(), "{} is for a daemon", claim.at());
            assert!(TcpListener::bind(claim.at()).is_err(), "{} is claimed", claim.at());
        }
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let claim = Claim::next(Ipv4Addr::LOCALHOST).unwrap();
        let at = claim.at();
        let user = UdpSocket::bind(at).unwrap();
        drop(claim);
        assert!(Claim::of(at).is_none(), "{user:?} listens there");
    }
}
