//! The other end of a tunnel: a public key, and what follows from it and our own.

use mesh_model::TunnelKey;

use super::hash::Key;
use super::identity::Identity;
use super::keyring::Keyring;
use super::mac::MacKeys;
use crate::drops::Drop;

/// A peer's key.
pub(crate) struct Remote {
    pub(crate) key: TunnelKey,
    pub(super) macs: MacKeys,
    /// DH of both static keys, which each handshake mixes in: made for the first, kept for the rest. One for each
    /// key of ours, of which there are two at most; `None` once it is known that there is none.
    shared: Vec<(TunnelKey, Option<Key>)>,
}

impl Remote {
    pub(crate) fn new(key: TunnelKey) -> Self {
        Self { macs: MacKeys::of(&key), key, shared: Vec::new() }
    }

    /// Our own keys have changed: what followed from others is wiped.
    pub(crate) fn keep_shared(&mut self, ours: Option<&Keyring>) {
        self.shared.retain(|(own, _)| ours.is_some_and(|ours| ours.of(own).is_some()));
    }

    /// The secret that follows from both static keys; the reason if there is none, and so no
    /// handshake.
    pub(crate) fn shared(&mut self, own: &Identity) -> Result<&Key, Drop> {
        let at = self.shared.iter().position(|(key, _)| key == own.key());
        let at = at.unwrap_or_else(|| {
            self.shared.push((*own.key(), own.agree(self.key.as_bytes())));
            self.shared.len() - 1
        });
        self.shared[at].1.as_ref().ok_or(Drop::LowOrderKey)
    }
}
