//! What arrives: datagrams at the UDP port, packets at the TUN device.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mesh_dataplane::packet::offload::Segments;
use mesh_dataplane::{Lane, MAX_DATAGRAM, MAX_INNER, Origin, Steer, steer};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::{Ends, Worker, drain, must_wait};
use crate::io::quic_socket::Inbound;
use crate::io::{clock, tun};
use crate::pipeline::drops::PathDrop;
use crate::pipeline::error::PathError;
use crate::pipeline::outlet::{LEAVE_EVERY, Outlet};

/// Packets read from the TUN device in one turn: one GSO run of small ones.
const TUN_PER_TURN: usize = 64;

/// Bytes read from the TUN device in one turn, at most: two super-packets, some 0.2 ms of one core's
/// sealing, which is what a packet from the network may have to wait for.
const TUN_BYTES_PER_TURN: usize = 128 * 1024;

/// How old what is known of the device's MTU may be. Asking is two system calls, which are nothing to
/// every second of traffic.
const MTU_AGE: Duration = Duration::from_secs(1);

impl Worker {
    /// Takes what has arrived on `lane`, as much as one call brings.
    pub(super) fn receive_datagrams(&mut self, lane: Lane) {
        match self.outlet.udp.receive(lane, &mut self.received) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // Reading an error clears it; the port itself cannot go away.
            Err(error) => return tracing::debug!(%error, "cannot receive"),
        }
        let now = clock::now();
        let Self { engine, outlet, ends, received, coalescer, .. } = self;
        let Ends { events, joiners, .. } = ends;
        let mut opened = 0;
        for n in 0..received.len() {
            let run = received.run(n);
            let from = run.from;
            opened += run.len();
            for at in run.datagrams() {
                let datagram = &mut received.arena()[at.clone()];
                match steer(datagram) {
                    Steer::WireGuard => {
                        let inner = engine.handle_datagram(from, datagram, now, outlet);
                        if let Some(inner) = inner {
                            let place = at.start + inner.start..at.start + inner.end;
                            coalescer.push(received.arena(), place);
                        }
                        drain(engine, events, outlet);
                    }
                    Steer::Quic => offer_joiner(joiners, from.remote, datagram, outlet),
                    Steer::Other => outlet.drops.add(PathDrop::NotOurs, 1),
                }
            }
            if opened >= LEAVE_EVERY {
                opened = 0;
                coalescer.drain(received.arena(), |packet| outlet.deliver(packet));
                outlet.outgoing.dispatch();
            }
        }
        coalescer.drain(received.arena(), |packet| outlet.deliver(packet));
    }

    /// Takes a turn's packets from the TUN device: to be sealed at once, or to wait where the uplink is slow.
    pub(super) fn receive_inner(&mut self) -> Result<(), PathError> {
        let Some(tun) = self.outlet.tun.clone() else { return Ok(()) };
        self.look_at_mtu(&tun);
        let mut bytes = 0;
        let mut sealed = 0;
        for _ in 0..TUN_PER_TURN {
            let (header, packet) = match tun.read(&mut self.read) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(PathError::Tun(error)),
            };
            bytes += packet.len();
            match header.and_then(|header| Segments::of(header, packet).ok()) {
                Some(packets) if must_wait(&packets, &self.backlog, &mut self.outlet) => {
                    let uplink = &self.outlet.uplink;
                    self.backlog.push(Origin::Kernel, &packets, uplink, clock::now());
                }
                Some(packets) => {
                    sealed += packet.len();
                    self.engine.handle_kernel(&packets, clock::now(), &mut self.outlet);
                    drain(&mut self.engine, &self.ends.events, &mut self.outlet);
                }
                None => self.outlet.drops.add(PathDrop::TunMalformed, 1),
            }
            if bytes + MAX_DATAGRAM > TUN_BYTES_PER_TURN {
                break;
            }
            if self.outlet.is_enough(sealed) {
                sealed = 0;
                self.outlet.leave();
            }
        }
        self.count_dropped();
        Ok(())
    }

    /// Seals what has waited for room, as much as a turn may.
    pub(super) fn send_backlog(&mut self) {
        let share = self.outlet.uplink.share();
        let mut bytes = 0;
        let mut sealed = 0;
        while !self.outlet.uplink.is_full()
            && bytes < share
            && bytes + MAX_DATAGRAM <= TUN_BYTES_PER_TURN
            && self.outlet.makes_room(1, MAX_INNER)
        {
            let now = clock::now();
            let Self { engine, outlet, backlog, .. } = self;
            let seal = |origin, packets: &Segments<'_>| {
                engine.handle_waited(origin, packets, now, outlet);
            };
            let Some(len) = backlog.pop(now, seal) else { break };
            drain(&mut self.engine, &self.ends.events, &mut self.outlet);
            bytes += len;
            sealed += len;
            if self.outlet.is_enough(sealed) {
                sealed = 0;
                self.outlet.leave();
            }
        }
        self.count_dropped();
    }

    pub(super) fn count_dropped(&mut self) {
        self.outlet.drops.add(PathDrop::Congested, self.backlog.take_dropped());
    }

    /// Asks the device for its MTU, now and then.
    pub(super) fn look_at_mtu(&mut self, tun: &tun::Tun) {
        let now = clock::now();
        if self.mtu_known.is_none_or(|then| now >= then + MTU_AGE) {
            self.mtu_known = Some(now);
            // A device that is going away says so when it is read; of one that was moved away, an order tells.
            if let Some(mtu) = tun.mtu() {
                self.engine.handle_mtu(mtu);
            }
        }
    }
}

/// Hands a datagram on to whoever waits for joiners. Room comes first: a flood is not worth a copy.
fn offer_joiner(
    joiners: &mpsc::Sender<Inbound>,
    from: SocketAddr,
    datagram: &[u8],
    outlet: &mut Outlet,
) {
    match joiners.try_reserve() {
        Ok(room) => room.send(Inbound { from, payload: datagram.to_vec() }),
        Err(TrySendError::Full(())) => outlet.drops.add(PathDrop::JoinQueueFull, 1),
        // A plain device has no door.
        Err(TrySendError::Closed(())) => outlet.drops.add(PathDrop::NotOurs, 1),
    }
}
