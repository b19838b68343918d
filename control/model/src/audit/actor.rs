//! Who decided.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{AdminId, InviteId, MemberId};

/// Whose signatures a decision rests on: not who passed it on, and not who put it in order. New kinds go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// Whoever holds the mesh's root key, as an admin.
    Root,
    /// A host that came in by itself: it signed with the invite's key and with the identity it has as a member.
    Joiner {
        /// The invite.
        invite: InviteId,
        /// The id it got.
        member: MemberId,
    },
    /// A member, with its identity key.
    Member {
        /// Which.
        member: MemberId,
    },
    /// Nobody: it follows from what was decided before, and from the time.
    Time,
    /// Other admins than the root alone.
    Admins {
        /// Which, in ascending order; several only where several have to sign.
        admins: Vec<AdminId>,
    },
    /// Several members, each with its identity key.
    Members {
        /// Which, in ascending order.
        members: Vec<MemberId>,
    },
}

impl Actor {
    /// The members that acted, if they were members.
    pub fn members(&self) -> &[MemberId] {
        match self {
            Self::Root | Self::Time | Self::Admins { .. } => &[],
            Self::Joiner { member, .. } | Self::Member { member } => std::slice::from_ref(member),
            Self::Members { members } => members,
        }
    }

    /// The admins that signed, if they were admins.
    pub fn signing_admins(&self) -> &[AdminId] {
        match self {
            Self::Root => &[AdminId::ROOT],
            Self::Admins { admins } => admins,
            Self::Joiner { .. } | Self::Member { .. } | Self::Time | Self::Members { .. } => &[],
        }
    }

    /// The invite whose key was used, if one was.
    pub fn invite(&self) -> Option<InviteId> {
        match self {
            Self::Joiner { invite, .. } => Some(*invite),
            Self::Root
            | Self::Member { .. }
            | Self::Time
            | Self::Admins { .. }
            | Self::Members { .. } => None,
        }
    }

    /// The one admin that signed.
    pub fn admin(admin: AdminId) -> Self {
        Self::admins(vec![admin])
    }

    /// The admins that signed, which are in ascending order.
    pub fn admins(admins: Vec<AdminId>) -> Self {
        match admins[..] {
            [AdminId::ROOT] => Self::Root,
            _ => Self::Admins { admins },
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Time => f.write_str("time"),
            Self::Joiner { member, .. } | Self::Member { member } => member.fmt(f),
            Self::Admins { admins } => joined(admins, f),
            Self::Members { members } => joined(members, f),
        }
    }
}

/// Several at once, as in `m3+m7`.
fn joined(all: &[impl fmt::Display], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, one) in all.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { "+" })?;
        one.fmt(f)?;
    }
    Ok(())
}
