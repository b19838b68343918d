//! The control lane: a second socket on the port, for what must not wait.
//!
//! What is sent on it carries a mark in the outer IP header, the one WireGuard's own handshakes have
//! (AF41), which routers and queues on the way may honour. The kernel gives arriving datagrams with
//! the mark to this socket, the others to the first (`steering`). Anybody can set the mark; that buys
//! a place in a queue of its own, nothing else.

use std::io;
use std::net::SocketAddr;

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
