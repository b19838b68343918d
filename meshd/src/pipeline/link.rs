//! Keeps the packet core informed of the interface being switched on and off, and of its MTU once it has
//! been moved to another network namespace.
//!
//! That it is on, the device itself tells whoever waits for it. That it is off, nobody is told but by
//! netlink; the packet threads look anyway before they say something by themselves.

use std::time::Duration;

use crate::io::netlink::{LinkWatch, Netlink, NetlinkError};

use super::PacketPath;

/// A rest between looks, so that a host whose interfaces come and go without end pays for a hundred of
/// them a second, some 20 us each. Nobody who switches an interface off notices so short a delay.
const REST: Duration = Duration::from_millis(10);

/// Runs until it is dropped, or a packet thread has ended. The interface is `name`, with this `index`.
pub(crate) async fn follow_link(path: PacketPath, name: String, index: u32) {
    if let Err(error) = follow(path, &name, index).await {
        tracing::warn!(%error, "that the interface is switched off is noticed late");
    }
}

async fn follow(path: PacketPath, name: &str, index: u32) -> Result<(), NetlinkError> {
    let watch = LinkWatch::open()?;
    let netlink = Netlink::open()?;
    // What was changed before the watch began, too.
    while path.look_at_link().await {
        if !netlink.is_here(index).await {
            // Unpadded, no packet is longer than whatever the interface takes.
            let mtu = netlink.mtu_elsewhere(index, name).await.unwrap_or(0);
            tracing::debug!(mtu, "the interface is in another network namespace");
            path.set_mtu(mtu).await;
        }
        tokio::time::sleep(REST).await;
        watch.changed().await;
    }
    Ok(())
}
