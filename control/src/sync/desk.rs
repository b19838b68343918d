//! Who is served: so many at a time, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::wire::sync::MAX_INSTEAD;

use super::{HOLD, Moment};

/// How many members one member serves. A commit costs a source that many copies, beside those to its voters if it
/// leads; a thousand members are four levels deep with it (8 places at each of 4 members, then 8 times as many a level).
pub const PLACES: usize = 8;

/// How many are sent the whole state at a time: each is up to 48 MiB in memory while it is on its way.
const SNAPSHOTS_AT_ONCE: usize = 2;

/// How long a member that was sent the whole state waits for the next from here: one that keeps asking would have it sent to
/// nobody else. 1 MB (2,000 members, compressed) at 4 Mbit/s takes two of them.
const SNAPSHOT_AGAIN: Duration = Duration::from_secs(20);

/// How long a place is kept for one that does not ask: it waits here, or is on its way to ask again.
const KEPT: Duration = HOLD.saturating_add(Duration::from_secs(2));

/// The places of one source.
#[derive(Debug, Default)]
pub struct Desk {
    /// Until when each has its place.
    places: BTreeMap<MemberId, Moment>,
    /// Who was sent the whole state, and when.
    snapshots: BTreeMap<MemberId, Moment>,
    /// To whom it is on its way.
    sending: BTreeSet<MemberId>,
    /// Whom to name next, so that not everybody is sent to the same one.
    next: usize,
    /// How many were turned away.
    turned_away: u64,
}

/// What the desk says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seat {
    /// Served.
    Taken,
    /// All places are taken. These are served, and may have places themselves.
    Full(Vec<MemberId>),
}

impl Desk {
    /// `member` asks.
    pub fn admit(&mut self, member: MemberId, now: Moment) -> Seat {
        self.places.retain(|_, until| *until > now);
        if self.places.contains_key(&member) || self.places.len() < PLACES {
            self.places.insert(member, now + KEPT);
            return Seat::Taken;
        }
        self.turned_away += 1;
        let served: Vec<MemberId> = self.places.keys().copied().collect();
        let instead = (0..MAX_INSTEAD.min(served.len()))
            .map(|n| served[(self.next + n) % served.len()])
            .collect();
        self.next = (self.next + MAX_INSTEAD) % served.len().max(1);
        Seat::Full(instead)
    }

    /// Whether `member` may be sent the whole state now; then it is on its way until it is [gone](Self::snapshot_gone).
    pub fn take_snapshot(&mut self, member: MemberId, now: Moment) -> bool {
        self.snapshots.retain(|_, at| now < *at + SNAPSHOT_AGAIN);
        let lately = self.snapshots.contains_key(&member) || self.sending.contains(&member);
        let free = !lately && self.sending.len() < SNAPSHOTS_AT_ONCE;
        if free {
            self.snapshots.insert(member, now);
            self.sending.insert(member);
        }
        free
    }

    /// The state that `member` was sent is in memory no more.
    pub fn snapshot_gone(&mut self, member: MemberId) {
        self.sending.remove(&member);
    }

    /// Those that have a place.
    pub fn served(&self, now: Moment) -> impl Iterator<Item = MemberId> + '_ {
        self.places.iter().filter(move |(_, until)| **until > now).map(|(member, _)| *member)
    }

    /// How many were turned away.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }
}
