//! Who is a member right now, shared by everything that has to look one up.

use std::net::Ipv6Addr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh_model::view::ClusterView;
use mesh_model::{IdentityKey, MemberId};

/// The current view. Cheap to clone; all clones see the newest one.
#[derive(Clone)]
pub(crate) struct Directory(Arc<ArcSwap<ClusterView>>);

impl Directory {
    /// Starts with `view`, the replica from disk.
    pub(crate) fn new(view: Arc<ClusterView>) -> Self {
        Self(Arc::new(ArcSwap::new(view)))
    }

    /// Swaps the next view in.
    pub(crate) fn store(&self, view: Arc<ClusterView>) {
        self.0.store(view);
    }

    /// The view now.
    pub(crate) fn view(&self) -> Arc<ClusterView> {
        self.0.load_full()
    }

    /// Where to reach `member`, and whom to expect there.
    pub(crate) fn locate(&self, member: MemberId) -> Option<(Ipv6Addr, IdentityKey)> {
        let view = self.0.load();
        view.members.get(&member).map(|found| (found.addrs.v6, found.identity))
    }

    /// The present member with this identity.
    pub(crate) fn resolve(&self, identity: &IdentityKey) -> Option<MemberId> {
        self.0.load().by_identity(identity).map(|found| found.id)
    }

    /// Whether `member` is present with this identity.
    pub(crate) fn confirms(&self, member: MemberId, identity: &IdentityKey) -> bool {
        self.locate(member).is_some_and(|(_, known)| known == *identity)
    }
}
