//! Taking an invite back.

use serde::{Deserialize, Serialize};

use super::{ChainError, MeshRoot};
use crate::id::{InviteId, MeshId};
use crate::signed::Signed;

/// "This invite admits nobody any more." Signed by the root key.
///
/// There is no way back: who wants to admit after all makes another invite. So it needs no serial, however often
/// it is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The only mesh it is good for.
    pub mesh: MeshId,
    /// Which invite.
    pub invite: InviteId,
}

crate::message!(Revocation, "revocation", version 1, limit 64);

impl Revocation {
    /// The revocation in `signed`, if `root` signed it for its mesh.
    pub fn verify(signed: &Signed<Self>, root: &MeshRoot) -> Result<Self, ChainError> {
        let revocation = signed.open(&root.key)?;
        if revocation.mesh == root.mesh { Ok(revocation) } else { Err(ChainError::OtherMesh) }
    }
}
