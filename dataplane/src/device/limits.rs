//! How much a device takes.

use std::collections::BTreeMap;

use mesh_model::uapi::{AllowedIp, DeviceChange, MAX_ALLOWED_IPS, MAX_PEERS, PeerChange};

use super::Device;

/// A change would make the device larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// More than [`MAX_PEERS`].
    #[error("the device would have more than {MAX_PEERS} peers")]
    Peers,
    /// More than [`MAX_ALLOWED_IPS`].
    #[error("a peer would have more than {MAX_ALLOWED_IPS} allowed IPs")]
    AllowedIps,
}

/// Whether `device` has room for `change`. Counts what it adds: what it takes away at the same time makes no room, unless
/// everything is replaced.
pub(super) fn check(device: &Device, change: &DeviceChange) -> Result<(), TooMany> {
    let kept = |peer: &PeerChange| {
        let known = device.peers.get(&peer.key).filter(|_| !change.replace_peers);
        known.map(|peer| peer.allowed_ips.len())
    };
    let mut peers = if change.replace_peers { 0 } else { device.peers.len() };
    let mut allowed_ips = BTreeMap::new();
    for peer in change.peers.iter().filter(|peer| !peer.remove) {
        let count = allowed_ips.entry(peer.key).or_insert_with(|| {
            let known = kept(peer);
            peers += usize::from(known.is_none());
            known.unwrap_or(0)
        });
        if peer.replace_allowed_ips {
            *count = 0;
        }
        *count += peer.allowed_ips.iter().filter(|ip| matches!(ip, AllowedIp::Add(_))).count();
        if *count > MAX_ALLOWED_IPS {
            return Err(TooMany::AllowedIps);
        }
    }
    if peers > MAX_PEERS { Err(TooMany::Peers) } else { Ok(()) }
}
