//! Two namespaces and a cable: what every sample starts from, and what ends with it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::error::Result;
use crate::fabric::{UNDERLAY, underlay_v4, underlay_v6};
use crate::link::{self, End};
use crate::netns::Netns;
use crate::traffic::ping;
use crate::wait::eventually;

/// Bytes of IP the cable takes: an Ethernet's.
const MTU: u32 = 1500;

/// How long the kernel may take to connect the ends: it is done in milliseconds.
const LIMIT: Duration = Duration::from_secs(5);

/// What carries the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Underlay {
    /// The cable as the kernel makes it: super-packets pass it whole. Kinder than most network cards
    AsCreated,
    /// The kernel segments before the cable and coalesces after it: a card without offload for UDP
    SoftwareSegmentation,
    /// As above, and nothing is coalesced: a card or driver without receive offload
    NoReceiveOffload,
    /// 100 Mbit/s each way, with a queue before it that loses nothing: an office's uplink
    SlowUplink,
}

/// The rate of a slow uplink, in Mbit/s.
const SLOW: u32 = 100;

impl Underlay {
    /// What it is called on the command line and in JSON.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What is switched, in the kernel's names.
    fn features(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::AsCreated | Self::SlowUplink => &[],
            Self::SoftwareSegmentation => &[
                ("tx-udp-segmentation", false),
                ("tx-tcp-segmentation", false),
                ("tx-generic-segmentation", false),
                ("rx-gro", true),
            ],
            Self::NoReceiveOffload => &[
                ("tx-udp-segmentation", false),
                ("tx-tcp-segmentation", false),
                ("tx-generic-segmentation", false),
                ("rx-gro", false),
            ],
        }
    }
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where connections and pings start.
    Near,
    /// Where they end.
    Far,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Near, Self::Far];

    /// The one across.
    pub fn across(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }

    /// What it is called in names of interfaces and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }

    /// Its number as a host, from 1.
    pub fn number(self) -> usize {
        match self {
            Self::Near => 1,
            Self::Far => 2,
        }
    }

    /// Its address on the cable.
    pub fn underlay(self) -> Ipv4Addr {
        underlay_v4(self.number())
    }

    /// Its address inside the tunnel, unless the peer gives addresses itself.
    pub fn overlay(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 78, 0, self.number() as u8)
    }
}

/// Bits of the overlay's prefix.
pub const OVERLAY_PREFIX: u8 = 24;

/// The namespaces and the cable.
#[derive(Debug)]
pub struct Ground {
    near: Arc<Netns>,
    far: Arc<Netns>,
}

impl Ground {
    /// Lays everything afresh. There is no default route: until a tunnel has its own, what is meant for it
    /// must not leave another way.
    pub fn lay(underlay: Underlay) -> Result<Self> {
        let near = Arc::new(Netns::anonymous("near")?);
        let far = Arc::new(Netns::anonymous("far")?);
        let end = |netns| End { netns, name: UNDERLAY, mac: None };
        link::veth(&end(&near), &end(&far))?;
        let ground = Self { near, far };
        for side in Side::BOTH {
            let netns = ground.end(side);
            link::set_mtu(netns, UNDERLAY, MTU)?;
            link::add_address(netns, UNDERLAY, side.underlay().into(), 24)?;
            link::add_address(netns, UNDERLAY, underlay_v6(side.number()).into(), 64)?;
            for (feature, on) in underlay.features() {
                link::set_feature(netns, UNDERLAY, feature, *on)?;
            }
            if underlay == Underlay::SlowUplink {
                link::limit_rate(netns, UNDERLAY, SLOW)?;
            }
        }
        ground.wait()?;
        Ok(ground)
    }

    /// Waits until packets pass: until the kernel has seen both ends up it drops them, and whoever is
    /// asked for its hardware address then is asked again only a second later.
    fn wait(&self) -> Result<()> {
        for side in Side::BOTH {
            eventually(LIMIT, "the cable carries", || {
                link::is_running(self.end(side), UNDERLAY).unwrap_or(false).then_some(())
            })?;
        }
        ping(self.near(), IpAddr::V4(Side::Far.underlay()), LIMIT).map(drop)
    }

    /// The namespace of one side.
    pub fn end(&self, side: Side) -> &Arc<Netns> {
        match side {
            Side::Near => &self.near,
            Side::Far => &self.far,
        }
    }

    /// Where connections and pings start.
    pub fn near(&self) -> &Netns {
        &self.near
    }

    /// Where they end.
    pub fn far(&self) -> &Netns {
        &self.far
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_reach_each_other_whatever_is_switched_off() {
        crate::needs_namespaces!();
        for underlay in Underlay::value_variants() {
            Ground::lay(*underlay).unwrap();
        }
    }
}
