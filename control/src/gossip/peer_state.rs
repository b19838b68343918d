//! What gossip says about a member.

use mesh_model::MemberId;
use mesh_model::api::v1::GossipState;
use mesh_model::facts::Facts;

/// What gossip thinks of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerState<'a> {
    /// Who.
    pub member: MemberId,
    /// Whether it answers.
    pub state: GossipState,
    /// Which of its lives: grows when its daemon restarts and when it was wrongly declared dead. 0
    /// while unknown.
    pub generation: u64,
    /// Grows each time it refutes a suspicion; starts anew with each generation.
    pub incarnation: u64,
    /// What it says of itself.
    pub facts: Option<&'a Facts>,
}
