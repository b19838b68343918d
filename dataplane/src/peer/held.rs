//! Packets that wait for a handshake.

use std::collections::VecDeque;

/// Packets kept per peer: the first window of a few connections.
const MAX_PACKETS: usize = 128;

/// Bytes kept per peer, so that a thousand unreachable peers cost at most 128 MB, and that only
/// while somebody sends to each of them.
const MAX_BYTES: usize = 128 * 1024;

/// The packets, oldest first. When it is full the newest is refused: the first packets are the ones
/// that open connections.
#[derive(Debug, Default)]
pub(crate) struct Held {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Held {
    /// Whether a packet of `len` bytes still fits.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.packets.len() < MAX_PACKETS && self.bytes + len <= MAX_BYTES
    }

    /// Keeps `packet`; `false` when there is no room.
    #[must_use]
    pub(crate) fn push(&mut self, packet: Vec<u8>) -> bool {
        let room = self.has_room(packet.len());
        if room {
            self.bytes += packet.len();
            self.packets.push_back(packet);
        }
        room
    }

    /// The oldest packet.
    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.len();
        Some(packet)
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Forgets all packets and returns how many there were.
    pub(crate) fn clear(&mut self) -> usize {
        let count = self.packets.len();
        *self = Self::default();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_by_count_and_by_bytes() {
        let mut held = Held::default();
        let kept = (0..1000).filter(|_| held.push(vec![0; 20])).count();
        assert_eq!(kept, MAX_PACKETS);
        assert_eq!(held.clear(), MAX_PACKETS);
        let kept = (0..1000).filter(|_| held.push(vec![0; 60_000])).count();
        assert_eq!(kept, 2);
        assert!(held.pop().is_some());
        assert!(held.push(vec![0; 60_000]));
    }
}
