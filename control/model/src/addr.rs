//! Overlay addresses: one IPv4 and one IPv6 per member, and the prefixes they come from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::id::{MemberId, MeshId};

/// Where a mesh's IPv4 addresses come from unless `mesh init --ipv4-prefix` says otherwise: a /16
/// inside the shared address space of RFC 6598, which home and office networks leave alone.
pub const DEFAULT_IPV4_PREFIX: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 88, 0, 0), 16);

/// The largest packet inside the tunnel, in bytes: 1500 on the underlay, less 40 (IPv6), 8 (UDP), 32
/// (WireGuard) and 20 kept free for the header of a relayed packet. The same on direct paths, so
/// that a flow survives a change of path.
pub const OVERLAY_MTU: u16 = 1400;

/// Overlay UDP ports that the daemon serves itself and the kernel never sees.
///
/// They sit just above WireGuard's customary 51820 so that one glance at a capture tells whose they
/// are, and in the range IANA leaves unassigned for services (49152 up is dynamic, so a host's own
/// ephemeral range, 32768-60999 on Linux, may collide: the daemon's overlay address wins).
pub mod port {
    /// Gossip datagrams.
    pub const GOSSIP: u16 = 51821;
    /// Agreement and sync, over QUIC.
    pub const AGREEMENT: u16 = 51822;
    /// Overlay echo: `mesh ping`.
    pub const ECHO: u16 = 51823;

    /// Whether overlay UDP to `port` belongs to the daemon.
    pub fn is_control(port: u16) -> bool {
        matches!(port, GOSSIP | AGREEMENT | ECHO)
    }
}

/// Address space no host may have for its own (RFC 6890 and, for the last, RFC 5771 with the class
/// above it).
const RESERVED: [Ipv4Net; 4] = [
    Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// The prefixes of one mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefixes {
    /// Members' IPv4 addresses are hosts of this prefix.
    pub v4: Ipv4Net,
    /// Members' IPv6 addresses are hosts of this ULA prefix.
    pub v6: Ipv6Net,
}

/// A prefix that cannot serve a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Fewer than two hosts.
    #[error("ipv4 prefix {0} is too small: a /30 is the smallest that holds two members")]
    TooSmall(Ipv4Net),
    /// Host bits set: probably an address was meant.
    #[error("ipv4 prefix {0} has host bits set; did you mean {1}?")]
    HostBits(Ipv4Net, Ipv4Net),
    /// Overlaps multicast and above, loopback, link-local or "this network".
    #[error("ipv4 prefix {0} is not unicast address space hosts may use")]
    Reserved(Ipv4Net),
}

impl Prefixes {
    /// The prefixes of mesh `mesh`: `v4` as given, IPv6 a /64 ULA whose 40-bit global id comes from
    /// the mesh id (RFC 4193, section 3.2: random, so two meshes can be joined without renumbering).
    pub fn for_mesh(mesh: MeshId, v4: Ipv4Net) -> Result<Self, PrefixError> {
        if v4.trunc() != v4 {
            return Err(PrefixError::HostBits(v4, v4.trunc()));
        }
        if v4.prefix_len() > 30 {
            return Err(PrefixError::TooSmall(v4));
        }
        if RESERVED.iter().any(|net| net.contains(&v4) || v4.contains(net)) {
            return Err(PrefixError::Reserved(v4));
        }
        let mut octets = [0; 16];
        octets[0] = 0xfd;
        octets[1..6].copy_from_slice(&mesh.0[..5]);
        Ok(Self { v4, v6: Ipv6Net::new_assert(octets.into(), 64) })
    }

    /// The IPv6 address of `member`: its id in the interface part. Ids are never reused, so neither
    /// are these addresses.
    pub fn ipv6_of(&self, member: MemberId) -> Ipv6Addr {
        (u128::from(self.v6.network()) | u128::from(member.0)).into()
    }

    /// Whether `addr` lies in one of the mesh's prefixes.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(v4) => self.v4.contains(&v4),
            IpAddr::V6(v6) => self.v6.contains(&v6),
        }
    }
}

/// The two overlay addresses of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OverlayAddrs {
    /// Host address inside [`Prefixes::v4`].
    pub v4: Ipv4Addr,
    /// Host address inside [`Prefixes::v6`].
    pub v6: Ipv6Addr,
}

impl OverlayAddrs {
    /// Both as host prefixes (/32 and /128): the allowed IPs of the member's tunnel.
    pub fn host_prefixes(&self) -> [IpNet; 2] {
        [IpNet::from(IpAddr::V4(self.v4)), IpNet::from(IpAddr::V6(self.v6))]
    }

    /// Whether `addr` is one of the two.
    pub fn contains(&self, addr: IpAddr) -> bool {
        addr == IpAddr::V4(self.v4) || addr == IpAddr::V6(self.v6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_different_members_differ_and_lie_inside() {
        let prefixes = Prefixes::for_mesh(MeshId([9; 16]), DEFAULT_IPV4_PREFIX).expect("valid");
        let (one, two) = (prefixes.ipv6_of(MemberId(1)), prefixes.ipv6_of(MemberId(2)));
        assert_ne!(one, two);
        assert!(prefixes.contains(one.into()) && prefixes.contains(two.into()));
        assert_eq!(one.to_string(), "fd09:909:909::1");
    }

    #[test]
    fn a_prefix_that_cannot_serve_is_refused_with_its_reason() {
        let mesh = MeshId([0; 16]);
        for (text, part) in [
            ("10.0.0.1/16", "did you mean 10.0.0.0/16"),
            ("10.0.0.0/31", "too small"),
            ("127.0.0.0/8", "not unicast"),
            ("224.0.0.0/8", "not unicast"),
            ("0.0.0.0/0", "not unicast"),
            ("128.0.0.0/1", "not unicast"),
            ("169.254.7.0/24", "not unicast"),
        ] {
            let net = text.parse().expect("a net");
            let error = Prefixes::for_mesh(mesh, net).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
