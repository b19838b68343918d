//! One datagram at a time, with everything that can be said of one.
//!
//! Not by way of quinn-udp, which clears the mark of the control lane and knows nothing of hop limits.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

/// Sends `contents` to `to`, from `local` and no further than `hops`, if those are given. To a dual-stack
/// socket `to` is in mapped form where it is IPv4; `local` never is.
pub(super) fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    local: Option<IpAddr>,
    hops: Option<u8>,
    contents: &[u8],
) -> io::Result<()> {
    let (v4, v6);
    let source = match local {
        Some(IpAddr::V4(local)) => {
            let s_addr = u32::from_ne_bytes(local.octets());
            v4 = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            Some(ControlMessage::Ipv4PacketInfo(&v4))
        }
        Some(IpAddr::V6(local)) => {
            let ipi6_addr = libc::in6_addr { s6_addr: local.octets() };
            v6 = libc::in6_pktinfo { ipi6_ifindex: 0, ipi6_addr };
            Some(ControlMessage::Ipv6PacketInfo(&v6))
        }
        None => None,
    };
    let hops = hops.map(libc::c_int::from);
    let limit = hops.as_ref().map(|limit| match to.ip().to_canonical() {
        IpAddr::V4(_) => ControlMessage::Ipv4Ttl(limit),
        IpAddr::V6(_) => ControlMessage::Ipv6HopLimit(limit),
    });
    let said: Vec<_> = source.into_iter().chain(limit).collect();
    let to = SockaddrStorage::from(to);
    let parts = [IoSlice::new(contents)];
    sendmsg(socket.as_raw_fd(), &parts, &said, MsgFlags::empty(), Some(&to))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{ControlMessageOwned, RecvMsg, recvmsg, setsockopt, sockopt};

    use super::super::mapped;
    use super::*;

    /// The hop limit that a datagram to `to` arrives with.
    fn arrives_with(from: &UdpSocket, to: &str, hops: Option<u8>) -> i32 {
        let receiver = UdpSocket::bind(to).expect("loopback");
        let at = receiver.local_addr().expect("bound");
        let is_v4 = at.is_ipv4();
        if is_v4 {
            setsockopt(&receiver, sockopt::Ipv4RecvTtl, &true).expect("supported");
        } else {
            setsockopt(&receiver, sockopt::Ipv6RecvHopLimit, &true).expect("supported");
        }
        send(from, mapped(at), Some(at.ip()), hops, b"hop").expect("sent");
        let mut buffer = [0; 8];
        let mut parts = [io::IoSliceMut::new(&mut buffer)];
        let mut space = nix::cmsg_space!(i32);
        let got: RecvMsg<'_, '_, SockaddrStorage> =
            recvmsg(receiver.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())
                .expect("received");
        let mut said = got.cmsgs().expect("whole");
        said.find_map(|message| match message {
            ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
                Some(limit)
            }
            _ => None,
        })
        .expect("told")
    }

    #[test]
    fn a_hop_limit_is_the_datagrams_alone_in_both_families() {
        let socket = UdpSocket::bind("[::]:0").expect("both families");
        for to in ["127.0.0.1:0", "[::1]:0"] {
            let usual = arrives_with(&socket, to, None);
            assert_eq!(arrives_with(&socket, to, Some(17)), 17);
            assert_eq!(arrives_with(&socket, to, None), usual);
        }
    }
}
