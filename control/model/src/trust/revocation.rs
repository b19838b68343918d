//! Taking an invite back.

use serde::{Deserialize, Serialize};

use super::AdminStatement;
use crate::audit::Event;
use crate::id::{InviteId, MeshId};

/// "This invite admits nobody any more." Signed by an admin.
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

impl AdminStatement for Revocation {
    fn mesh(&self) -> MeshId {
        self.mesh
    }

    fn event(&self) -> Event {
        Event::InviteRevoked { invite: self.invite }
    }
}
