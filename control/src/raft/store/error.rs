//! Why the store cannot serve.

use mesh_model::codec::CodecError;
use mesh_model::trust::ChainError;
use mesh_model::{Fault, LogIndex, MemberId, MeshId};

use super::super::snapshot::SnapshotError;

/// Why the store cannot be made, opened or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing there: wiped, or never made.
    #[error("the agreement store is empty")]
    Empty,
    /// Something there already, where a new store was to be made.
    #[error("the place for a new agreement store is not empty")]
    Occupied,
    /// Readable, but not what was written: damaged, or no store at all.
    #[error("the agreement store is damaged: {0}")]
    Corrupt(String),
    /// Whole, but written by another version.
    #[error("the agreement store was written by another version of meshd: {0}")]
    OtherVersion(CodecError),
    /// The disk failed to read, write or keep what was written. Agreement on this host ends with the
    /// first of these.
    #[error("the disk below the agreement store failed: {0}")]
    Disk(String),
    /// The store of another member.
    #[error("the agreement store belongs to member {found}, this host is {expected}")]
    OtherMember {
        /// Who this host is.
        expected: MemberId,
        /// Whose store it is.
        found: MemberId,
    },
    /// The store of another mesh.
    #[error("the agreement store belongs to mesh {found}, this host to {expected}")]
    OtherMesh {
        /// This host's mesh.
        expected: MeshId,
        /// The store's.
        found: MeshId,
    },
    /// Somebody put an older copy in its place, or the disk lost what it had flushed. A vote that goes by it could undo what was agreed.
    #[error(
        "the agreement store is an old copy: it ended at index {ends}, and this host has signed what index {signed} led to"
    )]
    OldCopy {
        /// Where the log ended.
        ends: LogIndex,
        /// What this host had signed by then, as another member showed it.
        signed: LogIndex,
    },
    /// Shut down. Only tasks that have not heard of it yet see this.
    #[error("the agreement store is closed")]
    Closed,
    /// What a new store was to start from is not to be believed.
    #[error("not a genuine start: {0}")]
    Forged(SnapshotError),
}

impl StoreError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Disk(_) | Self::Closed => Fault::World,
            Self::Forged(_) => Fault::Peer,
            Self::Empty
            | Self::Occupied
            | Self::Corrupt(_)
            | Self::OtherVersion(_)
            | Self::OldCopy { .. }
            | Self::OtherMember { .. }
            | Self::OtherMesh { .. } => Fault::Local,
        }
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        use redb::Error as E;
        use std::io::ErrorKind as Kind;
        match error {
            // How redb says that the file has another format, or ends before it should.
            E::Io(error) if matches!(error.kind(), Kind::InvalidData | Kind::UnexpectedEof) => {
                Self::Corrupt(error.to_string())
            }
            E::Io(_) | E::PreviousIo | E::Unsupported | E::DatabaseClosed | E::LockPoisoned(_) => {
                Self::Disk(error.to_string())
            }
            other => Self::Corrupt(other.to_string()),
        }
    }
}

impl From<CodecError> for StoreError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Version { .. } => Self::OtherVersion(error),
            damaged => Self::Corrupt(damaged.to_string()),
        }
    }
}

impl From<SnapshotError> for StoreError {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Codec(version @ CodecError::Version { .. }) => {
                Self::OtherVersion(version)
            }
            forged => Self::Forged(forged),
        }
    }
}

impl From<ChainError> for StoreError {
    fn from(error: ChainError) -> Self {
        Self::Forged(error.into())
    }
}

/// openraft's storage traits speak `io::Error`.
impl From<StoreError> for std::io::Error {
    fn from(error: StoreError) -> Self {
        Self::other(error)
    }
}
