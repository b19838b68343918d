//! Who a member is, and the proof that it may be one.

use serde::{Deserialize, Serialize};

use super::{ChainError, Invite, MeshRoot, Name};
use crate::id::{InviteId, MeshId};
use crate::key::{IdentityKey, IdentitySecret, Signature, TunnelKey};
use crate::signed::{Signed, SignedError};

/// What a member says of itself when it joins. Signed by the invite's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The mesh it joins.
    pub mesh: MeshId,
    /// What people call it. Unique among present members.
    pub name: Name,
    /// Its long-lived identity.
    pub identity: IdentityKey,
    /// Its WireGuard key.
    pub tunnel: TunnelKey,
}

crate::message!(MemberRecord, "member record", version 1, limit 256);

impl MemberRecord {
    /// Whether a correct host may say this of itself. A WireGuard key that is written in two ways would belong to two members.
    pub(super) fn check(&self) -> Result<(), ChainError> {
        match self.tunnel.is_degenerate() {
            true => Err(ChainError::Contradiction("a WireGuard key that keeps no secret")),
            false => Ok(()),
        }
    }
}

/// The context of a joiner's own signature over its record.
const POSSESSION: &str = "member record possession";

/// A member record with both its signatures: all that is needed to admit a member, and all that is
/// kept to prove later that it was admitted rightly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The invite it is admitted under.
    pub invite: InviteId,
    /// The record, signed by that invite's key.
    pub record: Signed<MemberRecord>,
    /// The same bytes, signed by the identity inside: the joiner holds its secret.
    pub possession: Signature,
}

crate::message!(Admission, "admission", version 1, limit 512);

impl Admission {
    /// Signs `record` with the secret of invite `invite` and with the joiner's own identity.
    pub fn sign(
        record: &MemberRecord,
        invite: InviteId,
        invite_secret: &IdentitySecret,
        identity: &IdentitySecret,
    ) -> Self {
        let record = Signed::seal(record, invite_secret);
        let possession = identity.sign(POSSESSION, record.payload());
        Self { invite, record, possession }
    }

    /// The record, if `invite` vouches for it and its owner holds the identity it claims.
    pub fn verify(&self, invite: &Invite, root: &MeshRoot) -> Result<MemberRecord, ChainError> {
        if self.invite != invite.id {
            return Err(ChainError::InviteMismatch);
        }
        let record = self.record.open(&invite.key)?;
        if record.mesh != root.mesh || invite.mesh != root.mesh {
            return Err(ChainError::OtherMesh);
        }
        record
            .identity
            .verify(POSSESSION, self.record.payload(), &self.possession)
            .map_err(|_| ChainError::NotOwnIdentity)?;
        record.check()?;
        Ok(record)
    }

    /// The record, **unverified**: for finding an earlier admission of the same identity.
    pub fn claimed(&self) -> Result<MemberRecord, ChainError> {
        Ok(self.record.peek().map_err(SignedError::from)?)
    }
}
