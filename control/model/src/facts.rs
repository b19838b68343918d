//! What a member says about itself, by gossip: measured or local things that never enter the log.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::edition::Edition;
use crate::id::{LogIndex, MemberId, MeshId};
use crate::key::IdentityKey;
use crate::signed::{Signed, SignedError};

/// The most underlay addresses a member announces: a host with more interfaces names those with a
/// default route first.
pub const MAX_ENDPOINTS: usize = 8;

/// The longest version text, in bytes.
pub const MAX_VERSION_LEN: usize = 32;

/// What a build can do, so that newer members know what older ones will not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Has a kernel TUN device; without it only control traffic and `mesh ping` work.
    KernelTun,
    /// Holds the mesh's root key. Whether that is still an admin's is agreed, and said there.
    Admin,
}

/// A member's facts. Signed by its identity key; only the owner can change them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The mesh they are about.
    pub mesh: MeshId,
    /// Whose facts.
    pub member: MemberId,
    /// When the owner's daemon started, in milliseconds since the Unix epoch; orders facts across
    /// restarts.
    pub boot_ms: u64,
    /// Counts up within one run; orders facts within it.
    pub revision: u64,
    /// The owner's build, such as `0.1.0`: visible ASCII only, for it is shown on terminals.
    pub version: String,
    /// The newest edition that build reads.
    pub reads: Edition,
    /// What the owner's build and host can do, in order, each once.
    pub capabilities: Vec<Capability>,
    /// How far the owner has applied the log.
    pub applied: LogIndex,
    /// Where the owner's daemon may be reached, best first.
    pub endpoints: Vec<SocketAddr>,
}

crate::message!(Facts, "facts", version 1, limit 512);

/// Facts not to be believed. The speaker's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Not signed by their owner.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// About another mesh or another member than the signer.
    #[error("facts about someone else")]
    NotOwn,
    /// A list or text exceeds its bound.
    #[error("facts exceed a bound: {0}")]
    TooMany(&'static str),
}

impl Facts {
    /// The facts in `signed`, if they are `member`'s own.
    pub fn verify(
        signed: &Signed<Self>,
        mesh: MeshId,
        member: MemberId,
        identity: &IdentityKey,
    ) -> Result<Self, FactsError> {
        let facts = signed.open(identity)?;
        if facts.mesh != mesh || facts.member != member {
            return Err(FactsError::NotOwn);
        }
        if facts.endpoints.len() > MAX_ENDPOINTS {
            return Err(FactsError::TooMany("endpoints"));
        }
        if facts.version.len() > MAX_VERSION_LEN || !is_printable(&facts.version) {
            return Err(FactsError::TooMany("version"));
        }
        if !facts.capabilities.is_sorted_by(|a, b| a < b) {
            return Err(FactsError::TooMany("capabilities"));
        }
        Ok(facts)
    }

    /// Orders two statements of one owner: the later start wins, then the later revision.
    pub fn freshness(&self) -> (u64, u64) {
        (self.boot_ms, self.revision)
    }
}

fn is_printable(version: &str) -> bool {
    version.bytes().all(|byte| byte.is_ascii_graphic())
}
