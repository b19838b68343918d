//! Whether a leader still leads: what Raft believes, held against when it was last confirmed.
//!
//! openraft names a leader until a higher term comes. That is enough for safety, since a leader without a
//! majority gets nothing agreed, but it is not what people ask: a supervisor cut off from its majority
//! supervises nobody, and one that nobody has heard of for seconds is not there. Raft's dissertation
//! (section 6.2) has the leader step down for the same reason.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_model::MemberId;
use openraft::async_runtime::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;

use super::group::{Inner, leadership};
use super::patience::Cadence;
use super::status::{Leadership, Role};
use super::timing::Timing;
use super::types::Instant;

/// Silence that unmakes a leader, in times that [`Timing`] calls recent. By then the others, if there are any, have
/// begun to ask for votes.
const PATIENCE: u32 = 2;

/// The same for a host that the leader does not feed, and that is told of it by others: each level of them may pass it on a
/// second late, and there are four in a mesh of a thousand. That another one leads is told at once.
const PATIENCE_TOLD: Duration = Duration::from_secs(6);

/// When the leader was last heard, and how often it is.
#[derive(Default)]
pub(super) struct Contact(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    last: Option<(MemberId, Instant)>,
    cadence: Cadence,
    /// Who was heard by others, as they said, and not before when.
    told: Option<(MemberId, Instant)>,
}

impl Contact {
    /// What `leader` said at `at` was accepted. Answers overtake each other: the latest word counts.
    pub(super) fn heard(&self, leader: MemberId, at: Instant, timing: &Timing) {
        let mut heard = self.lock();
        match heard.last {
            Some((_, before)) if before > at => return,
            Some((same, before)) if same == leader => heard.cadence.note(at - before, timing),
            _ => heard.cadence = Cadence::default(),
        }
        heard.last = Some((leader, at));
    }

    /// Who was heard last, and when.
    pub(super) fn last(&self) -> Option<(MemberId, Instant)> {
        self.lock().last
    }

    /// Others say that they heard `leader`, not before `at`.
    pub(super) fn told(&self, leader: MemberId, at: Instant) {
        let mut heard = self.lock();
        if heard.told.is_none_or(|(_, before)| before <= at) {
            heard.told = Some((leader, at));
        }
    }

    /// When `leader` spoke to this host, and when others say that it spoke to them.
    pub(super) fn signs_of(&self, leader: MemberId) -> (Option<Instant>, Option<Instant>) {
        let heard = self.lock();
        let at = |sign: Option<(MemberId, Instant)>| {
            sign.filter(|(of, _)| *of == leader).map(|(_, at)| at)
        };
        (at(heard.last), at(heard.told))
    }

    /// When a leader was heard last, by this host or by those who tell it.
    pub(super) fn latest(&self) -> Option<Instant> {
        let heard = self.lock();
        let signs = heard.last.into_iter().chain(heard.told);
        signs.map(|(_, at)| at).max()
    }

    /// When somebody was heard last, and in what intervals.
    pub(super) fn last_and_cadence(&self) -> (Option<Instant>, Cadence) {
        let heard = self.lock();
        (heard.last.map(|(_, at)| at), heard.cadence)
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a leader was confirmed at a source that was asked at `asked_at`, by its answer: it waited for `held`, and by then the
/// confirmation was `ago`. Not before that, and never after what an honest source can mean; `None` where only a source that
/// makes no sense names a leader.
pub(super) fn confirmed_at(
    asked_at: Instant,
    now: Instant,
    held: Duration,
    ago: Duration,
) -> Option<Instant> {
    let answered_at = asked_at + held.min(now - asked_at);
    (ago <= PATIENCE_TOLD).then(|| answered_at - ago)
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
            Some(leader) => {
                let (_, told) = self.contact.signs_of(leader);
                self.hears(leader) || told.is_some_and(|at| at.elapsed() < PATIENCE_TOLD)
            }
        };
        if confirmed { believed } else { unconfirmed(believed) }
    }

    /// Whether `leader` is this host, or spoke to it lately.
    pub(super) fn hears(&self, leader: MemberId) -> bool {
        let (heard, _) = self.contact.signs_of(leader);
        leader == self.me || heard.is_some_and(|at| at.elapsed() < PATIENCE * self.timing.recent)
    }

    /// When the leader that is believed in since `since` will be one no more, if nothing confirms it until
    /// then. `None` when it needs no confirmation: there is none, or it votes alone.
    pub(super) fn confirmed_until(&self, since: Instant) -> Option<Instant> {
        let leader = leadership(&self.raft).leader?;
        let (heard, told) = self.contact.signs_of(leader);
        let heard = if leader != self.me {
            heard
        } else if self.membership().voters.iter().eq([&self.me]) {
            return None;
        } else {
            self.raft.metrics().borrow_watched().last_quorum_acked.map(|at| *at)
        };
        let until = heard.map_or(since, |at| at.max(since)) + PATIENCE * self.timing.recent;
        Some(told.map_or(until, |at| until.max(at + PATIENCE_TOLD)))
    }

    /// Whether a majority of the voters answered this leader lately.
    pub(super) fn has_majority(&self) -> bool {
        let heard = self.raft.metrics().borrow_watched().last_quorum_acked;
        heard.is_some_and(|at| at.elapsed() < PATIENCE * self.timing.recent)
            || self.membership().voters.iter().eq([&self.me])
    }
}

#[cfg(test)]
mod tests {
    use openraft::type_config::TypeConfigExt as _;

    use super::super::types::Types;
    use super::*;

    #[test]
    fn a_source_cannot_say_that_a_leader_is_heard_in_the_future() {
        let asked_at = Types::now();
        let ms = Duration::from_millis;
        let now = asked_at + ms(1100);
        assert_eq!(confirmed_at(asked_at, now, ms(1000), ms(300)), Some(asked_at + ms(700)));
        for held in [ms(1101), Duration::MAX] {
            assert_eq!(confirmed_at(asked_at, now, held, ms(0)), Some(now));
        }
        assert_eq!(confirmed_at(asked_at, now, ms(0), PATIENCE_TOLD + ms(1)), None);
        assert_eq!(confirmed_at(asked_at, now, ms(0), Duration::MAX), None);
    }
}
