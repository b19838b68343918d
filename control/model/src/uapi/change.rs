//! What a `set=1` asks for.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use ipnet::IpNet;

use crate::key::{PresharedKey, TunnelKey, TunnelSecret};

/// A change to a device. What is `None`, `false` or empty stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceChange {
    /// The private key; `Some(None)` takes it away.
    pub secret: Option<Option<TunnelSecret>>,
    /// The UDP port; 0 lets the system choose one.
    pub listen_port: Option<u16>,
    /// The mark on outgoing datagrams; 0 is none.
    pub fwmark: Option<u32>,
    /// The peers named are to be the only ones, and begin afresh.
    pub replace_peers: bool,
    /// Peers, in order. One key may come more than once.
    pub peers: Vec<PeerChange>,
}

/// A change to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerChange {
    /// Which peer.
    pub key: TunnelKey,
    /// It is to go; everything else said about it is void.
    pub remove: bool,
    /// It is to be changed if it is there, and not made if it is not.
    pub update_only: bool,
    /// The preshared key; `Some(None)` takes it away.
    pub preshared_key: Option<Option<PresharedKey>>,
    /// Where it is.
    pub endpoint: Option<Endpoint>,
    /// How often an empty packet keeps NAT mappings open; `Some(None)` is never.
    pub keepalive: Option<Option<Duration>>,
    /// It gives up the allowed IPs it has before the following are looked at.
    pub replace_allowed_ips: bool,
    /// Allowed IPs to add and to remove, in order.
    pub allowed_ips: Vec<AllowedIp>,
}

impl PeerChange {
    /// No change to the peer `key` yet, but that it is there.
    pub fn new(key: TunnelKey) -> Self {
        Self {
            key,
            remove: false,
            update_only: false,
            preshared_key: None,
            endpoint: None,
            keepalive: None,
            replace_allowed_ips: false,
            allowed_ips: Vec::new(),
        }
    }
}

/// One step in a peer's allowed IPs. Host bits are cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedIp {
    /// The peer gets the prefix, whoever had it.
    Add(IpNet),
    /// The peer loses the prefix, if it has it.
    Remove(IpNet),
}

/// Where a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// There.
    At(SocketAddr),
    /// On the link of an interface that is known by name, as `[fe80::1%eth0]:51820`. `wg` writes link-local addresses so.
    OnLink {
        /// The address.
        address: Ipv6Addr,
        /// The UDP port.
        port: u16,
        /// The interface's name.
        interface: String,
    },
}

/// There is no interface of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is on the link of `{0}`, and there is no such interface")]
pub struct UnknownInterface(pub String);

impl DeviceChange {
    /// Puts an index in the place of each interface's name. Changes nothing when one is not known.
    pub fn resolve(
        &mut self,
        index_of: impl Fn(&str) -> Option<u32>,
    ) -> Result<(), UnknownInterface> {
        let resolve = |endpoint: &Endpoint| match endpoint {
            Endpoint::At(address) => Ok(*address),
            Endpoint::OnLink { address, port, interface } => index_of(interface)
                .map(|index| SocketAddrV6::new(*address, *port, 0, index).into())
                .ok_or_else(|| UnknownInterface(interface.clone())),
        };
        let found: Vec<_> = self
            .peers
            .iter()
            .map(|peer| peer.endpoint.as_ref().map(resolve).transpose())
            .collect::<Result<_, _>>()?;
        for (peer, address) in self.peers.iter_mut().zip(found) {
            peer.endpoint = address.map(Endpoint::At);
        }
        Ok(())
    }
}
