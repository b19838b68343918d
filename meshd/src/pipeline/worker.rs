//! The packet thread's loop.
//!
//! ```text
//! wait: an order, the packet core's deadline, other packet threads, the UDP port, the TUN device
//! turn: the clocks, orders, the deadline, then a bounded share from each of the other threads, the
//!       UDP port's control lane, its bulk lane and the TUN device
//! hand on what is another thread's; send what the packet core wrote, control before bulk; again
//! (what gains nothing by waiting has gone before)
//! ```
//!
//! Each source gets a bounded share of a turn, so none can starve another. Nothing ticks: an idle
//! mesh wakes this thread only for WireGuard's own timers. While the kernel has no room for what is
//! to be sent, what comes from the TUN device waits in the packet core's backlog, which knows what may pass
//! what and what to drop; the device's own queue knows neither.

mod handed;
mod link;
mod orders;
mod receive;
#[cfg(test)]
mod tests;
mod wait;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use mesh_dataplane::packet::offload::{Coalescer, Segments, Takes};
use mesh_dataplane::{Backlog, Engine, Event, Lane};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::batch::{BULK_ARENA, CONTROL_ARENA};
use super::drops::PathDrop;
use super::error::PathError;
use super::handle::{ORDER_QUEUE, Order};
use super::handover::{self, Incoming};
use super::outlet::Outlet;
use super::stats::PathStats;
use super::team::{Leave, Team};
use crate::io::quic_socket::Inbound;
use crate::io::udp::ReceiveBatch;
use crate::io::{clock, doorbell, tun};
use wait::Ready;

/// Orders carried out in one turn: a flight of QUIC datagrams.
const ORDERS_PER_TURN: usize = 64;

/// How often to look whether the host slept, and what its wall clock shows.
const CLOCK_LOOK: Duration = Duration::from_secs(1);

/// A sleep that sessions must not be trusted after. After a shorter one a session that has died is
/// noticed by its silence, and soon.
const LONG_SLEEP: Duration = Duration::from_secs(10);

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

/// What the buffers of one packet thread may take, in bytes, but for its part of the backlog.
const BUDGET: usize = 1 << 20;
const _: () = assert!(
    BULK_ARENA + CONTROL_ARENA + ReceiveBatch::SIZE + tun::READ_BUFFER <= BUDGET,
    "a packet thread's buffers are larger than they may be"
);

/// What four packet threads may take, with the crates between each two of them and the backlog full: half of
/// the 40 MiB that a daemon may have resident under load. Eight take at most 68 MiB, when each is behind
/// with what every other one sends.
const BUDGET_OF_FOUR: usize = 20 << 20;
const _: () = assert!(
    4 * BUDGET + 4 * 3 * handover::BETWEEN + Backlog::MAX_BYTES <= BUDGET_OF_FOUR,
    "four packet threads' buffers are larger than they may be"
);

/// The loop's state.
pub(super) struct Worker {
    engine: Engine,
    /// Packets from the TUN device that wait for room in the kernel.
    backlog: Backlog,
    outlet: Outlet,
    ends: Ends,
    /// Something waits for room on its way to another thread.
    held_back: bool,
    received: ReceiveBatch,
    coalescer: Coalescer,
    read: Box<[u8; tun::READ_BUFFER]>,
    /// When the device was last asked for its MTU.
    mtu_known: Option<Instant>,
    /// When the clocks were last looked at.
    clocks_known: Option<Instant>,
    /// For how long the host had slept by then.
    slept: Duration,
}

/// Whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

impl Worker {
    pub(super) fn new(engine: Engine, backlog: Backlog, outlet: Outlet, ends: Ends) -> Self {
        let takes = outlet.tun.as_ref().map_or(Takes::None, |tun| tun.takes());
        Self {
            engine,
            backlog,
            outlet,
            ends,
            held_back: false,
            received: ReceiveBatch::new(),
            coalescer: Coalescer::new(takes),
            read: Box::new([0; tun::READ_BUFFER]),
            mtu_known: None,
            clocks_known: None,
            slept: clock::asleep(),
        }
    }

    /// What ends the other threads when it is dropped.
    pub(super) fn leave_team(&self) -> Leave {
        self.ends.team.leave()
    }

    /// Runs until ordered to stop, until nobody is left to give orders, until the device is gone, or until
    /// another thread has ended.
    ///
    /// Also says how things were last: nobody can ask any more.
    pub(super) fn run(mut self) -> (Result<(), PathError>, PathStats) {
        self.look_at_link();
        let result = self.serve();
        (result, self.stats())
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
        // Before anything is sent: the first handshake after a long wait is to bear the right time.
        self.look_at_clocks();
        if self.carry_out_up_to(ORDERS_PER_TURN) == Flow::Stop {
            return Ok(Flow::Stop);
        }
        if ready.tun && !self.engine.is_up() {
            self.look_at_link();
        }
        self.handle_deadline();
        self.take_handed(Lane::Control);
        self.take_handed(Lane::Bulk);
        if ready.control {
            self.receive_datagrams(Lane::Control);
        }
        if ready.bulk {
            self.receive_datagrams(Lane::Bulk);
        }
        // What has waited goes first; while it does, more waits where it is.
        if self.backlog.is_next(&self.outlet.uplink) {
            self.send_backlog();
        } else if ready.tun {
            self.receive_inner()?;
        }
        Ok(Flow::On)
    }

    fn look_at_clocks(&mut self) {
        let now = clock::now();
        if self.clocks_known.is_some_and(|then| now < then + CLOCK_LOOK) {
            return;
        }
        self.clocks_known = Some(now);
        self.engine.handle_wall(clock::wall(), now);
        let asleep = clock::asleep();
        let before = std::mem::replace(&mut self.slept, asleep);
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
            // Nothing is said by itself once the interface is off, even where no word of that comes.
            self.look_at_link();
            self.engine.handle_timeout(now, &mut self.outlet);
            drain(&mut self.engine, &self.ends.events, &mut self.outlet);
        }
    }
}

/// Whether `packets` are to wait in the backlog: because others do, or because there is no room to seal them in.
fn must_wait(packets: &Segments<'_>, backlog: &Backlog, outlet: &mut Outlet) -> bool {
    backlog.must_take(packets, &outlet.uplink)
        || !outlet.makes_room(packets.count(), packets.longest())
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
