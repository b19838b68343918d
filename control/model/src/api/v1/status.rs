//! The status document.

use serde::{Deserialize, Serialize};

use super::document::schema;
use super::error::ErrorBody;
use super::peer::{GossipState, Peer};
use super::recovery::EpochInfo;
use crate::addr::{OverlayAddrs, Prefixes};
use crate::edition::Edition;
use crate::id::{LogIndex, MemberId, MeshId, Term};
use crate::trust::Name;
use crate::view::StateHash;

/// Whether the daemon belongs to a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonState {
    /// Neither `mesh init` nor `mesh join` yet.
    NotJoined,
    /// A member.
    Member,
    /// A member, but banned: nobody speaks with this host.
    Banned,
    /// A member once: an admin removed this host, and it has not left yet.
    Removed,
}

/// A member's part in agreement, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Leads.
    Supervisor,
    /// Votes.
    Voter,
    /// Follows without a vote.
    Learner,
}

/// A member's part in agreement, as Raft says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaftRole {
    /// Leads this term.
    Leader,
    /// Follows a leader or waits for one.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows without a vote.
    Learner,
    /// Stopped after a disk error or while leaving.
    Stopped,
}

/// Members that hold different states at one index: one of them is broken or cheats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// Where in the log.
    pub index: LogIndex,
    /// Who signed what there, this host's own state among them if it is one.
    pub parties: Vec<DivergentState>,
}

/// What one member holds where members differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DivergentState {
    /// Who.
    pub member: MemberId,
    /// Its state's hash. Equal hashes there mean that they differ in who votes.
    pub state_hash: StateHash,
}

/// A decision that is stamped with a time that has not come yet, by this host's clock: that clock is wrong, or the one of who led
/// then, or who led lies. Bans end by such stamps, and invites expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarStamp {
    /// Where in the log.
    pub index: LogIndex,
    /// The stamp, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who led and stamped it, if this host saw that.
    pub by: Option<MemberId>,
}

/// How far a change of this host's WireGuard key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStage {
    /// There is none under way.
    Settled,
    /// A new one is on disk, and not agreed.
    Prepared,
    /// It is agreed, and the one before is answered still.
    Agreed,
}

/// This host's WireGuard key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// How often it changed.
    pub serial: u64,
    /// Since when at the latest this host has it, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// How far a change of it is.
    pub stage: KeyStage,
    /// It is more than a year old, and should be changed.
    pub is_old: bool,
}

/// Agreement as this host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftStatus {
    /// This host's part.
    pub role: RaftRole,
    /// The current term.
    pub term: Term,
    /// The supervisor; `None` while there is none.
    pub leader: Option<MemberId>,
    /// The last index known to be committed.
    pub commit: LogIndex,
    /// The last applied index.
    pub applied: LogIndex,
    /// Members with a vote.
    pub voters: Vec<MemberId>,
    /// Members that follow without a vote.
    pub learners: Vec<MemberId>,
    /// The state's hash at `applied`.
    pub state_hash: StateHash,
    /// The newest edition of which something was agreed.
    #[serde(default)]
    pub edition: Edition,
    /// The newest edition this host reads.
    #[serde(default)]
    pub reads: Edition,
}

/// A member as gossip sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipMember {
    /// Who.
    pub member: MemberId,
    /// What gossip thinks.
    pub state: GossipState,
    /// Grows each time the member refutes a suspicion.
    pub incarnation: u64,
}

/// One reason why packets ended early or messages were refused, and how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// The reason's name, stable.
    pub reason: String,
    /// How many packets or messages since the daemon started.
    pub packets: u64,
}

/// An offload of the kernel and whether it is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offload {
    /// Such as `udp_gso`.
    pub name: String,
    /// In use.
    pub active: bool,
}

/// Everything at one glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Whether it belongs to a mesh. All fields below are absent or empty when it does not.
    pub state: DaemonState,
    /// Why this host takes no part in agreement, if its disk has failed or the mesh has gone on to a version that this
    /// build does not understand: it hears of no change, while its tunnels go on as they were. Until the daemon is started
    /// anew, or upgraded.
    #[serde(default)]
    pub degraded: Option<ErrorBody>,
    /// Where members hold different states, as far as this host has seen since it started. While there is one, nobody
    /// comes in here and no vote changes hands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub divergences: Vec<Divergence>,
    /// The first decision that is stamped ten minutes or more ahead of this host's clock, as long as there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far_stamp: Option<FarStamp>,
    /// This host's WireGuard key. Absent where it has no place in the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyStatus>,
    /// The epoch this host is in. Absent in the one that the mesh began with, as long as this host knows of no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<EpochInfo>,
    /// The mesh.
    pub mesh: Option<MeshId>,
    /// What people call it.
    pub mesh_name: Option<Name>,
    /// Where its addresses come from.
    pub prefixes: Option<Prefixes>,
    /// This host's id.
    pub member: Option<MemberId>,
    /// This host's name.
    pub name: Option<Name>,
    /// This host's overlay addresses.
    pub addrs: Option<OverlayAddrs>,
    /// This host's part in agreement; `None` when it has none any more.
    pub role: Option<Role>,
    /// The kernel interface; `None` with `--tun none`.
    pub interface: Option<String>,
    /// The UDP port the daemon listens on.
    pub listen_port: u16,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// How many members are present, this host included.
    pub members: usize,
    /// Agreement.
    pub raft: Option<RaftStatus>,
    /// The other members.
    pub peers: Vec<Peer>,
    /// Gossip's view, this host included.
    pub gossip: Vec<GossipMember>,
    /// Packets that ended early and messages that were refused, by reason; reasons never seen are left out.
    pub drops: Vec<DropCount>,
    /// Packet threads that share the peers; 0 while there is no mesh, and from daemons that did not say.
    #[serde(default)]
    pub workers: usize,
    /// Kernel offloads, and whether each is in use.
    pub offloads: Vec<Offload>,
}

schema! {
    Status => "mesh.status/v1",
}
