//! Answers.
//!
//! `wg` takes the error number of a `set=1` as it stands and shows it as `-errno`; that of a `get=1` must be a plain
//! number. So a failed change is answered with a negative number, a failed look with a positive one.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ipnet::IpNet;
use zeroize::Zeroizing;

use super::Errno;
use crate::key::{PresharedKey, TunnelKey, TunnelSecret};

/// What a peer's lines take at most without its allowed IPs, in bytes: two keys, an endpoint, and 20 digits for each
/// counter come to 450.
const PEER_ROOM: usize = 512;

/// What an allowed IP takes at most, in bytes: `allowed_ip=`, 39 characters of IPv6 and `/128`.
const ALLOWED_IP_ROOM: usize = 56;

/// A device, as it is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceReport {
    /// The private key, if there is one and the asker may see it.
    pub secret: Option<TunnelSecret>,
    /// The UDP port.
    pub listen_port: u16,
    /// The mark on outgoing datagrams; 0 is none.
    pub fwmark: u32,
    /// The peers.
    pub peers: Vec<PeerReport>,
}

/// A peer, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerReport {
    /// Its key.
    pub key: TunnelKey,
    /// The preshared key, if there is one and the asker may see it.
    pub preshared_key: Option<PresharedKey>,
    /// Where packets to it go.
    pub endpoint: Option<SocketAddr>,
    /// When its last handshake was done, since 1970 by this host's clock.
    pub last_handshake: Option<Duration>,
    /// Bytes sent to it.
    pub tx_bytes: u64,
    /// Bytes received from it.
    pub rx_bytes: u64,
    /// How often an empty packet keeps NAT mappings open.
    pub keepalive: Option<Duration>,
    /// Its allowed IPs.
    pub allowed_ips: Vec<IpNet>,
}

impl PeerReport {
    /// A peer of which nothing is known but its key.
    pub fn new(key: TunnelKey) -> Self {
        Self {
            key,
            preshared_key: None,
            endpoint: None,
            last_handshake: None,
            tx_bytes: 0,
            rx_bytes: 0,
            keepalive: None,
            allowed_ips: Vec::new(),
        }
    }
}

/// The answer to a `get=1`.
pub fn get_answer(result: Result<&DeviceReport, Errno>) -> Zeroizing<String> {
    let mut text = Text::with_room_for(result.ok());
    if let Ok(report) = result {
        text.device(report);
    }
    text.end(result.err().unwrap_or(Errno::OK).number())
}

/// The answer to a `set=1`, and to what is no request at all.
pub fn set_answer(result: Result<(), Errno>) -> Zeroizing<String> {
    Text::with_room_for(None).end(-result.err().unwrap_or(Errno::OK).number())
}

/// An answer being written. It has all its room from the start: growing would leave copies of secrets behind.
struct Text(Zeroizing<String>);

impl Text {
    fn with_room_for(report: Option<&DeviceReport>) -> Self {
        let peers = report.map(|report| report.peers.as_slice()).unwrap_or_default();
        let peer = |peer: &PeerReport| PEER_ROOM + peer.allowed_ips.len() * ALLOWED_IP_ROOM;
        let room = PEER_ROOM + peers.iter().map(peer).sum::<usize>();
        Self(Zeroizing::new(String::with_capacity(room)))
    }

    fn device(&mut self, report: &DeviceReport) {
        if let Some(secret) = &report.secret {
            self.key("private_key", &secret.to_bytes());
        }
        self.line("listen_port", report.listen_port);
        if report.fwmark != 0 {
            self.line("fwmark", report.fwmark);
        }
        for peer in &report.peers {
            self.peer(peer);
        }
    }

    fn peer(&mut self, peer: &PeerReport) {
        self.key("public_key", peer.key.as_bytes());
        if let Some(preshared_key) = &peer.preshared_key {
            self.key("preshared_key", preshared_key.as_bytes());
        }
        self.line("protocol_version", 1);
        if let Some(endpoint) = peer.endpoint {
            self.line("endpoint", endpoint);
        }
        let last = peer.last_handshake.unwrap_or_default();
        self.line("last_handshake_time_sec", last.as_secs());
        self.line("last_handshake_time_nsec", last.subsec_nanos());
        self.line("tx_bytes", peer.tx_bytes);
        self.line("rx_bytes", peer.rx_bytes);
        self.line(
            "persistent_keepalive_interval",
            peer.keepalive.map_or(0, |every| every.as_secs()),
        );
        for allowed_ip in &peer.allowed_ips {
            self.line("allowed_ip", allowed_ip);
        }
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        writeln!(self.0, "{key}={value}").expect("a string takes whatever is written");
    }

    fn key(&mut self, name: &str, bytes: &[u8; 32]) {
        self.0.push_str(name);
        self.0.push('=');
        HEXLOWER.encode_append(bytes, &mut self.0);
        self.0.push('\n');
    }

    fn end(mut self, errno: i32) -> Zeroizing<String> {
        self.line("errno", errno);
        self.0.push('\n');
        self.0
    }
}
