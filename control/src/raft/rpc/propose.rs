//! What a member hears that had a proposal forwarded.

use mesh_model::{LogIndex, MemberId};
use openraft::errors::ForwardToLeader;
use serde::{Deserialize, Serialize};

use crate::command::Outcome;
use crate::raft::editions::HeldBack;
use crate::raft::types::Types;

/// What became of a forwarded proposal.
#[derive(Serialize, Deserialize)]
pub(crate) enum ProposeReply {
    /// Agreed and applied.
    Applied { index: LogIndex, outcome: Outcome },
    /// The member asked does not lead; perhaps this one does.
    NotLeader(Option<MemberId>),
    /// It leads but got no agreement in time. It may still come.
    Undecided,
    /// It leads, and members hold different states at this index.
    Diverged(LogIndex),
    /// It leads, and others could not read it.
    HeldBack(HeldBack),
    /// It leads, and nobody could take over the vote of the member that is to go. A build that does not know this tries again
    /// until its time is up.
    NoSuccessor(MemberId),
}

impl From<&ForwardToLeader<Types>> for ProposeReply {
    fn from(forward: &ForwardToLeader<Types>) -> Self {
        Self::NotLeader(forward.leader_id.map(MemberId))
    }
}
