//! The others as their leader knows them: who answers, how far each is, who has been silent for too long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_model::MemberId;
use openraft::LogIdOptionExt as _;
use openraft::async_runtime::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::type_config::TypeConfigExt as _;

use super::group::{Inner, leadership};
use super::lines::Heard;
use super::roles::Standing;
use super::status::Follower;
use super::steward::{IDLE, LOOK_AGAIN};
use super::types::{Instant, LogId, Types};

/// How many entries a learner may lack and still become a voter: what a busy leader has in flight.
const READY_LAG: u64 = 64;

impl Inner {
    /// Others that hold nearly all of the log and answered lately; learners only if they hold the membership
    /// they would vote under.
    pub(super) fn ready(&self) -> BTreeSet<MemberId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let (Some(replication), Some(heartbeat)) = (&metrics.replication, &metrics.heartbeat)
        else {
            return BTreeSet::new();
        };
        let last = metrics.last_log_index.unwrap_or(0);
        let membership = &metrics.membership_config;
        let (named_at, voters) = (*membership.log_id(), membership.membership());
        let answered = |id: &u64| self.is_lately(heartbeat.get(id).copied().flatten().as_deref());
        replication
            .iter()
            .filter(|(id, held)| {
                let votes = voters.voter_ids().any(|voter| voter == **id);
                holds_enough(**held, last, named_at.filter(|_| !votes)) && answered(id)
            })
            .map(|(id, _)| MemberId(*id))
            .collect()
    }

    /// Others that answered lately.
    pub(super) fn answering(&self) -> BTreeSet<MemberId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let heartbeats = metrics.heartbeat.iter().flatten();
        heartbeats
            .filter(|(_, at)| self.is_lately(at.as_deref()))
            .map(|(id, _)| MemberId(*id))
            .collect()
    }

    /// What speaks for each of `fed`, voters and learners. The others are forgotten.
    pub(super) fn standings(&self, fed: &BTreeSet<MemberId>) -> BTreeMap<MemberId, Standing> {
        self.peers.lines.keep(fed);
        self.peers.notices.keep(fed);
        let heard = self.peers.lines.heard((Types::now(), self.timing.recent));
        let standing =
            |heard: Heard| Standing::of(heard.unbroken, heard.round_trip, self.timing.settle);
        heard.into_iter().map(|(id, heard)| (id, standing(heard))).collect()
    }

    fn is_lately(&self, at: Option<&Instant>) -> bool {
        at.is_some_and(|at| at.elapsed() < self.timing.recent)
    }

    /// Everyone as this leader knows them.
    pub(super) fn followers(&self) -> BTreeMap<MemberId, Follower> {
        let ready = self.ready();
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let last = metrics.last_log_index.unwrap_or(0);
        let heard = self.peers.lines.heard((Types::now(), self.timing.recent));
        let others = metrics.replication.iter().flatten().map(|(id, held)| {
            let id = MemberId(*id);
            let lag = held.as_ref().map(|held| last.saturating_sub(held.index));
            let heard = heard.get(&id);
            let follower = Follower {
                ready: id == self.me || ready.contains(&id),
                lag,
                unbroken: heard.map(|heard| heard.unbroken),
                round_trip: heard.and_then(|heard| heard.round_trip),
            };
            (id, follower)
        });
        let itself = Follower { ready: true, lag: Some(0), unbroken: None, round_trip: None };
        others.chain([(self.me, itself)]).collect()
    }

    /// The one of `members` that holds most of the log, as far as this leader knows.
    pub(super) fn furthest(&self, members: &BTreeSet<MemberId>) -> Option<MemberId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let held = |id: &MemberId| metrics.replication.as_ref()?.get(&id.0).cloned().flatten();
        // Of those that hold the same, the one with the lowest id: it has been a member longest.
        members.iter().rev().max_by_key(|id| held(id).map(|held| held.index)).copied()
    }

    /// Others of `fed`, voters and learners, that have been silent for [`Timing::settle`](super::Timing), and how long it is
    /// until there may be another; with how long each has been silent. What one did before this host led is not known: its silence begins
    /// with the term.
    pub(super) fn lost(
        &self,
        fed: &BTreeSet<MemberId>,
    ) -> (BTreeMap<MemberId, Duration>, Duration) {
        let Some(led) = self.succession.began(leadership(&self.raft).term) else {
            return (BTreeMap::new(), LOOK_AGAIN);
        };
        let learners = self.membership().learners;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let mut lost = BTreeMap::new();
        let mut until_next = IDLE;
        for other in fed.iter().filter(|id| **id != self.me) {
            let answered = metrics.heartbeat.as_ref().and_then(|at| at.get(&other.0).copied());
            if answered.flatten().is_none() && learners.contains(other) {
                // It was asked to follow a moment ago; since when, nobody wrote down. Gossip says if it is dead.
                continue;
            }
            let silent = answered.flatten().map_or(led, |at| led.max(*at)).elapsed();
            match self.timing.settle.saturating_sub(silent) {
                Duration::ZERO => drop(lost.insert(*other, silent)),
                left => until_next = until_next.min(left),
            }
        }
        // No event says that it is back, or that there is a learner to take its place.
        let look = if lost.is_empty() { until_next } else { until_next.min(self.timing.recent) };
        (lost, look)
    }
}

/// Whether one that holds the log up to `held` is ready for a vote, or to keep it, when the log ends at `last`
/// and the voters are those of the entry `named_at`.
///
/// One that votes must know who else does: it hears no other candidate. A learner may follow on another's
/// word (`speaker`), forgets that when it starts anew, and the one that gave it may be gone. With a vote that
/// its log does not explain it would then refuse the only one that can lead.
fn holds_enough(held: Option<LogId>, last: u64, named_at: Option<LogId>) -> bool {
    held.is_some() && held >= named_at && held.next_index() + READY_LAG > last
}

#[cfg(test)]
mod tests {
    use super::super::fixture::log_id;
    use super::*;

    #[test]
    fn a_vote_needs_nearly_all_of_the_log_and_the_entry_that_says_who_votes() {
        let held = Some(log_id(2, 100));
        assert!(holds_enough(held, 100 + READY_LAG, None));
        assert!(!holds_enough(held, 101 + READY_LAG, None));
        assert!(!holds_enough(None, 0, None));
        assert!(holds_enough(held, 101, held));
        assert!(!holds_enough(held, 101, Some(log_id(2, 101))));
    }
}
