//! Where the packet core's output goes: the UDP port, the TUN device, the control queues.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mesh_dataplane::Sink;
use mesh_model::MemberId;
use tun_rs::AsyncDevice;

use super::batch::SendBatch;
use super::drops::{PathDrop, PathDrops};
use super::handle::PathOffloads;
use crate::io::overlay::Ingress;
use crate::io::udp::{Udp, UdpPort};

/// How long a batch waits for room in the kernel's send buffer before its rest is dropped: the
/// buffer drains in that time at 3 Gbit/s, and a device that stands still must not stop the thread.
const SEND_PATIENCE: Duration = Duration::from_millis(10);

/// The outlet. Counts what it cannot pass on.
pub(super) struct Outlet {
    pub(super) udp: Udp,
    pub(super) tun: Option<AsyncDevice>,
    pub(super) drops: PathDrops,
    ingress: Ingress,
    batch: SendBatch,
}

impl Outlet {
    pub(super) fn new(udp: Udp, tun: Option<AsyncDevice>, ingress: Ingress) -> Self {
        Self { udp, tun, ingress, drops: PathDrops::default(), batch: SendBatch::new() }
    }

    /// Puts `port` in the place of the one in use, once that has sent what was written.
    pub(super) fn rebind(&mut self, port: UdpPort) -> io::Result<()> {
        self.flush_now();
        self.udp = Udp::serve(port)?;
        Ok(())
    }

    /// Writes a datagram outside any tunnel.
    pub(super) fn datagram(&mut self, to: SocketAddr, payload: &[u8]) {
        let len = payload.len();
        self.slot(len)[..len].copy_from_slice(payload);
        self.send(to, len);
    }

    /// Sends everything written so far.
    pub(super) async fn flush(&mut self) {
        let mut first = 0;
        while let Some(blocked) = self.send_from(first) {
            first = blocked;
            if tokio::time::timeout(SEND_PATIENCE, self.udp.writable()).await.is_err() {
                self.give_up(first);
                break;
            }
        }
        self.batch.clear();
    }

    /// Sends everything written so far that the kernel takes at once.
    fn flush_now(&mut self) {
        if let Some(blocked) = self.send_from(0) {
            self.give_up(blocked);
        }
        self.batch.clear();
    }

    fn give_up(&mut self, first: usize) {
        let rest = self.batch.len() - first;
        self.drops.add(PathDrop::UdpFull, rest as u64);
    }

    /// Sends from datagram `first` on; the datagram it got stuck at when the kernel is full.
    fn send_from(&mut self, mut first: usize) -> Option<usize> {
        // Asked anew each time: quinn-udp turns GSO off when a device refuses it.
        while let Some(run) = self.batch.run(first, self.udp.max_run()) {
            match self.udp.send(run.to, run.contents, run.segment) {
                Ok(()) => first += run.count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(first),
                Err(_) if run.segment.is_some() => {
                    let refused = send_singly(&self.udp, run.to, run.contents, run.segment);
                    first += run.count;
                    self.drops.add(PathDrop::UdpRefused, refused);
                }
                Err(error) => {
                    tracing::trace!(to = %run.to, %error, "datagram refused");
                    first += 1;
                    self.drops.add(PathDrop::UdpRefused, 1);
                }
            }
        }
        None
    }

    pub(super) fn offloads(&self) -> PathOffloads {
        PathOffloads {
            udp_gso: self.udp.max_run() > 1,
            udp_gro: self.udp.has_gro(),
            tun_gso: false,
        }
    }
}

/// Sends a refused run datagram by datagram; how many were refused again.
fn send_singly(udp: &Udp, to: SocketAddr, contents: &[u8], segment: Option<usize>) -> u64 {
    let datagrams = contents.chunks(segment.unwrap_or(contents.len()).max(1));
    let refused = datagrams.filter(|datagram| udp.send(to, datagram, None).is_err());
    refused.count() as u64
}

impl Sink for Outlet {
    fn slot(&mut self, max: usize) -> &mut [u8] {
        if !self.batch.has_room(max) {
            self.flush_now();
        }
        self.batch.slot(max)
    }

    fn send(&mut self, to: SocketAddr, len: usize) {
        self.batch.push(to, len);
    }

    fn control(&mut self, from: MemberId, packet: &[u8]) {
        if let Err(reason) = self.ingress.accept(from, packet) {
            self.drops.add(reason, 1);
        }
    }
}

impl Outlet {
    /// Hands an inner packet to the kernel.
    pub(super) fn deliver(&mut self, packet: &[u8]) {
        let Some(tun) = &self.tun else {
            return self.drops.add(PathDrop::TunAbsent, 1);
        };
        match tun.try_send(packet) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.drops.add(PathDrop::TunFull, 1);
            }
            Err(error) => {
                tracing::trace!(%error, "the TUN device refused a packet");
                self.drops.add(PathDrop::TunRefused, 1);
            }
        }
    }
}
