//! What gossip has to tell agreement of a member.

use mesh_model::api::v1::GossipState;
use mesh_model::{Edition, LogIndex, MemberId};

use super::peer_state::PeerState;

/// One member as gossip knows it, for [`Group::handle_sighting`](crate::raft::Group::handle_sighting).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Who.
    pub member: MemberId,
    /// It does not answer.
    pub dead: bool,
    /// How far it says it has applied the log; 0 while it has said nothing.
    pub applied: LogIndex,
    /// The newest edition it says it reads; `None` while it has said nothing.
    pub reads: Option<Edition>,
}

impl PeerState<'_> {
    /// What agreement needs to know of it.
    pub fn sighting(&self) -> Sighting {
        Sighting {
            member: self.member,
            dead: self.state == GossipState::Dead,
            applied: self.facts.map_or(0, |facts| facts.applied),
            reads: self.facts.map(|facts| facts.reads),
        }
    }
}
