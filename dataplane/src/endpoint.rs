//! Where a peer is, and the way there.

use std::net::{IpAddr, SocketAddr};

/// Where a peer is, and which of this host's addresses it knows us by.
///
/// A host with several addresses answers from the one that was spoken to, as the kernel's WireGuard
/// does: to a NAT or a firewall on the way, anything else would be a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The peer's address.
    pub remote: SocketAddr,
    /// Ours; `None` leaves the choice to the kernel's routes.
    pub local: Option<IpAddr>,
    /// The interface on which the peer was heard, by the kernel's index. Nothing is made to leave by it;
    /// but when routes lead elsewhere, `local` has lost its reason.
    pub interface: Option<u32>,
}

impl From<SocketAddr> for Endpoint {
    fn from(remote: SocketAddr) -> Self {
        Self { remote, local: None, interface: None }
    }
}

/// A way to a peer on which it is answered from the address it spoke to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The peer's address.
    pub remote: IpAddr,
    /// Ours.
    pub local: IpAddr,
}
