//! Tells this host who leads, and why agreement ended.

use std::sync::Arc;

use openraft::async_runtime::watch::{WatchReceiver as _, WatchSender as _};
use openraft::errors::Fatal;
use tokio::sync::watch;

use super::group::{Inner, leadership};
use super::status::{GroupFailure, Leadership, Role};
use super::watch as ordered;

/// Turns openraft's metrics into our words, for as long as there are any.
pub(super) struct Herald {
    inner: Arc<Inner>,
    leadership: watch::Sender<Leadership>,
    failure: ordered::Sender<Option<GroupFailure>>,
}

impl Herald {
    pub(super) fn new(
        inner: Arc<Inner>,
        leadership: watch::Sender<Leadership>,
        failure: ordered::Sender<Option<GroupFailure>>,
    ) -> Self {
        Self { inner, leadership, failure }
    }

    /// Until Raft ends.
    pub(super) async fn run(self) {
        let mut server = self.inner.raft.server_metrics();
        let mut membership = *server.borrow_and_update().membership_config.log_id();
        loop {
            self.publish(leadership(&self.inner.raft));
            if server.changed().await.is_err() {
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
            tracing::error!(%failure, "agreement on this host has ended");
        }
        self.failure.send_if_modified(|ended| {
            *ended = Some(failure);
            true
        });
        let last = leadership(&self.inner.raft);
        self.publish(Leadership { role: Role::Stopped, leader: None, ..last });
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
