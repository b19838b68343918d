//! The agreed state on this host, and how far it has come.

use std::sync::Arc;

use mesh_model::view::ClusterView;
use mesh_model::{LogIndex, MemberId};

use super::types::{Entry, LogId, Payload, StoredMembership};
use crate::command::Outcome;
use crate::state::State;

/// The state machine without its machinery.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) state: State,
    /// The last applied entry; `None` before the first.
    pub(crate) applied: Option<LogId>,
    /// Raft's membership as of the last applied entry.
    pub(crate) membership: StoredMembership,
}

impl Replica {
    /// The replica before the first entry.
    pub(crate) fn new(state: State) -> Self {
        Self { state, applied: None, membership: StoredMembership::default() }
    }

    /// Applies the next entry. Only proposals have an outcome.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Option<Outcome> {
        self.applied = Some(entry.log_id);
        match &entry.payload {
            Payload::Blank => None,
            Payload::Normal(proposal) => Some(self.state.apply(entry.log_id.index, proposal)),
            Payload::Membership(membership) => {
                self.state.note_voters(membership.voter_ids().map(MemberId));
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
                None
            }
        }
    }

    /// The index of the last applied entry; 0 before the first.
    pub(crate) fn index(&self) -> LogIndex {
        self.applied.map_or(0, |id| id.index)
    }

    /// Whether `member` has a vote, or ever had one.
    pub(crate) fn has_voted(&self, member: MemberId) -> bool {
        let mut voters = self.membership.membership().voter_ids();
        self.state.has_voted(member) || voters.any(|voter| voter == member.0)
    }

    /// The state as the rest of the house sees it.
    pub(crate) fn view(&self) -> Arc<ClusterView> {
        Arc::new(self.state.view(self.index()))
    }
}
