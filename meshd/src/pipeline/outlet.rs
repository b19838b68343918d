//! Where the packet core's output goes: the UDP port, the TUN device, the control queues.

mod sending;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_dataplane::packet::offload::Gathered;
use mesh_dataplane::{Endpoint, Lane, MAX_SEALING, Parcel, Sink, Uplink};
use mesh_model::MemberId;

use super::batch::{BULK_ARENA, CONTROL_ARENA, SendBatch};
use super::drops::{PathDrop, PathDrops};
use super::handover::Outgoing;
use super::refusals::Refusals;
use crate::io::clock;
use crate::io::offloads::Offloads;
use crate::io::overlay::Ingress;
use crate::io::tun::Tun;
use crate::io::udp::Udp;
use sending::Runs;

/// Bytes of packets that are opened, or sealed, before those done so far leave: half a super-packet, so
/// that one arrives while the next is in work. Whoever waits for them, on another core, starts early,
/// and its acknowledgement is back sooner. Keeping a whole turn's packets to its end costs a tenth of
/// the throughput of a transfer whose window is as short as the queues here.
pub(super) const LEAVE_EVERY: usize = 32 * 1024;

/// The outlet. Counts what it cannot pass on.
pub(super) struct Outlet {
    pub(super) udp: Udp,
    pub(super) tun: Option<Arc<Tun>>,
    pub(super) drops: PathDrops,
    /// The way to other packet threads.
    pub(super) outgoing: Outgoing,
    ingress: Ingress,
    control: SendBatch,
    bulk: SendBatch,
    /// The lane of the last slot.
    lane: Lane,
    /// An address of ours that the kernel would not send from.
    unusable: Option<IpAddr>,
    /// One that it would not send from just now, for whatever reason.
    suspected: Option<IpAddr>,
    refusals: Refusals,
    /// How bulk leaves.
    pub(super) uplink: Uplink,
}

impl Outlet {
    pub(super) fn new(udp: Udp, tun: Option<Tun>, ingress: Ingress, outgoing: Outgoing) -> Self {
        udp.set_send_buffer(Uplink::BUFFER);
        Self {
            udp,
            tun: tun.map(Arc::new),
            drops: PathDrops::default(),
            outgoing,
            ingress,
            control: SendBatch::new(CONTROL_ARENA),
            bulk: SendBatch::new(BULK_ARENA),
            lane: Lane::Bulk,
            unusable: None,
            suspected: None,
            refusals: Refusals::default(),
            uplink: Uplink::default(),
        }
    }

    /// Puts `udp` in the place of the port in use, once that has sent what was written.
    pub(super) fn rebind(&mut self, udp: Udp) {
        self.flush();
        udp.set_send_buffer(Uplink::BUFFER);
        self.udp = udp;
        self.uplink = Uplink::default();
    }

    /// Writes a datagram outside any tunnel.
    pub(super) fn datagram(&mut self, to: SocketAddr, payload: &[u8]) {
        let len = payload.len();
        let slot = self.slot(Lane::Bulk, len);
        if slot.len() < len {
            return self.drops.add(PathDrop::UdpFull, 1);
        }
        slot[..len].copy_from_slice(payload);
        self.send(to.into(), len);
    }

    /// Whether datagrams of `lane` wait for room in the kernel.
    pub(super) fn waits_for_room(&self, lane: Lane) -> bool {
        match lane {
            Lane::Control => !self.control.is_empty(),
            Lane::Bulk => !self.bulk.is_empty(),
        }
    }

    /// Sends what was written so far, as far as the kernel has room: control before bulk.
    pub(super) fn flush(&mut self) {
        self.flush_lane(Lane::Control, Runs::All);
        self.flush_lane(Lane::Bulk, Runs::All);
    }

    /// Whether `sealed` bytes are to leave before more are sealed. What has left is in the kernel's buffer,
    /// which is as long as the uplink is fast; what is sealed and has not can neither wait nor be dropped.
    pub(super) fn is_enough(&self, sealed: usize) -> bool {
        sealed >= LEAVE_EVERY.min(self.uplink.share())
    }

    /// Makes room for `count` inner packets of at most `longest` bytes, by sending what was written before. `false` where
    /// the kernel has none for that: nothing of them is to be sealed then, or what finds no room is lost.
    pub(super) fn makes_room(&mut self, count: usize, longest: usize) -> bool {
        let max = longest + MAX_SEALING;
        if !self.bulk.has_room_for(count, max) {
            self.flush_lane(Lane::Bulk, Runs::All);
        }
        self.bulk.has_room_for(count, max)
    }

    /// Lets go on what gains nothing by waiting: what is other threads', control, and runs of bulk that are
    /// as long as can be; all of it where the uplink takes little at once.
    pub(super) fn leave(&mut self) {
        let is_slow = self.uplink.share() < LEAVE_EVERY;
        self.outgoing.dispatch();
        self.flush_lane(Lane::Control, Runs::All);
        self.flush_lane(Lane::Bulk, if is_slow { Runs::All } else { Runs::Full });
    }

    /// The kernel has room for bulk again.
    pub(super) fn handle_room(&mut self) {
        if self.uplink.is_full() {
            self.uplink.handle_room(self.udp.unsent());
        }
    }

    /// The kernel has had no room for bulk for a while.
    pub(super) fn handle_stall(&mut self) {
        let now = clock::now();
        if self.uplink.poll_timeout().is_some_and(|at| at <= now) {
            self.uplink.handle_stall(self.udp.unsent(), now);
            self.fit_buffer();
        }
    }

    /// Has the kernel hold as much of bulk as it should.
    fn fit_buffer(&mut self) {
        if let Some(buffer) = self.uplink.poll_buffer() {
            self.udp.set_send_buffer(buffer);
        }
    }

    /// An address of ours that the kernel would not send from, once.
    pub(super) fn take_unusable(&mut self) -> Option<IpAddr> {
        self.unusable.take()
    }

    /// Keeps the last slot's first `len` bytes for the next flush.
    fn push(&mut self, to: Endpoint, hops: Option<u8>, len: usize) {
        self.batch(self.lane).push(to, hops, len);
    }

    fn batch(&mut self, lane: Lane) -> &mut SendBatch {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Bulk => &mut self.bulk,
        }
    }

    /// Writes a packet, or several as one, to the TUN device.
    pub(super) fn deliver(&mut self, packet: Gathered<'_>) {
        let count = packet.packets() as u64;
        let Some(tun) = &self.tun else {
            return self.drops.add(PathDrop::TunAbsent, count);
        };
        match tun.write(packet) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.drops.add(PathDrop::TunFull, count);
            }
            Err(error) => {
                tracing::trace!(%error, "the TUN device refused a packet");
                self.drops.add(PathDrop::TunRefused, count);
            }
        }
    }

    /// The kernel's offloads in use.
    pub(super) fn offloads(&self) -> Offloads {
        Offloads {
            udp_gso: self.udp.max_run() > 1,
            udp_gro: self.udp.has_gro(),
            tun_tcp: self.tun.as_ref().is_some_and(|tun| tun.has_tcp_offload()),
            tun_udp: self.tun.as_ref().is_some_and(|tun| tun.has_udp_offload()),
        }
    }
}

impl Sink for Outlet {
    fn slot(&mut self, lane: Lane, max: usize) -> &mut [u8] {
        self.lane = lane;
        if !self.batch(lane).has_room(max) {
            self.flush_lane(lane, Runs::All);
        }
        self.batch(lane).slot(max)
    }

    fn send(&mut self, to: Endpoint, len: usize) {
        self.push(to, None, len);
    }

    fn send_no_further(&mut self, to: Endpoint, hops: u8, len: usize) {
        self.push(to, Some(hops), len);
    }

    fn control(&mut self, from: MemberId, packet: &[u8]) {
        if let Err(reason) = self.ingress.accept(from, packet) {
            self.drops.add(reason, 1);
        }
    }

    fn hand_on(&mut self, to: usize, parcel: Parcel<'_>) {
        if !self.outgoing.put(to, parcel) {
            self.drops.add(PathDrop::HandoverFull, parcel.count() as u64);
        }
    }
}
