//! What a joining host starts from, and who may start so.

use std::time::Duration;

use mesh_model::{LogIndex, MemberId};
use openraft::async_runtime::watch::WatchReceiver as _;

use super::group::Group;

impl Group {
    /// Whether `member` may begin with an empty store, as far as this host knows. One that ever voted must not,
    /// nor one that soon may: it may have promised its vote to somebody, or acknowledged entries, and an empty
    /// store remembers neither. Who voted is agreed; a leader also knows who holds a part of the log.
    pub fn may_welcome(&self, member: MemberId) -> bool {
        let metrics = self.inner().raft.metrics();
        let metrics = metrics.borrow_watched();
        let replication = metrics.replication.as_ref();
        let held = replication.and_then(|held| held.get(&member.0)).is_some_and(Option::is_some);
        let has_voted = self.read(|state, _| state.has_voted(member));
        !held && !has_voted && !self.inner().known_voters().contains(&member)
    }

    /// The agreed state as bytes a joining host can start from, once this host has applied `index`;
    /// `None` if that takes longer than `limit`.
    pub async fn snapshot_at_least(&self, index: LogIndex, limit: Duration) -> Option<Vec<u8>> {
        self.applied_at_least(index, limit).await.then(|| self.snapshot())
    }

    /// The agreed state as bytes a joining host can start from.
    pub fn snapshot(&self) -> Vec<u8> {
        let replica = self.inner().replica.lock().clone();
        replica.to_snapshot()
    }
}
