//! A host that is behind takes its state from a snapshot somebody brought: over a stick, not over the mesh.
//!
//! It does to the store what a snapshot from the leader does: what the snapshot holds of the log is dropped, an entry
//! behind it is kept if the log passes through the snapshot and dropped if it goes another way. That forgets nothing
//! that anybody may rely upon, if the snapshot is one that was agreed. **That it was agreed no signature in it shows**:
//! each member, invite and verdict in it is genuine, but a file may still leave one out or set the clock back. So it is
//! only for a host whose word nobody counts: one that votes, or ever did, is refused and gets what it lacks from the
//! leader. And what this host has applied must be what the snapshot came of, so nothing agreed is rolled back.
//!
//! The vote stays as it is. All of it is one transaction: half of it never happens.

use mesh_model::{LogIndex, MemberId};
use redb::{Durability, ReadableTable as _};

use super::super::export::Snapshot;
use super::super::records::EntryRecord;
use super::db::{LOG, META};
use super::log::{COMMITTED, PURGED};
use super::{SNAPSHOT, Store, StoreError, Stored};

/// Why a snapshot does not become this host's state. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatchUpError {
    /// It is of another mesh.
    #[error("the snapshot is of another mesh than this host's")]
    OtherMesh,
    /// This host's word counts, or did.
    #[error("{0} votes or has voted, and what it acknowledged must not be exchanged for a file")]
    Votes(MemberId),
    /// This host would not be in the mesh any more.
    #[error("{0} has no place in the mesh by that snapshot")]
    NoMember(MemberId),
    /// This host knows as much.
    #[error(
        "the snapshot stands for index {snapshot}, and this host has applied {applied} already"
    )]
    NotAhead {
        /// The snapshot's index.
        snapshot: LogIndex,
        /// This host's.
        applied: LogIndex,
    },
    /// The snapshot tells another past than this host's.
    #[error("the snapshot did not come of what this host has applied up to index {applied}")]
    OtherPast {
        /// This host's index.
        applied: LogIndex,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Takes `snapshot` for this host's state, and gives the index it had before.
    pub fn catch_up(&mut self, snapshot: &Snapshot) -> Result<LogIndex, CatchUpError> {
        self.check_snapshot(snapshot)?;
        let before = self.replica.index();
        let Some(upto) = snapshot.replica.applied else {
            return Err(CatchUpError::NotAhead { snapshot: 0, applied: before });
        };
        let payload = Stored(snapshot.payload().to_vec());
        self.log.db.write_now(Durability::Immediate, |txn| {
            let mut log = txn.open_table(LOG).map_err(redb::Error::from)?;
            let passes_through = match log.get(upto.index).map_err(redb::Error::from)? {
                Some(bytes) => {
                    mesh_model::codec::decode::<EntryRecord>(bytes.value())?.id() == upto
                }
                None => false,
            };
            let keeps = |index| passes_through && index > upto.index;
            log.retain(|index, _| keeps(index)).map_err(redb::Error::from)?;
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            SNAPSHOT.write(&mut meta, &payload)?;
            PURGED.write(&mut meta, &upto.into())?;
            COMMITTED.write(&mut meta, &upto.into())
        })?;
        self.log.db.forget_tail();
        self.replica = snapshot.replica.clone();
        Ok(before)
    }

    /// Whether one of those that signed `snapshot` votes by what this host knows. Anybody can sign one in which it votes alone.
    pub fn knows_a_signer(&self, snapshot: &Snapshot) -> bool {
        self.replica.voters().iter().any(|voter| snapshot.is_signed_by(*voter))
    }

    fn check_snapshot(&self, snapshot: &Snapshot) -> Result<(), CatchUpError> {
        let (me, applied) = (self.me(), self.replica.index());
        if snapshot.head().header.root != *self.root() {
            return Err(CatchUpError::OtherMesh);
        }
        let membership = self.membership()?;
        let will_vote = membership.membership().voter_ids().any(|voter| voter == me.0);
        if will_vote || self.replica.has_voted(me) || snapshot.has_voted(me) {
            return Err(CatchUpError::Votes(me));
        }
        if snapshot.head().header.index <= applied {
            return Err(CatchUpError::NotAhead { snapshot: snapshot.head().header.index, applied });
        }
        if !snapshot.replica.state.continues(&self.replica.state) {
            return Err(CatchUpError::OtherPast { applied });
        }
        match snapshot.view().has_place(me) {
            true => Ok(()),
            false => Err(CatchUpError::NoMember(me)),
        }
    }
}

#[cfg(test)]
mod tests;
