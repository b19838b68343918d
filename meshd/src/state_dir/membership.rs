//! `member`: the marker that this host belongs to a mesh.
//!
//! Its presence is the one truth about that. It is written last when joining and taken away first when
//! leaving, so a crash in between leaves a host that is either a member or not one.

use mesh_model::trust::MeshRoot;
use mesh_model::{IdentityKey, MemberId, MeshId};
use serde::{Deserialize, Serialize};

/// The version this build writes and reads.
const VERSION: u32 = 1;

/// The longest marker, in bytes: four times what it takes.
pub(super) const MAX_MARKER: usize = 2048;

/// This host as a member of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The mesh and the key it trusts.
    pub(crate) root: MeshRoot,
    /// This host's id.
    pub(crate) member: MemberId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    version: u32,
    mesh: MeshId,
    root_key: IdentityKey,
    member: MemberId,
    /// The identity that was admitted.
    identity: IdentityKey,
}

/// What every version begins with.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Why a marker is not to be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MarkerError {
    /// It does not hold what it should.
    Damaged(String),
    /// It was written for another identity.
    OtherIdentity,
    /// Another version wrote it.
    OtherVersion(u32),
}

impl Membership {
    /// The one in `text`, if it is that of `identity`.
    pub(super) fn parse(text: &str, identity: &IdentityKey) -> Result<Self, MarkerError> {
        let damaged = |reason: String| MarkerError::Damaged(reason);
        // Before anything else: another version may have other fields.
        if let Ok(Versioned { version }) = toml::from_str(text)
            && version != VERSION
        {
            return Err(MarkerError::OtherVersion(version));
        }
        let marker: Marker = toml::from_str(text)
            .map_err(|error| damaged(error.to_string().trim().replace('\n', " ")))?;
        let root = MeshRoot { mesh: marker.mesh, key: marker.root_key };
        root.check().map_err(|error| damaged(format!("field `mesh`: {error}")))?;
        if marker.identity != *identity {
            return Err(MarkerError::OtherIdentity);
        }
        Ok(Self { root, member: marker.member })
    }

    /// What the file holds when `identity` is the member.
    pub(super) fn to_text(self, identity: IdentityKey) -> String {
        let marker = Marker {
            version: VERSION,
            mesh: self.root.mesh,
            root_key: self.root.key,
            member: self.member,
            identity,
        };
        toml::to_string(&marker).expect("four scalars always make a table")
    }
}
