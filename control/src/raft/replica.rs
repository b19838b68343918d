//! The agreed state on this host, and how far it has come.

use std::sync::Arc;

use mesh_model::codec;
use mesh_model::view::ClusterView;
use mesh_model::wire::sync::{LogHash, Place};
use mesh_model::{LogIndex, MemberId};

use super::records::EntryRecord;
use super::types::{Entry, LogId, Payload, StoredMembership, place_of};
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
    /// All entries up to the last applied one.
    pub(crate) log: LogHash,
}

impl Replica {
    /// The replica before the first entry.
    pub(crate) fn new(state: State) -> Self {
        let (membership, log) = (StoredMembership::default(), LogHash::default());
        Self { state, applied: None, membership, log }
    }

    /// Applies the next entry. Only proposals have an outcome.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Option<Outcome> {
        self.log = self.log_with(entry);
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

    /// The hash of the log with `entry` after all there is. It takes in where this log ends, so that it says what the last
    /// entry's term was even where that came in a snapshot.
    fn log_with(&self, entry: &Entry) -> LogHash {
        let mut hasher = blake3::Hasher::new_derive_key("meshd v1 log hash");
        hasher.update(&self.log.0);
        let end = self.applied.map_or((0, 0), |id| (id.leader_id.term, id.index));
        hasher.update(&end.0.to_le_bytes());
        hasher.update(&end.1.to_le_bytes());
        hasher.update(&codec::encode(&EntryRecord::from(entry.clone())));
        LogHash(hasher.finalize().into())
    }

    /// The index of the last applied entry; 0 before the first.
    pub(crate) fn index(&self) -> LogIndex {
        self.applied.map_or(0, |id| id.index)
    }

    /// The last applied entry.
    pub(super) fn place(&self) -> Option<Place> {
        self.applied.map(place_of)
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
