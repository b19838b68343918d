//! What leaves: from inner packet to peer.

use std::time::Instant;

use super::handed::Leg;
use super::{Engine, MAX_INNER};
use crate::drops::Drop;
use crate::packet::nested::hops_around;
use crate::packet::offload::Segments;
use crate::sink::{Lane, Sink};

impl Engine {
    /// Sends an inner packet of the daemon's own: its destination decides the peer.
    ///
    /// Packets from the kernel go through [`handle_kernel`](Self::handle_kernel).
    pub fn handle_inner(&mut self, packet: &[u8], now: Instant, sink: &mut impl Sink) {
        match Segments::one(packet) {
            Ok(packet) => self.send(Lane::Control, &packet, Leg::First, now, sink),
            Err(_) => self.kit.drops.count(Drop::InnerMalformed),
        }
    }

    /// Sends what the kernel's TUN device handed over: one packet, or several of one flow.
    ///
    /// Like [`handle_inner`](Self::handle_inner), except that nobody but the daemon may talk to
    /// other daemons' ports: any local process can send UDP from any port above 1023, and the
    /// receiver would take it for this member's word.
    pub fn handle_kernel(&mut self, packets: &Segments<'_>, now: Instant, sink: &mut impl Sink) {
        if self.role.is_control(packets.inner()) {
            return self.kit.drops.count(Drop::ControlFromKernel);
        }
        self.send(Lane::Bulk, packets, Leg::First, now, sink);
    }

    #[inline]
    pub(super) fn send(
        &mut self,
        lane: Lane,
        packets: &Segments<'_>,
        leg: Leg,
        now: Instant,
        sink: &mut impl Sink,
    ) {
        let (count, longest) = (packets.count(), packets.longest());
        if !self.up {
            return self.kit.drops.add(Drop::InterfaceDown, count);
        }
        if longest > MAX_INNER {
            return self.kit.drops.add(Drop::InnerTooLarge, count);
        }
        let Some(slot) = self.fib.lookup(packets.inner().dst()) else {
            return self.kit.drops.add(Drop::NoRoute, count);
        };
        let Some(peer) = self.peers.get_mut(slot).filter(|peer| peer.is_reachable()) else {
            return self.send_elsewhere(slot, lane, packets, leg, sink);
        };
        // Its own datagrams come back to it: the way to the peer leads through the tunnel to the peer.
        // Wrapped again they would go round without end.
        if peer.is_at(packets.inner()) {
            return self.kit.drops.add(Drop::RoutingLoop, count);
        }
        // What the daemon itself says is no tunnel's, however it begins.
        let hops = match lane {
            Lane::Bulk => hops_around(packets),
            Lane::Control => Ok(None),
        };
        let Ok(hops) = hops else {
            return self.kit.drops.add(Drop::RoutingLoop, count);
        };
        if lane == Lane::Bulk
            && let Some(held_to) = peer.held_to()
        {
            self.access.note(peer.member(), held_to, packets.inner(), now);
        }
        let write = |n, out: &mut [u8]| packets.write(n, out);
        peer.send_run(lane, hops, count, longest, write, &mut self.kit.turn(now, sink));
        self.peers.settle(slot);
    }
}
