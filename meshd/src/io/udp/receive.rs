//! Datagrams as they arrive: many to a system call, several to a buffer.

use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::ops::Range;

use mesh_dataplane::{Endpoint, Lane};
use quinn_udp::{RecvMeta, UdpSocketState};

use super::unmapped;

/// Buffers filled by one system call: enough for single datagrams to share its cost.
const RECEIVE_BUFFERS: usize = 8;

/// Bytes that one system call should bring at most: three full buffers of a bulk transfer, some 0.2 ms
/// of one core's opening. What waits in the kernel instead counts against its bound, and is not in the
/// way of what else this thread has to do.
const RECEIVE_BYTES: usize = 3 * RECEIVE_BUFFER;

/// One buffer, in bytes: the largest run of datagrams that GRO may put together.
const RECEIVE_BUFFER: usize = 1 << 16;

/// Room for one receive call, kept from call to call.
pub(crate) struct ReceiveBatch {
    /// [`RECEIVE_BUFFERS`] chunks. Untouched pages cost no memory: only GRO fills a chunk.
    arena: Box<[u8]>,
    metas: [RecvMeta; RECEIVE_BUFFERS],
    filled: usize,
    /// The longest run of each lane's last call that brought any, in bytes: what the next may look like.
    longest: [usize; 2],
}

impl ReceiveBatch {
    /// What it takes of memory, in bytes.
    pub(crate) const SIZE: usize = RECEIVE_BUFFERS * RECEIVE_BUFFER;

    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; Self::SIZE].into_boxed_slice(),
            metas: [RecvMeta::default(); RECEIVE_BUFFERS],
            filled: 0,
            longest: [0; 2],
        }
    }

    /// The memory that runs lie in.
    pub(crate) fn arena(&mut self) -> &mut [u8] {
        &mut self.arena
    }

    /// Fills it with what has arrived at `socket`; `WouldBlock` when that is nothing.
    pub(super) fn fill(
        &mut self,
        lane: Lane,
        socket: &std::net::UdpSocket,
        state: &UdpSocketState,
    ) -> io::Result<()> {
        self.filled = 0;
        let mut chunks = self.arena.chunks_exact_mut(RECEIVE_BUFFER);
        let mut slices: [IoSliceMut<'_>; RECEIVE_BUFFERS] = std::array::from_fn(|_| {
            IoSliceMut::new(chunks.next().expect("the arena holds RECEIVE_BUFFERS chunks"))
        });
        let longest = &mut self.longest[lane as usize];
        let most = buffers_for(*longest);
        self.filled = state.recv(socket.into(), &mut slices[..most], &mut self.metas[..most])?;
        *longest = self.metas[..self.filled].iter().map(|meta| meta.len).max().unwrap_or(0);
        Ok(())
    }

    /// How many runs the last call brought.
    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// The `n`th of them, in order of arrival.
    pub(crate) fn run(&self, n: usize) -> ReceivedRun {
        let meta = &self.metas[..self.filled][n];
        let start = n * RECEIVE_BUFFER;
        // An empty datagram has no stride.
        let stride = meta.stride.max(1);
        let from = Endpoint {
            remote: unmapped(meta.addr),
            local: meta.dst_ip.map(|ip| ip.to_canonical()).filter(is_answerable),
            interface: meta.interface_index,
        };
        ReceivedRun { from, at: start..start + meta.len, stride }
    }
}

/// Datagrams that arrived together, from one sender and of one length; the last may be shorter.
pub(crate) struct ReceivedRun {
    /// Who sent them, and to which of our addresses.
    pub(crate) from: Endpoint,
    /// Where in the arena they lie.
    at: Range<usize>,
    stride: usize,
}

/// How many buffers to offer when runs are `longest` bytes long.
fn buffers_for(longest: usize) -> usize {
    (RECEIVE_BYTES / longest.max(1)).clamp(1, RECEIVE_BUFFERS)
}

impl ReceivedRun {
    /// How many bytes they are together.
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// Where each datagram lies in the arena.
    pub(crate) fn datagrams(self) -> impl Iterator<Item = Range<usize>> {
        let Self { at: Range { start, end }, stride, .. } = self;
        (start..end).step_by(stride).map(move |at| at..end.min(at + stride))
    }
}

/// Whether an answer can come from `ip`: it is no group's address.
fn is_answerable(ip: &IpAddr) -> bool {
    !ip.is_multicast() && !matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_comes_in_few_buffers_and_single_datagrams_in_many() {
        let offered = [0, 1452, 16 << 10, 45 * 1452, RECEIVE_BUFFER, usize::MAX].map(buffers_for);
        assert_eq!(offered, [8, 8, 8, 3, 3, 1]);
    }
}
