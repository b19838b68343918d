//! Documents about who speaks for the mesh, and about statements that wait for signatures.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::ban::AppliedBy;
use super::document::schema;
use super::policy::PolicyRule;
use super::voters::VoterWish;
use crate::id::{AdminId, LogIndex, MeshId};
use crate::key::IdentityKey;
use crate::trust::{AdminsHead, Name, Reason, Tag};

/// Somebody who is, or was, an admin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    /// Its id; nobody else ever has it.
    pub admin: AdminId,
    /// Its name.
    pub name: Name,
    /// What it signs with.
    pub key: IdentityKey,
    /// Where in the log it became one; 0 for the holder of the root key.
    pub since: LogIndex,
    /// Where in the log it ceased to be one; `None` while it is.
    pub until: Option<LogIndex>,
    /// Whether the asked host has its key and signs with it.
    pub here: bool,
}

/// What an admin is called, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminName {
    /// Its id.
    pub admin: AdminId,
    /// Its name.
    pub name: Name,
}

/// Who speaks for the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admins {
    /// How many admins have to sign a change of admins.
    pub threshold: u8,
    /// How often they were changed.
    pub serial: u64,
    /// What stands for all changes so far. Equal on all members at equal index.
    pub head: AdminsHead,
    /// All there are and were, by id.
    pub admins: Vec<Admin>,
    /// Up to where this host has applied the log.
    pub applied: LogIndex,
}

/// What shall be said for the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Wanted {
    /// One admin more.
    AddAdmin {
        /// Its name.
        name: Name,
        /// What it signs with.
        key: IdentityKey,
    },
    /// One admin less.
    RemoveAdmin {
        /// Its name or id.
        admin: String,
        /// Whether its invites end with it.
        #[serde(default)]
        revoke_invites: bool,
    },
    /// So many have to sign the next change.
    AdminThreshold {
        /// How many.
        threshold: u8,
    },
    /// As in [`BanRequest`](super::BanRequest).
    Ban {
        /// The member's name, id or overlay address.
        member: String,
        /// For how long, in seconds; for good when absent.
        #[serde(default)]
        for_s: Option<u64>,
        /// Why.
        #[serde(default)]
        reason: Option<Reason>,
    },
    /// As in [`UnbanRequest`](super::UnbanRequest).
    Unban {
        /// The member's name, id or overlay address.
        member: String,
    },
    /// As in [`RemoveRequest`](super::RemoveRequest).
    Remove {
        /// The member's name, id or overlay address.
        member: String,
    },
    /// As in [`RevokeRequest`](super::RevokeRequest), of the invite alone.
    RevokeInvite {
        /// The invite's id, or the first digits of it that no other has.
        invite: String,
    },
    /// As in [`VoterTargetRequest`](super::VoterTargetRequest).
    VoterTarget {
        /// 1, 3, 5 or 7; the mesh chooses when absent.
        #[serde(default)]
        target: Option<u8>,
    },
    /// As in [`VoterWishRequest`](super::VoterWishRequest).
    VoterWish {
        /// The member's name, id or overlay address.
        member: String,
        /// What is wanted.
        wish: VoterWish,
    },
    /// As in [`InviteRequest`](super::InviteRequest), but that whoever asks has drawn the invite's key and keeps its secret.
    Invite {
        /// The public half of its key.
        key: IdentityKey,
        /// How many hosts it may admit.
        uses: u32,
        /// How long it is valid, in seconds, from when it is put into words.
        lifetime_s: u64,
        /// Where the addresses of those it admits come from; the whole of the mesh's prefix when absent.
        #[serde(default)]
        range: Option<Ipv4Net>,
        /// Whether those it admits have the right to vote. It counts from the third member that has it: then only they vote.
        #[serde(default)]
        voter: bool,
        /// What those it admits are tagged with.
        #[serde(default)]
        tags: BTreeSet<Tag>,
    },
    /// As in [`TagRequest`](super::TagRequest).
    Tag {
        /// The member's name, id or overlay address.
        member: String,
        /// Tags it shall have too.
        #[serde(default)]
        add: BTreeSet<Tag>,
        /// Tags it shall not have any more.
        #[serde(default)]
        remove: BTreeSet<Tag>,
    },
    /// As in [`PolicyRequest`](super::PolicyRequest).
    Policy {
        /// What shall be allowed, and nothing else.
        rules: Vec<PolicyRule>,
    },
}

/// Put something into words that can be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftRequest {
    /// What.
    pub wanted: Wanted,
    /// Whether the daemon signs it too, if it has an admin's key.
    pub sign: bool,
}

/// A statement that waits for signatures, and the file it travels in.
///
/// Only `request` counts. The rest is for whoever looks at the file, and may lie: `mesh admin sign` reads out what
/// `request` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The mesh it is for.
    pub mesh: MeshId,
    /// How many signatures it needs.
    pub needed: u8,
    /// Whose are there.
    pub signed_by: Vec<IdentityKey>,
    /// The statement and its signatures, in base64.
    pub request: String,
}

/// Propose a statement that has its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// As in [`Draft::request`].
    pub request: String,
    /// Answer only when every member has applied it, or this many milliseconds are over.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// The mesh has agreed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Where it stands in the log.
    pub index: LogIndex,
    /// Who has applied it; `None` when nobody waited for that.
    pub applied_by: Option<AppliedBy>,
}

schema! {
    Admins => "mesh.admins/v1",
    Draft => "mesh.request/v1",
    Submitted => "mesh.submitted/v1",
}
