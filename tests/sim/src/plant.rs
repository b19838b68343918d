//! Bugs planted on purpose, to show that the invariants notice. They live in what the simulator puts
//! around the cores, never in the cores.

use mesh_model::plan::Update;
use mesh_model::view::ClusterView;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Every disk acknowledges a sync before it has carried it out.
    AnswerBeforeSync,
    /// Every tunnel may carry every source.
    AnySource,
}

/// Gives each peer the addresses of all members: the source check then lets the last one planned speak
/// for all.
pub(crate) fn any_source(update: Update, view: &ClusterView) -> Update {
    match update {
        Update::SetPeer(key, mut plan) => {
            let all = view.members.values().flat_map(|member| member.addrs.host_prefixes());
            plan.allowed_ips = all.collect();
            Update::SetPeer(key, plan)
        }
        remove @ Update::RemovePeer(_) => remove,
    }
}
