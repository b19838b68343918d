//! Cookies we hand out: proof that a sender reads what is sent to its address (section 5.4.7).
//!
//! A cookie is a MAC of the sender's address and port under a secret that changes every two
//! minutes, so none is remembered. It travels encrypted under our public key and bound to the
//! message it answers: whoever did not send that message cannot use it.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use super::hash::{Key, mac};
use super::identity::Identity;
use super::mac::{MAC, check_second, first_mac};
use super::message::{COOKIE, cookie};

/// How long a cookie counts: the secret is changed this often.
const FRESH: Duration = Duration::from_secs(120);

/// Makes and checks cookies.
pub(crate) struct Oven {
    secret: Key,
    /// When the secret was made.
    made: Instant,
    rng: ChaCha20Rng,
}

impl Oven {
    pub(crate) fn new(seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        Self { secret: new_secret(&mut rng), made: now, rng }
    }

    /// Whether a handshake message carries the cookie of its source.
    pub(crate) fn is_proven(&mut self, from: SocketAddr, message: &[u8], now: Instant) -> bool {
        check_second(message, &self.cookie(from, now))
    }

    /// Writes a cookie for the sender of a handshake message.
    pub(crate) fn challenge(
        &mut self,
        own: &Identity,
        from: SocketAddr,
        message: &[u8],
        now: Instant,
        out: &mut [u8; COOKIE],
    ) {
        let mut sealed = self.cookie(from, now);
        let mut nonce = [0; 24];
        self.rng.fill_bytes(&mut nonce);
        let tag = XChaCha20Poly1305::new(&own.macs.cookie.into())
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), &first_mac(message), &mut sealed)
            .expect("16 bytes are not too long for the cipher");
        out[cookie::TYPE].copy_from_slice(&[3, 0, 0, 0]);
        // The sender's own index, which stands at the same place in both messages.
        out[cookie::RECEIVER].copy_from_slice(&message[cookie::RECEIVER]);
        out[cookie::NONCE].copy_from_slice(&nonce);
        out[cookie::SEALED].copy_from_slice(&sealed);
        out[cookie::TAG].copy_from_slice(&tag);
    }

    fn cookie(&mut self, from: SocketAddr, now: Instant) -> [u8; MAC] {
        if now.saturating_duration_since(self.made) >= FRESH {
            self.secret = new_secret(&mut self.rng);
            self.made = now;
        }
        let mut source = [0; 18];
        let addr = match from.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        source[..16].copy_from_slice(&addr.octets());
        source[16..].copy_from_slice(&from.port().to_be_bytes());
        mac(&*self.secret, &source)
    }
}

fn new_secret(rng: &mut ChaCha20Rng) -> Key {
    let mut secret = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *secret);
    secret
}
