//! Keeps the packet core informed of routes: a peer is answered from the address it spoke to only while
//! what leaves from there takes the interface on which it was heard.
//!
//! ```text
//! routes change ──> which ways are in use? ──> where do they lead now? ──> packet core
//!      ^                 packet core             kernel, so many a second         │
//!      └──────────────────────────────────────────────────────────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::io::netlink::{Netlink, NetlinkError, RouteWatch};

use super::PacketPath;

/// Ways looked up at a time, and the rest after that: 400 a second at most, some 20 us each, so that a host
/// whose routes change without end pays one percent of a core. A mesh of 300 members is looked through at
/// once, a device with 65,536 peers in three minutes.
const LOOKUPS: usize = 400;
const REST: Duration = Duration::from_secs(1);

/// Runs until it is dropped, or the packet thread has ended.
pub(crate) async fn follow_routes(path: PacketPath) {
    if let Err(error) = follow(path).await {
        tracing::warn!(%error, "changes of this host's routes go unseen");
    }
}

async fn follow(path: PacketPath) -> Result<(), NetlinkError> {
    let watch = RouteWatch::open()?;
    let netlink = Netlink::open()?;
    loop {
        watch.changed().await;
        let Some((ways, mark)) = path.ways().await else { return Ok(()) };
        tracing::debug!(ways = ways.len(), "routes have changed");
        for some in ways.chunks(LOOKUPS) {
            let mut leaves_by = BTreeMap::new();
            for way in some {
                // A way that leads nowhere may come back.
                if let Some(interface) = netlink.leaves_by(*way, mark).await {
                    leaves_by.insert(*way, interface);
                }
            }
            path.leave_by(leaves_by).await;
            tokio::time::sleep(REST).await;
        }
    }
}
