//! Documents about going on without a majority. Between `meshd` and the `mesh` that started it, but for [`EpochInfo`].

use serde::{Deserialize, Serialize};

use super::admin::Draft;
use super::document::schema;
use super::error::ErrorBody;
use super::invite::MemberName;
use crate::id::{LogIndex, MemberId, MeshId, Term};
use crate::trust::{EpochHead, Name};
use crate::view::StateHash;

/// What a stopped host could go on from alone, and the statement that admins would have to sign. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The mesh.
    pub mesh: MeshId,
    /// What people call it.
    pub mesh_name: Name,
    /// The host.
    pub member: MemberId,
    /// What people call it.
    pub name: Name,
    /// The epoch that would begin.
    pub epoch: u64,
    /// The last entry of its log. The mesh would go on from here.
    pub index: LogIndex,
    /// The term of that entry. Of two hosts the one with the higher term has more of what was agreed, of two with the same
    /// term the one with the higher index.
    pub term: Term,
    /// The last entry that it knows to be agreed; those after it may have been, and go along.
    pub agreed: LogIndex,
    /// When the last decision that it knows of was made, in milliseconds since the Unix epoch.
    pub last_decision_ms: Option<u64>,
    /// Who votes, as far as it knows. What more than half of them agreed on later would be lost.
    pub voters: Vec<MemberName>,
    /// How many members have a place in the mesh.
    pub members: u32,
    /// The statement.
    pub draft: Draft,
}

/// A host has begun another epoch, and leads once its daemon is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// The mesh.
    pub mesh: MeshId,
    /// The host.
    pub member: MemberId,
    /// The epoch.
    pub epoch: u64,
    /// What tells it from another with this number.
    pub head: EpochHead,
    /// The last entry it goes on from.
    pub from: LogIndex,
    /// Where its own log begins.
    pub first: LogIndex,
    /// The state's hash there, the same on every host that follows.
    pub state_hash: StateHash,
}

/// The epoch a host is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochInfo {
    /// How many came before it.
    pub number: u64,
    /// What tells it from another with this number.
    pub head: EpochHead,
    /// What the host had in the epoch before, if it was there.
    #[serde(default)]
    pub set_aside: Option<SetAside>,
    /// Why it does not go over to another epoch that it has heard of.
    #[serde(default)]
    pub obstacle: Option<ErrorBody>,
    /// How many questions and answers were of another epoch, since the daemon started.
    pub refused: u64,
}

/// A log that the mesh did not go on from. It stays on the host's disk, and nothing reads it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// The epoch it is of.
    pub epoch: u64,
    /// How far it had been applied.
    pub applied: LogIndex,
    /// Its last entry.
    pub last: LogIndex,
    /// Whether the new epoch has all of it. If not, decisions may be lost that are to be made again.
    pub contained: bool,
}

schema! {
    Recovery => "mesh.recovery/v1",
    Recovered => "mesh.recovered/v1",
}
