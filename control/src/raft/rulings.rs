//! What the root has said last, as one host has applied it.

use mesh_model::LogIndex;

use super::group::Group;
use crate::state::{Bans, Voters};

/// The last word on each member and on who votes. Views show what follows from it; this is what it rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rulings {
    /// The last entry this host had applied.
    pub index: LogIndex,
    /// About members.
    pub bans: Bans,
    /// About who votes.
    pub voters: Voters,
}

impl Group {
    /// What the root has said last, as this host has applied it.
    pub fn rulings(&self) -> Rulings {
        let replica = self.inner.replica.lock();
        let (bans, voters) = (replica.state.bans().clone(), replica.state.voters().clone());
        Rulings { index: replica.index(), bans, voters }
    }
}
