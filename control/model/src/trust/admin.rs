//! Who the admins are: a set that changes by the word of those in it.
//!
//! ```text
//! root key ──> {a0 root} ──change 1──> {a0 root, a1 alice} ──change 2──> ...      each change signed by enough of the set
//!   head0 ──────────────────────────> head1 ──────────────────────────> head2     before it, and naming the head before
//! ```
//!
//! A change names the [head](AdminsHead) it follows, so it fits one place in one history: it cannot be said a second time,
//! and two histories that part are not joined again.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::Name;
use crate::cosigned::{Cosigned, MAX_COSIGNERS};
use crate::id::{AdminId, MeshId};
use crate::key::IdentityKey;

/// The most admins at a time: all of them can sign one change. People, not hosts, so more is a sign that something else
/// is meant.
pub const MAX_ADMINS: usize = MAX_COSIGNERS;

/// The most changes of admins in the life of a mesh. All are kept for good, as every statement of an admin that was rests
/// on them; one a week makes twenty years, and 1.8 MB at the very most.
pub const MAX_ADMIN_CHANGES: u64 = 1000;

/// What stands for a set of admins and all sets before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdminsHead(pub [u8; 32]);

/// Text that is not such a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash of a mesh's admins: expected 64 hexadecimal digits in lower case")]
pub struct AdminsHeadError;

impl AdminsHead {
    /// That of a mesh in which only `root` is an admin.
    pub fn of_root(root: &IdentityKey) -> Self {
        Self(blake3::derive_key("meshd v1 admins of the root", root.as_bytes()))
    }

    /// The one after `change`, when this is the one before it. Who signed does not matter, only what.
    pub fn after(&self, change: &Cosigned<AdminChange>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("meshd v1 admins after a change");
        // The head has a fixed length, so nothing can be moved over the border between the two.
        hasher.update(&self.0).update(change.payload());
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for AdminsHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for AdminsHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AdminsHead {
    type Err = AdminsHeadError;

    fn from_str(text: &str) -> Result<Self, AdminsHeadError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| AdminsHeadError)?;
        bytes.try_into().map(Self).map_err(|_| AdminsHeadError)
    }
}

crate::codec::text_or_bytes!(AdminsHead, 32);

/// A change of the set of admins. Counts when as many present admins signed it as the set before it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminChange {
    /// The only mesh it is good for.
    pub mesh: MeshId,
    /// Its number: one more than that of the change before; the first is 1.
    pub serial: u64,
    /// What it changes.
    pub before: AdminsHead,
    /// How.
    pub step: AdminStep,
}

crate::message!(AdminChange, "admin change", version 1, limit 256);

/// What becomes of the set of admins. New kinds go to the end.
///
/// Everything a person has to see before signing is in here: whoever signs has only these bytes to go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminStep {
    /// One more. Its id is the number of the change.
    Add {
        /// What people call it. Unique among present admins.
        name: Name,
        /// What it signs with. Not that of anybody who is, or was, an admin.
        key: IdentityKey,
    },
    /// One less, for good.
    Remove {
        /// Who.
        admin: AdminId,
        /// What it is called.
        name: Name,
        /// Whether the invites it made admit nobody any more.
        revoke_invites: bool,
    },
    /// How many signatures the next change needs.
    Threshold(u8),
}

impl fmt::Display for AdminStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { name, key } => write!(f, "make {name} an admin, with the key {key}"),
            Self::Remove { admin, name, revoke_invites: false } => {
                write!(f, "{name} ({admin}) is no admin any more; the invites it made stay good")
            }
            Self::Remove { admin, name, revoke_invites: true } => {
                write!(
                    f,
                    "{name} ({admin}) is no admin any more, and its invites admit nobody any more"
                )
            }
            Self::Threshold(1) => f.write_str("any one admin can change who the admins are"),
            Self::Threshold(number) => {
                write!(f, "{number} admins have to sign to change who the admins are")
            }
        }
    }
}
