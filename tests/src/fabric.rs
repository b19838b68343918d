//! What the hosts' cables are plugged into: a kernel bridge, fast and able to outlive us, or our own
//! [`Wire`], which can be told to misbehave.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};

use crate::error::{Context as _, Error, Result};
use crate::link::{self, End};
use crate::netns::Netns;
use crate::wire::Wire;

/// The interface of every host that leads to the fabric.
pub const UNDERLAY: &str = "eth0";

/// The bridge's name in its hub.
const BRIDGE: &str = "br0";

/// The table that cuts links of a bridge.
const CUTS: &str = "cuts";

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

    /// From now on nothing goes from the first host of each of `cuts` to the second, and everything else does: what
    /// was cut before is mended unless it is among them. All of it happens at one moment. A bridge needs `nft`.
    pub fn cut_exactly(&self, cuts: &BTreeSet<(usize, usize)>) -> Result<()> {
        match self {
            Self::Wire(wire) => {
                wire.cut_exactly(cuts);
                Ok(())
            }
            Self::Bridge(hub) => apply(hub, &rules(cuts)),
        }
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

/// Made before it is deleted, because it cannot be deleted before it is there.
fn rules(cuts: &BTreeSet<(usize, usize)>) -> String {
    let mut rules = format!("table bridge {CUTS}\ndelete table bridge {CUTS}\n");
    let _ = writeln!(rules, "table bridge {CUTS} {{\n chain forward {{");
    let _ = writeln!(rules, "  type filter hook forward priority 0; policy accept;");
    for (from, to) in cuts {
        let _ = writeln!(rules, "  iifname \"h{from}\" oifname \"h{to}\" drop");
    }
    rules + " }\n}\n"
}

/// Hands `rules` to the kernel, which takes all of them at once or none.
fn apply(hub: &Netns, rules: &str) -> Result<()> {
    let nft = hub.run(|| Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn())?;
    let mut nft = nft.context("run nft")?;
    if let Some(mut stdin) = nft.stdin.take() {
        stdin.write_all(rules.as_bytes()).context("write to nft")?;
    }
    if nft.wait().context("wait for nft")?.success() {
        return Ok(());
    }
    Err(Error::Failed(format!("nft did not take\n{rules}")))
}
