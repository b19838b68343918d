//! The leader's housekeeping: Raft's membership follows the mesh's.
//!
//! The steward runs on every member and does something only where the leader is. It looks at the two
//! memberships whenever one of them changes, asks [`next_step`] and carries the step out. While something
//! is left to do but cannot be done yet (a new member has not caught up) it looks again a few times a
//! second; otherwise it sleeps until a voter could have been silent for too long.
//!
//! One that is about to go is given no vote ([`farewell`](super::farewell)).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_model::MemberId;
use mesh_model::trust::{VoterTarget, Wish};
use openraft::ChangeMembers;
use openraft::async_runtime::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::rt::Select3;
use openraft::type_config::TypeConfigExt as _;

use super::farewell::Farewells;
use super::group::{Inner, leadership};
use super::roles::{Roles, Step, next_step, usual_target};
use super::runtime::Runtime;
use super::status::Role;
use super::store::StoreError;
use super::tenure::Tenure;
use super::types::{Instant, LogId, Types};

/// How often the leader looks again while a step has to wait: a newcomer catches up in a round trip or
/// two.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long a saved commit index may stay unflushed. Long enough for a burst of joins to share one flush,
/// short enough that a host that loses power knows nearly all it knew.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// How long one change of membership may take before it is looked at afresh.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// As good as never: what an idle steward sleeps, a day at a time.
pub(super) const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// Steps are taken one at a time, whoever asks for them.
#[derive(Default)]
pub(super) struct Stewardship {
    stepping: tokio::sync::Mutex<()>,
    pub(super) farewells: Farewells,
    pub(super) tenure: Mutex<Tenure>,
}

impl Stewardship {
    /// Waits for the step that is under way; the next has to wait while the guard lives.
    pub(super) async fn step_by_step(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.stepping.lock().await
    }
}

/// What came of looking for a step.
pub(super) enum Looked {
    /// A step was taken, or tried; there may be another.
    Stepped,
    /// All is as it should be, or this host does not lead. For so long nothing changes by itself.
    AtRest(Duration),
    /// Something will have to be done, but not yet; how long until it may be time.
    Waiting(Duration),
}

impl Inner {
    /// Looks for the next step and takes it.
    pub(super) async fn step(&self) -> Looked {
        let _stepping = self.stewardship.step_by_step().await;
        if leadership(&self.raft).role != Role::Leader || self.ended().is_some() {
            return Looked::AtRest(IDLE);
        }
        let mut leaving = self.stewardship.farewells.members();
        let view = self.view();
        let mut members: BTreeSet<MemberId> = view.members.keys().copied().collect();
        let membership = self.membership();
        // Those who are leaving follow to the end; they only do not vote.
        let following = membership.learners.union(&membership.voters);
        let learners: BTreeSet<MemberId> = following.copied().collect();
        members.retain(|id| !leaving.contains(id));
        let (target, wishes, without_right) = self.wanted();
        let usual = usual_target(members.len(), membership.voters.len());
        let (ready, (silent, until_next)) = (self.ready(), self.lost(&learners));
        let lost: BTreeSet<MemberId> = silent.keys().copied().collect();
        let absent = self.sync().absent();
        let until_rested = self.until_rested(&membership.voters);
        let mut roles = Roles {
            leader: self.me,
            members: &members,
            voters: &membership.voters,
            changing: membership.changing,
            learners: &membership.learners,
            ready: &ready,
            lost: &lost,
            absent: &absent,
            target: target.map_or(usual, |target| target.number().into()),
            wishes: &wishes,
            regions: &view.regions(),
            standings: &self.standings(&learners),
            rested: until_rested.is_zero(),
        };
        let staying: BTreeSet<MemberId>;
        let mut step = next_step(&roles);
        if let Some(Step::SetVoters(_)) = step {
            let Ok(going) = self.going() else {
                // Raft reads the log too, and ends.
                return Looked::Waiting(LOOK_AGAIN);
            };
            staying = &members - &going;
            leaving.extend(going);
            roles.members = &staying;
            step = next_step(&roles);
        }
        let step = step.filter(|step| !matches!(step, Step::Remove(id) if leaving.contains(id)));
        if let Some(step) = step {
            if let Step::SetVoters(voters) = &step {
                let grounds = roles.grounds(&without_right, &silent);
                self.history().intend(voters.clone(), &grounds);
            }
            self.take(step).await;
            return Looked::Stepped;
        }
        // Whoever answers catches up soon; no event says that one that is silent is back.
        let answering = self.answering().intersection(&learners).copied().collect();
        roles.ready = &answering;
        if let Some(Step::SetVoters(_)) = next_step(&roles) {
            return Looked::Waiting(LOOK_AGAIN);
        }
        roles.ready = &learners;
        if let Some(Step::SetVoters(_)) = next_step(&roles) {
            return Looked::Waiting(self.timing.election_max);
        }
        roles.rested = true;
        match next_step(&roles) {
            Some(Step::SetVoters(_)) => Looked::AtRest(until_next.min(until_rested)),
            _ => Looked::AtRest(until_next),
        }
    }

    /// What the admins want: how many vote, what of single members, and who has no right to.
    fn wanted(&self) -> (Option<VoterTarget>, BTreeMap<MemberId, Wish>, BTreeSet<MemberId>) {
        let state = &self.replica.lock().state;
        let target = state.voters().policy().and_then(|policy| policy.target);
        (target, state.wishes(), state.without_right())
    }

    /// Tells the voters that `to` shall lead, and waits a moment for it to happen.
    pub(super) async fn hand_over(&self, to: MemberId) {
        self.history().announce(leadership(&self.raft).term, self.me, to);
        match self.raft.trigger().transfer_leader(to.0).await {
            Ok(()) => self.leader_change_or(self.timing.election_max).await,
            // Raft has ended, and its last metrics may go on calling this host the leader: a proposal
            // that waits for its vote to be gone would try again at once, for ever.
            Err(_) => Types::sleep(LOOK_AGAIN).await,
        }
    }

    /// Waits until the metrics show the membership of `entry`: the next step is found in them.
    async fn see_membership_of(&self, entry: LogId) {
        let mut server = self.raft.server_metrics();
        while *server.borrow_watched().membership_config.log_id() < Some(entry) {
            if server.changed().await.is_err() {
                return;
            }
        }
    }

    /// Carries `step` out. What fails is looked at again: the next step is found from what is then.
    async fn take(&self, step: Step) {
        tracing::info!(?step, "membership of the agreement group");
        let change = match step {
            Step::AddLearner(id) => ChangeMembers::AddNodes([(id.0, ())].into()),
            Step::SetVoters(voters) => {
                ChangeMembers::ReplaceAllVoters(voters.into_iter().map(|id| id.0).collect())
            }
            Step::Remove(id) => ChangeMembers::RemoveNodes([id.0].into()),
            Step::HandOver(id) => return self.hand_over(id).await,
        };
        let changed = Box::pin(self.raft.change_membership(change, true));
        match Types::timeout(STEP_LIMIT, changed).await {
            Ok(Ok(done)) => self.see_membership_of(done.log_id).await,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the agreement group's membership did not change");
                // Whatever stands in the way is not gone by the next poll.
                Types::sleep(LOOK_AGAIN).await;
            }
            Err(_) => {
                tracing::warn!("no majority for a change of the agreement group's membership")
            }
        }
    }
}

/// The task; see the [module](self).
pub(super) struct Steward {
    inner: Arc<Inner>,
    /// When what was saved without a flush is to be flushed.
    flush_at: Option<Instant>,
}

impl Steward {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, flush_at: None }
    }

    /// Until Raft ends.
    pub(super) async fn run(mut self) {
        let mut views = self.inner.views.clone();
        let mut server = self.inner.raft.server_metrics();
        let mut wait = Duration::ZERO;
        loop {
            let sleep = Types::timeout(wait, self.inner.db.struck());
            match Runtime::select3(server.changed(), views.changed(), sleep).await {
                Select3::First(Err(_)) | Select3::Second(Err(_)) => return,
                Select3::First(Ok(())) | Select3::Second(Ok(())) | Select3::Third(_) => {}
            }
            let flush = match self.flush_when_due().await {
                Ok(due) => due,
                Err(_) => return self.give_up().await,
            };
            if self.inner.is_frozen() {
                // Who votes stays as it is until somebody has looked who cheats. One that leaves still may.
                wait = flush;
                continue;
            }
            wait = flush.min(match Box::pin(self.inner.step()).await {
                Looked::Stepped => Duration::ZERO,
                Looked::Waiting(pause) => pause,
                Looked::AtRest(until_next) => until_next,
            });
        }
    }

    /// Flushes if it is time, and says how long it is until then. An error also when the disk failed under somebody else.
    async fn flush_when_due(&mut self) -> Result<Duration, StoreError> {
        self.inner.db.fault().map_or(Ok(()), |fault| Err(fault.clone()))?;
        if !self.inner.db.has_unflushed() {
            self.flush_at = None;
            return Ok(IDLE);
        }
        let now = Types::now();
        let at = *self.flush_at.get_or_insert(now + FLUSH_AFTER);
        if now < at {
            return Ok(at - now);
        }
        self.flush_at = None;
        self.inner.db.flush().await.map(|()| IDLE)
    }

    /// The disk failed where openraft did not see it.
    async fn give_up(&self) {
        if let Err(error) = self.inner.raft.shutdown().await {
            tracing::error!(%error, "agreement did not end in good order");
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::async_runtime::Instant as _;

    use super::super::MemoryDisk;
    use super::super::fixture::{GUEST, founder_store, guest, in_virtual_time, start};
    use super::*;

    /// Of one that leads nobody Raft refuses a change without asking anybody: the steward would look again at once, and no
    /// time would pass on its thread any more.
    #[test]
    fn after_a_change_that_fails_at_once_there_is_a_pause() {
        in_virtual_time(async {
            let guest = guest().await;
            let since = Types::now();
            guest.inner().take(Step::AddLearner(MemberId(9))).await;
            assert!(since.elapsed() >= LOOK_AGAIN);
            guest.shutdown().await;
        });
    }

    /// Whoever waits for a vote to be gone would try again at once.
    #[test]
    fn after_a_lead_that_cannot_be_handed_over_there_is_a_pause() {
        in_virtual_time(async {
            let founder = start(founder_store(MemoryDisk::new()), 2).await;
            founder.shutdown().await;
            let since = Types::now();
            founder.inner().hand_over(GUEST).await;
            assert!(since.elapsed() >= LOOK_AGAIN);
        });
    }
}
