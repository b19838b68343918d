//! Where the packet core's output goes: the UDP port, the TUN device, the control queues.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_dataplane::packet::offload::Gathered;
use mesh_dataplane::{Endpoint, Lane, Parcel, Sink};
use mesh_model::MemberId;
use nix::libc;

use super::batch::{BULK_ARENA, CONTROL_ARENA, Run, SendBatch};
use super::drops::{PathDrop, PathDrops};
use super::handover::Outgoing;
use super::stats::PathOffloads;
use crate::io::overlay::Ingress;
use crate::io::tun::Tun;
use crate::io::udp::{Datagram, Udp};

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
}

/// Which runs of bulk are to leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    All,
    /// Not the last, while more could join it.
    Full,
}

impl Outlet {
    pub(super) fn new(udp: Udp, tun: Option<Tun>, ingress: Ingress, outgoing: Outgoing) -> Self {
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
        }
    }

    /// Puts `udp` in the place of the port in use, once that has sent what was written.
    pub(super) fn rebind(&mut self, udp: Udp) {
        self.flush();
        self.udp = udp;
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
        self.flush_control();
        self.flush_bulk(Runs::All);
    }

    /// Sends what gains nothing by waiting: control, and runs of bulk that are as long as can be. `false`
    /// when the kernel has no room for them.
    #[must_use]
    pub(super) fn flush_full(&mut self) -> bool {
        self.flush_control();
        self.flush_bulk(Runs::Full);
        self.bulk.run(self.udp.max_run()).is_none_or(|run| !run.is_full)
    }

    /// An address of ours that the kernel would not send from, once.
    pub(super) fn take_unusable(&mut self) -> Option<IpAddr> {
        self.unusable.take()
    }

    /// Keeps the last slot's first `len` bytes for the next flush.
    fn push(&mut self, to: Endpoint, hops: Option<u8>, len: usize) {
        match self.lane {
            Lane::Control => self.control.push(to, hops, len),
            Lane::Bulk => self.bulk.push(to, hops, len),
        }
    }

    fn flush_control(&mut self) {
        while !self.control.is_empty() && self.send_alone(Lane::Control, Runs::All) {}
    }

    fn flush_bulk(&mut self, runs: Runs) {
        // Asked anew each time: quinn-udp turns GSO off when a device refuses it.
        while let Some(run) = self.bulk.run(self.udp.max_run()) {
            if runs == Runs::Full && !run.is_full {
                return;
            }
            let Some(segment) = run.segment else {
                if self.send_alone(Lane::Bulk, runs) {
                    continue;
                }
                return;
            };
            let Ok(refused) = send_run(&mut self.udp, &run, segment, &mut self.unusable) else {
                return;
            };
            self.drops.add(PathDrop::UdpRefused, refused);
            let count = run.count;
            self.bulk.pass(count);
        }
    }

    /// Sends the next datagrams of `lane` that are no part of a run. `false` when the kernel has no room.
    fn send_alone(&mut self, lane: Lane, runs: Runs) -> bool {
        let (batch, max) = match lane {
            Lane::Control => (&mut self.control, 1),
            Lane::Bulk => (&mut self.bulk, self.udp.max_run()),
        };
        let mut alone = batch
            .alone(max)
            .take_while(|run| runs == Runs::All || run.is_full)
            .map(|Run { to, hops, contents, .. }| Datagram { to, hops, contents })
            .peekable();
        let Some(first) = alone.peek().copied() else { return false };
        let sent = match self.udp.send(lane, alone) {
            Err(error) if is_unusable(&error) && first.to.local.is_some() => {
                self.unusable = first.to.local;
                let first = Datagram { to: first.to.remote.into(), ..first };
                self.udp.send(lane, [first].into_iter())
            }
            sent => sent,
        };
        let left = match sent {
            Ok(left) => left,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => {
                tracing::trace!(to = %first.to.remote, %error, "datagram refused");
                self.drops.add(PathDrop::UdpRefused, 1);
                1
            }
        };
        batch.pass(left);
        true
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

    pub(super) fn offloads(&self) -> PathOffloads {
        PathOffloads {
            udp_gso: self.udp.max_run() > 1,
            udp_gro: self.udp.has_gro(),
            tun_tcp: self.tun.as_ref().is_some_and(|tun| tun.has_tcp_offload()),
            tun_udp: self.tun.as_ref().is_some_and(|tun| tun.has_udp_offload()),
        }
    }
}

/// Sends a run; how many of its datagrams the kernel refused. The error is that it has no room for them.
fn send_run(
    udp: &mut Udp,
    run: &Run<'_>,
    segment: usize,
    unusable: &mut Option<IpAddr>,
) -> io::Result<u64> {
    let mut sent = udp.send_run(run.to, run.contents, segment);
    if let (Err(error), Some(local)) = (&sent, run.to.local)
        && is_unusable(error)
    {
        // quinn-udp has taken it for GSO's fault and would do without from now on. When the same run
        // leaves from another address, it was not.
        udp.allow_runs();
        sent = udp.send_run(run.to.remote.into(), run.contents, segment);
        if sent.is_ok() {
            *unusable = Some(local);
        }
    }
    match sent {
        Ok(()) => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        Err(error) => {
            tracing::trace!(to = %run.to.remote, %error, "datagrams refused");
            Ok(send_singly(udp, run, segment))
        }
    }
}

/// Sends a refused run datagram by datagram, from whatever address the kernel chooses; how many were
/// refused again.
fn send_singly(udp: &Udp, run: &Run<'_>, segment: usize) -> u64 {
    let to = run.to.remote.into();
    let mut rest =
        run.contents.chunks(segment).map(|contents| Datagram { to, hops: None, contents });
    let mut refused = 0;
    while rest.len() > 0 {
        let left = udp.send(Lane::Bulk, rest.clone()).unwrap_or_else(|_| {
            refused += 1;
            1
        });
        rest.by_ref().take(left).for_each(drop);
    }
    refused
}

/// Whether the kernel refused because the address to send from is no longer ours.
fn is_unusable(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EADDRNOTAVAIL | libc::ENETUNREACH))
}

impl Sink for Outlet {
    fn slot(&mut self, lane: Lane, max: usize) -> &mut [u8] {
        self.lane = lane;
        match lane {
            Lane::Control => {
                if !self.control.has_room(max) {
                    self.flush_control();
                }
                self.control.slot(max)
            }
            Lane::Bulk => {
                if !self.bulk.has_room(max) {
                    self.flush_bulk(Runs::All);
                }
                self.bulk.slot(max)
            }
        }
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

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;
    use crate::io::udp::{ReceiveBatch, UdpPort};

    /// How many datagrams arrive on `lane`, once `least` have.
    fn arrivals(udp: &Udp, lane: Lane, least: usize) -> usize {
        let mut received = ReceiveBatch::new();
        let mut count = 0;
        while count < least {
            let fd = if lane == Lane::Bulk { udp.bulk() } else { udp.control().expect("a lane") };
            poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], None).expect("polled");
            udp.receive(lane, &mut received).expect("something has arrived");
            count +=
                (0..received.len()).map(|n| received.run(n).datagrams().count()).sum::<usize>();
        }
        count
    }

    #[test]
    fn an_address_that_went_away_is_named_and_takes_no_offload_with_it() {
        let open = || {
            let port = UdpPort::bind_any(0).expect("any");
            let at = port.local().port();
            (Udp::serve_sliced(port, 1).expect("served").remove(0), at)
        };
        for (host, gone) in [("127.0.0.1", "192.0.2.1"), ("::1", "2001:db8::1")] {
            let ((udp, _), (far, port)) = (open(), open());
            let mut outlet = Outlet::new(udp, None, Ingress::new().0, Outgoing::default());
            let before = outlet.offloads();
            let local = Some(gone.parse().expect("an address"));
            let remote = SocketAddr::new(host.parse().expect("an address"), port);
            for lane in [Lane::Bulk, Lane::Bulk, Lane::Control] {
                outlet.slot(lane, 100).fill(7);
                outlet.send(Endpoint { local, ..remote.into() }, 100);
            }
            outlet.flush();
            assert_eq!(outlet.take_unusable(), local);
            assert_eq!(outlet.offloads(), before);
            assert_eq!(outlet.drops.iter().map(|(_, count)| count).sum::<u64>(), 0);

            assert_eq!(arrivals(&far, Lane::Control, 1), 1);
            assert_eq!(arrivals(&far, Lane::Bulk, 2), 2);
        }
    }
}
