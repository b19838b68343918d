//! What can be said about one peer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use mesh_model::uapi::PeerReport;
use mesh_model::{MemberId, TunnelKey};

use crate::wall::WallTime;

/// A peer, as shown to people and programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStats {
    /// The member behind the key.
    pub member: MemberId,
    /// Its WireGuard key.
    pub key: TunnelKey,
    /// Where packets to it go now: where it was last heard, else the plan's best guess.
    pub endpoint: Option<SocketAddr>,
    /// The allowed IPs it holds now (a later peer may have taken some of the plan's).
    pub allowed_ips: Vec<IpNet>,
    /// When its last handshake was confirmed.
    pub last_handshake: Option<Instant>,
    /// When its last authenticated packet arrived.
    pub last_received: Option<Instant>,
    /// Bytes of its authenticated datagrams, WireGuard overhead included.
    pub rx_bytes: u64,
    /// Bytes of the datagrams sent to it, WireGuard overhead included.
    pub tx_bytes: u64,
    /// Whether a confirmed session exists.
    pub established: bool,
    /// Whether a pre-shared key was mixed into it.
    pub is_paired: bool,
    /// How often an empty packet keeps NAT mappings open.
    pub keepalive: Option<Duration>,
}

impl PeerStats {
    /// The same as `wg` shows it. `now` and `wall` are the same moment.
    pub fn report(self, now: Instant, wall: WallTime) -> PeerReport {
        let since = |then: Instant| wall.0.saturating_sub(now.saturating_duration_since(then));
        PeerReport {
            key: self.key,
            preshared_key: None,
            endpoint: self.endpoint,
            last_handshake: self.last_handshake.map(since),
            tx_bytes: self.tx_bytes,
            rx_bytes: self.rx_bytes,
            keepalive: self.keepalive,
            allowed_ips: self.allowed_ips,
        }
    }
}
