//! Ways to peers, and what becomes of them when routes change.
//!
//! A host with several addresses answers from the one that was spoken to. That is right while what leaves
//! from there takes the interface on which the peer was heard; when routes lead elsewhere, the kernel is to
//! choose an address that fits, as it does for its own WireGuard.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use crate::endpoint::Way;

impl Engine {
    /// The ways in use: what to ask the kernel about when its routes have changed. At most one per peer.
    pub fn ways(&self) -> Vec<Way> {
        let ways: BTreeSet<_> = self.peers.iter().filter_map(|(peer, _)| peer.way()).collect();
        ways.into_iter().collect()
    }

    /// By which interfaces packets along `ways` leave now. Peers that were heard on another one are
    /// answered from whatever address the kernel chooses, until they are heard again.
    pub fn handle_ways(&mut self, ways: &BTreeMap<Way, u32>) {
        for slot in self.peers.slots() {
            if let Some(peer) = self.peers.get_mut(slot)
                && let Some(interface) = peer.way().and_then(|way| ways.get(&way))
            {
                peer.leaves_by(*interface);
            }
        }
    }
}
