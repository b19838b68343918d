//! A member's own goodbye.

use serde::{Deserialize, Serialize};

use super::ChainError;
use crate::id::{MemberId, MeshId};
use crate::key::IdentityKey;
use crate::signed::Signed;

/// "I leave." Signed by the member's identity key, so nobody else can say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The mesh it leaves.
    pub mesh: MeshId,
    /// Who leaves.
    pub member: MemberId,
}

crate::message!(Departure, "departure", version 1, limit 64);

impl Departure {
    /// The departure in `signed`, if `identity` signed it for `mesh`.
    pub fn verify(
        signed: &Signed<Self>,
        mesh: MeshId,
        identity: &IdentityKey,
    ) -> Result<Self, ChainError> {
        let departure = signed.open(identity)?;
        if departure.mesh == mesh { Ok(departure) } else { Err(ChainError::OtherMesh) }
    }
}
