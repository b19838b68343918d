//! What a node has to say.

use mesh_model::MemberId;
use mesh_model::api::v1::GossipState;
use mesh_model::plan::Update;

use crate::gossip::Sighting;

/// Something to do or to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// For the packet core, in this order.
    Update(Update),
    /// Gossip thinks otherwise of a member than before.
    Peer {
        /// Who.
        member: MemberId,
        /// What gossip thinks now.
        state: GossipState,
    },
    /// A member is known to be alive or dead, to have applied more of the log, or to read other editions, than was known before. For
    /// [`Group::handle_sighting`](crate::raft::Group::handle_sighting).
    Sighted(Sighting),
    /// A key is to be agreed on with this member: the answer goes to [`Node::handle_pair_answer`](super::Node::handle_pair_answer).
    AskKey(MemberId),
    /// The agreed view no longer has this host. Said once; nothing but removals comes with it.
    Removed,
}
