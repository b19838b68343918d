//! Tells this host who leads, remembers who led, and tells why agreement ended.
//!
//! openraft says when it believes in another leader. That nothing confirms the one it believes in it does
//! not say, so the herald looks again when that could be.

use std::sync::Arc;
use std::time::Duration;

use mesh_model::{MemberId, Term};
use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};
use openraft::errors::Fatal;
use openraft::type_config::TypeConfigExt as _;
use tokio::sync::watch;

use super::contact::unconfirmed;
use super::group::{Inner, leadership};
use super::history::Circumstances;
use super::status::{GroupFailure, Leadership, Role};
use super::types::{Instant, Types};
use super::watch as ordered;

/// As good as never: where there is nothing to look again for.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// Turns openraft's metrics into our words, for as long as there are any.
pub(super) struct Herald {
    inner: Arc<Inner>,
    leadership: watch::Sender<Leadership>,
    failure: ordered::Sender<Option<GroupFailure>>,
    /// Whom openraft believes in, and since when.
    believed: (Term, Option<MemberId>),
    believed_at: Instant,
}

impl Herald {
    pub(super) fn new(
        inner: Arc<Inner>,
        leadership: watch::Sender<Leadership>,
        failure: ordered::Sender<Option<GroupFailure>>,
    ) -> Self {
        let believed = *leadership.borrow();
        let believed = (believed.term, believed.leader);
        Self { inner, leadership, failure, believed, believed_at: Types::now() }
    }

    /// Until Raft ends.
    pub(super) async fn run(mut self) {
        let mut server = self.inner.raft.server_metrics();
        let mut membership = *server.borrow_and_update().membership_config.log_id();
        loop {
            self.publish(leadership(&self.inner.raft));
            let look_again = self.remember();
            if let Ok(Err(_)) = Types::timeout_at(look_again, server.changed()).await {
                break;
            }
            let now = *server.borrow_and_update().membership_config.log_id();
            if now != membership {
                membership = now;
                self.inner.speakers.forget();
            }
        }
        let failure = self.why_ended();
        if failure != GroupFailure::Shutdown {
            // What it means, and how loudly that has to be told, is for the daemon to say.
            tracing::info!(%failure, "agreement on this host has ended");
        }
        self.failure.send_if_modified(|ended| {
            *ended = Some(failure);
            true
        });
        let last = leadership(&self.inner.raft);
        let last = Leadership { role: Role::Stopped, leader: None, ..last };
        self.write_down(last, Types::now());
        self.publish(last);
    }

    /// Writes down who leads as far as that is confirmed, and says when to look again.
    fn remember(&mut self) -> Instant {
        let now = Types::now();
        let believed = leadership(&self.inner.raft);
        if self.believed != (believed.term, believed.leader) {
            self.believed = (believed.term, believed.leader);
            self.believed_at = now;
        }
        match self.inner.confirmed_until(self.believed_at) {
            Some(until) if until <= now => {
                self.write_down(unconfirmed(believed), now);
                now + self.inner.timing.recent
            }
            until => {
                self.write_down(believed, now);
                until.unwrap_or(now + IDLE)
            }
        }
    }

    fn write_down(&self, seen: Leadership, at: Instant) {
        let inner = &self.inner;
        let vote = inner.raft.server_metrics().borrow_watched().vote;
        let candidate = (!vote.committed).then_some(MemberId(vote.leader_id.voted_for));
        let voters = inner.membership().voters;
        let known = Circumstances { at_ms: inner.wall.wall_ms(), candidate, voters: &voters };
        if inner.history().observe(seen, &known) {
            inner.succession.begin(seen.term, at);
        }
    }

    fn publish(&self, now: Leadership) {
        self.leadership.send_if_modified(|before| {
            let changed = *before != now;
            if changed {
                tracing::info!(role = ?now.role, term = now.term, leader = ?now.leader, "leadership");
                *before = now;
            }
            changed
        });
    }

    /// Why Raft ended.
    fn why_ended(&self) -> GroupFailure {
        if let Some(fault) = self.inner.db.fault() {
            return GroupFailure::Store(fault.clone());
        }
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        match &metrics.running_state {
            Err(Fatal::Stopped) | Ok(()) => GroupFailure::Shutdown,
            Err(error @ (Fatal::StorageError(_) | Fatal::Panicked)) => {
                GroupFailure::Bug(error.to_string())
            }
        }
    }
}
