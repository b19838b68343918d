//! The other end of a tunnel: a public key, and what follows from it and our own.

use mesh_model::TunnelKey;

use super::hash::Key;
use super::identity::Identity;
use super::keyring::Keyring;
use super::mac::MacKeys;
use super::stamp::Stamp;
use crate::drops::Drop;

/// A peer's key.
pub(crate) struct Remote {
    pub(crate) key: TunnelKey,
    pub(super) macs: MacKeys,
    /// DH of both static keys, which each handshake mixes in: made for the first, kept for the rest. One for each
    /// key of ours, of which there are two at most; `None` once it is known that there is none.
    shared: [Option<(TunnelKey, Option<Key>)>; 2],
    /// The stamp of the last initiation that was begun as this key. Of this key alone: whoever stole the one before could
    /// have stamped years ahead, and would lock its owner out of the next one too.
    pub(crate) heard_stamp: Option<Stamp>,
}

impl Remote {
    pub(crate) fn new(key: TunnelKey) -> Self {
        Self { macs: MacKeys::of(&key), key, shared: [None, None], heard_stamp: None }
    }

    /// Our own keys have changed: what followed from others is wiped.
    pub(crate) fn keep_shared(&mut self, ours: Option<&Keyring>) {
        for slot in &mut self.shared {
            let is_kept =
                |(own, _): &(TunnelKey, _)| ours.is_some_and(|ours| ours.of(own).is_some());
            // In its place: a secret that is moved leaves a copy behind.
            if !slot.as_ref().is_some_and(is_kept) {
                *slot = None;
            }
        }
    }

    /// The secret that follows from both static keys; the reason if there is none, and so no
    /// handshake.
    pub(crate) fn shared(&mut self, own: &Identity) -> Result<&Key, Drop> {
        let [first, second] = &mut self.shared;
        let is_own =
            |slot: &Option<(TunnelKey, _)>| slot.as_ref().is_some_and(|(key, _)| key == own.key());
        let slot = if is_own(first) || !is_own(second) && first.is_none() { first } else { second };
        if !is_own(slot) {
            *slot = None;
        }
        let made = || (*own.key(), own.agree(self.key.as_bytes()));
        slot.get_or_insert_with(made).1.as_ref().ok_or(Drop::LowOrderKey)
    }
}
