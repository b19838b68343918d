//! What this host's log led to, and what voters signed about theirs.
//!
//! The state machine notes a mark where it has applied a batch, at every [`GRID`]th index and at every change of who
//! votes: under load no two members' batches end alike, and a majority has to sign the same index.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_model::codec::{self, Message as _};
use mesh_model::view::StateHash;
use mesh_model::wire::sync::ElectorateHash;
use mesh_model::{MemberId, MeshId};
use openraft::async_runtime::watch::WatchSender as _;

use super::machine::SharedReplica;
use super::records::StoredMembershipRecord;
use super::replica::Replica;
use super::types::{Entry, LogId, Membership, Payload, StoredMembership, place_of};
use super::watch as ordered;
use crate::sync::{Mark, Words};

/// A mark at every so many entries: half of what one answer carries, so that whoever is far behind finds one in each.
/// A mark costs an encoding of the state, 1 ms with a thousand members.
pub(super) const GRID: u64 = 32;

/// The words of voters, shared between the state machine and whoever signs, tells and follows.
pub(crate) struct Testimony {
    words: Mutex<Words>,
    changed: ordered::Sender<u64>,
}

impl Testimony {
    /// With the replica's own first mark.
    pub(crate) fn of(replica: &SharedReplica, mesh: MeshId, me: MemberId) -> Arc<Self> {
        let testimony = Self::new(mesh, me);
        testimony.note_replica(&replica.lock());
        Arc::new(testimony)
    }

    fn new(mesh: MeshId, me: MemberId) -> Self {
        let (changed, _) = ordered::channel(0);
        Self { words: Mutex::new(Words::new(mesh, me)), changed }
    }

    /// Held for the length of one look, never across an await.
    pub(crate) fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when there is another mark, or word.
    pub(crate) fn changes(&self) -> ordered::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Wakes whoever waits for marks and words.
    pub(crate) fn tell(&self) {
        self.changed.send_if_modified(|count| {
            *count += 1;
            true
        });
    }

    /// What the log has led `replica` to, on this host.
    pub(crate) fn note_replica(&self, replica: &Replica) {
        if let Some(mark) = replica.mark() {
            self.note(mark, &replica.voters());
        }
    }

    /// This host's log led to `mark`, where `voters` vote.
    pub(crate) fn note(&self, mark: Mark, voters: &BTreeSet<MemberId>) {
        self.words().note(mark, voters);
        self.report();
        self.tell();
    }

    /// Tells the log of divergences that are new.
    pub(crate) fn report(&self) {
        let untold = self.words().untold();
        for divergence in &untold {
            let (index, parties) = (divergence.index, &divergence.parties);
            tracing::error!(
                index,
                ?parties,
                "members hold different states at one index: one of them is broken or cheats; \
                 this host takes part in no change of membership while both are members"
            );
        }
    }
}

/// Whether a mark belongs at `entry`, wherever batches end.
pub(super) fn is_marked(entry: &Entry) -> bool {
    entry.log_id.index.is_multiple_of(GRID) || matches!(entry.payload, Payload::Membership(_))
}

impl Replica {
    /// What the log has led to here; `None` before the first entry.
    pub(crate) fn mark(&self) -> Option<Mark> {
        Some(self.mark_of(self.applied?, self.state.hash()))
    }

    /// The same, where the state's hash is known.
    pub(crate) fn mark_of(&self, at: LogId, state: StateHash) -> Mark {
        let electorate = electorate_hash(&self.membership);
        Mark { at: place_of(at), log: self.log, state, electorate, encoding: self.state.version() }
    }

    /// Those that have a vote, in one set or the other.
    pub(crate) fn voters(&self) -> BTreeSet<MemberId> {
        self.membership.membership().voter_ids().map(MemberId).collect()
    }

    /// The sets of voters: one, or two while one is being exchanged for another.
    pub(crate) fn electorate(&self) -> Vec<BTreeSet<MemberId>> {
        sets_of_voters(self.membership.membership())
    }
}

/// Who votes by `membership`: one set, or two while one is being exchanged for another.
pub(super) fn sets_of_voters(membership: &Membership) -> Vec<BTreeSet<MemberId>> {
    let configs = membership.get_joint_config().iter();
    configs.map(|set| set.iter().copied().map(MemberId).collect()).collect()
}

fn electorate_hash(membership: &StoredMembership) -> ElectorateHash {
    let mut hasher = blake3::Hasher::new_derive_key("meshd v1 electorate hash");
    hasher.update(&codec::encode(&StoredMembershipRecord::from(membership)));
    ElectorateHash(hasher.finalize().into())
}
