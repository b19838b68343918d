//! The packet threads' ear: how to give them orders, and what they answer.
//!
//! With several threads an order that concerns all goes to all, and to all of them in the same order:
//! each keeps the same books of who has which peer.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mesh_dataplane::{OwnKeys, Way};
use mesh_model::TunnelSecret;
use mesh_model::plan::Update;
use tokio::sync::{mpsc, oneshot};

use super::stats::PathStats;
use crate::io::doorbell;
use crate::io::offloads::Offloads;
use crate::io::quic_socket::{Inbound, VirtualSocket};
use crate::io::udp::{Udp, UdpPort};

/// Orders that may wait: a megabyte of a snapshot on its way out, 1352 bytes each. QUIC waits for
/// room, gossip and echo do without.
pub(super) const ORDER_QUEUE: usize = 768;

/// An order to a packet thread.
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
    /// Use these private keys; sessions go on.
    Keys(OwnKeys),
    /// Use another UDP port, and close the one in use.
    Rebind(Udp, oneshot::Sender<()>),
    /// Mark outgoing datagrams (SO_MARK); 0 is no mark.
    Mark(u32, oneshot::Sender<io::Result<()>>),
    /// Tell which ways peers are answered on, and the mark of what is sent.
    Ways(oneshot::Sender<(Vec<Way>, u32)>),
    /// By which interfaces packets leave now.
    LeaveBy(BTreeMap<Way, u32>),
    /// Look whether the interface is switched on.
    LookAtLink,
    /// Pad no packet beyond this.
    Mtu(u16),
    /// Tell how things are.
    Stats(oneshot::Sender<PathStats>),
    /// End.
    Stop,
}

/// The packet threads' ear. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PacketPath {
    /// The first is the one that sends for the daemon, and ends all.
    orders: Arc<[doorbell::Sender<Order>]>,
    /// Held while an order is put into all queues.
    together: Arc<Mutex<()>>,
    /// Own packets that found the order queue full; the thread that is asked first adds it to its drops.
    refused: Arc<AtomicU64>,
    /// What another port may use too.
    offloads: Offloads,
}

impl PacketPath {
    /// The ear of threads that take these orders; `refused` counts what the first had no room for.
    pub(super) fn new(
        orders: Vec<doorbell::Sender<Order>>,
        refused: Arc<AtomicU64>,
        offloads: Offloads,
    ) -> Self {
        Self { orders: orders.into(), together: Arc::default(), refused, offloads }
    }

    /// Carries out `updates`, all and in order. Waits for room; without effect once the threads have
    /// ended, which their owner hears from [`PacketThread::failed`](super::PacketThread::failed).
    pub(crate) async fn update(&self, updates: Vec<Update>) {
        if !updates.is_empty() {
            self.tell_all(|| Order::Update(updates.clone())).await;
        }
    }

    /// Waits until everything ordered so far is done.
    pub(crate) async fn carried_out(&self) {
        // The first comes first: what it hands on to the others is before them then.
        for orders in self.orders.iter() {
            let (reply, done) = oneshot::channel();
            // Nothing is left undone by a thread that has ended, which its owner hears otherwise.
            if orders.send(Order::Report(reply)).await.is_ok() {
                let _ = done.await;
            }
        }
    }

    /// Takes another private key into use, or none: all sessions end.
    pub(crate) async fn set_secret(&self, secret: Option<TunnelSecret>) {
        self.tell_all(|| Order::Secret(secret.clone())).await;
    }

    /// Takes the private keys of a host whose key changes into use. Sessions go on.
    pub(crate) async fn set_keys(&self, keys: &OwnKeys) {
        self.tell_all(|| Order::Keys(keys.clone())).await;
    }

    /// Puts `port` in the place of the one in use, which is closed. Sessions go on.
    pub(crate) async fn rebind(&self, port: UdpPort) -> io::Result<()> {
        let lanes = Udp::serve_sliced(port, self.orders.len(), self.offloads)?;
        if lanes.len() < self.orders.len() {
            return Err(io::Error::other("there are more packet threads than sockets"));
        }
        let mut lanes = lanes.into_iter();
        let moved = self.ask_all(|reply| lanes.next().map(|udp| Order::Rebind(udp, reply)));
        moved.await.map(drop).ok_or_else(ended)
    }

    /// Marks outgoing datagrams, for routing rules; 0 is no mark.
    pub(crate) async fn set_mark(&self, mark: u32) -> io::Result<()> {
        let answers = self.ask_all(|reply| Some(Order::Mark(mark, reply))).await;
        answers.ok_or_else(ended)?.into_iter().collect()
    }

    /// The ways on which peers are answered from the address they spoke to, and the mark that what is
    /// sent on them bears; `None` once a thread has ended.
    pub(super) async fn ways(&self) -> Option<(Vec<Way>, u32)> {
        let answers = self.ask_all(|reply| Some(Order::Ways(reply))).await?;
        // All sockets bear the same mark, and two peers at one address may be two threads'.
        let mark = answers.first()?.1;
        let ways: BTreeSet<_> = answers.into_iter().flat_map(|(ways, _)| ways).collect();
        Some((ways.into_iter().collect(), mark))
    }

    /// Says by which interfaces packets leave along `ways` now.
    pub(super) async fn leave_by(&self, ways: BTreeMap<Way, u32>) {
        self.tell_all(|| Order::LeaveBy(ways.clone())).await;
    }

    /// Says that the interface may have been switched on or off. `false` once a thread has ended.
    pub(crate) async fn look_at_link(&self) -> bool {
        self.tell_all(|| Order::LookAtLink).await
    }

    /// Says what the longest packet of an interface is that the threads cannot ask.
    pub(super) async fn set_mtu(&self, mtu: u16) {
        self.tell_all(|| Order::Mtu(mtu)).await;
    }

    /// Sends an inner packet of our own making. `false`, and counted, when there is no room.
    pub(crate) fn send(&self, packet: Bytes) -> bool {
        let sent = self.orders[0].try_send(Order::Send(packet)).is_ok();
        if !sent {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    /// How things are; `None` once a thread has ended.
    pub(crate) async fn stats(&self) -> Option<PathStats> {
        PathStats::of_all(self.ask_all(|reply| Some(Order::Stats(reply))).await?)
    }

    /// The queue itself, for a [`VirtualSocket`].
    pub(crate) fn orders(&self) -> doorbell::Sender<Order> {
        self.orders[0].clone()
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

    /// Gives each thread an order of the same kind, or none when a thread has ended.
    async fn tell_all(&self, mut order: impl FnMut() -> Order) -> bool {
        // Whoever stops waiting halfway has told nobody.
        let mut room = Vec::with_capacity(self.orders.len());
        for orders in self.orders.iter() {
            match orders.reserve().await {
                Ok(reserved) => room.push(reserved),
                Err(_) => return false,
            }
        }
        let _together = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        room.into_iter().for_each(|room| room.put(order()));
        true
    }

    /// Gives each thread an order that it answers; the answers, unless a thread has ended.
    async fn ask_all<T>(
        &self,
        mut order: impl FnMut(oneshot::Sender<T>) -> Option<Order>,
    ) -> Option<Vec<T>> {
        let mut replies = Vec::with_capacity(self.orders.len());
        let mut orders = Vec::with_capacity(self.orders.len());
        for _ in self.orders.iter() {
            let (reply, answer) = oneshot::channel();
            orders.push(order(reply)?);
            replies.push(answer);
        }
        let mut orders = orders.into_iter();
        // As many as there are threads.
        let told = self.tell_all(|| orders.next().unwrap_or(Order::Stop)).await;
        if !told {
            return None;
        }
        let mut answers = Vec::with_capacity(replies.len());
        for reply in replies {
            answers.push(reply.await.ok()?);
        }
        Some(answers)
    }
}

fn ended() -> io::Error {
    io::Error::other("the packet thread has ended")
}
