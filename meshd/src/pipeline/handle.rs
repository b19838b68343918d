//! The packet thread seen from outside: how to start it, give it orders and hear of its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use mesh_dataplane::{Engine, EngineConfig, Event, PeerStats, WallTime};
use mesh_model::TunnelSecret;
use mesh_model::plan::Update;
use tokio::sync::{mpsc, oneshot};

use super::outlet::Outlet;
use super::worker::Worker;
use crate::io::overlay::{ControlChannels, Ingress};
use crate::io::quic_socket::{Inbound, VirtualSocket};
use crate::io::tun::Tun;
use crate::io::udp::{Udp, UdpPort};
use crate::io::{clock, doorbell};

/// Orders that may wait: a megabyte of a snapshot on its way out, 1352 bytes each. QUIC waits for
/// room, gossip and echo do without.
const ORDER_QUEUE: usize = 768;

/// Events that may wait: handshakes and changed endpoints of a burst of a few hundred peers.
const EVENT_QUEUE: usize = 512;

/// Joiners' datagrams that may wait: 16 joiners with a flight of a dozen each.
const JOIN_QUEUE: usize = 256;

/// What the packet thread works with.
pub(crate) struct PathConfig {
    /// For the packet core.
    pub(crate) engine: EngineConfig,
    /// For the packet core.
    pub(crate) seed: [u8; 32],
    /// The one UDP port.
    pub(crate) port: UdpPort,
    /// The kernel's side; `None` runs without.
    pub(crate) tun: Option<Tun>,
}

/// What comes out of the packet thread. All bounded; overflow is counted in [`PathStats::drops`].
pub(crate) struct PathOutputs {
    /// Control frames by port.
    pub(crate) control: ControlChannels,
    /// QUIC datagrams from the underlay, for [`PacketPath::underlay_socket`].
    pub(crate) joiners: mpsc::Receiver<Inbound>,
    /// The packet core's events.
    pub(crate) events: mpsc::Receiver<Event>,
}

/// An order to the packet thread.
pub(crate) enum Order {
    /// Carry out steps of a plan.
    Update(Vec<Update>),
    /// Send an inner packet of our own making.
    Send(Bytes),
    /// Send a datagram on the underlay, outside any tunnel.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// The UDP payload.
        payload: Bytes,
    },
    /// Say that everything ordered before is done.
    Report(oneshot::Sender<()>),
    /// Use another private key.
    Secret(Option<TunnelSecret>),
    /// Use another UDP port, and close the one in use.
    Rebind(UdpPort, oneshot::Sender<io::Result<()>>),
    /// Mark outgoing datagrams (SO_MARK); 0 is no mark.
    Mark(u32, oneshot::Sender<io::Result<()>>),
    /// Tell how things are.
    Stats(oneshot::Sender<PathStats>),
    /// End.
    Stop,
}

/// How things are on the packet path.
pub(crate) struct PathStats {
    /// Every tunnel.
    pub(crate) peers: Vec<PeerStats>,
    /// Drops by reason: the packet core's first, then the packet thread's own. Zeros included.
    pub(crate) drops: Vec<(&'static str, u64)>,
    /// What the kernel takes off our hands.
    pub(crate) offloads: PathOffloads,
    /// The latest stamp of a handshake so far.
    pub(crate) newest_stamp: Option<WallTime>,
}

/// The kernel's offloads in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathOffloads {
    /// Runs of datagrams leave in one system call.
    pub(crate) udp_gso: bool,
    /// Runs of datagrams arrive in one buffer.
    pub(crate) udp_gro: bool,
    /// The TUN device takes and gives super-packets of TCP.
    pub(crate) tun_tcp: bool,
    /// The TUN device takes and gives super-packets of UDP.
    pub(crate) tun_udp: bool,
}

/// The end of the packet thread, other than by order.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    /// It could not begin.
    #[error("cannot start the packet thread: {0}")]
    Start(#[source] io::Error),
    /// The TUN device is gone: somebody deleted the interface.
    #[error("the TUN interface is gone: {0}")]
    Tun(#[source] io::Error),
    /// The kernel would not let it wait.
    #[error("the packet thread cannot wait for packets: {0}")]
    Wait(#[source] io::Error),
    /// A bug.
    #[error("the packet thread ended without a word; this is a bug in meshd")]
    Vanished,
}

/// The packet thread's ear. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PacketPath {
    orders: doorbell::Sender<Order>,
    /// Own packets that found the order queue full; the thread adds it to its drops.
    refused: Arc<AtomicU64>,
}

impl PacketPath {
    /// Carries out `updates`, all and in order. Waits for room; without effect once the thread has
    /// ended, which its owner hears from [`PacketThread::failed`].
    pub(crate) async fn update(&self, updates: Vec<Update>) {
        if !updates.is_empty() {
            let _ = self.orders.send(Order::Update(updates)).await;
        }
    }

    /// Waits until everything ordered so far is done.
    pub(crate) async fn carried_out(&self) {
        let (reply, done) = oneshot::channel();
        // Nothing is left undone by a thread that has ended, which its owner hears otherwise.
        if self.orders.send(Order::Report(reply)).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Takes another private key into use, or none: all sessions end.
    pub(crate) async fn set_secret(&self, secret: Option<TunnelSecret>) {
        let _ = self.orders.send(Order::Secret(secret)).await;
    }

    /// Puts `port` in the place of the one in use, which is closed. Sessions go on.
    pub(crate) async fn rebind(&self, port: UdpPort) -> io::Result<()> {
        self.tried(|reply| Order::Rebind(port, reply)).await
    }

    /// Marks outgoing datagrams, for routing rules; 0 is no mark.
    pub(crate) async fn set_mark(&self, mark: u32) -> io::Result<()> {
        self.tried(|reply| Order::Mark(mark, reply)).await
    }

    /// Gives an order that the system may refuse.
    async fn tried(
        &self,
        order: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Order,
    ) -> io::Result<()> {
        let (reply, result) = oneshot::channel();
        let ended = || io::Error::other("the packet thread has ended");
        self.orders.send(order(reply)).await.map_err(|_| ended())?;
        result.await.map_err(|_| ended())?
    }

    /// Sends an inner packet of our own making. `false`, and counted, when there is no room.
    pub(crate) fn send(&self, packet: Bytes) -> bool {
        let sent = self.orders.try_send(Order::Send(packet)).is_ok();
        if !sent {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    /// How things are; `None` once the thread has ended.
    pub(crate) async fn stats(&self) -> Option<PathStats> {
        let (reply, stats) = oneshot::channel();
        self.orders.send(Order::Stats(reply)).await.ok()?;
        stats.await.ok()
    }

    /// The queue itself, for a [`VirtualSocket`].
    pub(crate) fn orders(&self) -> doorbell::Sender<Order> {
        self.orders.clone()
    }

    /// The QUIC side of the UDP port: `joiners` in, datagrams outside any tunnel out.
    pub(crate) fn underlay_socket(
        &self,
        local: SocketAddr,
        joiners: mpsc::Receiver<Inbound>,
    ) -> Arc<VirtualSocket<Order>> {
        let wrap = |to, payload: &[u8]| {
            let payload = Bytes::copy_from_slice(payload);
            Some(Order::Datagram { to, payload })
        };
        VirtualSocket::new(local, joiners, self.orders(), Box::new(wrap))
    }
}

/// The packet thread's life, for its one owner.
pub(crate) struct PacketThread {
    orders: doorbell::Sender<Order>,
    thread: thread::JoinHandle<()>,
    ended: oneshot::Receiver<Result<(), PathError>>,
}

impl PacketThread {
    /// Starts the thread and returns once it serves the port and the device.
    pub(crate) async fn start(
        config: PathConfig,
    ) -> Result<(Self, PacketPath, PathOutputs), PathError> {
        let (orders, orders_in) = doorbell::channel(ORDER_QUEUE).map_err(PathError::Start)?;
        let (events, events_out) = mpsc::channel(EVENT_QUEUE);
        let (joiners, joiners_out) = mpsc::channel(JOIN_QUEUE);
        let (ingress, control) = Ingress::new();
        let refused = Arc::new(AtomicU64::new(0));
        let path = PacketPath { orders: orders.clone(), refused: Arc::clone(&refused) };
        let (ready, is_ready) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let body = move || {
            let udp = Udp::serve(config.port).map_err(PathError::Start)?;
            let outlet = Outlet::new(udp, config.tun, ingress);
            let engine = Engine::new(config.engine, config.seed, clock::now());
            // The starter may have been cancelled; then nobody will send orders either.
            let _ = ready.send(());
            Worker::new(engine, outlet, orders_in, events, joiners, refused).run()
        };
        let thread = thread::Builder::new()
            .name("packets".to_owned())
            .spawn(move || {
                let _ = end.send(body());
            })
            .map_err(PathError::Start)?;
        let mut thread = Self { orders, thread, ended };
        if is_ready.await.is_err() {
            return Err(thread.failed().await);
        }
        let outputs = PathOutputs { control, joiners: joiners_out, events: events_out };
        Ok((thread, path, outputs))
    }

    /// Waits until the thread ends by itself, and says why. Cancel-safe.
    pub(crate) async fn failed(&mut self) -> PathError {
        match (&mut self.ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => PathError::Vanished,
        }
    }

    /// Ends the thread after the orders given so far, and waits for it. The UDP port is closed and
    /// the interface gone when this returns.
    pub(crate) async fn shutdown(self) {
        let _ = self.orders.send(Order::Stop).await;
        // Whoever has heard of its end from `failed` hears of it once only.
        if !self.ended.is_terminated() {
            let _ = self.ended.await;
        }
        // The thread's last act was to say that it has ended: joining does not wait.
        let _ = self.thread.join();
    }
}
