//! The keys of a peer: the one it goes by, and the one it went by before.
//!
//! A peer whose key has changed learns of that when everybody else does, some sooner and some later. Until it does it
//! still begins handshakes with the key before. Once it has begun one with the new key it knows, and never
//! goes back: from then on the key before is worth nothing here, whoever may have it.

use mesh_model::TunnelKey;

use crate::tunnel::{Keyring, Remote};

/// The keys of one peer.
pub(crate) struct Keys {
    current: Remote,
    before: Option<Remote>,
    /// It has begun a handshake with the current key.
    is_settled: bool,
}

impl Keys {
    pub(crate) fn new(key: TunnelKey) -> Self {
        Self { current: Remote::new(key), before: None, is_settled: false }
    }

    /// What it goes by.
    pub(crate) fn key(&self) -> &TunnelKey {
        &self.current.key
    }

    /// What handshakes with it are for.
    pub(crate) fn current(&mut self) -> &mut Remote {
        &mut self.current
    }

    /// Its end of a handshake that it began as `key`, if it may.
    pub(crate) fn of(&mut self, key: &TunnelKey) -> Option<&mut Remote> {
        if *key == self.current.key {
            return Some(&mut self.current);
        }
        self.before.as_mut().filter(|before| before.key == *key)
    }

    /// It has begun a handshake as `key`, and proven that it has it.
    pub(crate) fn heard(&mut self, key: &TunnelKey) {
        if *key == self.current.key && self.before.take().is_some() {
            self.is_settled = true;
        }
    }

    /// It goes by `key` now.
    pub(crate) fn change(&mut self, key: TunnelKey) {
        self.before = Some(std::mem::replace(&mut self.current, Remote::new(key)));
        self.is_settled = false;
    }

    /// It may go by `before` still, unless it has shown that it does not.
    pub(crate) fn set_before(&mut self, before: Option<TunnelKey>) {
        let has = self.before.as_ref().map(|before| before.key);
        if has != before && !self.is_settled {
            self.before = before.map(Remote::new);
        }
    }

    /// Our own keys have changed: what followed from others is wiped.
    pub(crate) fn keep_shared(&mut self, ours: Option<&Keyring>) {
        self.current.keep_shared(ours);
        if let Some(before) = &mut self.before {
            before.keep_shared(ours);
        }
    }
}
