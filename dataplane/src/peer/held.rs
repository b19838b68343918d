//! Packets that wait for a handshake.

use std::collections::VecDeque;

use crate::sink::Lane;
use crate::slice::Slice;

/// Packets kept per peer: the first window of a few connections.
const MAX_PACKETS: usize = 128;

/// Of these, places that bulk leaves free, and as large a part of the bytes: what the daemon itself says to a
/// peer that it has not heard for a while is a question of agreement, a rumour, an echo.
const FOR_CONTROL: usize = 16;

/// Bytes kept per peer while there is room for all: as many packets, of two thirds of the usual size.
const MAX_BYTES: usize = 128 * 1024;

/// Bytes kept for all peers of a device, however many do not answer: with what four packet threads' buffers
/// take at most, 28 of the 40 MiB that a daemon may have resident under load.
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

/// The packets of one peer: control before bulk, and of each the oldest first. When there is no room the
/// newest is refused: the first packets are the ones that open connections.
#[derive(Debug, Default)]
pub(crate) struct Held {
    control: VecDeque<Vec<u8>>,
    bulk: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Held {
    /// Whether a packet of `len` bytes still fits.
    pub(crate) fn has_room(&self, lane: Lane, len: usize, room: &Room) -> bool {
        let (places, bytes) = match lane {
            Lane::Control => (MAX_PACKETS, room.most()),
            Lane::Bulk => {
                let free = MAX_PACKETS - FOR_CONTROL;
                (free, room.most() / MAX_PACKETS * free)
            }
        };
        self.len() < places && self.bytes + len + COST <= bytes
    }

    /// Keeps `packet`; `false` when there is no room.
    #[must_use]
    pub(crate) fn push(&mut self, lane: Lane, packet: Vec<u8>, room: &mut Room) -> bool {
        let fits = self.has_room(lane, packet.len(), room);
        if fits {
            let cost = packet.len() + COST;
            self.bytes += cost;
            room.left -= cost;
            match lane {
                Lane::Control => self.control.push_back(packet),
                Lane::Bulk => self.bulk.push_back(packet),
            }
        }
        fits
    }

    /// The packet that is next, and by which lane it is to leave.
    pub(crate) fn pop(&mut self, room: &mut Room) -> Option<(Lane, Vec<u8>)> {
        let control = self.control.pop_front().map(|packet| (Lane::Control, packet));
        let next = control.or_else(|| self.bulk.pop_front().map(|packet| (Lane::Bulk, packet)));
        let Some((lane, packet)) = next else {
            // Nor do the queues stay as large as they once were.
            *self = Self::default();
            return None;
        };
        let cost = packet.len() + COST;
        self.bytes -= cost;
        room.left += cost;
        Some((lane, packet))
    }

    /// How many wait.
    fn len(&self) -> usize {
        self.control.len() + self.bulk.len()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all packets and returns how many there were.
    pub(crate) fn clear(&mut self, room: &mut Room) -> usize {
        let count = self.len();
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
        let mut push = |held: &mut Held, lane, len| held.push(lane, vec![0; len], &mut room);
        let kept = (0..1000).filter(|_| push(&mut held, Lane::Bulk, 20)).count();
        assert_eq!(kept, MAX_PACKETS - FOR_CONTROL);
        let kept = (0..1000).filter(|_| push(&mut held, Lane::Control, 20)).count();
        assert_eq!(kept, FOR_CONTROL);
        assert_eq!(held.clear(&mut room), MAX_PACKETS);
        let mut push = |held: &mut Held, lane, len| held.push(lane, vec![0; len], &mut room);
        assert_eq!((0..1000).filter(|_| push(&mut held, Lane::Bulk, 50_000)).count(), 2);
        assert_eq!((0..8).filter(|_| push(&mut held, Lane::Control, 1_352)).count(), 8);
        assert!(!push(&mut held, Lane::Bulk, 50_000));
        while held.pop(&mut room).is_some() {}
        assert!(held.push(Lane::Bulk, vec![0; 50_000], &mut room));
    }

    #[test]
    fn control_leaves_first_and_each_lane_in_its_order() {
        let mut room = Room::of(Slice::WHOLE);
        let mut held = Held::default();
        let order = [(Lane::Bulk, 1), (Lane::Control, 2), (Lane::Bulk, 3), (Lane::Control, 4)];
        for (lane, n) in order {
            assert!(held.push(lane, vec![n], &mut room));
        }
        let left: Vec<_> = std::iter::from_fn(|| held.pop(&mut room)).collect();
        let expected = [(Lane::Control, 2), (Lane::Control, 4), (Lane::Bulk, 1), (Lane::Bulk, 3)];
        assert_eq!(left, expected.map(|(lane, n)| (lane, vec![n])));
    }

    #[test]
    fn all_together_are_bounded_and_what_is_given_back_is_there_again() {
        let mut room = Room::of(Slice::WHOLE);
        let mut peers: Vec<_> = (0..1000).map(|_| Held::default()).collect();
        for held in &mut peers {
            while held.push(Lane::Bulk, vec![0; 500], &mut room) {}
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
        assert!(peers.iter().all(|held| held.bulk.capacity() == 0));
    }
}
