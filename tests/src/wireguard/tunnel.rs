//! Hosts with a WireGuard interface each, and what a person would configure on them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use nix::unistd::Pid;

use super::device::Device;
use super::key::{PublicKey, SecretKey};
use super::program::Program;
use super::star::Star;
use super::uapi::{Changes, Peer};
use crate::error::Result;
use crate::netns::Netns;
use crate::route::bits_of;

/// The UDP port every device is told to use.
pub const PORT: u16 = 51_820;

/// Prefix lengths of the network inside.
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

/// An address family, inside or outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// Bytes of an IP and a UDP header.
    pub fn udp_headers(self) -> usize {
        match self {
            Self::V4 => 28,
            Self::V6 => 48,
        }
    }
}

/// One host of a tunnel.
#[derive(Debug)]
pub struct End {
    number: usize,
    secret: SecretKey,
    /// Its interface.
    pub device: Device,
}

impl End {
    fn start(number: usize, program: &Program, netns: &Arc<Netns>) -> Result<Self> {
        let end = Self {
            number,
            secret: SecretKey::numbered(number),
            device: Device::start(program, netns)?,
        };
        end.device.set(&Changes::new().private_key(&end.secret).listen_port(PORT))?;
        end.device.add_address(end.inner(Family::V4), PREFIX_V4)?;
        end.device.add_address(end.inner(Family::V6), PREFIX_V6)?;
        end.device.up()?;
        Ok(end)
    }

    /// Its number, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its private key, as it was at the start.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// Its public key, as it was at the start.
    pub fn key(&self) -> PublicKey {
        self.secret.public()
    }

    /// Its namespace.
    pub fn netns(&self) -> &Arc<Netns> {
        self.device.netns()
    }

    /// The process behind its device.
    pub fn device_pid(&self) -> Pid {
        self.device.pid()
    }

    /// Its address inside the tunnel.
    pub fn inner(&self, family: Family) -> IpAddr {
        inner(self.number, family)
    }

    /// Its address inside the tunnel, as a prefix of one.
    pub fn inner_prefix(&self, family: Family) -> String {
        let address = self.inner(family);
        format!("{address}/{}", bits_of(address))
    }

    /// Where its device is reached.
    pub fn endpoint(&self, family: Family) -> SocketAddr {
        let address = match family {
            Family::V4 => Star::v4(self.number, 2),
            Family::V6 => Star::v6(self.number, 2),
        };
        SocketAddr::new(address, PORT)
    }

    /// What its device says of `other`.
    pub fn sees(&self, other: &Self) -> Result<Peer> {
        self.device.peer(other.key())
    }

    /// `other` as its peer, with what is allowed from it; where it is, is left open.
    pub fn as_peer(other: &Self) -> Changes {
        Changes::new()
            .peer(other.key())
            .allowed_ip(&other.inner_prefix(Family::V4))
            .allowed_ip(&other.inner_prefix(Family::V6))
    }
}

/// The address inside the tunnel of end `number`.
fn inner(number: usize, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 99, 0, number as u8).into(),
        Family::V6 => Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, number as u16).into(),
    }
}

/// Hosts whose devices know each other.
#[derive(Debug)]
pub struct Tunnel {
    // Before the network they stand on.
    ends: Vec<End>,
    star: Star,
}

impl Tunnel {
    /// One host per program, in a star with `strangers` more hosts. The ends do not know each other.
    pub fn new(programs: &[&Program], strangers: usize) -> Result<Self> {
        let star = Star::new(programs.len() + strangers)?;
        let mut ends = Vec::new();
        for (program, number) in programs.iter().zip(1..) {
            ends.push(End::start(number, program, star.host(number))?);
        }
        Ok(Self { ends, star })
    }

    /// Makes every end a peer of every other, and tells each where the others are.
    pub fn introduce(&self, family: Family) -> Result<()> {
        for (end, other) in pairs(&self.ends) {
            end.device.set(&End::as_peer(other).endpoint(other.endpoint(family)))?;
        }
        Ok(())
    }

    /// End `number`.
    pub fn end(&self, number: usize) -> &End {
        &self.ends[number - 1]
    }

    /// End `number`, to stop or to break it.
    pub fn end_mut(&mut self, number: usize) -> &mut End {
        &mut self.ends[number - 1]
    }

    /// All ends.
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// The network around them.
    pub fn star(&self) -> &Star {
        &self.star
    }

    /// Chooses the longest packet outside and inside, everywhere.
    pub fn set_mtu(&self, outside: u32, inside: u32) -> Result<()> {
        for end in &self.ends {
            self.star.set_mtu(end.number, outside)?;
            end.device.set_mtu(inside)?;
        }
        Ok(())
    }
}

/// All ordered pairs of different ends.
fn pairs(ends: &[End]) -> impl Iterator<Item = (&End, &End)> {
    ends.iter().flat_map(move |end| {
        ends.iter().filter(move |other| other.number != end.number).map(move |other| (end, other))
    })
}
