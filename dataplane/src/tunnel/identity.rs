//! This host's end of every tunnel.

use mesh_model::{TunnelKey, TunnelSecret};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::hash::Key;
use super::mac::MacKeys;
use crate::drops::Drop;

/// Our key pair and what follows from it.
pub(crate) struct Identity {
    secret: StaticSecret,
    key: TunnelKey,
    pub(super) macs: MacKeys,
}

impl Identity {
    pub(crate) fn new(secret: &TunnelSecret) -> Self {
        let key = secret.public();
        Self { secret: StaticSecret::from(*secret.to_bytes()), macs: MacKeys::of(&key), key }
    }

    /// Our own key.
    pub(crate) fn key(&self) -> &TunnelKey {
        &self.key
    }

    /// Checks the first MAC of a handshake message: its sender knows our key.
    pub(crate) fn check_mac(&self, message: &[u8]) -> Result<(), Drop> {
        self.macs.check_first(message).then_some(()).ok_or(Drop::BadMac)
    }

    /// DH(ours, theirs).
    pub(super) fn agree(&self, with: &[u8; 32]) -> Option<Key> {
        agree(&self.secret, with)
    }
}

/// DH(private key, public key) (section 5.4). `None` for a public key of low order: what comes out
/// does not depend on our secret then, and anybody could speak for that key.
pub(super) fn agree(secret: &StaticSecret, with: &[u8; 32]) -> Option<Key> {
    let shared = secret.diffie_hellman(&PublicKey::from(*with));
    shared.was_contributory().then(|| Zeroizing::new(shared.to_bytes()))
}
