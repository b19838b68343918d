//! What leaves: from inner packet to peer.

use std::time::Instant;

use super::{Engine, MAX_INNER};
use crate::drops::Drop;
use crate::packet::ip::Inner;
use crate::sink::Sink;

impl Engine {
    /// Sends an inner packet of the daemon's own: its destination decides the peer.
    ///
    /// Packets from the kernel go through [`handle_kernel`](Self::handle_kernel).
    pub fn handle_inner(&mut self, packet: &[u8], now: Instant, sink: &mut impl Sink) {
        match Inner::parse(packet) {
            Ok(inner) => self.send(&inner, now, sink),
            Err(_) => self.kit.drops.count(Drop::InnerMalformed),
        }
    }

    /// Sends an inner packet from the kernel's TUN device.
    ///
    /// Like [`handle_inner`](Self::handle_inner), except that nobody but the daemon may talk to
    /// other daemons' ports: any local process can send UDP from any port above 1023, and the
    /// receiver would take it for this member's word.
    pub fn handle_kernel(&mut self, packet: &[u8], now: Instant, sink: &mut impl Sink) {
        match Inner::parse(packet) {
            Ok(inner) if self.role.is_control(&inner) => {
                self.kit.drops.count(Drop::ControlFromKernel)
            }
            Ok(inner) => self.send(&inner, now, sink),
            Err(_) => self.kit.drops.count(Drop::InnerMalformed),
        }
    }

    fn send(&mut self, inner: &Inner<'_>, now: Instant, sink: &mut impl Sink) {
        let packet = inner.bytes();
        if packet.len() > MAX_INNER {
            return self.kit.drops.count(Drop::InnerTooLarge);
        }
        let Some(slot) = self.fib.lookup(inner.dst()) else {
            return self.kit.drops.count(Drop::NoRoute);
        };
        let Some(peer) = self.peers.get_mut(slot).filter(|peer| peer.is_reachable()) else {
            return self.kit.drops.count(Drop::NoEndpoint);
        };
        let copy = |_, out: &mut [u8]| {
            out.copy_from_slice(packet);
            packet.len()
        };
        peer.send_run(1, packet.len(), copy, &mut self.kit.turn(now, sink));
        self.peers.settle(slot);
    }
}
