//! Documents about what admins rule: ban, unban, remove, bans.

use serde::{Deserialize, Serialize};

use super::document::schema;
use crate::id::{LogIndex, MemberId};
use crate::key::IdentityKey;
use crate::trust::{Misconduct, Name, Reason};

/// Ban a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BanRequest {
    /// Its name, id or overlay address.
    pub member: String,
    /// For how long, in seconds; for good when absent.
    #[serde(default)]
    pub for_s: Option<u64>,
    /// Why.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Answer only when every member has applied it, or this many milliseconds are over.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// End a member's ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnbanRequest {
    /// Its name, id or overlay address.
    pub member: String,
    /// As in [`BanRequest::wait_ms`].
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// Remove a member for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// Its name, id or overlay address.
    pub member: String,
    /// As in [`BanRequest::wait_ms`].
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// Who has applied an entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedBy {
    /// How many present members have, this host included.
    pub members: usize,
    /// Of how many.
    pub of: usize,
    /// How long that took, in milliseconds.
    pub waited_ms: u64,
}

/// The member is banned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanReply {
    /// Who.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// When the ban ends by itself, in milliseconds since the Unix epoch; `None`: it does not.
    pub until_ms: Option<u64>,
    /// Where the ban stands in the log.
    pub index: LogIndex,
    /// Who has applied it; `None` when nobody waited for that.
    pub applied_by: Option<AppliedBy>,
}

/// The member is not banned any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbanReply {
    /// Who.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// Where that stands in the log.
    pub index: LogIndex,
    /// As in [`BanReply::applied_by`].
    pub applied_by: Option<AppliedBy>,
}

/// The member is none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveReply {
    /// The id it had; nobody will have it again.
    pub member: MemberId,
    /// The name it had.
    pub name: Name,
    /// Where the removal stands in the log.
    pub index: LogIndex,
    /// As in [`BanReply::applied_by`].
    pub applied_by: Option<AppliedBy>,
}

/// Whose word keeps a member out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BanKind {
    /// An admin's.
    #[default]
    Ban,
    /// That of other members, for a time.
    Exclusion,
}

/// A ban or an exclusion that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Who.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// Its identity.
    pub identity: IdentityKey,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// When it ends by itself, in milliseconds since the Unix epoch; `None`: it does not.
    pub until_ms: Option<u64>,
    /// Why.
    pub reason: Option<Reason>,
    /// Whose word it is.
    #[serde(default)]
    pub kind: BanKind,
    /// Of an exclusion: the members that reported it.
    #[serde(default)]
    pub reporters: Vec<MemberId>,
    /// Of an exclusion: what for.
    #[serde(default)]
    pub misconduct: Vec<Misconduct>,
}

/// All bans and exclusions that hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bans {
    /// By member.
    pub bans: Vec<Ban>,
    /// Up to where this host has applied the log.
    pub applied: LogIndex,
}

schema! {
    BanReply => "mesh.ban/v1",
    UnbanReply => "mesh.unban/v1",
    RemoveReply => "mesh.removed/v1",
    Bans => "mesh.bans/v1",
}
