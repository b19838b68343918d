//! openraft's type parameters, chosen once.
//!
//! Log ids carry the standard leader id: at most one leader in each term, as in the Raft paper. Node
//! ids are member ids. A node has no address: the transport finds members by id.

use std::fmt;

use mesh_model::wire::sync::Place;
use openraft::vote::RaftLeaderId;
use openraft::{AsyncRuntime, EntryPayload, RaftTypeConfig};

use super::machine::Machine;
use super::runtime::Runtime;
use crate::command::{Command, Outcome, Proposal};

/// openraft names entries in its logs by their display.
impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.command {
            Command::Invite(_) => "invite",
            Command::Admit(_) => "admit",
            Command::Depart { .. } => "depart",
            Command::Judge(_) => "judge",
            Command::Lapse(_) => "lapse",
            Command::SetVoters(_) => "set voters",
            Command::ChangeAdmins(_) => "change admins",
            Command::Revoke(_) => "revoke",
            Command::Tag(_) => "tag",
            Command::SetAccess(_) => "set access",
            Command::Exclude { .. } => "exclude",
            Command::Rekey(_) => "rekey",
            #[cfg(feature = "next")]
            Command::Trial(_) => "trial",
        })
    }
}

openraft::declare_raft_types!(
    /// What agreement is about.
    pub(crate) Types:
        D = Proposal,
        // Blank and membership entries have no outcome.
        R = Option<Outcome>,
        NodeId = u64,
        Node = (),
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Runtime,
);

/// The leader of a term, and no other: in a log id the term says it all.
pub(crate) type LeaderId = <Types as RaftTypeConfig>::LeaderId;
pub(crate) type CommittedLeaderId = <LeaderId as RaftLeaderId>::Committed;
pub(crate) type Raft = openraft::Raft<Types, Machine>;
pub(crate) type Entry = <Types as RaftTypeConfig>::Entry;
pub(crate) type Payload = EntryPayload<Proposal, u64, ()>;
pub(crate) type Vote = <Types as RaftTypeConfig>::Vote;
pub(crate) type LogId = openraft::LogId<CommittedLeaderId>;
pub(crate) type Membership = openraft::Membership<u64, ()>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, u64, ()>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, u64, ()>;
/// A snapshot; its data are the bytes of a [`SnapshotRecord`](super::snapshot::SnapshotRecord).
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeaderId, u64, (), Vec<u8>>;
pub(crate) type Instant = <Runtime as AsyncRuntime>::Instant;

/// `id` as members tell it each other.
pub(super) fn place_of(id: LogId) -> Place {
    Place { term: id.leader_id.term, index: id.index }
}
