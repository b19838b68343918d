//! Documents about who votes and who shall.

use serde::{Deserialize, Serialize};

use super::document::schema;
use crate::id::MemberId;
use crate::trust::{Name, Region};

/// What the operator wants of a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoterWish {
    /// Nothing in particular: the mesh chooses.
    #[default]
    Auto,
    /// It votes before others do.
    Always,
    /// It never votes.
    Never,
}

/// A member and its vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// Its id.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// Whether it votes now.
    pub vote: bool,
    /// What the operator wants of it.
    pub wish: VoterWish,
    /// Its invite does not carry the right to vote and those of enough others do, so it gets no vote
    /// as long as nothing is wished of it. The wish `always` gives it the right.
    #[serde(default)]
    pub without_right: bool,
    /// Where it stands, if its tags tell.
    pub region: Option<Region>,
    /// Whether it answers the supervisor and holds nearly all of the log; `None` where the answering host does not
    /// lead and so cannot know.
    pub ready: Option<bool>,
    /// How many entries of the log it lacks, as far as the supervisor knows; `None` elsewhere, and when it has not
    /// answered yet.
    pub lag: Option<u64>,
    /// For how many seconds it has answered the supervisor without a pause; `None` where that is not known, while it is
    /// silent, and of the supervisor itself.
    pub steady_s: Option<u64>,
    /// How long its answers to the supervisor take, in microseconds; `None` in the same cases.
    pub rtt_us: Option<u64>,
}

/// Who votes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voters {
    /// How many shall vote, as the operator said; `None` when the mesh chooses.
    pub target: Option<u8>,
    /// How often the operator said who shall vote; 0 while the mesh chooses everything.
    pub serial: u64,
    /// All members, by id.
    pub members: Vec<Voter>,
}

/// Say how many shall vote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoterTargetRequest {
    /// 1, 3, 5 or 7; the mesh chooses when absent.
    #[serde(default)]
    pub target: Option<u8>,
}

/// Say what is wanted of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoterWishRequest {
    /// Its name, id or overlay address.
    pub member: String,
    /// What is wanted.
    pub wish: VoterWish,
}

schema! {
    Voters => "mesh.voters/v1",
}
