//! Documents about other members: peers, tunnels, ping.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::document::schema;
use super::status::Role;
use crate::addr::OverlayAddrs;
use crate::edition::Edition;
use crate::facts::Capability;
use crate::id::{LogIndex, MemberId};
use crate::key::TunnelKey;
use crate::trust::Name;

/// How packets reach a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Straight to its endpoint.
    Direct,
    /// Through another member.
    Relay,
    /// Not at all: no session.
    None,
}

/// What gossip thinks of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GossipState {
    /// Answers.
    Alive,
    /// Missed a probe and has not refuted yet.
    Suspect,
    /// Suspected too long.
    Dead,
    /// Never heard of since this daemon started.
    Unknown,
}

/// One other member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// Its overlay addresses.
    pub addrs: OverlayAddrs,
    /// Its part in agreement.
    pub role: Role,
    /// What gossip thinks of it.
    pub state: GossipState,
    /// How packets reach it.
    pub path: Path,
    /// Whether the session has the pair's key in it, which a quantum computer does not break.
    #[serde(default)]
    pub post_quantum: bool,
    /// Its underlay address in use.
    pub endpoint: Option<SocketAddr>,
    /// Milliseconds since the last completed handshake; `None` without one.
    pub last_handshake_ms: Option<u64>,
    /// Bytes received from it through the tunnel, WireGuard overhead included.
    pub rx_bytes: u64,
    /// Bytes sent to it through the tunnel, WireGuard overhead included.
    pub tx_bytes: u64,
    /// The last measured round trip over the overlay, in microseconds.
    pub rtt_us: Option<u64>,
    /// Its build, once heard.
    pub version: Option<String>,
    /// The newest edition its build reads, once heard.
    #[serde(default)]
    pub reads: Option<Edition>,
    /// What its build and host can do, once heard.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// How far it has applied the log, once heard.
    pub applied: Option<LogIndex>,
    /// Milliseconds since its last authenticated packet; `None` when there was none.
    pub last_seen_ms: Option<u64>,
}

/// All other members, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// The members.
    pub peers: Vec<Peer>,
}

/// One WireGuard tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// The member at the other end.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// Its WireGuard key.
    pub public_key: TunnelKey,
    /// Its underlay address in use.
    pub endpoint: Option<SocketAddr>,
    /// Inner sources it may use, and destinations that go to it.
    pub allowed_ips: Vec<IpNet>,
    /// Whether a session exists.
    pub established: bool,
    /// Whether it has the pair's key in it, which a quantum computer does not break.
    #[serde(default)]
    pub post_quantum: bool,
    /// Milliseconds since the last completed handshake; `None` without one.
    pub last_handshake_ms: Option<u64>,
    /// Bytes received, WireGuard overhead included.
    pub rx_bytes: u64,
    /// Bytes sent, WireGuard overhead included.
    pub tx_bytes: u64,
    /// Seconds between keepalives; `None` when off.
    pub keepalive_s: Option<u64>,
}

/// All tunnels, by member id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnels {
    /// This host's WireGuard key.
    pub public_key: TunnelKey,
    /// The UDP port it listens on.
    pub listen_port: u16,
    /// The tunnels.
    pub tunnels: Vec<Tunnel>,
}

/// Which overlay address to ping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The IPv6 address.
    #[default]
    V6,
    /// The IPv4 address.
    V4,
}

/// Send one echo over the overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PingRequest {
    /// A member's name, id or overlay address.
    pub target: String,
    /// Which address, when the target is a name or an id.
    #[serde(default)]
    pub family: Family,
    /// How long to wait for the answer, in milliseconds.
    pub timeout_ms: u64,
}

/// The echo came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingReply {
    /// Who answered.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
    /// The overlay address that answered.
    pub addr: IpAddr,
    /// The round trip, in microseconds.
    pub rtt_us: u64,
    /// The underlay address the answer came from.
    pub endpoint: Option<SocketAddr>,
    /// How it travelled.
    pub path: Path,
}

schema! {
    Peers => "mesh.peers/v1",
    Tunnels => "mesh.tunnels/v1",
    PingReply => "mesh.ping/v1",
}
