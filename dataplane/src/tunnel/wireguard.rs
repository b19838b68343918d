//! boringtun 0.7.1 behind [`Tunnel`], and what it needs to know.
//!
//! What it lacks and who supplies it: padding, early and jittered retries, persistent keepalive and
//! waiting packets are `peer`'s; the source check is `fib`'s; Reject-After-Messages is checked here
//! on receipt. What remains, and cannot be helped from outside:
//! - its replay window is 1024 packets (the kernel's is 8192);
//! - on sending, Reject-After-Messages is not enforced: at 10 million packets a second a 180 s
//!   session stays 33 bits below it;
//! - a cookie is bound to the source address without its port;
//! - a dropped session's symmetric keys are freed, not overwritten (ring keeps them); X25519
//!   secrets are;
//! - the TAI64N stamp follows this host's wall clock, so a clock set back makes peers refuse us
//!   until it has caught up, or until they initiate;
//! - the newest stamp of a peer is forgotten with the tunnel, so an initiation recorded earlier can
//!   be answered once more. It yields a session nobody can confirm; nothing is sent in it and no
//!   endpoint moves, see `peer::session`;
//! - data that decrypts to no IP packet marks the session as heard from.

use std::net::IpAddr;
use std::sync::Arc;

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use mesh_model::{PresharedKey, TunnelKey, TunnelSecret};
use x25519_dalek::{PublicKey, StaticSecret};

use super::{REJECT_AFTER_MESSAGES, Sealed, Tick, Tunnel};
use crate::drops::Drop;

/// This host's end of every tunnel: its key, and the two ways to look at a stranger's handshake.
///
/// boringtun's limiter counts handshakes by its own clock. Ours counts by `now`
/// (`handshake::budget`), so the library's is used at its two extremes only: one that never asks
/// for proof and one that always does.
pub(crate) struct Identity {
    secret: StaticSecret,
    public: PublicKey,
    /// Checks the first MAC. Shared by all tunnels, which check it again; it never limits.
    lenient: Arc<RateLimiter>,
    /// Checks the second MAC too: the sender has read a cookie sent to its source address.
    strict: RateLimiter,
}

/// What a demand for proof yields.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// The handshake carries proof of its source address.
    Proven,
    /// It does not; a cookie of this length was written, to be sent to its source.
    Cookie(usize),
}

impl Identity {
    /// The identity with this secret.
    pub(crate) fn new(secret: &TunnelSecret) -> Self {
        let secret = StaticSecret::from(*secret.to_bytes());
        let public = PublicKey::from(&secret);
        Self {
            lenient: Arc::new(RateLimiter::new(&public, u64::MAX)),
            strict: RateLimiter::new(&public, 0),
            secret,
            public,
        }
    }

    /// Our own key.
    pub(crate) fn key(&self) -> TunnelKey {
        TunnelKey(self.public.to_bytes())
    }

    /// Checks the first MAC of a handshake (type 1 or 2): its sender knows our key.
    pub(crate) fn check_mac(&self, datagram: &[u8]) -> Result<(), Drop> {
        self.lenient.verify_packet(None, datagram, &mut []).map(|_| ()).map_err(|_| Drop::BadMac)
    }

    /// Demands proof of the source address of a handshake (type 1 or 2); writes a cookie into
    /// `out`, of at least 64 bytes, when there is none.
    pub(crate) fn challenge(
        &self,
        from: IpAddr,
        datagram: &[u8],
        out: &mut [u8],
    ) -> Result<Challenge, Drop> {
        match self.strict.verify_packet(Some(from), datagram, out) {
            Ok(_) => Ok(Challenge::Proven),
            Err(TunnResult::WriteToNetwork(cookie)) => Ok(Challenge::Cookie(cookie.len())),
            Err(_) => Err(Drop::BadMac),
        }
    }

    /// The key an initiation claims to come from. Decrypting it proves that the sender knows ours,
    /// not yet that it holds its own.
    pub(crate) fn initiator(&self, datagram: &[u8]) -> Result<TunnelKey, Drop> {
        match Tunn::parse_incoming_packet(datagram) {
            Ok(Packet::HandshakeInit(init)) => {
                parse_handshake_anon(&self.secret, &self.public, &init)
                    .map(|half| TunnelKey(half.peer_static_public))
                    .map_err(|_| Drop::HandshakeInvalid)
            }
            _ => Err(Drop::DatagramMalformed),
        }
    }

    /// A tunnel with `peer`, whose sessions other sides name by `index`, below 2^24, in the upper
    /// 24 bits.
    pub(crate) fn tunnel(
        &self,
        peer: TunnelKey,
        psk: Option<&PresharedKey>,
        index: u32,
    ) -> Box<dyn Tunnel> {
        let make = || {
            Tunn::new(
                self.secret.clone(),
                PublicKey::from(peer.0),
                psk.map(|psk| *psk.as_bytes()),
                None,
                index,
                Some(Arc::clone(&self.lenient)),
            )
        };
        #[cfg(not(feature = "mock-instant"))]
        let tunn = make();
        #[cfg(feature = "mock-instant")]
        let tunn = {
            let mut tunn = crate::mock::at_zero(make);
            let _ = tunn.update_timers(&mut [0; super::MIN_OUT]);
            tunn
        };
        Box::new(WireGuard { tunn })
    }
}

/// A tunnel run by boringtun.
struct WireGuard {
    tunn: Tunn,
}

impl WireGuard {
    /// Feeds a datagram that must lead to an answer.
    fn exchange(&mut self, datagram: &[u8], out: &mut [u8]) -> Result<usize, Drop> {
        match self.tunn.decapsulate(None, datagram, out) {
            TunnResult::WriteToNetwork(answer) => Ok(answer.len()),
            TunnResult::Err(error) => Err(handshake_drop(&error)),
            _ => Err(Drop::HandshakeUnexpected),
        }
    }
}

impl Tunnel for WireGuard {
    fn seal(&mut self, packet: &[u8], out: &mut [u8]) -> Sealed {
        match self.tunn.encapsulate(packet, out) {
            TunnResult::WriteToNetwork(datagram) if datagram.first() == Some(&4) => {
                Sealed::Data(datagram.len())
            }
            TunnResult::WriteToNetwork(initiation) => Sealed::Kept(Some(initiation.len())),
            _ => Sealed::Kept(None),
        }
    }

    fn next_kept(&mut self, out: &mut [u8]) -> Option<usize> {
        match self.tunn.decapsulate(None, &[], out) {
            TunnResult::WriteToNetwork(datagram) if datagram.first() == Some(&4) => {
                Some(datagram.len())
            }
            _ => None,
        }
    }

    fn initiate(&mut self, out: &mut [u8]) -> Option<usize> {
        match self.tunn.format_handshake_initiation(out, true) {
            TunnResult::WriteToNetwork(initiation) => Some(initiation.len()),
            _ => None,
        }
    }

    fn answer(&mut self, datagram: &[u8], out: &mut [u8]) -> Result<usize, Drop> {
        self.exchange(datagram, out)
    }

    fn complete(&mut self, datagram: &[u8], out: &mut [u8]) -> Result<usize, Drop> {
        self.exchange(datagram, out)
    }

    fn keep_cookie(&mut self, datagram: &[u8]) -> Result<(), Drop> {
        match self.tunn.decapsulate(None, datagram, &mut []) {
            TunnResult::Done => Ok(()),
            TunnResult::Err(error) => Err(handshake_drop(&error)),
            _ => Err(Drop::HandshakeUnexpected),
        }
    }

    fn open(&mut self, datagram: &[u8], plain: &mut [u8]) -> Result<usize, Drop> {
        // boringtun adds to this counter unchecked, and never compares it with the limit.
        let counter = datagram.get(8..16).and_then(|bytes| bytes.try_into().ok());
        let counter = counter.map(u64::from_le_bytes).ok_or(Drop::DatagramMalformed)?;
        if counter >= REJECT_AFTER_MESSAGES {
            return Err(Drop::CounterExhausted);
        }
        match self.tunn.decapsulate(None, datagram, plain) {
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => {
                Ok(packet.len())
            }
            TunnResult::Done => Ok(0),
            TunnResult::Err(error) => Err(data_drop(&error)),
            TunnResult::WriteToNetwork(_) => Err(Drop::DatagramMalformed),
        }
    }

    fn tick(&mut self, out: &mut [u8]) -> Tick {
        match self.tunn.update_timers(out) {
            TunnResult::WriteToNetwork(datagram) if datagram.first() == Some(&1) => {
                Tick::Initiation(datagram.len())
            }
            TunnResult::WriteToNetwork(datagram) => Tick::Keepalive(datagram.len()),
            TunnResult::Err(_) => Tick::Expired,
            _ => Tick::Nothing,
        }
    }
}

fn handshake_drop(error: &WireGuardError) -> Drop {
    match error {
        WireGuardError::InvalidMac => Drop::BadMac,
        WireGuardError::WrongTai64nTimestamp => Drop::HandshakeReplay,
        WireGuardError::UnexpectedPacket | WireGuardError::WrongIndex => Drop::HandshakeUnexpected,
        _ => Drop::HandshakeInvalid,
    }
}

fn data_drop(error: &WireGuardError) -> Drop {
    match error {
        WireGuardError::NoCurrentSession | WireGuardError::WrongIndex => Drop::NoSession,
        WireGuardError::InvalidCounter | WireGuardError::DuplicateCounter => Drop::Replay,
        WireGuardError::InvalidPacket => Drop::DecryptedMalformed,
        _ => Drop::DecryptFailed,
    }
}
