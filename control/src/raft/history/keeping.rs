//! The history from one start to the next: a file of the shell's, which holds it as bytes.
//!
//! It decides nothing, so losing it costs no more than the memory of who led: it is neither flushed with the log nor part
//! of it.

use std::collections::{BTreeSet, VecDeque};

use mesh_model::codec::{self, CodecError};
use mesh_model::{LogIndex, MemberId, MeshId, Term};
use serde::{Deserialize, Serialize};

use super::{History, MAX_TRANSITIONS, Transition};

/// The most voters kept. Seven vote, fourteen while all are exchanged; of a set that a cheating leader made larger, those beyond
/// are told as a change after the next start.
const MAX_VOTERS: usize = 32;

/// The longest history, in bytes: 256 transitions of at most 56, and 32 ids of at most 10, with what is around them.
pub const MAX_KEPT: usize = 16 << 10;

/// A history, and whose.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    mesh: MeshId,
    me: MemberId,
    forgotten: u64,
    voters: Option<BTreeSet<MemberId>>,
    voters_at: Option<(Term, LogIndex)>,
    transitions: Vec<Transition>,
}

mesh_model::message!(Kept, "history of leads", version 1, limit MAX_KEPT);

impl History {
    /// What the next start of this host, a member of `mesh`, is to know.
    pub(in crate::raft) fn keep(&self, mesh: MeshId) -> Vec<u8> {
        let voters = self.voters.as_ref();
        codec::encode(&Kept {
            mesh,
            me: self.me,
            forgotten: self.forgotten,
            voters: voters.map(|voters| voters.iter().take(MAX_VOTERS).copied().collect()),
            voters_at: self.voters_at,
            transitions: self.transitions.iter().copied().collect(),
        })
    }

    /// The history of `me`, a member of `mesh`, that goes on from what was kept. One of another member is none.
    pub(in crate::raft) fn resume(
        (me, mesh): (MemberId, MeshId),
        kept: &[u8],
    ) -> Result<Self, CodecError> {
        let kept: Kept = codec::decode(kept)?;
        let Kept { mesh: of, me: whose, forgotten, voters, voters_at, transitions } = kept;
        let mut history = Self::new(me);
        if (whose, of) != (me, mesh) {
            return Ok(history);
        }
        let surplus = transitions.len().saturating_sub(MAX_TRANSITIONS);
        history.forgotten = forgotten.saturating_add(surplus as u64);
        history.transitions = VecDeque::from_iter(transitions.into_iter().skip(surplus));
        (history.voters, history.voters_at) = (voters, voters_at);
        Ok(history)
    }
}
