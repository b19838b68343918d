//! What can be said about the packet path.

use mesh_dataplane::{PeerStats, WallTime};

use crate::io::offloads::Offloads;

/// How things are on the packet path: with one thread, or with all of them.
pub(crate) struct PathStats {
    /// Every tunnel.
    pub(crate) peers: Vec<PeerStats>,
    /// Drops by reason: the packet core's first, then the packet thread's own. Zeros included.
    pub(crate) drops: Vec<(&'static str, u64)>,
    /// What the kernel takes off our hands.
    pub(crate) offloads: Offloads,
    /// The latest stamp of a handshake so far.
    pub(crate) newest_stamp: Option<WallTime>,
    /// How many packet threads there are.
    pub(crate) workers: usize,
}

impl PathStats {
    /// The drops that have happened.
    pub(crate) fn seen_drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.drops.iter().copied().filter(|(_, packets)| *packets > 0)
    }

    /// What several threads say, as one. Each peer is one thread's.
    pub(super) fn of_all(all: Vec<Self>) -> Option<Self> {
        let mut all = all.into_iter();
        let mut sum = all.next()?;
        for other in all {
            sum.peers.extend(other.peers);
            for ((_, count), (_, more)) in sum.drops.iter_mut().zip(other.drops) {
                *count += more;
            }
            sum.offloads = sum.offloads.and(other.offloads);
            sum.newest_stamp = sum.newest_stamp.max(other.newest_stamp);
            sum.workers += other.workers;
        }
        sum.peers.sort_by_key(|peer| peer.key);
        Some(sum)
    }
}
