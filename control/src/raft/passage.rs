//! The way from one epoch into the next: the state the admins signed, and their signatures.
//!
//! ```text
//! state at 105 ──hash──> in the statement ──signed by──> admins
//!      └── begin_epoch(statement) ──> the state at 1000105, in epoch 1: the same for everybody who goes this way
//! ```
//!
//! Nobody has to be believed for it, so any member that came this way passes it on: what it leads to follows from bytes
//! whose hash the admins signed. A snapshot of the new epoch would not do. Its signatures show that nobody was
//! invented, but its bearer could leave out what was agreed in the new epoch before.

use mesh_model::codec::{self, CodecError};
use mesh_model::trust::{Epoch, EpochId, MeshRoot};
use mesh_model::wire::sync::LogHash;
use mesh_model::{Cosigned, LogIndex};
use serde::{Deserialize, Serialize};

use super::replica::Replica;
use super::snapshot::{self, SNAPSHOT_LIMIT, SnapshotError};
use super::types::{CommittedLeaderId, LogId, Membership, StoredMembership, Vote};
use crate::state::{EpochError, State};

/// A passage as it is encoded.
#[derive(Serialize, Deserialize)]
pub(crate) struct PassageRecord {
    pub(crate) begun: Cosigned<Epoch>,
    /// The encoded [`State`] that the epoch goes on from, compressed with zstd.
    pub(crate) state: Vec<u8>,
}

mesh_model::message!(PassageRecord, "passage", version 1, limit SNAPSHOT_LIMIT);

/// Why bytes are no passage. Always the fault of whoever made them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassageError {
    /// The state in it is not to be believed, or nothing of it to be read.
    #[error(transparent)]
    State(#[from] SnapshotError),
    /// The statement in it does not begin an epoch there.
    #[error(transparent)]
    Epoch(#[from] EpochError),
}

impl From<CodecError> for PassageError {
    fn from(error: CodecError) -> Self {
        Self::State(error.into())
    }
}

/// A passage that holds.
#[derive(Debug, Clone)]
pub(crate) struct Passage {
    record_bytes: Vec<u8>,
    before: State,
    epoch: Epoch,
    replica: Replica,
}

impl Passage {
    /// The passage that `begun` opens from `state`, to which the entry `from` led.
    pub(crate) fn new(
        state: &State,
        from: LogIndex,
        begun: &Cosigned<Epoch>,
    ) -> Result<Self, PassageError> {
        let (epoch, replica) = go_over(state, from, begun)?;
        let packed = snapshot::compress(&codec::encode(state));
        let record_bytes = codec::encode(&PassageRecord { begun: begun.clone(), state: packed });
        Ok(Self { record_bytes, before: state.clone(), epoch, replica })
    }

    /// The passage in `bytes`, if everything in it holds from `root` up.
    pub(crate) fn open(bytes: Vec<u8>, root: &MeshRoot) -> Result<Self, PassageError> {
        let PassageRecord { begun, state } = codec::decode(&bytes)?;
        let before = snapshot::open_state(&state, root)?;
        let from = begun.peek()?.from;
        let (epoch, replica) = go_over(&before, from, &begun)?;
        Ok(Self { record_bytes: bytes, before, epoch, replica })
    }

    /// The bytes to be passed on.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.record_bytes
    }

    /// The state that the epoch goes on from.
    pub(crate) fn before(&self) -> &State {
        &self.before
    }

    /// What its admins said.
    pub(crate) fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Where it leads: the agreed state at the epoch's first index.
    pub(crate) fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The vote of one that came this way: for the one the admins named, which nobody had to elect.
    pub(crate) fn vote(&self) -> Vote {
        let term = self.replica.applied.map_or(0, |first| first.leader_id.term);
        Vote::new_committed(term, self.epoch.voter.0)
    }
}

/// Where `begun` leads from `state`.
fn go_over(
    state: &State,
    from: LogIndex,
    begun: &Cosigned<Epoch>,
) -> Result<(Epoch, Replica), EpochError> {
    let mut state = state.clone();
    let epoch = state.begin_epoch(from, begun)?;
    let id: EpochId = state.epoch();
    let leader_id = CommittedLeaderId::new(id.first_term());
    let first = LogId { leader_id, index: epoch.first };
    let voter = [epoch.voter.0];
    let membership = Membership::new_with_defaults(vec![voter.into()], []);
    let membership = StoredMembership::new(Some(first), membership);
    // The log of this epoch begins here.
    let log = LogHash::default();
    Ok((epoch, Replica { state, applied: Some(first), membership, log }))
}

#[cfg(test)]
mod tests;
