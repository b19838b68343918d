//! Who is served: so many at a time, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_model::wire::sync::MAX_INSTEAD;
use mesh_model::{LogIndex, MemberId};

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

/// How long one keeps its place that can prove nothing of what it is sent, if others want it: it has been patient twice by then, for
/// those it knows and for those they vouch for (5 s each), and has to join again.
const STUCK: Duration = Duration::from_secs(15);

/// The places of one source.
#[derive(Debug, Default)]
pub struct Desk {
    /// Who has them.
    places: BTreeMap<MemberId, Held>,
    /// Who was sent the whole state, and when.
    snapshots: BTreeMap<MemberId, Moment>,
    /// To whom it is on its way.
    sending: BTreeSet<MemberId>,
    /// Whom to name next, so that not everybody is sent to the same one.
    next: usize,
    /// How many were turned away.
    turned_away: u64,
}

/// A place that somebody has.
#[derive(Debug, Clone, Copy)]
struct Held {
    until: Moment,
    /// How much its holder could prove when it asked last, and since when so much.
    proven: LogIndex,
    since: Moment,
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
    /// `member` asks, who can prove so much of the log; the source has `own` of it.
    pub fn admit(
        &mut self,
        (member, proven): (MemberId, LogIndex),
        own: LogIndex,
        now: Moment,
    ) -> Seat {
        self.places.retain(|_, held| held.until > now);
        let before = self.places.get(&member).copied();
        if before.is_none() && self.places.len() >= PLACES {
            self.end_stuck(own, now);
        }
        if before.is_some() || self.places.len() < PLACES {
            let stays = before.filter(|held| held.proven >= proven);
            let since = stays.map_or(now, |held| held.since);
            self.places.insert(member, Held { until: now + KEPT, proven, since });
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

    /// Whoever has been stuck for longest gives its place away.
    fn end_stuck(&mut self, own: LogIndex, now: Moment) {
        let stuck = self.places.iter();
        let stuck = stuck.filter(|(_, held)| held.proven < own && held.since + STUCK <= now);
        if let Some((member, _)) = stuck.min_by_key(|(_, held)| held.since) {
            let member = *member;
            self.places.remove(&member);
        }
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
        self.places.iter().filter(move |(_, held)| held.until > now).map(|(member, _)| *member)
    }

    /// How many were turned away.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }
}
