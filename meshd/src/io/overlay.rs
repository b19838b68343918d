//! The in-process overlay: the daemon's own UDP sockets on its overlay addresses.
//!
//! No kernel is involved. What the daemon says is framed here as IPv6 or IPv4 with UDP and handed to
//! the packet core like any packet; what other members say to the control ports comes out of the
//! packet core, its source already checked, and is split here by port. The same code runs with a TUN
//! device and without.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_dataplane::packet::udp;
use mesh_model::addr::port;
use mesh_model::{MemberId, OverlayAddrs};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::quic_socket::{Inbound, VirtualSocket};
use crate::pipeline::{Order, PacketPath, PathDrop};

/// Gossip datagrams that may wait: a probe period of a thousand-member mesh brings a handful; a join
/// storm some tens.
const GOSSIP_QUEUE: usize = 256;

/// Echoes that may wait. `mesh ping` is for people.
const ECHO_QUEUE: usize = 64;

/// Agreement datagrams that may wait: one megabyte of a snapshot, at 1352 bytes each.
const AGREEMENT_QUEUE: usize = 768;

/// A gossip datagram from a member.
#[derive(Debug)]
pub(crate) struct GossipFrame {
    /// Who sent it; the tunnel proved it.
    pub(crate) from: MemberId,
    /// The gossip message.
    pub(crate) payload: Vec<u8>,
}

/// An echo datagram from a member.
#[derive(Debug)]
pub(crate) struct EchoFrame {
    /// Who sent it; the tunnel proved it.
    pub(crate) from: MemberId,
    /// Where an answer goes.
    pub(crate) reply_to: SocketAddr,
    /// The echo message.
    pub(crate) payload: Vec<u8>,
}

/// The ways out of [`Ingress`], one per control port.
pub(crate) struct ControlChannels {
    /// For `Node::handle_datagram`.
    pub(crate) gossip: mpsc::Receiver<GossipFrame>,
    /// For `mesh ping`.
    pub(crate) echo: mpsc::Receiver<EchoFrame>,
    /// For the agreement endpoint's socket.
    pub(crate) agreement: mpsc::Receiver<Inbound>,
}

/// Splits control frames by port. Each packet thread has one; never blocks it.
#[derive(Clone)]
pub(crate) struct Ingress {
    gossip: mpsc::Sender<GossipFrame>,
    echo: mpsc::Sender<EchoFrame>,
    agreement: mpsc::Sender<Inbound>,
}

impl Ingress {
    /// An ingress and its ways out.
    pub(crate) fn new() -> (Self, ControlChannels) {
        let (gossip, gossip_out) = mpsc::channel(GOSSIP_QUEUE);
        let (echo, echo_out) = mpsc::channel(ECHO_QUEUE);
        let (agreement, agreement_out) = mpsc::channel(AGREEMENT_QUEUE);
        let ingress = Self { gossip, echo, agreement };
        let channels =
            ControlChannels { gossip: gossip_out, echo: echo_out, agreement: agreement_out };
        (ingress, channels)
    }

    /// Hands on a control frame from `from`. A drop is the caller's to count.
    pub(crate) fn accept(&self, from: MemberId, packet: &[u8]) -> Result<(), PathDrop> {
        let datagram = udp::parse(packet).map_err(|_| PathDrop::ControlMalformed)?;
        let payload = || datagram.payload.to_vec();
        match datagram.dst.port() {
            port::GOSSIP => {
                let frame = || GossipFrame { from, payload: payload() };
                offer(&self.gossip, frame).ok_or(PathDrop::GossipQueueFull)
            }
            port::AGREEMENT => {
                let inbound = || Inbound { from: datagram.src, payload: payload() };
                offer(&self.agreement, inbound).ok_or(PathDrop::AgreementQueueFull)
            }
            port::ECHO => {
                let frame = || EchoFrame { from, reply_to: datagram.src, payload: payload() };
                offer(&self.echo, frame).ok_or(PathDrop::EchoQueueFull)
            }
            _ => Err(PathDrop::ControlMalformed),
        }
    }
}

/// Makes an item where there is room for it; `None` when there is none. A closed queue means that the
/// daemon is ending: nobody misses it.
fn offer<T>(queue: &mpsc::Sender<T>, make: impl FnOnce() -> T) -> Option<()> {
    match queue.try_reserve() {
        Ok(room) => room.send(make()),
        Err(TrySendError::Closed(())) => {}
        Err(TrySendError::Full(())) => return None,
    }
    Some(())
}

/// The daemon's own sending end on the overlay.
#[derive(Clone)]
pub(crate) struct Overlay {
    own: OverlayAddrs,
    path: PacketPath,
}

impl Overlay {
    pub(crate) fn new(own: OverlayAddrs, path: PacketPath) -> Self {
        Self { own, path }
    }

    /// Sends `payload` from our control port `port` to `to`. `false` when the packet thread is too
    /// busy to take it, which is counted as a loss there; gossip and echo survive losses.
    pub(crate) fn send(&self, port: u16, to: SocketAddr, payload: &[u8]) -> bool {
        let own = match to.ip() {
            IpAddr::V4(_) => IpAddr::V4(self.own.v4),
            IpAddr::V6(_) => IpAddr::V6(self.own.v6),
        };
        let from = SocketAddr::new(own, port);
        // Only a payload beyond all bounds does not fit; it is as lost as one that is too long.
        udp::encode(from, to, payload).is_ok_and(|packet| self.path.send(packet.into()))
    }

    /// The agreement endpoint's socket: [`ControlChannels::agreement`] in, overlay packets out.
    pub(crate) fn agreement_socket(
        &self,
        inbound: mpsc::Receiver<Inbound>,
    ) -> Arc<VirtualSocket<Order>> {
        let own = SocketAddr::from((self.own.v6, port::AGREEMENT));
        let wrap = move |to, payload: &[u8]| {
            let packet = udp::encode(own, to, payload).ok()?;
            Some(Order::Send(packet.into()))
        };
        VirtualSocket::new(own, inbound, self.path.orders(), Box::new(wrap))
    }
}
