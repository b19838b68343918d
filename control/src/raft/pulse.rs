//! openraft's clock, which runs only where it has something to decide.
//!
//! openraft looks at the time 20 times a second on every host. On a leader that tells it when the next
//! heartbeat is due, on a follower that hears its leader it tells nothing, and together with what each look
//! wakes it is most of what an idle daemon costs. So its clock stands still
//! - on a leader, which is told when a heartbeat is due instead;
//! - on a follower, until its leader has been silent for a while.
//!
//! Everybody else waits for an election or stands in one, and has the clock. The clock decides when
//! openraft looks, not how long it waits: elections begin when they would have begun.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::async_runtime::{AsyncRuntime as _, Select2};
use openraft::errors::Fatal;
use openraft::type_config::TypeConfigExt as _;
use openraft::type_config::alias::InstantOf;

use super::group::{Inner, leadership};
use super::runtime::Runtime;
use super::status::Role;
use super::timing::Timing;
use super::types::Types;

/// Sees to it that openraft's clock runs where it is needed.
pub(super) struct Pulse {
    inner: Arc<Inner>,
    next_heartbeat: InstantOf<Types>,
}

/// What this host's place in the group asks for.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// To lead: a heartbeat now and then.
    Heartbeats,
    /// To follow a leader that was heard: nothing before this.
    NothingUntil(InstantOf<Types>),
    /// To have or await an election: the clock.
    Clock,
}

impl Need {
    /// Of a host in `role` that last heard a leader at `heard`.
    fn of(
        role: Role,
        heard: Option<InstantOf<Types>>,
        now: InstantOf<Types>,
        patience: Duration,
    ) -> Self {
        let patient_until = heard.map(|at| at + patience).filter(|until| *until > now);
        match (role, patient_until) {
            (Role::Leader, _) => Self::Heartbeats,
            (Role::Follower | Role::Learner, Some(until)) => Self::NothingUntil(until),
            (Role::Follower | Role::Learner | Role::Candidate | Role::Stopped, _) => Self::Clock,
        }
    }
}

impl Pulse {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, next_heartbeat: Types::now() }
    }

    /// Until Raft ends.
    pub(super) async fn run(mut self) {
        let inner = Arc::clone(&self.inner);
        let mut server = inner.raft.server_metrics();
        loop {
            let need = self.need();
            inner.raft.runtime_config().tick(matches!(need, Need::Clock));
            let until = match need {
                Need::Heartbeats => match self.beat().await {
                    Ok(next) => next,
                    Err(_) => return,
                },
                Need::NothingUntil(at) => at,
                Need::Clock => {
                    let heard = inner.contact.next();
                    match Runtime::select2(server.changed(), heard).await {
                        Select2::First(Err(_)) => return,
                        Select2::First(Ok(())) | Select2::Second(()) => continue,
                    }
                }
            };
            // Whether its time has come or something has changed, the need is looked at again.
            if let Ok(Err(_)) = Types::timeout_at(until, server.changed()).await {
                return;
            }
        }
    }

    fn need(&self) -> Need {
        let Inner { raft, contact, timing, .. } = &*self.inner;
        let heard = contact.last().map(|(_, at)| at);
        Need::of(leadership(raft).role, heard, Types::now(), patience(timing))
    }

    /// A heartbeat if one is due; when the next one is.
    async fn beat(&mut self) -> Result<InstantOf<Types>, Fatal<Types>> {
        let now = Types::now();
        if self.next_heartbeat <= now {
            self.inner.raft.trigger().heartbeat().await?;
            self.next_heartbeat = now + self.inner.timing.heartbeat;
        }
        Ok(self.next_heartbeat)
    }
}

/// The silence after which a follower needs its clock: two thirds of a leader's lease. Two heartbeats fit, and the
/// clock runs long before the earliest election.
fn patience(timing: &Timing) -> Duration {
    timing.election_max * 2 / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(600);

    #[test]
    fn a_follower_needs_nothing_until_its_leader_is_silent() {
        let now = Types::now();
        let until = now + PATIENCE;
        let need = |role, heard, now| Need::of(role, heard, now, PATIENCE);
        for role in [Role::Follower, Role::Learner] {
            assert_eq!(need(role, None, now), Need::Clock);
            assert_eq!(need(role, Some(now), now), Need::NothingUntil(until));
            assert_eq!(need(role, Some(now), until), Need::Clock);
        }
    }

    #[test]
    fn a_candidate_needs_its_clock_and_a_leader_heartbeats_whomever_they_heard() {
        let now = Types::now();
        for heard in [None, Some(now)] {
            assert_eq!(Need::of(Role::Candidate, heard, now, PATIENCE), Need::Clock);
            assert_eq!(Need::of(Role::Leader, heard, now, PATIENCE), Need::Heartbeats);
        }
    }

    #[test]
    fn the_clock_runs_well_before_the_earliest_election() {
        let timing = Timing::default();
        assert!(patience(&timing) >= 2 * timing.heartbeat);
        assert!(patience(&timing) + timing.heartbeat <= timing.election_max);
    }
}
