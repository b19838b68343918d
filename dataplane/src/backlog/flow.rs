//! One flow's packets, in order.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use super::codel::Codel;
use super::{Origin, QUANTUM};
use crate::packet::ip::{Inner, TCP, UDP};

/// Places for packets that a flow keeps when it has none: what a usual bout needs. More are given back.
const PLACES: usize = 16;

/// A packet that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) origin: Origin,
    pub(super) since: Instant,
    pub(super) bytes: Box<[u8]>,
}

/// A flow, or the few that share a number.
#[derive(Debug, Default)]
pub(super) struct Flow {
    packets: VecDeque<Waiting>,
    bytes: usize,
    codel: Codel,
    /// Bytes that it may send yet in this round; below zero when it has sent ahead.
    pub(super) credit: i64,
    /// Whether it is on one of the lists.
    pub(super) is_listed: bool,
}

impl Flow {
    /// The number of the flow that `packet` belongs to: its protocol, addresses and ports, stirred so that
    /// nobody who does not know `seed` can choose whom to share with.
    pub(super) fn number(packet: &Inner<'_>, seed: u64) -> u64 {
        let has_ports = matches!(packet.protocol(), TCP | UDP) && !packet.is_fragment();
        let ports = packet.payload().first_chunk().filter(|_| has_ports).copied();
        let ports = u64::from(u32::from_ne_bytes(ports.unwrap_or_default()));
        let words = [packet.src(), packet.dst()].map(|address| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        });
        let [src, dst] = words.map(|word| [word as u64, (word >> 64) as u64]);
        let last = ports << 8 | u64::from(packet.protocol());
        [src[0], src[1], dst[0], dst[1], last, seed].into_iter().fold(seed, stir)
    }

    pub(super) fn push(&mut self, packet: Waiting) {
        self.bytes += packet.bytes.len();
        self.packets.push_back(packet);
    }

    /// The next packet to send. Those that have waited too long before it go to `dropped`.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        mut dropped: impl FnMut(Waiting),
    ) -> Option<Waiting> {
        loop {
            let Some(packet) = self.pop_oldest() else {
                self.codel.rest();
                return None;
            };
            let waited = now.saturating_duration_since(packet.since);
            // A packet's worth is what a sender that has slowed down enough keeps here.
            let is_standing = self.bytes as i64 > QUANTUM;
            if !self.codel.drops(waited, is_standing, now) {
                return Some(packet);
            }
            dropped(packet);
        }
    }

    /// The oldest packet, however long it has waited.
    pub(super) fn pop_oldest(&mut self) -> Option<Waiting> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.bytes.len();
        if self.packets.is_empty() {
            self.packets.shrink_to(PLACES);
        }
        Some(packet)
    }

    /// What waits, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many packets wait.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }
}

/// Stirs `word` into `state`: the halves of a product, laid over each other, have something of every bit of
/// both. The factor is 2^64 over the golden ratio, odd and without a pattern.
fn stir(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * 0x9e37_79b9_7f4a_7c15;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_a_bout_took_are_given_back() {
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let mut flow = Flow::default();
        for _ in 0..1000 {
            let (origin, bytes) = (Origin::Kernel, Box::new([0; 100]));
            flow.push(Waiting { origin, since: now, bytes });
        }
        assert_eq!((flow.len(), flow.bytes()), (1000, 100_000));
        while flow.pop_oldest().is_some() {}
        assert!(flow.packets.capacity() <= 2 * PLACES);
        assert_eq!((flow.len(), flow.bytes()), (0, 0));
    }
}
