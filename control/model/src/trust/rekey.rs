//! A member's own word that its WireGuard key is another one from now on.

use serde::{Deserialize, Serialize};

use super::ChainError;
use crate::id::{MemberId, MeshId};
use crate::key::{IdentityKey, TunnelKey};
use crate::signed::Signed;

/// "My tunnels have another key." Signed by the member's identity key, which stays, so nobody can put a key of its own in
/// another's place.
///
/// It names the key that it replaces, so it fits one place in one history: a voter that proposes an old one again
/// changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekey {
    /// The only mesh it is good for.
    pub mesh: MeshId,
    /// Who says so.
    pub member: MemberId,
    /// How often the member has said so, with this time.
    pub serial: u64,
    /// The key it had.
    pub before: TunnelKey,
    /// The key it has.
    pub tunnel: TunnelKey,
}

crate::message!(Rekey, "rekey", version 1, limit 128);

impl Rekey {
    /// The statement in `signed`, if `identity` signed it for `mesh`.
    pub fn verify(
        signed: &Signed<Self>,
        mesh: MeshId,
        identity: &IdentityKey,
    ) -> Result<Self, ChainError> {
        let rekey = signed.open(identity)?;
        if rekey.mesh == mesh { Ok(rekey) } else { Err(ChainError::OtherMesh) }
    }
}
