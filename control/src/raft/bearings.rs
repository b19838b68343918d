//! What sync is told of this host: who it knows, who feeds it, how far it has come, and when.

use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::Instant as _;
use openraft::type_config::TypeConfigExt as _;

use super::group::{Inner, leadership};
use super::status::Role;
use super::types::{Instant, Types};
use crate::sync::{FED_PATIENCE, MAX_DEPTH, Moment};

/// How long before the start of this process something may have been confirmed that is told of in it.
const MAX_MOMENT_AGO: Duration = Duration::from_secs(3600);

impl Inner {
    /// Tells sync what there is to see here.
    pub(super) fn observe(&self) {
        let view = self.view();
        let membership = self.membership();
        let led = leadership(&self.raft);
        let leads = led.role == Role::Leader && self.has_majority();
        let heard = self.contact.last();
        let now = self.moment();
        let mut sync = self.sync();
        if !sync.knows(view.members.keys().copied()) {
            sync.handle_members(view.members.keys().copied());
        }
        let fed = membership.voters.union(&membership.learners).copied().collect();
        sync.handle_agreement(fed, led.leader, leads);
        if let Some((_, at)) = heard {
            sync.handle_leader_heard(self.moment_of(at));
        }
        sync.handle_applied(view.applied, now);
    }

    /// Now, as sync counts.
    pub(super) fn moment(&self) -> Moment {
        self.moment_of(Types::now())
    }

    pub(super) fn moment_of(&self, at: Instant) -> Moment {
        // Counted from a while before the start, so that what was confirmed before it is not in the future.
        (at + MAX_MOMENT_AGO) - self.born
    }

    /// How far this host is from agreement.
    pub(super) fn depth(&self) -> u8 {
        let led = leadership(&self.raft);
        let (heard, _) = led.leader.map_or((None, None), |leader| self.contact.signs_of(leader));
        let lately = heard.is_some_and(|at| at.elapsed() < FED_PATIENCE);
        if led.role == Role::Leader || lately && self.is_fed() {
            return 0;
        }
        self.depth.load(Ordering::Relaxed).min(MAX_DEPTH)
    }

    pub(super) fn set_depth(&self, depth: u8) {
        self.depth.store(depth, Ordering::Relaxed);
    }
}
