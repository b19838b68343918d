//! How a mesh begins.

use serde::{Deserialize, Serialize};

use super::{ChainError, MemberRecord, Name};
use crate::addr::Prefixes;
use crate::id::MeshId;
use crate::key::IdentityKey;
use crate::signed::Signed;

/// What a node must already know to believe anything else: the mesh and its root key. Comes from
/// `mesh init` or from a join token, is kept in the state directory, and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshRoot {
    /// The mesh.
    pub mesh: MeshId,
    /// The key all its trust starts from.
    pub key: IdentityKey,
}

impl MeshRoot {
    /// The root of the mesh whose trust starts at `key`.
    pub fn of(key: IdentityKey) -> Self {
        Self { mesh: MeshId::of_root(&key), key }
    }

    /// Fails when id and key do not belong together.
    pub fn check(&self) -> Result<(), ChainError> {
        if self.mesh == MeshId::of_root(&self.key) { Ok(()) } else { Err(ChainError::RootMismatch) }
    }
}

/// The state of a mesh before its first command. Signed by the root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The mesh and its root key.
    pub root: MeshRoot,
    /// What people call the mesh.
    pub name: Name,
    /// Where overlay addresses come from.
    pub prefixes: Prefixes,
    /// The first member. It has [`crate::MemberId::FOUNDER`].
    pub founder: MemberRecord,
    /// When, in milliseconds since the Unix epoch, by the founder's clock.
    pub created_ms: u64,
}

crate::message!(Genesis, "genesis", version 1, limit 1024);

impl Genesis {
    /// The genesis in `signed`, if it is that of `root`.
    pub fn verify(signed: &Signed<Self>, root: &MeshRoot) -> Result<Self, ChainError> {
        root.check()?;
        let genesis = signed.open(&root.key)?;
        if genesis.root != *root || genesis.founder.mesh != root.mesh {
            return Err(ChainError::OtherMesh);
        }
        if Prefixes::for_mesh(root.mesh, genesis.prefixes.v4) != Ok(genesis.prefixes) {
            return Err(ChainError::Contradiction("the prefixes are not ones a mesh can have"));
        }
        genesis.founder.check()?;
        Ok(genesis)
    }
}
