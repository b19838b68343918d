//! Packets packed side by side, each with a label.

use std::ops::Range;

use mesh_dataplane::packet::offload::VirtioHeader;
use mesh_dataplane::{Endpoint, Lane};

/// The size of a crate, in bytes: what a turn reads from the TUN device. Twice what the longest
/// super-packet takes, so that one always fits an empty one.
pub(super) const CRATE: usize = 128 * 1024;

/// Packets in a crate: of a full receive call's small ones, what two GRO runs bring.
pub(super) const CRATE_PACKETS: usize = 512;

/// What a packet in a crate is.
#[derive(Clone, Copy)]
pub(in crate::pipeline) enum Label {
    /// To be sealed and sent.
    Inner { lane: Lane, header: VirtioHeader },
    /// To be opened, or a handshake.
    Datagram { from: Endpoint, admitted: bool },
}

/// Packets on their way, side by side.
pub(in crate::pipeline) struct Crate {
    bytes: Box<[u8]>,
    end: usize,
    packets: Vec<(Label, Range<usize>)>,
}

impl Crate {
    pub(super) fn new() -> Self {
        let packets = Vec::with_capacity(CRATE_PACKETS);
        Self { bytes: vec![0; CRATE].into_boxed_slice(), end: 0, packets }
    }

    /// Whether a packet of `len` bytes still fits.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.packets.len() < CRATE_PACKETS && CRATE - self.end >= len
    }

    /// Puts a packet in, which is known to fit.
    pub(super) fn put(&mut self, label: Label, bytes: &[u8]) {
        let at = self.end..self.end + bytes.len();
        self.bytes[at.clone()].copy_from_slice(bytes);
        self.end = at.end;
        self.packets.push((label, at));
    }

    /// How many packets there are.
    pub(in crate::pipeline) fn len(&self) -> usize {
        self.packets.len()
    }

    /// What the `n`th of them is, and where in [`bytes`](Self::bytes).
    pub(in crate::pipeline) fn packet(&self, n: usize) -> (Label, Range<usize>) {
        self.packets[n].clone()
    }

    /// The memory that packets lie in.
    pub(in crate::pipeline) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.end = 0;
    }
}
