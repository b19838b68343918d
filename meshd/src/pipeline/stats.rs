//! What can be said about the packet path.

use mesh_dataplane::{PeerStats, WallTime};

/// How things are on the packet path: with one thread, or with all of them.
pub(crate) struct PathStats {
    /// Every tunnel.
    pub(crate) peers: Vec<PeerStats>,
    /// Drops by reason: the packet core's first, then the packet thread's own. Zeros included.
    pub(crate) drops: Vec<(&'static str, u64)>,
    /// What the kernel takes off our hands.
    pub(crate) offloads: PathOffloads,
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

/// The kernel's offloads in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathOffloads {
    /// Runs of datagrams leave in one system call.
    pub(crate) udp_gso: bool,
    /// Runs of datagrams arrive in one buffer.
    pub(crate) udp_gro: bool,
    /// The TUN device takes and gives super-packets of TCP.
    pub(crate) tun_tcp: bool,
    /// The TUN device takes and gives super-packets of UDP.
    pub(crate) tun_udp: bool,
}

impl PathOffloads {
    /// Each by its stable name, and whether it is on.
    pub(crate) fn named(&self) -> [(&'static str, bool); 4] {
        [
            ("tun_tcp", self.tun_tcp),
            ("tun_udp", self.tun_udp),
            ("udp_gso", self.udp_gso),
            ("udp_gro", self.udp_gro),
        ]
    }

    /// What both have.
    fn and(self, other: Self) -> Self {
        Self {
            udp_gso: self.udp_gso && other.udp_gso,
            udp_gro: self.udp_gro && other.udp_gro,
            tun_tcp: self.tun_tcp && other.tun_tcp,
            tun_udp: self.tun_udp && other.tun_udp,
        }
    }
}
