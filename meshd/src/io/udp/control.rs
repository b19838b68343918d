//! The control lane: a second socket on the port, for what must not wait.
//!
//! What is sent on it carries a mark in the outer IP header, the one WireGuard's own handshakes have
//! (AF41), which routers and queues on the way may honour. The kernel gives arriving datagrams with
//! the mark to this socket, the others to the first (`steering`). Anybody can set the mark; that buys a place in a
//! queue of its own, nothing else.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use rustix::net::sockopt::{set_ip_tos, set_ipv6_tclass};
use socket2::Socket;

/// The mark: AF41 (RFC 2597) in the upper six bits of what was once called type of service.
pub(super) const MARK: u8 = 0x88;

/// Gives what `socket` sends the mark. `local` is what it is going to be bound to.
pub(super) fn mark(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    if local.is_ipv6() {
        set_ipv6_tclass(socket, MARK.into())?;
    }
    Ok(set_ip_tos(socket, MARK)?)
}

/// Sends one datagram, from `local` if that is given. Not by way of quinn-udp, which clears the mark.
pub(super) fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    local: Option<IpAddr>,
    contents: &[u8],
) -> io::Result<()> {
    let v4;
    let v6;
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
    let to = SockaddrStorage::from(to);
    let parts = [IoSlice::new(contents)];
    sendmsg(socket.as_raw_fd(), &parts, source.as_slice(), MsgFlags::empty(), Some(&to))?;
    Ok(())
}
