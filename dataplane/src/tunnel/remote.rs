//! The other end of a tunnel: a public key, and what follows from it and our own.

use mesh_model::TunnelKey;

use super::hash::Key;
use super::identity::Identity;
use super::mac::MacKeys;
use crate::drops::Drop;

/// A peer's key.
pub(crate) struct Remote {
    pub(crate) key: TunnelKey,
    pub(super) macs: MacKeys,
    /// DH of both static keys, which each handshake mixes in: made for the first, kept for the rest.
    /// `Some(None)` once it is known that there is none.
    shared: Option<Option<Key>>,
}

impl Remote {
    pub(crate) fn new(key: TunnelKey) -> Self {
        Self { macs: MacKeys::of(&key), key, shared: None }
    }

    /// Our own key has changed.
    pub(crate) fn forget_shared(&mut self) {
        self.shared = None;
    }

    /// The secret that follows from both static keys; the reason if there is none, and so no
    /// handshake.
    pub(crate) fn shared(&mut self, own: Option<&Identity>) -> Result<&Key, Drop> {
        let own = own.ok_or(Drop::NoPrivateKey)?;
        let shared = self.shared.get_or_insert_with(|| own.agree(self.key.as_bytes()));
        shared.as_ref().ok_or(Drop::LowOrderKey)
    }
}
