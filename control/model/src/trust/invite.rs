//! Permission to bring members in.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{AdminStatement, ChainError, Tag};
use crate::audit::Event;
use crate::id::{InviteId, MeshId};
use crate::key::IdentityKey;

/// The most hosts one invite may admit: a rack brought up by one script; more is a second invite.
pub const MAX_INVITE_USES: u32 = 1000;

/// The longest an invite may stay valid: 30 days, in milliseconds.
pub const MAX_INVITE_LIFETIME_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Permission to admit up to `uses` members until `expires_ms`. Signed by an admin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The only mesh it is good for.
    pub mesh: MeshId,
    /// [`InviteId::of_key`] of `key`.
    pub id: InviteId,
    /// Signs the records of those it admits. The secret travels in the token.
    pub key: IdentityKey,
    /// How many members it may admit, 1 to [`MAX_INVITE_USES`].
    pub uses: u32,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When it stops admitting, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// What those it admits are tagged with until the root says otherwise; at most
    /// [`MAX_TAGS`](super::MAX_TAGS).
    pub tags: BTreeSet<Tag>,
    /// Where the IPv4 addresses of those it admits come from, a part of the mesh's prefix; the whole when absent.
    pub range: Option<Ipv4Net>,
    /// Whether those it admits have the right to vote. It counts from the third member that has it: then only they vote. While
    /// there are fewer everybody may alike, so a mesh in which nobody thinks of it governs itself.
    pub voter: bool,
}

crate::message!(Invite, "invite", version 1, limit 512);

impl AdminStatement for Invite {
    fn mesh(&self) -> MeshId {
        self.mesh
    }

    fn event(&self) -> Event {
        Event::InviteAdded { invite: self.id, uses: self.uses, expires_ms: self.expires_ms }
    }

    fn check(&self) -> Result<(), ChainError> {
        match self.id == InviteId::of_key(&self.key) {
            true => Ok(()),
            false => Err(ChainError::InviteMismatch),
        }
    }
}
