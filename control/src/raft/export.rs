//! A snapshot as a file of its own: made from this host's replica, or opened and held to what it says.
//!
//! The payload is what lies on disk and travels between members ([`snapshot`](super::snapshot)): one codec in one place.
//! The header in front of it ([`mesh_model::snapshot`]) is what can be known of it without the state machine; nothing of
//! it is believed here. [`Snapshot::open`] expands no more than the header claims, which is bounded, checks every
//! signature from the root key up, and compares each claim with what is really inside.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::snapshot::{self, MAX_NAMED_VOTERS, SnapshotFileError, SnapshotHeader};
use mesh_model::trust::MeshRoot;
use mesh_model::view::ClusterView;
use mesh_model::{MemberId, codec};

use super::group::Group;
use super::replica::Replica;
use super::snapshot::SnapshotError;

/// Why a file is not a snapshot to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It is damaged, or no snapshot's file.
    #[error(transparent)]
    File(#[from] SnapshotFileError),
    /// It is of another mesh.
    #[error("it is of the mesh {}, not of {}", found.mesh, expected.mesh)]
    OtherMesh {
        /// The mesh it should be of.
        expected: MeshRoot,
        /// The mesh it says it is of.
        found: MeshRoot,
    },
    /// What is inside does not hold.
    #[error(transparent)]
    Inside(#[from] SnapshotError),
    /// The header says something else than what is inside.
    #[error("its header says another {0} than what is inside")]
    Claim(&'static str),
}

/// A snapshot's file that was opened, and holds.
#[derive(Debug, Clone)]
pub struct Snapshot {
    header: SnapshotHeader,
    payload: Vec<u8>,
    pub(super) replica: Replica,
}

impl Snapshot {
    /// The snapshot in `file`, if everything in it holds. `expected` is the mesh it must be of; without it, whatever mesh
    /// it says, whose id vouches for the key all signatures were checked with.
    pub fn open(file: &[u8], expected: Option<&MeshRoot>) -> Result<Self, ExportError> {
        let (header, payload) = snapshot::read(file)?;
        if let Some(expected) = expected.copied()
            && expected != header.root
        {
            return Err(ExportError::OtherMesh { expected, found: header.root });
        }
        // Fits: the header was checked against the most a state may have.
        let most = header.state_len as usize;
        let replica = Replica::open_within(payload, &header.root, most)?;
        let found = describe(&replica, codec::encode(&replica.state).len(), payload.len());
        match difference(&header, &found) {
            Some(claim) => Err(ExportError::Claim(claim)),
            None => Ok(Self { header, payload: payload.to_vec(), replica }),
        }
    }

    /// What it says of itself, all of which is so.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// The state in it, as the rest of the house sees it.
    pub fn view(&self) -> Arc<ClusterView> {
        self.replica.view()
    }

    /// Whether `member` has a vote in it, or ever had one.
    pub fn has_voted(&self, member: MemberId) -> bool {
        self.replica.has_voted(member)
    }

    /// The snapshot as it lies on disk and travels between members.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl Group {
    /// What this host knows to be agreed, as a file, and what that says of itself.
    pub fn export(&self) -> (SnapshotHeader, Vec<u8>) {
        let replica = self.inner().replica.lock().clone();
        replica.export()
    }
}

impl Replica {
    /// This replica as a file.
    pub(super) fn export(&self) -> (SnapshotHeader, Vec<u8>) {
        let state = codec::encode(&self.state);
        let payload = self.pack(&state);
        let header = describe(self, state.len(), payload.len());
        let file = snapshot::write(&header, &payload);
        (header, file)
    }
}

/// What is true of `replica`, whose encoded state and whose payload have these lengths.
fn describe(replica: &Replica, state_len: usize, payload_len: usize) -> SnapshotHeader {
    let state = &replica.state;
    let founding = state.founding();
    let voters: BTreeSet<_> = replica.membership.membership().voter_ids().map(MemberId).collect();
    let voters = voters.into_iter().take(MAX_NAMED_VOTERS).collect();
    SnapshotHeader {
        root: founding.root,
        mesh_name: founding.name.clone(),
        index: replica.index(),
        term: replica.applied.map_or(0, |id| id.leader_id.term),
        state_hash: state.hash(),
        agreed_ms: state.now_ms(),
        members: u32::try_from(state.members().present().len()).unwrap_or(u32::MAX),
        voters,
        state_len: state_len as u64,
        payload_len: payload_len as u64,
    }
}

/// In what `claimed` differs from what was `found`.
fn difference(claimed: &SnapshotHeader, found: &SnapshotHeader) -> Option<&'static str> {
    let claims = [
        ("root key", claimed.root == found.root),
        ("mesh name", claimed.mesh_name == found.mesh_name),
        ("index", claimed.index == found.index),
        ("term", claimed.term == found.term),
        ("state hash", claimed.state_hash == found.state_hash),
        ("time", claimed.agreed_ms == found.agreed_ms),
        ("number of members", claimed.members == found.members),
        ("set of voters", claimed.voters == found.voters),
        ("size", claimed.state_len == found.state_len && claimed.payload_len == found.payload_len),
    ];
    claims.into_iter().find(|(_, holds)| !holds).map(|(claim, _)| claim)
}

#[cfg(test)]
mod tests;
