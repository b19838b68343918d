//! What an engine is made of.

use std::net::IpAddr;

use mesh_model::{OverlayAddrs, TunnelSecret};

use crate::handshake::HandshakeBudget;
use crate::packet::ip::Inner;
use crate::peer::Pace;
use crate::wall::WallTime;

/// What an engine is made of.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Our end of every tunnel. A device without one shakes no hands.
    pub secret: Option<TunnelSecret>,
    /// What the host is.
    pub role: Role,
    /// What strangers' handshakes may cost.
    pub budget: HandshakeBudget,
    /// The wall clock at the engine's start; time passes with `now` from there, but for what
    /// [`Engine::handle_wall`](crate::Engine::handle_wall) says.
    pub wall: WallTime,
    /// No handshake is stamped earlier than this, whatever the wall clock says: peers refuse a host
    /// whose clock was set back. What [`Engine::newest_stamp`](crate::Engine::newest_stamp) said in
    /// an earlier run, and a little.
    pub stamp_floor: WallTime,
}

/// What the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A member of a mesh: packets to these addresses are for this host, others are dropped, and
    /// the daemons' own ports have a lane of their own.
    Member(OverlayAddrs),
    /// A plain WireGuard device: whatever a peer may send goes to the kernel, which routes it.
    Plain,
}

impl Role {
    /// Whether `addr` is the host's own.
    pub(super) fn is_own(&self, addr: IpAddr) -> bool {
        matches!(self, Self::Member(addrs) if addrs.contains(addr))
    }

    /// Whether a packet from a peer to `addr` ends here.
    pub(super) fn accepts(&self, addr: IpAddr) -> bool {
        match self {
            Self::Member(addrs) => addrs.contains(addr),
            Self::Plain => true,
        }
    }

    /// How soon it repeats an initiation.
    pub(super) fn pace(&self) -> Pace {
        match self {
            Self::Member(_) => Pace::Early,
            Self::Plain => Pace::Stock,
        }
    }

    /// Whether `inner` is between daemons.
    pub(super) fn is_control(&self, inner: &Inner<'_>) -> bool {
        matches!(self, Self::Member(_)) && inner.is_control()
    }
}
