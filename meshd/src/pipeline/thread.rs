//! The packet threads' life: how they start, and how they end together.
//!
//! Each has a slice of the peers, a queue of the TUN device and the port's sockets for what names its
//! sessions. Ended by order or by an error, one ends all: half a packet path is none.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use mesh_dataplane::{Backlog, Engine, EngineConfig, Event, Slice};
use tokio::sync::mpsc;

use super::error::PathError;
use super::handle::{ORDER_QUEUE, Order, PacketPath};
use super::handover;
use super::outlet::Outlet;
use super::stats::PathStats;
use super::team::Team;
use super::worker::{Ends, Worker};
use crate::io::offloads::Offloads;
use crate::io::overlay::{ControlChannels, Ingress};
use crate::io::quic_socket::Inbound;
use crate::io::tun::Tun;
use crate::io::udp::{Udp, UdpPort};
use crate::io::{clock, doorbell};

/// Events that may wait: handshakes and changed endpoints of a burst of a few hundred peers.
const EVENT_QUEUE: usize = 512;

/// Joiners' datagrams that may wait: 16 joiners with a flight of a dozen each.
const JOIN_QUEUE: usize = 256;

/// What the packet threads work with.
pub(crate) struct PathConfig {
    /// For the packet core.
    pub(crate) engine: EngineConfig,
    /// For the packet core.
    pub(crate) seed: [u8; 32],
    /// The one UDP port.
    pub(crate) port: UdpPort,
    /// The kernel's side; `None` runs without.
    pub(crate) tun: Option<Tun>,
    /// How many threads share the peers; fewer where the kernel has not as many queues or sockets.
    pub(crate) workers: usize,
    /// Which of the kernel's offloads the port may use; the device was made with its own.
    pub(crate) offloads: Offloads,
}

/// What comes out of the packet threads. All bounded; overflow is counted in [`PathStats::drops`](super::PathStats::drops).
pub(crate) struct PathOutputs {
    /// Control frames by port.
    pub(crate) control: ControlChannels,
    /// QUIC datagrams from the underlay, for [`PacketPath::underlay_socket`].
    pub(crate) joiners: mpsc::Receiver<Inbound>,
    /// The packet core's events.
    pub(crate) events: mpsc::Receiver<Event>,
}

/// The packet threads' life, for their one owner.
pub(crate) struct PacketThread {
    orders: doorbell::Sender<Order>,
    /// Each ends with how things were last.
    threads: Vec<thread::JoinHandle<PathStats>>,
    /// What each said at its end.
    ended: mpsc::Receiver<Result<(), PathError>>,
}

impl PacketThread {
    /// Starts the threads. From here on they serve the port and the device.
    pub(crate) async fn start(
        config: PathConfig,
    ) -> Result<(Self, PacketPath, PathOutputs), PathError> {
        let PathConfig { engine, seed, port, tun, workers, offloads } = config;
        let kernel = kernel_ends(port, tun, workers, offloads).map_err(PathError::Start)?;
        let of = kernel.len();
        let queues =
            (0..of).map(|_| doorbell::channel(ORDER_QUEUE)).collect::<io::Result<Vec<_>>>();
        let (orders, queues): (Vec<_>, Vec<_>) =
            queues.map_err(PathError::Start)?.into_iter().unzip();
        let bells: Vec<_> = orders.iter().filter_map(doorbell::Sender::ringer).collect();
        let handover = handover::between(&bells);
        let team = Team::new(bells);
        let (events, events_out) = mpsc::channel(EVENT_QUEUE);
        let (joiners, joiners_out) = mpsc::channel(JOIN_QUEUE);
        let (ingress, control) = Ingress::new();
        let refused = Arc::new(AtomicU64::new(0));
        let path = PacketPath::new(orders.clone(), Arc::clone(&refused), offloads);
        let (end, ended) = mpsc::channel(of);
        let mut packets = Self { orders: orders[0].clone(), threads: Vec::new(), ended };
        // All of one age: what one slice reckons, all reckon.
        let now = clock::now();
        let slices = Slice::all(of).zip(kernel).zip(queues).zip(handover);
        for (((slice, (udp, tun)), orders), (outgoing, incoming)) in slices {
            let engine = Engine::sliced(engine.clone(), slice, seed, now);
            let outlet = Outlet::new(udp, tun, ingress.clone(), outgoing);
            let ends = Ends {
                orders,
                events: events.clone(),
                joiners: joiners.clone(),
                refused: Arc::clone(&refused),
                incoming,
                team: Arc::clone(&team),
            };
            packets.spawn(
                slice,
                Worker::new(engine, Backlog::new(slice, seed), outlet, ends),
                end.clone(),
            )?;
        }
        let outputs = PathOutputs { control, joiners: joiners_out, events: events_out };
        Ok((packets, path, outputs))
    }

    fn spawn(
        &mut self,
        slice: Slice,
        worker: Worker,
        end: mpsc::Sender<Result<(), PathError>>,
    ) -> Result<(), PathError> {
        let name = match slice.this() {
            0 => "packets".to_owned(),
            n => format!("packets-{n}"),
        };
        let leave = worker.leave_team();
        let body = move || {
            // However it ends, by a bug even, the others end too; but its own word comes first.
            let _leave = leave;
            let (result, last) = worker.run();
            // There is room for a word of each.
            let _ = end.try_send(result);
            last
        };
        let thread = thread::Builder::new().name(name).spawn(body).map_err(PathError::Start)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits until a thread ends by itself, and says why. Cancel-safe.
    pub(crate) async fn failed(&mut self) -> PathError {
        match self.ended.recv().await {
            Some(Err(error)) => error,
            Some(Ok(())) | None => PathError::Vanished,
        }
    }

    /// Ends the threads after the orders given so far, and waits for them. The UDP port is closed and
    /// the interface gone when this returns. Returns how things were last.
    pub(crate) async fn shutdown(mut self) -> Option<PathStats> {
        let _ = self.orders.send(Order::Stop).await;
        // Until the last has let go of its end.
        while self.ended.recv().await.is_some() {}
        // The last act of each was to say that it has ended: joining does not wait.
        let last = self.threads.into_iter().filter_map(|thread| thread.join().ok());
        PathStats::of_all(last.collect())
    }
}

/// The port's lanes and the device's queue of each thread: of as many as were asked for, or of one.
fn kernel_ends(
    port: UdpPort,
    tun: Option<Tun>,
    workers: usize,
    offloads: Offloads,
) -> io::Result<Vec<(Udp, Option<Tun>)>> {
    let wanted = Slice::all(workers).count();
    let queues = match &tun {
        Some(tun) => (1..wanted).map(|_| tun.queue().map(Some)).collect::<io::Result<Vec<_>>>(),
        None => Ok((1..wanted).map(|_| None).collect()),
    };
    let queues = queues.unwrap_or_else(|error| {
        tracing::warn!(%error, wanted, "the interface has one queue, so there is one packet thread");
        Vec::new()
    });
    let lanes = Udp::serve_sliced(port, 1 + queues.len(), offloads)?;
    if lanes.len() < 1 + queues.len() {
        tracing::warn!(wanted, "the port has one socket, so there is one packet thread");
    }
    Ok(lanes.into_iter().zip([tun].into_iter().chain(queues)).collect())
}
