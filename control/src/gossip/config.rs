//! What gossip starts from.

use mesh_model::facts::Capability;
use mesh_model::{Edition, IdentitySecret, MemberId};

use super::timing::Timing;

/// What gossip is told about this host at its start.
#[derive(Debug)]
pub struct GossipConfig {
    /// This host's id.
    pub me: MemberId,
    /// Signs its facts.
    pub identity: IdentitySecret,
    /// Its build, such as `0.1.0`.
    pub version: String,
    /// The newest edition it reads.
    pub reads: Edition,
    /// What its build and host can do.
    pub capabilities: Vec<Capability>,
    /// When the daemon started, in milliseconds since the Unix epoch.
    pub boot_ms: u64,
    /// How fast gossip goes.
    pub timing: Timing,
}
