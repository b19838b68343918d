//! Flows that are remembered, in a table of fixed size.
//!
//! A flow has [`WAYS`] places where it may stand, its row. Flows with one peer take half of a row at most; where those with
//! others have left no place, one of whoever has most there makes room, and what makes room is what was silent for longest.
//! So one peer pushes out nobody's flows but its own, whatever it sends or has this host send, and several together push
//! nobody below its fair part of a row.

use std::time::Instant;

use mesh_model::MemberId;

use crate::packet::ip::{FRAGMENT, ICMP, TCP};

/// Places of a flow: a search of three cache lines.
const WAYS: usize = 8;

/// Places in a row for flows with one peer.
const SHARE: usize = WAYS / 2;

/// Seconds of silence after which a flow of UDP or the like ends: RFC 4787, REQ-5, as it recommends.
pub(super) const UDP_PATIENCE: u32 = 300;

/// Members told apart when it is said whose flows were forgotten. Two that are not are both believed less than
/// they might be, for a while.
const LOSERS: usize = 256;

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
            _ => UDP_PATIENCE,
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

impl Entry {
    fn lives(&self, now: u32) -> bool {
        now.saturating_sub(self.heard) < self.flow.patience()
    }
}

/// Where a flow may stand.
#[derive(Debug, Clone, Copy)]
struct Row([Option<Entry>; WAYS]);

/// See the [module](self).
pub(super) struct Flows {
    seed: u64,
    epoch: Instant,
    /// How many rows there are to be.
    size: usize,
    /// Empty until they are needed.
    rows: Vec<Row>,
    /// When a living flow of a member was last forgotten, by its id's last bits.
    lost: Vec<Option<u32>>,
}

impl Flows {
    /// A table of so many rows. Nobody who does not know `seed` can choose whose row a flow shares.
    pub(super) fn new(size: usize, seed: u64, now: Instant) -> Self {
        Self { seed, epoch: now, size, rows: Vec::new(), lost: Vec::new() }
    }

    /// Has room for flows from now on.
    pub(super) fn make_room(&mut self) {
        if self.rows.is_empty() {
            self.rows = vec![Row([None; WAYS]); self.size];
            self.lost = vec![None; LOSERS];
        }
    }

    /// Keeps `flow`, which was heard of.
    pub(super) fn remember(&mut self, flow: Flow, now: Instant) {
        let now = self.seconds(now);
        let row = self.row_of(flow);
        let Some(row) = self.rows.get_mut(row) else { return };
        let place = row.place_for(flow, now);
        let before = row.0[place].replace(Entry { flow, heard: now });
        if let Some(before) = before.filter(|it| it.flow != flow && it.lives(now)) {
            self.lost[loser(before.flow.member)] = Some(now);
        }
    }

    /// Whether `flow` is known. If so, it was heard of.
    pub(super) fn refresh(&mut self, flow: Flow, now: Instant) -> bool {
        let now = self.seconds(now);
        let row = self.row_of(flow);
        let Some(entry) = self.rows.get_mut(row).and_then(|row| row.find_mut(flow)) else {
            return false;
        };
        let lives = entry.lives(now);
        if lives {
            entry.heard = now;
        }
        lives
    }

    /// Whether `flow` is known.
    pub(super) fn knows(&self, flow: Flow, now: Instant) -> bool {
        let Some(row) = self.rows.get(self.row_of(flow)) else { return false };
        let found = row.0.iter().flatten().find(|entry| entry.flow == flow);
        found.is_some_and(|entry| entry.lives(self.seconds(now)))
    }

    /// Whether a flow with `member` may have been forgotten that would live at `now`, if it was UDP's.
    pub(super) fn has_lost(&self, member: MemberId, now: Instant) -> bool {
        let lost = self.lost.get(loser(member)).copied().flatten();
        lost.is_some_and(|at| self.seconds(now).saturating_sub(at) < UDP_PATIENCE)
    }

    fn row_of(&self, flow: Flow) -> usize {
        let ends = u64::from(flow.ours) << 48
            | u64::from(flow.theirs) << 32
            | u64::from(flow.protocol) << 8
            | u64::from(flow.v6);
        let stirred = stir(stir(self.seed, flow.member.0), ends);
        ((u128::from(stirred) * self.size as u128) >> u64::BITS) as usize
    }

    fn seconds(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.epoch).as_secs();
        u32::try_from(passed).unwrap_or(u32::MAX)
    }
}

impl Row {
    fn find_mut(&mut self, flow: Flow) -> Option<&mut Entry> {
        self.0.iter_mut().flatten().find(|entry| entry.flow == flow)
    }

    /// The place of `flow`, or where it is to stand.
    fn place_for(&self, flow: Flow, now: u32) -> usize {
        let stands = |place: &Option<Entry>| place.is_some_and(|entry| entry.flow == flow);
        if let Some(place) = self.0.iter().position(stands) {
            return place;
        }
        let own = self.count(flow.member, now);
        let free = self.0.iter().position(|place| !place.is_some_and(|entry| entry.lives(now)));
        match free {
            Some(place) if own < SHARE => place,
            _ => self.oldest_of(self.payer(flow.member, own, now), now),
        }
    }

    /// Whose flow is to make room for one with `member`, which has `own` places: its own, unless somebody has more.
    fn payer(&self, member: MemberId, own: usize, now: u32) -> MemberId {
        let members = self.0.iter().flatten().map(|entry| entry.flow.member);
        let richest = members.max_by_key(|it| self.count(*it, now)).unwrap_or(member);
        if self.count(richest, now) > own { richest } else { member }
    }

    /// Places of living flows with `member`.
    fn count(&self, member: MemberId, now: u32) -> usize {
        let living = self.0.iter().flatten().filter(|entry| entry.lives(now));
        living.filter(|entry| entry.flow.member == member).count()
    }

    /// Where the flow with `member` stands that was silent for longest.
    fn oldest_of(&self, member: MemberId, now: u32) -> usize {
        let silence = |at: &usize| match self.0[*at] {
            Some(entry) if entry.flow.member == member => Some(now.saturating_sub(entry.heard)),
            _ => None,
        };
        (0..WAYS).max_by_key(silence).unwrap_or(0)
    }
}

/// Where it is noted that flows with `member` were forgotten.
fn loser(member: MemberId) -> usize {
    (member.0 % LOSERS as u64) as usize
}

/// Stirs `word` into `state`: the halves of a product, laid over each other, have something of every bit of
/// both. The factor is 2^64 over the golden ratio, odd and without a pattern.
fn stir(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * 0x9e37_79b9_7f4a_7c15;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests;
