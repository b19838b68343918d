//! The packet thread's loop.
//!
//! ```text
//! wait: an order, the packet core's deadline, other packet threads, the UDP port, the TUN device
//! turn: orders, the deadline, then a bounded share from each of the other threads, the UDP port's
//!       control lane, its bulk lane and the TUN device
//! hand on what is another thread's; send what the packet core wrote, control before bulk; again
//! ```
//!
//! Each source gets a bounded share of a turn, so none can starve another. Nothing ticks: an idle
//! mesh wakes this thread only for WireGuard's own timers. While the kernel has no room for what is
//! to be sent, the TUN device is not read: what cannot leave waits in the kernel's queue, which knows
//! what to drop, and not in ours.

mod handed;
mod orders;
mod wait;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use mesh_dataplane::packet::offload::{Coalescer, Segments, Takes};
use mesh_dataplane::{Engine, Event, Lane, MAX_DATAGRAM, Steer, WallTime, steer};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::batch::{BULK_ARENA, CONTROL_ARENA};
use super::drops::PathDrop;
use super::error::PathError;
use super::handle::{ORDER_QUEUE, Order};
use super::handover::Incoming;
use super::outlet::Outlet;
use super::team::{Leave, Team};
use crate::io::quic_socket::Inbound;
use crate::io::udp::ReceiveBatch;
use crate::io::{clock, doorbell, tun};
use wait::Ready;

/// Orders carried out in one turn: a flight of QUIC datagrams.
const ORDERS_PER_TURN: usize = 64;

/// Packets read from the TUN device in one turn: one GSO run of small ones.
const TUN_PER_TURN: usize = 64;

/// Bytes read from the TUN device in one turn, at most: two super-packets, some 0.2 ms of one core's
/// sealing, which is what a packet from the network may have to wait for.
const TUN_BYTES_PER_TURN: usize = 128 * 1024;

/// Bytes of packets that are opened, or sealed, before those done so far leave: half a super-packet, so
/// that one arrives while the next is in work. Whoever waits for them, on another core, starts early,
/// and its acknowledgement is back sooner. Keeping a whole turn's packets to its end costs a tenth of
/// the throughput of a transfer whose window is as short as the queues here.
const LEAVE_EVERY: usize = 32 * 1024;

/// How often to look whether the host slept.
const SLEEP_LOOK: Duration = Duration::from_secs(1);

/// A sleep that sessions must not be trusted after. After a shorter one a session that has died is
/// noticed by its silence, and soon.
const LONG_SLEEP: Duration = Duration::from_secs(10);

/// How old what is known of the device's MTU may be. Asking is one system call, which is nothing to
/// every second of traffic.
const MTU_AGE: Duration = Duration::from_secs(1);

/// The ends of queues that a packet thread has.
pub(super) struct Ends {
    pub(super) orders: doorbell::Receiver<Order>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) joiners: mpsc::Sender<Inbound>,
    /// Own packets that found the order queue full.
    pub(super) refused: Arc<AtomicU64>,
    /// What other threads hand on.
    pub(super) incoming: Incoming,
    pub(super) team: Arc<Team>,
}

/// What the buffers of one packet thread may take, in bytes: with four of them still less than half of
/// the 40 MiB that a daemon may have resident under load.
const BUDGET: usize = 1 << 20;
const _: () = assert!(
    BULK_ARENA + CONTROL_ARENA + ReceiveBatch::SIZE + tun::READ_BUFFER <= BUDGET,
    "a packet thread's buffers are larger than they may be"
);

/// The loop's state.
pub(super) struct Worker {
    engine: Engine,
    outlet: Outlet,
    ends: Ends,
    /// Something waits for room on its way to another thread.
    held_back: bool,
    received: ReceiveBatch,
    coalescer: Coalescer,
    read: Box<[u8; tun::READ_BUFFER]>,
    /// When the device was last asked for its MTU.
    mtu_known: Option<Instant>,
    /// When it was last looked whether the host slept, and for how long it had by then.
    slept: (Instant, Duration),
}

/// Whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

impl Worker {
    pub(super) fn new(engine: Engine, outlet: Outlet, ends: Ends) -> Self {
        let takes = outlet.tun.as_ref().map_or(Takes::None, |tun| tun.takes());
        Self {
            engine,
            outlet,
            ends,
            held_back: false,
            received: ReceiveBatch::new(),
            coalescer: Coalescer::new(takes),
            read: Box::new([0; tun::READ_BUFFER]),
            mtu_known: None,
            slept: (clock::now(), clock::asleep()),
        }
    }

    /// What ends the other threads when it is dropped.
    pub(super) fn leave_team(&self) -> Leave {
        self.ends.team.leave()
    }

    /// Runs until ordered to stop, until nobody is left to give orders, until the device is gone, or until
    /// another thread has ended.
    ///
    /// Also says what the latest stamp of a handshake was: nobody can ask any more.
    pub(super) fn run(mut self) -> (Result<(), PathError>, Option<WallTime>) {
        let result = self.serve();
        (result, self.engine.newest_stamp())
    }

    fn serve(&mut self) -> Result<(), PathError> {
        loop {
            let ready = self.wait().map_err(PathError::Wait)?;
            let flow = self.turn(&ready)?;
            self.held_back = !self.outlet.outgoing.dispatch();
            self.outlet.flush();
            if let Some(local) = self.outlet.take_unusable() {
                self.engine.handle_local_gone(local);
            }
            if flow == Flow::Stop {
                return Ok(());
            }
        }
    }

    fn turn(&mut self, ready: &Ready) -> Result<Flow, PathError> {
        if self.ends.team.is_over() {
            // What was ordered and handed on before is done; what comes after is too late.
            let _ = self.carry_out_up_to(ORDER_QUEUE);
            self.take_all_handed();
            return Ok(Flow::Stop);
        }
        if self.carry_out_up_to(ORDERS_PER_TURN) == Flow::Stop {
            return Ok(Flow::Stop);
        }
        self.look_for_sleep();
        self.handle_deadline();
        self.take_handed(Lane::Control);
        if !self.outlet.waits_for_room(Lane::Bulk) {
            self.take_handed(Lane::Bulk);
        }
        if ready.control {
            self.receive_datagrams(Lane::Control);
        }
        if ready.bulk {
            self.receive_datagrams(Lane::Bulk);
        }
        if ready.tun {
            self.receive_inner()?;
        }
        Ok(Flow::On)
    }

    fn look_for_sleep(&mut self) {
        let now = clock::now();
        let (looked, before) = self.slept;
        if now < looked + SLEEP_LOOK {
            return;
        }
        let asleep = clock::asleep();
        self.slept = (now, asleep);
        if asleep.saturating_sub(before) >= LONG_SLEEP {
            tracing::info!("the host was asleep; all tunnels start over");
            self.engine.handle_resume(now, &mut self.outlet);
            drain(&mut self.engine, &self.ends.events, &mut self.outlet);
        }
    }

    fn handle_deadline(&mut self) {
        let Some((deadline, _)) = self.engine.poll_timeout() else { return };
        let now = clock::now();
        if deadline <= now {
            self.engine.handle_timeout(now, &mut self.outlet);
            drain(&mut self.engine, &self.ends.events, &mut self.outlet);
        }
    }

    fn receive_datagrams(&mut self, lane: Lane) {
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

    fn receive_inner(&mut self) -> Result<(), PathError> {
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
            sealed += packet.len();
            match header.and_then(|header| Segments::of(header, packet).ok()) {
                Some(packets) => {
                    self.engine.handle_kernel(&packets, clock::now(), &mut self.outlet);
                    drain(&mut self.engine, &self.ends.events, &mut self.outlet);
                }
                None => self.outlet.drops.add(PathDrop::TunMalformed, 1),
            }
            if bytes + MAX_DATAGRAM > TUN_BYTES_PER_TURN {
                break;
            }
            if sealed >= LEAVE_EVERY {
                sealed = 0;
                self.outlet.outgoing.dispatch();
                if !self.outlet.flush_full() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn look_at_mtu(&mut self, tun: &tun::Tun) {
        let now = clock::now();
        if self.mtu_known.is_none_or(|then| now >= then + MTU_AGE) {
            self.mtu_known = Some(now);
            // A device that is going away says so when it is read.
            if let Ok(mtu) = tun.mtu() {
                self.engine.handle_mtu(mtu);
            }
        }
    }
}

/// Hands the packet core's events on. An event lost to a full queue is repaired by the next
/// handshake, at most two minutes later.
fn drain(engine: &mut Engine, events: &mpsc::Sender<Event>, outlet: &mut Outlet) {
    while let Some(event) = engine.poll_event() {
        if let Err(TrySendError::Full(_)) = events.try_send(event) {
            outlet.drops.add(PathDrop::EventQueueFull, 1);
        }
    }
}

fn offer_joiner(
    joiners: &mpsc::Sender<Inbound>,
    from: SocketAddr,
    datagram: &[u8],
    outlet: &mut Outlet,
) {
    let payload = datagram.to_vec();
    match joiners.try_send(Inbound { from, payload }) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => outlet.drops.add(PathDrop::JoinQueueFull, 1),
        // A plain device has no door.
        Err(TrySendError::Closed(_)) => outlet.drops.add(PathDrop::NotOurs, 1),
    }
}
