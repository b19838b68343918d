//! Why another member's request is not carried out, and whose fault that is.

use mesh_model::codec::CodecError;
use mesh_model::{Fault, MemberId, Term};

use crate::raft::snapshot::SnapshotError;

/// Why a request was not carried out. The link is closed without a reply; the caller sees a broken
/// call and tries again as it would after any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The sender is no member of this mesh.
    #[error("{0} is no member")]
    NotAMember(MemberId),
    /// The sender left, or was banned, while it waited for news.
    #[error("{0} went while it waited for news")]
    LeftMeanwhile(MemberId),
    /// The sender speaks for somebody else.
    #[error("{from} may not speak as {claimed}")]
    NotEntitled {
        /// Who sent it.
        from: MemberId,
        /// Whose word it claims to be.
        claimed: MemberId,
    },
    /// The sender has no vote and speaks as if it had.
    #[error("{0} speaks like a voter and is none")]
    NoVote(MemberId),
    /// The sender speaks like a leader without having been elected, or asks for votes after it was.
    #[error("{0} leads what it has not won, or campaigns for what it has")]
    OutOfTurn(MemberId),
    /// The sender proposes what only the leader may.
    #[error("{0} proposes what only the leader may")]
    NotTheLeader(MemberId),
    /// The sender's word on where its log led does not count.
    #[error("{0} brings a checkpoint that does not count")]
    WordNotTaken(MemberId),
    /// A term that no number of elections leads to.
    #[error("{from} speaks of term {term}, this host is in {ours}")]
    TermOutOfReach {
        /// Who sent it.
        from: MemberId,
        /// The term it speaks of.
        term: Term,
        /// This host's term.
        ours: Term,
    },
    /// Not a request this build understands.
    #[error(transparent)]
    Malformed(#[from] CodecError),
    /// A snapshot that is not genuine, or contradicts what is already agreed.
    #[error("{0}")]
    Snapshot(#[from] SnapshotError),
    /// A snapshot that no correct leader can have sent.
    #[error("the snapshot contradicts what is agreed")]
    Contradiction,
    /// This host was left behind.
    #[error("the leader has said what this host cannot read")]
    Outdated,
    /// This host has not heard yet what it signed before it started.
    #[error("this host has started and does not vote yet")]
    Recollecting,
    /// Agreement on this host has stopped.
    #[error("agreement has stopped here")]
    Stopped,
}

impl RpcError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Outdated | Self::Recollecting => Fault::Local,
            Self::Stopped | Self::LeftMeanwhile(_) => Fault::World,
            _ => Fault::Peer,
        }
    }
}
