//! Packets that wait for a handshake.

use std::collections::VecDeque;

use crate::slice::Slice;

/// Packets kept per peer: the first window of a few connections.
const MAX_PACKETS: usize = 128;

/// Bytes kept per peer while there is room for all: as many packets, of two thirds of the usual size.
const MAX_BYTES: usize = 128 * 1024;

/// Bytes kept for all peers of a device, however many do not answer: a fifth of the 40 MiB that a daemon may
/// have resident under load.
const MAX_ALL: usize = 8 << 20;

/// The part of what is left for all that one peer may have, so that the first to be called leave something
/// for those after them: of peers that never answer some three hundred can be sent a window each before
/// one more has no room for a full packet.
const SHARE: usize = MAX_ALL / MAX_BYTES;

/// What a packet costs besides its bytes: its place in the queue, which may be half empty, and the
/// allocator's own.
const COST: usize = 64;

/// The room for what waits, which all peers of an engine share.
#[derive(Debug)]
pub(crate) struct Room {
    left: usize,
    /// One peer may have such a part of that.
    share: usize,
}

impl Room {
    /// The part that `slice` has of the device's room.
    pub(crate) fn of(slice: Slice) -> Self {
        Self { left: MAX_ALL / slice.of(), share: SHARE.div_ceil(slice.of()) }
    }

    /// How much one peer may have.
    fn most(&self) -> usize {
        self.left / self.share
    }
}

/// The packets of one peer, oldest first. When there is no room the newest is refused: the first packets
/// are the ones that open connections.
#[derive(Debug, Default)]
pub(crate) struct Held {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Held {
    /// Whether a packet of `len` bytes still fits.
    pub(crate) fn has_room(&self, len: usize, room: &Room) -> bool {
        self.packets.len() < MAX_PACKETS && self.bytes + len + COST <= room.most()
    }

    /// Keeps `packet`; `false` when there is no room.
    #[must_use]
    pub(crate) fn push(&mut self, packet: Vec<u8>, room: &mut Room) -> bool {
        let fits = self.has_room(packet.len(), room);
        if fits {
            let cost = packet.len() + COST;
            self.bytes += cost;
            room.left -= cost;
            self.packets.push_back(packet);
        }
        fits
    }

    /// The oldest packet.
    pub(crate) fn pop(&mut self, room: &mut Room) -> Option<Vec<u8>> {
        let Some(packet) = self.packets.pop_front() else {
            // Nor does the queue stay as large as it once was.
            self.packets = VecDeque::new();
            return None;
        };
        let cost = packet.len() + COST;
        self.bytes -= cost;
        room.left += cost;
        Some(packet)
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Forgets all packets and returns how many there were.
    pub(crate) fn clear(&mut self, room: &mut Room) -> usize {
        let count = self.packets.len();
        room.left += self.bytes;
        *self = Self::default();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_by_count_and_by_bytes() {
        let mut room = Room::of(Slice::WHOLE);
        let mut held = Held::default();
        let kept = (0..1000).filter(|_| held.push(vec![0; 20], &mut room)).count();
        assert_eq!(kept, MAX_PACKETS);
        assert_eq!(held.clear(&mut room), MAX_PACKETS);
        let kept = (0..1000).filter(|_| held.push(vec![0; 60_000], &mut room)).count();
        assert_eq!(kept, 2);
        assert!(held.pop(&mut room).is_some());
        assert!(held.push(vec![0; 60_000], &mut room));
    }

    #[test]
    fn all_together_are_bounded_and_what_is_given_back_is_there_again() {
        let mut room = Room::of(Slice::WHOLE);
        let mut peers: Vec<_> = (0..1000).map(|_| Held::default()).collect();
        for held in &mut peers {
            while held.push(vec![0; 500], &mut room) {}
        }
        let bytes: usize = peers.iter().map(|held| held.bytes).sum();
        assert_eq!(bytes + room.left, MAX_ALL);
        assert!(room.left < MAX_ALL / 100);
        for held in &mut peers[..500] {
            while held.pop(&mut room).is_some() {}
        }
        for held in &mut peers[500..] {
            held.clear(&mut room);
        }
        assert_eq!(room.left, MAX_ALL);
        assert!(peers.iter().all(|held| held.packets.capacity() == 0));
    }
}
