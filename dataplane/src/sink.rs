//! Where the engine's packets go.

use std::net::SocketAddr;

use mesh_model::MemberId;

/// What the engine writes to. The shell's sink is a send batch and the TUN device; a test's is a
/// list.
pub trait Sink {
    /// Room for one datagram of at most `max` bytes: at least `max` bytes long, or shorter when the
    /// sink is full, and then the datagram is counted as dropped. Sealing writes straight into it.
    /// A slot that is not followed by [`send`](Self::send) is free again.
    fn slot(&mut self, max: usize) -> &mut [u8];
    /// The first `len` bytes of the last slot go out to `to`.
    fn send(&mut self, to: SocketAddr, len: usize);
    /// An inner packet for one of the daemon's own overlay ports. That `from` may use its source
    /// address has been checked; the UDP header's length and checksum have not.
    fn control(&mut self, from: MemberId, packet: &[u8]);
}
