//! When a leader shows itself, and when a voter asks for votes.
//!
//! openraft looks at the time 20 times a second on every host, and its intervals are the same whatever the lines are like.
//! So its clock stands still for good, and it is told instead:
//! - a leader, when a heartbeat is due. One that no majority answers falls silent now and then: as long as its heartbeats
//!   go on, those who could elect another do not;
//! - everybody else, when its leader has been silent for too long by what is usual on its line ([`patience`]), to find out
//!   whether a majority would vote for it. One that has no vote does nothing then, nor does one that was left behind
//!   (`outdated`), or has just started (`recollection`).
//!
//! ```text
//! heard ──── silence ────> asks ──── retry ────> asks ──── twice that ────> asks ...
//!                           └─ somebody's vote is later: waits for what comes of that
//! ```
//!
//! [`patience`]: super::patience

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::async_runtime::{AsyncRuntime as _, Instant as _};
use openraft::errors::Fatal;
use openraft::type_config::TypeConfigExt as _;
use rand::RngExt as _;

use super::group::{Inner, leadership};
use super::runtime::Runtime;
use super::status::Role;
use super::timing::Timing;
use super::types::{Instant, Types, Vote};

/// Shows this host to its followers, or has it ask for votes.
pub(super) struct Pulse {
    inner: Arc<Inner>,
    next_heartbeat: Instant,
    /// Since when this host leads, if it does.
    leads_since: Option<Instant>,
    /// The last vote it gave or heard of.
    vote: Vote,
    /// When that was, or when it last asked for votes itself.
    since: Instant,
    /// How often it has asked for nothing since it last heard a leader or gave its vote.
    vain: u32,
    /// Its part of the spread.
    drawn: f64,
}

impl Pulse {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let (vote, now) = (inner.raft.server_metrics().borrow_watched().vote, Types::now());
        Self {
            inner,
            next_heartbeat: now,
            leads_since: None,
            vote,
            since: now,
            vain: 0,
            drawn: 0.0,
        }
    }

    /// Until Raft ends.
    pub(super) async fn run(mut self) {
        self.draw();
        let mut server = self.inner.raft.server_metrics();
        loop {
            let seen = server.borrow_and_update().vote;
            self.note_vote(seen);
            let next = match leadership(&self.inner.raft).role {
                Role::Leader => self.lead().await,
                Role::Follower | Role::Learner | Role::Candidate | Role::Stopped => {
                    self.follow().await
                }
            };
            let Ok(next) = next else { return };
            // Whether its time has come or something has changed, everything is looked at again.
            if let Ok(Err(_)) = Types::timeout_at(next, server.changed()).await {
                return;
            }
        }
    }

    fn note_vote(&mut self, vote: Vote) {
        if vote != self.vote {
            (self.vote, self.since, self.vain) = (vote, Types::now(), 0);
        }
    }

    fn draw(&mut self) {
        self.drawn = Runtime::thread_rng().random_range(0.0..1.0);
    }

    /// A heartbeat if one is due; when to look again.
    async fn lead(&mut self) -> Result<Instant, Fatal<Types>> {
        let now = Types::now();
        let since = *self.leads_since.get_or_insert(now);
        let speaks = speaks(self.unanswered(since, now), &self.inner.timing);
        self.inner.peers.may_append(speaks);
        if self.next_heartbeat <= now {
            if speaks {
                self.inner.raft.trigger().heartbeat().await?;
            }
            self.next_heartbeat = now + self.inner.timing.heartbeat;
        }
        Ok(self.next_heartbeat)
    }

    /// How long no majority has answered this host, which leads since `since`.
    fn unanswered(&self, since: Instant, now: Instant) -> Duration {
        if self.inner.membership().voters.iter().eq([&self.inner.me]) {
            return Duration::ZERO;
        }
        let answered = self.inner.raft.metrics().borrow_watched().last_quorum_acked;
        now.saturating_duration_since(answered.map_or(since, |at| since.max(*at)))
    }

    /// A question for votes if its time has come; when to look again.
    async fn follow(&mut self) -> Result<Instant, Fatal<Types>> {
        self.leads_since = None;
        self.inner.peers.may_append(true);
        let Inner { contact, outdated, recollection, timing, raft, .. } = &*self.inner;
        let (heard, cadence) = contact.last_and_cadence();
        if heard.is_some_and(|at| at > self.since) {
            self.vain = 0;
        }
        let waited = self.since + cadence.retry(timing, self.vain, self.drawn);
        let silent = heard.map(|at| at + cadence.silence(timing, self.drawn));
        let due = silent.map_or(waited, |silent| silent.max(waited));
        let now = Types::now();
        if due > now {
            return Ok(due);
        }
        if outdated.is_fresh() || !recollection.is_current() {
            // It could not read what it would lead, or may have forgotten some of it. Whoever it understands again is heard.
            return Ok(now + timing.election_max);
        }
        raft.trigger().elect(true).await?;
        (self.since, self.vain) = (now, self.vain.saturating_add(1));
        self.draw();
        Ok(self.since + cadence.retry(&self.inner.timing, self.vain, self.drawn))
    }
}

/// Whether a leader that no majority has answered for `unanswered` shows itself. Silent it is for as long as an election
/// takes with all its answers; then it shows itself again for as long as it takes to be noticed, in case nobody else could
/// be elected.
fn speaks(unanswered: Duration, timing: &Timing) -> bool {
    let Some(over) = unanswered.checked_sub(timing.recent) else { return true };
    let silence = timing.election_max + 2 * timing.answer;
    over.as_nanos() % (silence + timing.recent).as_nanos() >= silence.as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_nobody_answers_is_silent_and_speaks_by_turns() {
        let timing = Timing::default();
        let silence = timing.election_max + 2 * timing.answer;
        let at = |over: Duration| speaks(timing.recent + over, &timing);
        assert!(
            speaks(Duration::ZERO, &timing) && speaks(timing.recent - timing.heartbeat, &timing)
        );
        assert!(!at(Duration::ZERO) && !at(silence - timing.heartbeat));
        assert!(at(silence) && at(silence + timing.recent - timing.heartbeat));
        assert!(!at(silence + timing.recent) && at(2 * silence + timing.recent));
    }

    #[test]
    fn a_leader_is_silent_for_longer_than_it_takes_to_elect_another() {
        let timing = Timing::default();
        let silence = timing.election_max + 2 * timing.answer;
        assert!(silence > timing.election_max + timing.answer);
    }

    #[test]
    fn several_heartbeats_fit_into_a_lease() {
        let timing = Timing::default();
        assert!(4 * timing.heartbeat <= timing.election_min);
    }
}
