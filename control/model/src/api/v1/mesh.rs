//! Documents about the mesh as a whole: init, invite, join, leave, supervisor, wait, version.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::document::schema;
use super::supervision::Transition;
use crate::addr::OverlayAddrs;
use crate::id::{InviteId, LogIndex, MemberId, MeshId, Term};
use crate::trust::{Name, Tag};
use crate::view::StateHash;

/// How long an invite is valid unless said otherwise, in seconds: ten minutes, long enough to walk
/// to the other machine.
pub const DEFAULT_INVITE_LIFETIME_S: u64 = 600;

/// Start a mesh with this host as its first member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitRequest {
    /// The mesh's name; `mesh` when absent.
    #[serde(default)]
    pub mesh_name: Option<Name>,
    /// This host's name; taken from the host name when absent.
    #[serde(default)]
    pub name: Option<Name>,
    /// Where members' IPv4 addresses come from; [`crate::addr::DEFAULT_IPV4_PREFIX`] when absent.
    #[serde(default)]
    pub ipv4_prefix: Option<Ipv4Net>,
}

/// Join the mesh a token is for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The token: a secret.
    pub token: String,
    /// This host's name; taken from the host name when absent.
    #[serde(default)]
    pub name: Option<Name>,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

/// This host is a member now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedReply {
    /// The mesh.
    pub mesh: MeshId,
    /// What people call it.
    pub mesh_name: Name,
    /// This host's id.
    pub member: MemberId,
    /// This host's name.
    pub name: Name,
    /// This host's overlay addresses.
    pub addrs: OverlayAddrs,
}

/// Make an invite.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// How many hosts it may admit; 1 when absent.
    #[serde(default)]
    pub uses: Option<u32>,
    /// How long it is valid, in seconds; [`DEFAULT_INVITE_LIFETIME_S`] when absent.
    #[serde(default)]
    pub lifetime_s: Option<u64>,
    /// Where the addresses of those it admits come from, a part of the mesh's prefix; the whole when absent.
    #[serde(default)]
    pub range: Option<Ipv4Net>,
    /// Whether those it admits have the right to vote. It counts from the third member that has it: then only they vote.
    #[serde(default)]
    pub voter: bool,
    /// Underlay addresses the token shall name for this host, best first; the ones it knows of
    /// itself when empty.
    #[serde(default)]
    pub endpoints: Vec<SocketAddr>,
    /// What those it admits are tagged with.
    #[serde(default)]
    pub tags: BTreeSet<Tag>,
}

/// The invite is agreed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteReply {
    /// The invite's id, for the audit trail.
    pub invite: InviteId,
    /// The token to hand over: a secret.
    pub token: String,
    /// How many hosts it may admit.
    pub uses: u32,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

impl std::fmt::Debug for InviteReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteReply").field("invite", &self.invite).finish_non_exhaustive()
    }
}

/// Leave the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveRequest {
    /// Leave even when this host holds the root key, and forget the mesh here even when no majority can
    /// be reached to agree on it.
    #[serde(default)]
    pub force: bool,
}

/// This host is no member any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveReply {
    /// The mesh that was left.
    pub mesh: MeshId,
    /// The id this host had; nobody will have it again.
    pub member: MemberId,
    /// Where the departure stands in the log; `None` when forced without agreement, or when an admin had removed
    /// this host before.
    pub index: Option<LogIndex>,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    /// The current term.
    pub term: Term,
    /// The supervisor's id; `None` while there is none.
    pub leader: Option<MemberId>,
    /// The supervisor's name.
    pub name: Option<Name>,
    /// Whether it is this host.
    pub is_self: bool,
    /// Voting members.
    pub voters: Vec<MemberId>,
    /// How it came to that, as the answering host saw it.
    #[serde(default)]
    pub last: Option<Transition>,
    /// How often the answering host, leading, refused other hosts' transfers because it had only just begun.
    #[serde(default)]
    pub transfers_refused: u64,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// A supervisor is known, this host has applied what it knows to be committed, and there is an
    /// established tunnel to every member that gossip shows alive.
    Ready,
    /// A supervisor is known.
    Leader,
    /// This host has applied the log up to this index.
    Applied(LogIndex),
}

/// Wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// For what.
    #[serde(rename = "for")]
    pub wait_for: WaitFor,
    /// How long at most, in milliseconds.
    pub timeout_ms: u64,
}

/// It holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitReply {
    /// The current supervisor.
    pub leader: Option<MemberId>,
    /// The last applied index.
    pub applied: LogIndex,
    /// The state's hash there.
    pub state_hash: StateHash,
    /// How long it took, in milliseconds.
    pub waited_ms: u64,
}

/// The daemon's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionReply {
    /// Such as `0.1.0`.
    pub version: String,
}

schema! {
    JoinedReply => "mesh.joined/v1",
    InviteReply => "mesh.invite/v1",
    LeaveReply => "mesh.left/v1",
    Supervisor => "mesh.supervisor/v1",
    WaitReply => "mesh.wait/v1",
    VersionReply => "mesh.version/v1",
}
