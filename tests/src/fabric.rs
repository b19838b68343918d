//! What the hosts' cables are plugged into: a kernel bridge, fast and able to outlive us, or our own
//! [`Wire`], which can be told to misbehave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Result;
use crate::link::{self, End};
use crate::netns::Netns;
use crate::wire::Wire;

/// The interface of every host that leads to the fabric.
pub const UNDERLAY: &str = "eth0";

/// The bridge's name in its hub.
const BRIDGE: &str = "br0";

/// Prefix lengths of the underlay addresses.
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

/// The hosts' common network below the mesh.
#[derive(Debug)]
pub enum Fabric {
    /// A kernel bridge in this namespace. Offloads stay as the kernel likes them.
    Bridge(Netns),
    /// Our own wire. Frames are plain.
    Wire(Wire),
}

/// The underlay IPv4 address of host `host`.
pub fn underlay_v4(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host as u8)
}

/// The underlay IPv6 address of host `host`.
pub fn underlay_v6(host: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, host as u16)
}

impl Fabric {
    /// A kernel bridge inside `hub`.
    pub fn bridge(hub: Netns) -> Result<Self> {
        link::bridge(&hub, BRIDGE)?;
        Ok(Self::Bridge(hub))
    }

    /// Plugs host `host` in, gives it its underlay addresses and a default route, as a real host has.
    pub fn attach(&self, host: usize, netns: &Netns) -> Result<()> {
        match self {
            Self::Wire(wire) => wire.attach(host, netns)?,
            Self::Bridge(hub) => {
                let hub_end = format!("h{host}");
                let inside = End { netns, name: UNDERLAY, mac: None };
                let outside = End { netns: hub, name: &hub_end, mac: None };
                link::veth(&inside, &outside)?;
                link::enslave(hub, &hub_end, BRIDGE)?;
            }
        }
        link::add_address(netns, UNDERLAY, underlay_v4(host).into(), PREFIX_V4)?;
        link::add_address(netns, UNDERLAY, underlay_v6(host).into(), PREFIX_V6)?;
        link::add_default_route(netns, UNDERLAY, IpAddr::V4(underlay_v4(254)))?;
        link::add_default_route(netns, UNDERLAY, IpAddr::V6(underlay_v6(254)))
    }

    /// The wire, to tell it to misbehave.
    ///
    /// # Panics
    /// When the fabric is a bridge: the test asked for the wrong lab.
    pub fn wire(&self) -> &Wire {
        match self {
            Self::Wire(wire) => wire,
            Self::Bridge(_) => panic!("this lab has a bridge; ask for one with a wire"),
        }
    }
}
