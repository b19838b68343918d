//! Documents about keys: the WireGuard keys of members, and the mesh's root key. The latter go between `meshd` and the
//! `mesh` that started it, never over a socket.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::ban::AppliedBy;
use super::document::schema;
use super::invite::MemberName;
use crate::id::{LogIndex, MemberId, MeshId};
use crate::key::{IdentityKey, TunnelKey};
use crate::trust::Name;

/// The root key. Whoever sees this document has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct RootSecret {
    /// The mesh.
    #[zeroize(skip)]
    pub mesh: MeshId,
    /// Its public half.
    #[zeroize(skip)]
    pub root: IdentityKey,
    /// Its seed.
    pub seed: [u8; 32],
}

impl std::fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RootSecret({})", self.mesh)
    }
}

/// A host holds the root key now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRestored {
    /// The mesh.
    pub mesh: MeshId,
    /// Its public half.
    pub root: IdentityKey,
    /// The host.
    pub member: MemberId,
}

/// Have another WireGuard key for this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKeysRequest {
    /// Even though some members have not heard of the last change.
    #[serde(default)]
    pub force: bool,
    /// Answer only when every member has applied it, or this many milliseconds are over.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// This host has another WireGuard key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysRotated {
    /// This host.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// Its key now.
    pub key: TunnelKey,
    /// How often it changed, with this time.
    pub serial: u64,
    /// Where the change stands in the log.
    pub index: LogIndex,
    /// Who has applied it; `None` when nobody waited for that.
    pub applied_by: Option<AppliedBy>,
    /// Whether the key before is answered still, for those who have not heard.
    pub keeps_before: bool,
}

/// The WireGuard key of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberKey {
    /// Whose.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// The key.
    pub key: TunnelKey,
    /// How often it changed; 0: it is the one the member came in with.
    pub serial: u64,
    /// Where the last change stands in the log.
    pub index: Option<LogIndex>,
    /// When that was, in milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
}

/// The key this host had before, which it answers to still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBefore {
    /// The key.
    pub key: TunnelKey,
    /// Until when it is kept at most, in milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// Who is not known to have heard of the change, and may know this host by the key before only.
    pub behind: Vec<MemberName>,
}

/// The WireGuard keys, as this host knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelKeys {
    /// This host's.
    pub own: MemberKey,
    /// The one before, while this host answers to it.
    pub before: Option<KeyBefore>,
    /// One that is to be agreed, and that this host answers to already.
    pub next: Option<TunnelKey>,
    /// Those of all present members, by id.
    pub members: Vec<MemberKey>,
    /// Up to where this host has applied the log.
    pub applied: LogIndex,
}

schema! {
    KeysRotated => "mesh.keys_rotated/v1",
    TunnelKeys => "mesh.keys/v1",
    RootSecret => "mesh.root_secret/v1",
    RootRestored => "mesh.root_restored/v1",
}
