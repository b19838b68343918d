//! The interface switched on and off.
//!
//! Off, a plain device is silent and deaf, as those of other implementations are: who switches it off wants
//! no peer to hear of this host, and no session to outlive that. A member's engine carries its daemon's own
//! words, which need no interface, and goes on.

use std::time::Instant;

use super::{Engine, Role};
use crate::drops::Drop;
use crate::sink::Sink;

impl Engine {
    /// The interface was switched on or off, which begins as on. Off, a plain device forgets sessions,
    /// handshakes and what waits for them, and drops whatever comes; what is changed then counts from when
    /// it is on again. On, peers that are to be kept in touch with are spoken to at once.
    pub fn handle_link(&mut self, up: bool, now: Instant, sink: &mut impl Sink) {
        if self.role != Role::Plain || up == self.up {
            return;
        }
        self.up = up;
        if up { self.start_over(now, sink) } else { self.fall_silent() }
    }

    /// Whether anything is sent and taken.
    pub fn is_up(&self) -> bool {
        self.up
    }

    fn fall_silent(&mut self) {
        for slot in self.peers.slots() {
            if let Some(peer) = self.peers.get_mut(slot) {
                let waited = peer.close(&mut self.kit.indices, &mut self.kit.room);
                self.kit.drops.add(Drop::InterfaceDown, waited);
            }
        }
    }
}
