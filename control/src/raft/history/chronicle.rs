//! Writes down each change of who votes, once it is agreed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_model::MemberId;
use mesh_model::trust::VoterTarget;

use super::History;
use super::reason::Grounds;
use crate::ports::WallClock;
use crate::raft::replica::Replica;
use crate::raft::roles::usual_target;

/// The history, as whoever applies entries has it.
#[derive(Clone)]
pub(crate) struct Chronicle {
    history: Arc<Mutex<History>>,
    wall: Arc<dyn WallClock>,
}

impl Chronicle {
    pub(in crate::raft) fn of(history: &Arc<Mutex<History>>, wall: &Arc<dyn WallClock>) -> Self {
        Self { history: Arc::clone(history), wall: Arc::clone(wall) }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `replica` has just come to its membership. The first half of an exchange is none.
    pub(crate) fn note(&self, replica: &Replica) {
        let (Some(at), [voters]) =
            (replica.membership.log_id(), &replica.membership.membership().get_joint_config()[..])
        else {
            return;
        };
        let voters: BTreeSet<MemberId> = voters.iter().copied().map(MemberId).collect();
        let state = &replica.state;
        let present = state.members().present().keys().copied();
        let present: BTreeSet<MemberId> = present.filter(|id| !state.is_out(*id)).collect();
        let mut history = self.history();
        // A start may find less applied than was written down: how far the log is agreed is on disk half a second later.
        let at = (at.leader_id.term, at.index);
        if history.voters_at >= Some(at) {
            return;
        }
        history.voters_at = Some(at);
        let usual = usual_target(present.len(), history.voters.as_ref().map_or(0, BTreeSet::len));
        let target = state.voters().policy().and_then(|policy| policy.target);
        let grounds = Grounds {
            present: &present,
            without_right: &state.without_right(),
            wishes: &state.wishes(),
            target: target.map(VoterTarget::number).map_or(usual, usize::from),
            leader: history.leader_of(at.0),
            measured: None,
        };
        history.observe_voters(voters, self.wall.wall_ms(), &grounds);
    }
}
