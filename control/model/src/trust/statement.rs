//! What a statement needs that counts when one admin signed it.

use super::ChainError;
use crate::audit::Event;
use crate::codec::Message;
use crate::id::MeshId;
use crate::key::IdentityKey;
use crate::signed::Signed;

/// Something one admin may say for its mesh. Who the admins are is not said this way, but by an
/// [`AdminChange`](super::AdminChange), which may need several.
pub trait AdminStatement: Message {
    /// The only mesh it is good for.
    fn mesh(&self) -> MeshId;

    /// What the audit trail says once it is agreed. So the trail bears witness of each statement that a state rests on.
    fn event(&self) -> Event;

    /// Whether it is well-formed in itself.
    fn check(&self) -> Result<(), ChainError> {
        Ok(())
    }

    /// The statement in `signed`, if `admin` signed it for `mesh`.
    fn verify(
        signed: &Signed<Self>,
        mesh: MeshId,
        admin: &IdentityKey,
    ) -> Result<Self, ChainError> {
        let statement = signed.open(admin)?;
        if statement.mesh() != mesh {
            return Err(ChainError::OtherMesh);
        }
        statement.check()?;
        Ok(statement)
    }
}
