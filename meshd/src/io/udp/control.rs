//! The control lane: a second socket on the port, for what must not wait.
//!
//! What is sent on it carries a mark in the outer IP header, the one WireGuard's own handshakes have
//! (AF41), which routers and queues on the way may honour. The kernel gives arriving datagrams with
//! the mark to this socket, the others to the first. Anybody can set the mark; that buys a place in a
//! queue of its own, nothing else.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::libc;
use nix::sys::socket::sockopt::AttachReusePortCbpf;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt};
use rustix::net::sockopt::{set_ip_tos, set_ipv6_tclass};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// The mark: AF41 (RFC 2597) in the upper six bits of what was once called type of service.
const MARK: u8 = 0x88;

/// Which socket of the port gets a datagram: they are numbered in the order they came to it.
const FIRST: u32 = 0;
const SECOND: u32 = 1;

/// Opens the second socket beside `first`, which is bound to `local`.
///
/// `first` was bound without sharing, so that the port was known to be free; it shares from now on.
pub(super) fn open(first: &UdpSocket, local: SocketAddr) -> io::Result<UdpSocket> {
    SockRef::from(first).set_reuse_port(true)?;
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    if local.is_ipv6() {
        socket.set_only_v6(!local.ip().is_unspecified())?;
        set_ipv6_tclass(&socket, MARK.into())?;
    }
    set_ip_tos(&socket, MARK)?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    let socket = UdpSocket::from(socket);
    steer_by_mark(&socket)?;
    Ok(socket)
}

/// Lets the kernel choose between the sockets of the port by the mark: a program in classic BPF that looks at the IP header.
fn steer_by_mark(socket: &UdpSocket) -> io::Result<()> {
    // The first two bytes: in IPv4 version, header length and mark; in IPv6 version, mark and the
    // start of the flow label. The lowest two bits of the mark are congestion's.
    let (v4, v6) = (u32::from(MARK), u32::from(MARK) << 4);
    let network = libc::SKF_NET_OFF as u32;
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, network),
        statement(libc::BPF_MISC | libc::BPF_TAX, 0),
        statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 12),
        jump_if_equal(6, 3, 0),
        statement(libc::BPF_MISC | libc::BPF_TXA, 0),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xfc),
        jump_if_equal(v4, 4, 3),
        statement(libc::BPF_MISC | libc::BPF_TXA, 0),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xfc0),
        jump_if_equal(v6, 1, 0),
        statement(libc::BPF_RET | libc::BPF_K, FIRST),
        statement(libc::BPF_RET | libc::BPF_K, SECOND),
    ];
    let len = program.len() as u16;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    Ok(setsockopt(socket, AttachReusePortCbpf, &program)?)
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Skips `yes` or `no` statements.
fn jump_if_equal(k: u32, yes: u8, no: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    libc::sock_filter { code, jt: yes, jf: no, k }
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
