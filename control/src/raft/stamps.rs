//! Whether those who led told the time.
//!
//! What ends by itself, a ban or an exclusion, and what expires, an invite, goes by the stamps of leaders: all members have
//! to come to the same, and their clocks differ. So a leader that lies about the time, or whose clock is wrong, ends bans early and has
//! invites expire, and nobody can refuse what was agreed. But everybody can compare it with a clock of its own, and say whose stamp it was.
//!
//! A stamp from the past is no news: a host that was away applies many. Only one from the future is told.

use std::sync::Arc;

use mesh_model::{LogIndex, MemberId};

use super::group::{Group, Inner};
use super::store::LogStore;

/// How far a stamp may be ahead of this host's clock, in milliseconds: ten minutes, twice what a reporter's clock may be
/// ([`REPORT_SKEW_MS`](mesh_model::trust::REPORT_SKEW_MS)), for here two clocks may be wrong.
pub const FAR_AHEAD_MS: u64 = 10 * 60 * 1000;

/// The first entry of the trail that is stamped with a time that has not come yet, by this host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FarStamp {
    /// Where in the log.
    pub index: LogIndex,
    /// The stamp, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who led and stamped it, if this host saw that.
    pub by: Option<MemberId>,
}

impl Group {
    /// Whether something was agreed that is stamped [`FAR_AHEAD_MS`] or more ahead of this host's clock. No more once that has
    /// caught up.
    pub fn far_stamp(&self) -> Option<FarStamp> {
        self.inner().far_stamp()
    }
}

impl Inner {
    pub(super) fn far_stamp(&self) -> Option<FarStamp> {
        let (index, at_ms) = self.far_entry()?;
        Some(FarStamp { index, at_ms, by: self.who_stamped(index) })
    }

    /// The first entry of the trail that is stamped far ahead, and its stamp: those after it take the same time over, whoever
    /// wrote them.
    pub(super) fn far_entry(&self) -> Option<(LogIndex, u64)> {
        let latest_ms = self.wall.wall_ms().saturating_add(FAR_AHEAD_MS);
        let replica = self.replica.lock();
        let far = replica.state.audit().iter().find(|entry| entry.at_ms > latest_ms)?;
        Some((far.index, far.at_ms))
    }

    /// Who led when the far entry at `index` was written, if its term can still be told, and this host knows who led in that.
    fn who_stamped(&self, index: LogIndex) -> Option<MemberId> {
        if self.replica.lock().state.audit().told_from() == index {
            // It may have the time from one that is forgotten.
            return None;
        }
        let entries = LogStore::new(Arc::clone(&self.db)).entries(index..=index).ok()?;
        let entry = entries.first().filter(|entry| entry.log_id.index == index)?;
        self.history().leader_of(entry.log_id.leader_id.term)
    }
}
