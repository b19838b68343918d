//! Where the engine's packets go.

use mesh_model::MemberId;

use crate::endpoint::Endpoint;
use crate::packet::offload::Segments;

/// How urgent a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What keeps the mesh alive: handshakes, keepalives, the daemon's own packets. Never more than
    /// a trickle, and never to wait behind the rest.
    Control,
    /// What the mesh carries.
    Bulk,
}

/// What one slice hands on to another.
#[derive(Debug, Clone, Copy)]
pub enum Parcel<'a> {
    /// For [`Engine::handle_handed_inner`](crate::Engine::handle_handed_inner): what is to leave on
    /// `lane`, as the kernel or the daemon gave it, and allowed to.
    Inner {
        /// How urgent it is.
        lane: Lane,
        /// The packets.
        packets: &'a Segments<'a>,
    },
    /// For [`Engine::handle_handed_datagram`](crate::Engine::handle_handed_datagram).
    Datagram {
        /// Who sent it, and to which of our addresses.
        from: Endpoint,
        /// What came off the wire.
        bytes: &'a [u8],
        /// A handshake that has passed the gate, and is not to be charged for twice.
        admitted: bool,
    },
}

impl Parcel<'_> {
    /// How many packets it is.
    pub fn count(&self) -> usize {
        match self {
            Self::Inner { packets, .. } => packets.count(),
            Self::Datagram { .. } => 1,
        }
    }
}

/// What the engine writes to. The shell's sink is a send batch and the TUN device; a test's is a
/// list.
pub trait Sink {
    /// Room for one datagram of at most `max` bytes: at least `max` bytes long, or shorter when the
    /// sink is full, and then the datagram is counted as dropped. Sealing writes straight into it.
    /// A slot that is not followed by [`send`](Self::send) is free again.
    fn slot(&mut self, lane: Lane, max: usize) -> &mut [u8];
    /// The first `len` bytes of the last slot go out to `to`.
    fn send(&mut self, to: Endpoint, len: usize);
    /// Like [`send`](Self::send), for a datagram that carries another tunnel's: it goes no further than
    /// `hops` hops (time to live, hop limit). Where nothing is routed that makes no difference.
    fn send_no_further(&mut self, to: Endpoint, hops: u8, len: usize) {
        let _ = hops;
        self.send(to, len);
    }
    /// An inner packet for one of the daemon's own overlay ports. That `from` may use its source
    /// address has been checked; the UDP header's length and checksum have not.
    fn control(&mut self, from: MemberId, packet: &[u8]);
    /// Something for slice `to`, which takes it as it is: see [`Slice`](crate::Slice). A sink without
    /// room counts it as dropped. Whoever runs a [whole](crate::Slice::WHOLE) engine is never asked.
    fn hand_on(&mut self, to: usize, parcel: Parcel<'_>) {
        let _ = (to, parcel);
    }
}
