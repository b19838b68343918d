//! The packet thread's loop.
//!
//! ```text
//! wait: an order, the packet core's deadline, the UDP port or the TUN device
//! turn: orders first (control before bulk), then the deadline, one bounded batch from the UDP
//!       port, one from the TUN device
//! flush what the packet core wrote, now and then let the reactor look around, again
//! ```
//!
//! Each source gets a bounded share of a turn, so none can starve another. Nothing ticks: an idle
//! mesh wakes this thread only for WireGuard's own timers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_dataplane::{Engine, Event, Steer, steer};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tun_rs::AsyncDevice;

use super::drops::PathDrop;
use super::handle::{Order, PathError, PathStats};
use super::outlet::Outlet;
use crate::io::alarm::Alarm;
use crate::io::clock;
use crate::io::quic_socket::Inbound;
use crate::io::udp::ReceiveBatch;

/// Orders carried out in one turn: a flight of QUIC datagrams.
const ORDERS_PER_TURN: usize = 64;

/// Packets read from the TUN device in one turn: what fits one or two GSO runs.
const TUN_PER_TURN: usize = 64;

/// Turns after which a thread that never found its sockets empty lets the runtime look at them. Looking
/// costs three system calls, which an idle mesh would pay for every packet: two turns serve one, the
/// second of them finding the port empty.
const TURNS_BEFORE_REST: u32 = 4;

/// The largest packet a TUN device without offloads can hand over, in bytes.
const TUN_BUFFER: usize = 1 << 16;

/// The loop's state.
pub(super) struct Worker {
    engine: Engine,
    outlet: Outlet,
    alarm: Alarm,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
    joiners: mpsc::Sender<Inbound>,
    /// Own packets that found the order queue full.
    refused: Arc<AtomicU64>,
    received: ReceiveBatch,
    inner: Box<[u8]>,
}

/// Whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

impl Worker {
    pub(super) fn new(
        engine: Engine,
        outlet: Outlet,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<Event>,
        joiners: mpsc::Sender<Inbound>,
        refused: Arc<AtomicU64>,
    ) -> Self {
        Self {
            engine,
            outlet,
            alarm: Alarm::default(),
            orders,
            events,
            joiners,
            refused,
            received: ReceiveBatch::new(),
            inner: vec![0; TUN_BUFFER].into_boxed_slice(),
        }
    }

    /// Runs until ordered to stop, until nobody is left to give orders, or until the port or the
    /// device is gone.
    pub(super) async fn run(mut self) -> Result<(), PathError> {
        loop {
            for _ in 0..TURNS_BEFORE_REST {
                let order = self.wait().await?;
                let flow = self.turn(order)?;
                self.outlet.flush().await;
                if flow == Flow::Stop {
                    return Ok(());
                }
            }
            // A runtime of one thread looks at its sockets only while its task waits: without this,
            // a busy UDP port would hide the TUN device.
            tokio::task::yield_now().await;
        }
    }

    /// Sleeps until there is something to do; the order if it was one.
    async fn wait(&mut self) -> Result<Option<Order>, PathError> {
        let deadline = self.engine.poll_timeout().map(|(deadline, _)| deadline);
        tokio::select! {
            biased;
            order = self.orders.recv() => Ok(Some(order.unwrap_or(Order::Stop))),
            () = self.alarm.wait(deadline) => Ok(None),
            ready = self.outlet.udp.readable() => ready.map(|()| None).map_err(PathError::Udp),
            ready = tun_readable(self.outlet.tun.as_ref()) => {
                ready.map(|()| None).map_err(PathError::Tun)
            }
        }
    }

    fn turn(&mut self, order: Option<Order>) -> Result<Flow, PathError> {
        let mut next = order;
        for _ in 0..ORDERS_PER_TURN {
            let Some(order) = next else { break };
            if self.carry_out(order) == Flow::Stop {
                return Ok(Flow::Stop);
            }
            next = self.orders.try_recv().ok();
        }
        if let Some(order) = next
            && self.carry_out(order) == Flow::Stop
        {
            return Ok(Flow::Stop);
        }
        self.handle_deadline();
        self.receive_datagrams();
        self.receive_inner()?;
        Ok(Flow::On)
    }

    fn carry_out(&mut self, order: Order) -> Flow {
        match order {
            Order::Update(updates) => {
                for update in updates {
                    self.engine.handle_update(update, clock::now(), &mut self.outlet);
                    drain(&mut self.engine, &self.events, &mut self.outlet);
                }
            }
            Order::Send(packet) => {
                self.engine.handle_inner(&packet, clock::now(), &mut self.outlet);
                drain(&mut self.engine, &self.events, &mut self.outlet);
            }
            Order::Secret(secret) => {
                self.engine.handle_secret(secret, clock::now(), &mut self.outlet);
                drain(&mut self.engine, &self.events, &mut self.outlet);
            }
            // Whoever asked may have stopped waiting, here and below.
            Order::Rebind(port, reply) => drop(reply.send(self.outlet.rebind(port))),
            Order::Mark(mark, reply) => drop(reply.send(self.outlet.udp.set_mark(mark))),
            Order::Datagram { to, payload } => self.outlet.datagram(to, &payload),
            Order::Stats(reply) => drop(reply.send(self.stats())),
            Order::Stop => return Flow::Stop,
        }
        Flow::On
    }

    fn handle_deadline(&mut self) {
        let now = clock::now();
        if self.engine.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.engine.handle_timeout(now, &mut self.outlet);
            drain(&mut self.engine, &self.events, &mut self.outlet);
        }
    }

    fn receive_datagrams(&mut self) {
        match self.outlet.udp.receive(&mut self.received) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // Reading an error clears it; the port itself cannot go away.
            Err(error) => return tracing::debug!(%error, "cannot receive"),
        }
        let now = clock::now();
        let Self { engine, outlet, events, joiners, received, .. } = self;
        received.drain(|from, datagram| match steer(datagram) {
            Steer::WireGuard => {
                if let Some(inner) = engine.handle_datagram(from, datagram, now, outlet) {
                    outlet.deliver(&datagram[inner]);
                }
                drain(engine, events, outlet);
            }
            Steer::Quic => offer_joiner(joiners, from, datagram, outlet),
            Steer::Other => outlet.drops.add(PathDrop::NotOurs, 1),
        });
    }

    fn receive_inner(&mut self) -> Result<(), PathError> {
        for _ in 0..TUN_PER_TURN {
            let Some(tun) = &self.outlet.tun else { break };
            let len = match tun.try_recv(&mut self.inner) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(PathError::Tun(error)),
            };
            self.engine.handle_kernel(&self.inner[..len], clock::now(), &mut self.outlet);
            drain(&mut self.engine, &self.events, &mut self.outlet);
        }
        Ok(())
    }

    fn stats(&mut self) -> PathStats {
        let refused = self.refused.swap(0, Ordering::Relaxed);
        self.outlet.drops.add(PathDrop::OrderQueueFull, refused);
        let core = self.engine.drops().iter();
        let core = core.map(|(reason, count)| (reason.name(), count));
        PathStats {
            peers: self.engine.peers().collect(),
            drops: core.chain(self.outlet.drops.iter()).collect(),
            offloads: self.outlet.offloads(),
            newest_stamp: self.engine.newest_stamp(),
        }
    }
}

async fn tun_readable(tun: Option<&AsyncDevice>) -> io::Result<()> {
    match tun {
        Some(tun) => tun.readable().await,
        None => std::future::pending().await,
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
