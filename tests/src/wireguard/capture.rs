//! What arrives on an interface, read beside whoever it is for.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::message::Kind;
use crate::error::{Context as _, Result};
use crate::netns::Netns;
use crate::wait::eventually;
use crate::{link, raw};

/// Bytes the kernel may hold while nobody reads: a few thousand full frames.
const RECEIVE_BUFFER: usize = 16 << 20;

/// The longest frame: offloads put 64 KiB packets on cables between namespaces.
const MAX_FRAME: usize = 1 << 17;

const ETHERNET_HEADER: usize = 14;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;

/// A UDP datagram that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it is for.
    pub to: SocketAddr,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Reads along on an interface, from the moment it is made. Sees what comes in, not what goes out.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
}

impl Capture {
    /// Reads along on `interface` of `netns`.
    pub fn start(netns: &Arc<Netns>, interface: &str) -> Result<Self> {
        netns.run(|| {
            let socket =
                raw::frame_socket(link::index(interface)?).context("open a packet socket")?;
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
                .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER))
                .context("enlarge a receive buffer")?;
            Ok(Self { socket })
        })?
    }

    /// The datagrams that arrived since the last look.
    pub fn datagrams(&self) -> Vec<Datagram> {
        let mut frame = vec![0; MAX_FRAME];
        let mut found = Vec::new();
        // An error means that nothing is left.
        while let Ok(len) = nix::unistd::read(&self.socket, &mut frame) {
            found.extend(frame.get(..len).and_then(datagram_in));
        }
        found
    }

    /// The first datagram for which `wanted` holds; earlier ones are forgotten, later ones are kept unless
    /// they had arrived already.
    pub fn wait_for(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Datagram) -> bool,
    ) -> Result<Datagram> {
        eventually(limit, what, || self.datagrams().into_iter().find(|seen| wanted(seen)))
    }

    /// Waits for `count` messages of `kind`, and returns them.
    pub fn wait_for_messages(
        &self,
        limit: Duration,
        kind: Kind,
        count: usize,
    ) -> Result<Vec<Datagram>> {
        let mut seen = Vec::new();
        eventually(limit, &format!("{count} messages of kind {kind:?} arrive"), || {
            seen.extend(
                self.datagrams().into_iter().filter(|d| Kind::of(&d.payload) == Some(kind)),
            );
            (seen.len() >= count).then_some(())
        })?;
        Ok(seen)
    }
}

/// The datagram in an Ethernet frame, unless it is a fragment or something else.
fn datagram_in(frame: &[u8]) -> Option<Datagram> {
    let (kind, packet) = (frame.get(12..ETHERNET_HEADER)?, frame.get(ETHERNET_HEADER..)?);
    let (from, to, udp): (IpAddr, IpAddr, &[u8]) = match kind {
        [0x08, 0x00] => {
            // The header's length is in 32-bit words; a fragment has an offset or "more" set.
            let header = usize::from(packet.first()? & 0x0f) * 4;
            if *packet.get(9)? != UDP || packet.get(6..8)?[0] & 0x3f != 0 || packet[7] != 0 {
                return None;
            }
            let address =
                |at: usize| Some(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?.into());
            (address(12)?, address(16)?, packet.get(header..)?)
        }
        [0x86, 0xdd] => {
            if *packet.get(6)? != UDP {
                return None;
            }
            let address =
                |at: usize| Some(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?.into());
            (address(8)?, address(24)?, packet.get(IPV6_HEADER..)?)
        }
        _ => return None,
    };
    let word = |at: usize| Some(u16::from_be_bytes(udp.get(at..at + 2)?.try_into().ok()?));
    let len = usize::from(word(4)?);
    Some(Datagram {
        from: SocketAddr::new(from, word(0)?),
        to: SocketAddr::new(to, word(2)?),
        // Padding after a short packet is not part of it.
        payload: udp.get(UDP_HEADER..len.max(UDP_HEADER))?.to_vec(),
    })
}
