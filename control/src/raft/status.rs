//! Agreement at a glance.

use std::time::Duration;

use mesh_model::trust::EpochId;
use mesh_model::view::StateHash;
use mesh_model::{Edition, Fault, LogIndex, MemberId, Term};
use openraft::ServerState;
use serde::{Deserialize, Serialize};

use super::lookout::Obstacle;
use super::store::{Aside, StoreError};

/// A member's part in agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Leads this term.
    Leader,
    /// Follows a leader or waits for one.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows without a vote.
    Learner,
    /// Takes part no more: shut down, or failed.
    Stopped,
}

impl From<ServerState> for Role {
    fn from(state: ServerState) -> Self {
        match state {
            ServerState::Leader => Self::Leader,
            ServerState::Follower => Self::Follower,
            ServerState::Candidate => Self::Candidate,
            ServerState::Learner => Self::Learner,
            ServerState::Shutdown => Self::Stopped,
        }
    }
}

/// Who leads, as far as this host knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leadership {
    /// This host's part.
    pub role: Role,
    /// The current term.
    pub term: Term,
    /// The leader of that term; `None` while there is none.
    pub leader: Option<MemberId>,
}

/// A member as its leader knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    /// It answers and holds nearly all of the log.
    pub ready: bool,
    /// How many entries it lacks; `None` while it has not said what it holds.
    pub lag: Option<u64>,
    /// For how long it has answered without a pause; `None` while it is silent, and of the leader itself.
    pub unbroken: Option<Duration>,
    /// How long its answers take; `None` while it is silent, and of the leader itself.
    pub round_trip: Option<Duration>,
}

/// Agreement as this host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// Who leads.
    pub leadership: Leadership,
    /// The last index known to be agreed.
    pub commit: LogIndex,
    /// The last applied index.
    pub applied: LogIndex,
    /// The state's hash at `applied`.
    pub state_hash: StateHash,
    /// The newest edition of which something was agreed.
    pub edition: Edition,
    /// The newest edition this host reads.
    pub reads: Edition,
    /// Who votes, by id; those of both sets while one is being exchanged for another.
    pub voters: Vec<MemberId>,
    /// One set of voters is being exchanged for another: until that is done, nothing is agreed without a
    /// majority of each.
    pub changing: bool,
    /// Who follows without a vote, by id.
    pub learners: Vec<MemberId>,
    /// Since when a majority has decided without interruption.
    pub epoch: EpochStatus,
}

/// The epoch this host is in, and what it has to do with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochStatus {
    /// Which.
    pub id: EpochId,
    /// What this host held when it went over into it; `None` if it came in later.
    pub aside: Option<Aside>,
    /// How many questions and answers were of another epoch, since this process started.
    pub refused: u64,
    /// A later epoch, or one beside this, that this host does not go over to.
    pub obstacle: Option<Obstacle>,
}

/// Why agreement on this host has ended. There is no way back but a restart of the process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupFailure {
    /// The store no longer serves: the disk failed, or holds something else than was written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// [`Group::shutdown`](super::Group::shutdown) was called.
    #[error("agreement was shut down")]
    Shutdown,
    /// A bug, ours or openraft's.
    #[error("agreement came to a halt by a bug: {0}")]
    Bug(String),
}

impl GroupFailure {
    /// Whose fault it is; `None` for a bug or an orderly end.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Store(error) => Some(error.fault()),
            Self::Shutdown | Self::Bug(_) => None,
        }
    }
}
