//! Somebody who speaks WireGuard well and means no good.

use std::time::Duration;

use boringtun::noise::{Tunn, TunnResult};
use mesh_model::{TunnelKey, TunnelSecret};
use mock_instant::MockClock;
use x25519_dalek::{PublicKey, StaticSecret};

/// One end of a tunnel without any of the engine's manners.
pub(crate) struct Attacker(Tunn);

impl Attacker {
    pub(crate) fn new(secret: &TunnelSecret, victim: TunnelKey) -> Self {
        let secret = StaticSecret::from(*secret.to_bytes());
        Self(Tunn::new(secret, PublicKey::from(victim.0), None, None, 1, None))
    }

    /// A new initiation, with a cookie if one was read.
    pub(crate) fn initiation(&mut self) -> Vec<u8> {
        // Of two with one stamp the second would be a replay.
        MockClock::advance(Duration::from_millis(1));
        let mut out = vec![0; 148];
        match self.0.format_handshake_initiation(&mut out, true) {
            TunnResult::WriteToNetwork(datagram) => datagram.to_vec(),
            _ => panic!("no initiation"),
        }
    }

    /// Reads an answer; returns what WireGuard replies to it.
    pub(crate) fn read(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; datagram.len().max(148)];
        match self.0.decapsulate(None, datagram, &mut out) {
            TunnResult::WriteToNetwork(datagram) => Some(datagram.to_vec()),
            _ => None,
        }
    }

    /// Seals any bytes at all.
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0; bytes.len() + 148];
        match self.0.encapsulate(bytes, &mut out) {
            TunnResult::WriteToNetwork(datagram) => datagram.to_vec(),
            _ => panic!("no session"),
        }
    }
}
