//! The agreed state as everyone outside the state machine sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::addr::{OverlayAddrs, Prefixes};
use crate::id::{LogIndex, MemberId, MeshId};
use crate::key::{IdentityKey, TunnelKey};
use crate::trust::{AccessPolicy, MeshRoot, Misconduct, Name, Reason, Region, Tag};

/// A hash of the whole agreed state. Equal on all members at equal index, or something is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateHash(pub [u8; 32]);

impl std::fmt::Display for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::fmt::Debug for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Text that is not a state hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state hash: expected 64 hexadecimal digits")]
pub struct StateHashError;

impl std::str::FromStr for StateHash {
    type Err = StateHashError;

    fn from_str(text: &str) -> Result<Self, StateHashError> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| StateHashError)?;
        bytes.try_into().map(Self).map_err(|_| StateHashError)
    }
}

crate::codec::text_or_bytes!(StateHash, 32);

/// A present member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its id.
    pub id: MemberId,
    /// What people call it.
    pub name: Name,
    /// Its long-lived identity.
    pub identity: IdentityKey,
    /// Its WireGuard key.
    pub tunnel: TunnelKey,
    /// Its overlay addresses.
    pub addrs: OverlayAddrs,
    /// What it is labelled with.
    pub tags: BTreeSet<Tag>,
    /// The last change of its WireGuard key; `None`: it is the one it came in with.
    pub change: Option<KeyChange>,
}

/// A change of a member's WireGuard key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// The how-manieth it was.
    pub serial: u64,
    /// The key that was replaced.
    pub before: TunnelKey,
    /// Where in the log it was agreed.
    pub at: LogIndex,
    /// When, in milliseconds since the Unix epoch, by the stamp in the log.
    pub since_ms: u64,
}

impl MemberView {
    /// Where it stands, if its tags tell.
    pub fn region(&self) -> Option<Region> {
        Region::of(&self.tags)
    }
}

/// A member nobody is to have to do with for the time being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BannedView {
    /// Who.
    pub member: MemberView,
    /// Since when, in milliseconds since the Unix epoch, by the stamp in the log.
    pub since_ms: u64,
    /// When it ends by itself, in milliseconds since the Unix epoch; `None`: it does not.
    pub until_ms: Option<u64>,
    /// Why.
    pub reason: Option<Reason>,
    /// Whose word it was, where it was no admin's.
    pub exclusion: Option<ExclusionView>,
}

/// Who shut a member out without an admin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExclusionView {
    /// Those who reported it.
    pub reporters: BTreeSet<MemberId>,
    /// What for.
    pub misconduct: BTreeSet<Misconduct>,
}

/// The cluster at one index. Immutable: a new one is made for each applied batch and shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// The mesh and its root key.
    pub root: MeshRoot,
    /// What people call the mesh.
    pub mesh_name: Name,
    /// Where overlay addresses come from.
    pub prefixes: Prefixes,
    /// The last applied log index; 0 before the first.
    pub applied: LogIndex,
    /// The state's hash at that index.
    pub hash: StateHash,
    /// Present members by id. Those who left are absent, and so are those who are banned.
    pub members: BTreeMap<MemberId, MemberView>,
    /// Members that are banned, by id.
    pub banned: BTreeMap<MemberId, BannedView>,
    /// Who may reach whom; `None`: everybody everybody.
    pub access: Option<Arc<AccessPolicy>>,
}

impl ClusterView {
    /// The mesh's id.
    pub fn mesh(&self) -> MeshId {
        self.root.mesh
    }

    /// Where present members stand of whom tags tell it.
    pub fn regions(&self) -> BTreeMap<MemberId, Region> {
        let told = |(id, member): (&MemberId, &MemberView)| Some((*id, member.region()?));
        self.members.iter().filter_map(told).collect()
    }

    /// Whether `member` has a place in the mesh, be it one that it may not use now.
    pub fn has_place(&self, member: MemberId) -> bool {
        self.place_of(member).is_some()
    }

    /// The member with this id that has a place in the mesh, be it banned or not.
    pub fn place_of(&self, member: MemberId) -> Option<&MemberView> {
        let banned = || self.banned.get(&member).map(|banned| &banned.member);
        self.members.get(&member).or_else(banned)
    }

    /// The present member with this identity.
    pub fn by_identity(&self, identity: &IdentityKey) -> Option<&MemberView> {
        self.members.values().find(|member| member.identity == *identity)
    }

    /// The present member people call `name`.
    pub fn by_name(&self, name: &str) -> Option<&MemberView> {
        self.members.values().find(|member| member.name.as_str() == name)
    }
}
