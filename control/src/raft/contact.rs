//! Whether a leader still leads: what Raft believes, held against when it was last confirmed.
//!
//! openraft names a leader until a higher term comes. That is enough for safety, since a leader without a
//! majority gets nothing agreed, but it is not what people ask: a supervisor cut off from its majority
//! supervises nobody, and one that nobody has heard of for seconds is not there. Raft's dissertation
//! (section 6.2) has the leader step down for the same reason.

use std::sync::{Mutex, PoisonError};

use mesh_model::MemberId;
use openraft::async_runtime::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::type_config::alias::InstantOf;
use tokio::sync::Notify;

use super::group::{Inner, leadership};
use super::status::{Leadership, Role};
use super::types::{Instant, Types};

/// Silence that unmakes a leader, in longest election timeouts: its lease and an election. By then the
/// others, if there are any, have begun to ask for votes.
const PATIENCE: u32 = 2;

/// When the leader was last heard.
#[derive(Default)]
pub(super) struct Contact {
    last: Mutex<Option<(MemberId, InstantOf<Types>)>>,
    news: Notify,
}

impl Contact {
    /// What `leader` said at `at` was accepted. Answers overtake each other: the latest word counts.
    pub(super) fn heard(&self, leader: MemberId, at: InstantOf<Types>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|(_, before)| before <= at) {
            *last = Some((leader, at));
        }
        drop(last);
        self.news.notify_one();
    }

    /// Who was heard last, and when.
    pub(super) fn last(&self) -> Option<(MemberId, InstantOf<Types>)> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when a leader is heard, or was since this last returned. For one task.
    pub(super) async fn next(&self) {
        self.news.notified().await;
    }
}

/// What is left of a leadership that nothing confirms.
pub(super) fn unconfirmed(believed: Leadership) -> Leadership {
    let role = match believed.role {
        // It waits, like any follower that hears of no leader.
        Role::Leader => Role::Follower,
        role => role,
    };
    Leadership { role, leader: None, ..believed }
}

impl Inner {
    /// Who leads, as far as it was confirmed lately. A host whose agreement has ended knows of nobody.
    pub(super) fn confirmed_leadership(&self) -> Leadership {
        let believed = leadership(&self.raft);
        if self.ended().is_some() {
            return Leadership { role: Role::Stopped, leader: None, ..believed };
        }
        let confirmed = match believed.leader {
            None => true,
            Some(leader) if leader == self.me => self.has_majority(),
            Some(leader) => self.contact.last().is_some_and(|(last, at)| {
                last == leader && at.elapsed() < PATIENCE * self.timing.election_max
            }),
        };
        if confirmed { believed } else { unconfirmed(believed) }
    }

    /// When the leader that is believed in since `since` will be one no more, if nothing confirms it until
    /// then. `None` when it needs no confirmation: there is none, or it votes alone.
    pub(super) fn confirmed_until(&self, since: Instant) -> Option<Instant> {
        let leader = leadership(&self.raft).leader?;
        let heard = if leader != self.me {
            self.contact.last().filter(|(last, _)| *last == leader).map(|(_, at)| at)
        } else if self.membership().voters.iter().eq([&self.me]) {
            return None;
        } else {
            self.raft.metrics().borrow_watched().last_quorum_acked.map(|at| *at)
        };
        Some(heard.map_or(since, |at| at.max(since)) + PATIENCE * self.timing.election_max)
    }

    /// Whether a majority of the voters answered this leader lately.
    pub(super) fn has_majority(&self) -> bool {
        let heard = self.raft.metrics().borrow_watched().last_quorum_acked;
        heard.is_some_and(|at| at.elapsed() < PATIENCE * self.timing.election_max)
            || self.membership().voters.iter().eq([&self.me])
    }
}
