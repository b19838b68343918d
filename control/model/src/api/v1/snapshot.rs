//! Documents about snapshots: what the mesh had agreed on, as files.

use serde::{Deserialize, Serialize};

use super::document::schema;
use super::invite::MemberName;
use crate::id::{LogIndex, MemberId, MeshId, Term};
use crate::snapshot::SnapshotHead;
use crate::trust::Name;
use crate::view::StateHash;

/// What a snapshot's file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// The mesh.
    pub mesh: MeshId,
    /// What people call it.
    pub mesh_name: Name,
    /// The last entry of the log that is in it.
    pub index: LogIndex,
    /// The term of that entry.
    pub term: Term,
    /// The hash of the agreed state, the same on every member at this index.
    pub state_hash: StateHash,
    /// The latest time the mesh had agreed on, in milliseconds since the Unix epoch.
    pub agreed_ms: u64,
    /// How many members have a place in the mesh.
    pub members: u32,
    /// Who votes.
    pub voters: Vec<MemberId>,
    /// Who of them signed it, by their own account: `mesh snapshot verify` checks that.
    #[serde(default)]
    pub signed_by: Vec<MemberId>,
    /// Bytes of the state once expanded.
    pub state_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

impl SnapshotInfo {
    /// Of the file with this header and so many bytes.
    pub fn of(head: &SnapshotHead, file_bytes: u64) -> Self {
        let header = &head.header;
        Self {
            mesh: header.root.mesh,
            mesh_name: header.mesh_name.clone(),
            index: header.index,
            term: header.term,
            state_hash: header.state_hash,
            agreed_ms: header.agreed_ms,
            members: header.members,
            voters: header.voters.iter().copied().collect(),
            signed_by: head.signers().into_iter().collect(),
            state_bytes: header.state_len,
            file_bytes,
        }
    }
}

/// The snapshots a host keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// By index, the newest last.
    pub snapshots: Vec<SnapshotInfo>,
    /// The names of files among them that cannot be read as one.
    pub damaged: Vec<String>,
}

/// Send the file of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotDownload {
    /// The one of this index; the newest when absent.
    #[serde(default)]
    pub index: Option<LogIndex>,
}

/// A snapshot that holds: every signature in it from the root key up, what voters signed of it, and all it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotVerdict {
    /// What it says.
    pub snapshot: SnapshotInfo,
    /// Whether a majority of those that vote in it signed it.
    #[serde(default)]
    pub proven: bool,
    /// Who has a place in the mesh, by id.
    pub members: Vec<MemberName>,
    /// Who of them is banned.
    pub banned: Vec<MemberId>,
}

/// A snapshot became this host's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotApplied {
    /// The mesh.
    pub mesh: MeshId,
    /// This host.
    pub member: MemberId,
    /// What it had applied before.
    pub before: LogIndex,
    /// What it has applied now.
    pub index: LogIndex,
    /// The hash of its state now.
    pub state_hash: StateHash,
}

schema! {
    SnapshotInfo => "mesh.snapshot/v1",
    Snapshots => "mesh.snapshots/v1",
    SnapshotVerdict => "mesh.snapshot_verdict/v1",
    SnapshotApplied => "mesh.snapshot_applied/v1",
}
