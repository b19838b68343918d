//! Documents about members' tags.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ban::AppliedBy;
use super::document::schema;
use crate::id::{LogIndex, MemberId};
use crate::trust::{Name, Tag};

/// A member and its tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberTags {
    /// Its id.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// What it is labelled with.
    pub tags: BTreeSet<Tag>,
}

/// How members are labelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// The present members, by id.
    pub members: Vec<MemberTags>,
    /// Up to where this host has applied the log.
    pub applied: LogIndex,
}

/// Label a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRequest {
    /// Its name, id or overlay address.
    pub member: String,
    /// Tags it shall have too.
    #[serde(default)]
    pub add: BTreeSet<Tag>,
    /// Tags it shall not have any more.
    #[serde(default)]
    pub remove: BTreeSet<Tag>,
    /// Wait until every member has applied it, for so many milliseconds at most; not at all when absent.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// The member is labelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagReply {
    /// Its id.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// All tags it has now.
    pub tags: BTreeSet<Tag>,
    /// Where that stands in the log.
    pub index: LogIndex,
    /// Who has applied it, when that was waited for.
    pub applied_by: Option<AppliedBy>,
}

schema! {
    Tags => "mesh.tags/v1",
    TagReply => "mesh.tagged/v1",
}
