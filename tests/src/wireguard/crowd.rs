//! One host that sends from more addresses than anybody keeps books about.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::star::Star;
use crate::error::{Context as _, Result};
use crate::link;
use crate::netns::Netns;
use crate::route::Route;

/// The network of the addresses, set aside for tests of networks (RFC 2544): 131,072 of them.
const NETWORK: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const PREFIX: u8 = 15;

/// A socket that sends each datagram from another address, drawn from a seed.
#[derive(Debug)]
pub struct Crowd {
    socket: UdpSocket,
    chance: ChaCha8Rng,
}

impl Crowd {
    /// The crowd on host `number` of `star`, which routes the answers there.
    pub fn new(star: &Star, number: usize, seed: u64) -> Result<Self> {
        let back = Star::port(number);
        Route::new(NETWORK.into(), PREFIX, &back).via(Star::v4(number, 2)).add(star.hub())?;
        Self::inside(star.host(number), seed)
    }

    fn inside(host: &Arc<Netns>, seed: u64) -> Result<Self> {
        // On the loopback interface every address of the network is the host's own.
        link::add_address(host, "lo", NETWORK.into(), PREFIX)?;
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let socket = host.run(|| UdpSocket::bind((any, 0)).context("bind"))??;
        Ok(Self { socket, chance: ChaCha8Rng::seed_from_u64(seed) })
    }

    /// Sends `payload` to `target` from the next address.
    pub fn send(&mut self, payload: &[u8], target: SocketAddrV4) -> Result<()> {
        let host = self.chance.next_u32() >> PREFIX;
        let source = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: (NETWORK.to_bits() | host).to_be() },
            ipi_addr: in_addr { s_addr: 0 },
        };
        sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(payload)],
            &[ControlMessage::Ipv4PacketInfo(&source)],
            MsgFlags::empty(),
            Some(&SockaddrIn::from(target)),
        )
        .map(drop)
        .context(format!("send to {target}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_crowd_sends_from_many_addresses_of_its_network() {
        crate::needs_namespaces!();
        let host = Arc::new(Netns::anonymous("crowd").unwrap());
        let victim = host.run(|| UdpSocket::bind("127.0.0.1:7").unwrap()).unwrap();
        let mut crowd = Crowd::inside(&host, 1).unwrap();
        let mut sources = BTreeSet::new();
        for number in 0..100 {
            crowd.send(&[number], "127.0.0.1:7".parse().unwrap()).unwrap();
            let mut payload = [0; 2];
            let (len, source) = victim.recv_from(&mut payload).unwrap();
            assert_eq!(payload[..len], [number]);
            let IpAddr::V4(source) = source.ip() else { panic!("{source} is not IPv4") };
            assert_eq!(source.to_bits() >> (32 - PREFIX), NETWORK.to_bits() >> (32 - PREFIX));
            sources.insert(source);
        }
        assert!(sources.len() > 90, "{sources:?}");
    }
}
