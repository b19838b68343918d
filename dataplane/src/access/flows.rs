//! The flows that this host began, as far as they are remembered.
//!
//! A table of fixed size, made when the first peer is held to anything. A flow has [`WAYS`] places where it may stand;
//! when all are taken, the one that was silent for longest makes room. That costs its owner little: the next packet of it
//! that leaves brings it back, and one that has nothing to say misses nothing.

use std::time::Instant;

use mesh_model::MemberId;

use crate::packet::ip::{FRAGMENT, ICMP, TCP};

/// Places of a flow: a search of three cache lines.
const WAYS: usize = 8;

/// Rows of [`WAYS`] places. All together 32,768 flows, as many as a host has ports to begin them from, in 768 KiB.
const ROWS: usize = 1 << ROW_BITS;
const ROW_BITS: u32 = 12;

/// One flow between this host and a peer. Each has one address of a family, so these are the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    /// With whom. Never given again, so nobody inherits a flow.
    pub(super) member: MemberId,
    /// [`ICMP`] for both kinds of it; [`FRAGMENT`] for the parts of one packet.
    pub(super) protocol: u8,
    pub(super) ours: u16,
    pub(super) theirs: u16,
    pub(super) v6: bool,
}

impl Flow {
    /// Seconds of silence after which it is forgotten.
    fn patience(self) -> u32 {
        match self.protocol {
            // RFC 5382, REQ-5: 2 hours and 4 minutes, longer than two keepalives are apart.
            TCP => 7_440,
            // RFC 5508, REQ-1.
            ICMP => 60,
            // As long as Linux keeps parts.
            FRAGMENT => 30,
            // UDP and all that is like it: RFC 4787, REQ-5, as it recommends.
            _ => 300,
        }
    }
}

/// A remembered flow.
#[derive(Debug, Clone, Copy)]
struct Entry {
    flow: Flow,
    /// When it was last heard of, in seconds since the table's beginning.
    heard: u32,
}

/// See the [module](self).
pub(super) struct Flows {
    seed: u64,
    epoch: Instant,
    /// Empty until it is needed, then [`ROWS`] rows.
    rows: Vec<[Option<Entry>; WAYS]>,
}

impl Flows {
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        Self { seed, epoch: now, rows: Vec::new() }
    }

    /// Has room for flows from now on.
    pub(super) fn make_room(&mut self) {
        if self.rows.is_empty() {
            self.rows = vec![[None; WAYS]; ROWS];
        }
    }

    /// `flow` is ours, and was heard of.
    pub(super) fn remember(&mut self, flow: Flow, now: Instant) {
        let heard = self.seconds(now);
        let Some(row) = self.row_mut(flow) else { return };
        let entry = Some(Entry { flow, heard });
        if let Some(place) = row.iter_mut().find(|place| is_of(place, flow)) {
            *place = entry;
            return;
        }
        // An empty place comes before all others, and one that was silent for long before one that was not.
        let oldest = row.iter_mut().min_by_key(|place| place.map(|entry| entry.heard));
        if let Some(place) = oldest {
            *place = entry;
        }
    }

    /// Whether `flow` is ours. If so, it was heard of.
    pub(super) fn refresh(&mut self, flow: Flow, now: Instant) -> bool {
        let heard = self.seconds(now);
        let row = self.row_mut(flow);
        let Some(entry) = row.and_then(|row| row.iter_mut().flatten().find(|it| it.flow == flow))
        else {
            return false;
        };
        let lives = heard.saturating_sub(entry.heard) < flow.patience();
        if lives {
            entry.heard = heard;
        }
        lives
    }

    /// Whether `flow` is ours.
    pub(super) fn knows(&self, flow: Flow, now: Instant) -> bool {
        let Some(row) = self.rows.get(self.row_of(flow)) else { return false };
        let found = row.iter().flatten().find(|entry| entry.flow == flow);
        found.is_some_and(|it| self.seconds(now).saturating_sub(it.heard) < flow.patience())
    }

    fn row_mut(&mut self, flow: Flow) -> Option<&mut [Option<Entry>; WAYS]> {
        let row = self.row_of(flow);
        self.rows.get_mut(row)
    }

    fn row_of(&self, flow: Flow) -> usize {
        let ends = u64::from(flow.ours) << 48
            | u64::from(flow.theirs) << 32
            | u64::from(flow.protocol) << 8
            | u64::from(flow.v6);
        let stirred = stir(stir(self.seed, flow.member.0), ends);
        (stirred >> (u64::BITS - ROW_BITS)) as usize
    }

    fn seconds(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.epoch).as_secs();
        u32::try_from(passed).unwrap_or(u32::MAX)
    }
}

fn is_of(place: &Option<Entry>, flow: Flow) -> bool {
    place.is_some_and(|entry| entry.flow == flow)
}

/// Stirs `word` into `state`: the halves of a product, laid over each other, have something of every bit of
/// both. The factor is 2^64 over the golden ratio, odd and without a pattern.
fn stir(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * 0x9e37_79b9_7f4a_7c15;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn flow(n: u32) -> Flow {
        let (ours, theirs) = ((n >> 16) as u16, n as u16);
        Flow { member: MemberId(7), protocol: TCP, ours, theirs, v6: false }
    }

    fn table() -> (Flows, Instant) {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let mut flows = Flows::new(42, now);
        flows.make_room();
        (flows, now)
    }

    #[test]
    fn a_full_table_forgets_those_that_were_silent_for_longest() {
        let (mut flows, start) = table();
        assert_eq!(size_of_val(flows.rows.as_slice()), 768 << 10);
        let (room, places) = (flows.rows.len(), (WAYS * ROWS) as u32);
        let early: Vec<u32> = (0..2_000).collect();
        early.iter().for_each(|n| flows.remember(flow(*n), start));
        let now = start + Duration::from_secs(10);
        (2_000..2_000 + places).for_each(|n| flows.remember(flow(n), now));
        assert_eq!(flows.rows.len(), room, "it does not grow");
        let known = |from: u32, to: u32| (from..to).filter(|n| flows.knows(flow(*n), now)).count();
        assert!(known(0, 2_000) < 1_000, "the early ones made room");
        assert!(
            known(2_000, 2_000 + places) > 8 * places as usize / 10,
            "most of the rest are there"
        );
        assert!(flows.knows(flow(2_000 + places - 1), now), "the last one always is");
    }

    #[test]
    fn silence_ends_a_flow_and_words_keep_it() {
        let (mut flows, start) = table();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (protocol, patience) in
            [(TCP, 7_440), (17, 300), (ICMP, 60), (FRAGMENT, 30), (132, 300)]
        {
            let flow = Flow { protocol, ..flow(1) };
            flows.remember(flow, at(0));
            assert!(flows.refresh(flow, at(patience - 1)));
            assert!(flows.knows(flow, at(2 * patience - 2)));
            assert!(!flows.knows(flow, at(2 * patience - 1)));
            assert!(!flows.refresh(flow, at(2 * patience - 1)), "protocol {protocol}");
        }
    }

    #[test]
    fn without_room_nothing_is_ours() {
        let (_, now) = table();
        let mut flows = Flows::new(42, now);
        flows.remember(flow(1), now);
        assert!(!flows.knows(flow(1), now) && !flows.refresh(flow(1), now));
    }
}
