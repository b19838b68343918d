//! What an error looks like.

use serde::{Deserialize, Serialize};

use super::invite::MemberName;

/// What went wrong, for programs. `mesh` turns it into its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A field of the request is wrong. Exit code 2.
    BadRequest,
    /// The caller may not do this. Exit code 4.
    NotPermitted,
    /// The daemon belongs to no mesh yet. Exit code 1.
    NotJoined,
    /// The daemon already belongs to a mesh. Exit code 1.
    AlreadyJoined,
    /// No such member. Exit code 1.
    UnknownMember,
    /// The mesh refused: a token used, expired or garbled, a name taken. Exit code 1.
    Refused,
    /// This daemon does not hold the mesh's root key. Exit code 1.
    NotAdmin,
    /// No supervisor could be reached, or no majority. Exit code 5.
    NoQuorum,
    /// It did not happen in time. Exit code 6.
    TimedOut,
    /// Nobody could be reached. Exit code 1.
    Unreachable,
    /// The state directory's disk failed. Exit code 1.
    Disk,
    /// A bug in meshd. Exit code 1.
    Internal,
    /// The mesh speaks a version that this host's build does not understand. Exit code 1.
    Outdated,
}

/// What happened, what it means, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// What happened and what it means, one sentence, lower case, no full stop.
    pub message: String,
    /// What to do about it; empty when there is nothing to add.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The members that were waited for in vain, all of them; the message names the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MemberName>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    /// The error.
    pub error: ErrorBody,
}
