//! Documents about the mesh's root key, between `meshd` and the `mesh` that started it. Never on a socket.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::document::schema;
use crate::id::{MemberId, MeshId};
use crate::key::IdentityKey;

/// The root key. Whoever sees this document has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct RootSecret {
    /// The mesh.
    #[zeroize(skip)]
    pub mesh: MeshId,
    /// Its public half.
    #[zeroize(skip)]
    pub root: IdentityKey,
    /// Its seed.
    pub seed: [u8; 32],
}

impl std::fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RootSecret({})", self.mesh)
    }
}

/// A host holds the root key now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRestored {
    /// The mesh.
    pub mesh: MeshId,
    /// Its public half.
    pub root: IdentityKey,
    /// The host.
    pub member: MemberId,
}

schema! {
    RootSecret => "mesh.root_secret/v1",
    RootRestored => "mesh.root_restored/v1",
}
