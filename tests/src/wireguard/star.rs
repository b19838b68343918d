//! Hosts around a router: every host has a network of its own, so that paths, address translation and
//! strangers can be put between any two.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::error::Result;
use crate::fabric::UNDERLAY;
use crate::link::{self, End};
use crate::netns::{self, Netns};

/// Prefix lengths of the hosts' networks.
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

/// The router and its hosts, numbered from 1.
#[derive(Debug)]
pub struct Star {
    hub: Arc<Netns>,
    hosts: Vec<Arc<Netns>>,
}

impl Star {
    /// `hosts` hosts, each with a default route to the router.
    pub fn new(hosts: usize) -> Result<Self> {
        let hub = Arc::new(Netns::anonymous("router")?);
        hub.run(|| {
            netns::write_sysctl("ipv4/ip_forward", "1")?;
            netns::write_sysctl("ipv6/conf/all/forwarding", "1")
        })??;
        let mut star = Self { hub, hosts: Vec::new() };
        for number in 1..=hosts {
            star.attach(number)?;
        }
        Ok(star)
    }

    fn attach(&mut self, number: usize) -> Result<()> {
        let host = Arc::new(Netns::anonymous(&format!("h{number}"))?);
        // Without its first address a host keeps the others.
        host.run(|| netns::write_sysctl("ipv4/conf/all/promote_secondaries", "1"))??;
        let port = Self::port(number);
        link::veth(
            &End { netns: &host, name: UNDERLAY, mac: None },
            &End { netns: &self.hub, name: &port, mac: None },
        )?;
        for (address, router, prefix) in [
            (Self::v4(number, 2), Self::v4(number, 1), PREFIX_V4),
            (Self::v6(number, 2), Self::v6(number, 1), PREFIX_V6),
        ] {
            link::add_address(&host, UNDERLAY, address, prefix)?;
            link::add_address(&self.hub, &port, router, prefix)?;
            link::add_default_route(&host, UNDERLAY, router)?;
        }
        self.hosts.push(host);
        Ok(())
    }

    /// The router's interface that leads to host `number`.
    pub fn port(number: usize) -> String {
        format!("h{number}")
    }

    /// The IPv4 address `last` in host `number`'s network: 1 is the router, 2 the host, others are free.
    pub fn v4(number: usize, last: u8) -> IpAddr {
        Ipv4Addr::new(10, 77, number as u8, last).into()
    }

    /// The same for IPv6.
    pub fn v6(number: usize, last: u8) -> IpAddr {
        Ipv6Addr::new(0xfd77, number as u16, 0, 0, 0, 0, 0, last.into()).into()
    }

    /// Gives host `number` one more address of its network.
    pub fn add_address(&self, number: usize, address: IpAddr) -> Result<()> {
        let prefix = if address.is_ipv4() { PREFIX_V4 } else { PREFIX_V6 };
        link::add_address(self.host(number), UNDERLAY, address, prefix)
    }

    /// The router.
    pub fn hub(&self) -> &Arc<Netns> {
        &self.hub
    }

    /// Host `number`.
    pub fn host(&self, number: usize) -> &Arc<Netns> {
        &self.hosts[number - 1]
    }

    /// Chooses the longest packet on the cable of host `number`, at both of its ends.
    pub fn set_mtu(&self, number: usize, mtu: u32) -> Result<()> {
        link::set_mtu(self.host(number), UNDERLAY, mtu)?;
        link::set_mtu(&self.hub, &Self::port(number), mtu)
    }
}
