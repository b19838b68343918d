//! The port before it is in service: bound, and lent out for one conversation.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::libc;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::mapped;

/// The UDP port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on UDP {address}: {source}")]
pub(crate) struct BindError {
    /// What was asked for.
    pub(crate) address: SocketAddr,
    /// What the system said.
    pub(crate) source: io::Error,
}

/// The port, bound but not served: first the joiner uses it, then the packet thread, so that both
/// are seen from the same address through the same NAT mapping.
#[derive(Debug)]
pub(crate) struct UdpPort {
    pub(super) socket: UdpSocket,
    pub(super) local: SocketAddr,
}

impl UdpPort {
    /// Binds `port` on all addresses of both families; 0 lets the kernel choose.
    pub(crate) fn bind_any(port: u16) -> Result<Self, BindError> {
        let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        match Self::bind(v6) {
            Err(error) if no_ipv6(&error.source) => Self::bind(v4),
            other => other,
        }
    }

    /// Binds one address.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_socket(address).map_err(|source| BindError { address, source })
    }

    fn bind_socket(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// Marks what is sent (SO_MARK), for the host's routing rules; 0 is no mark.
    pub(crate) fn set_mark(&self, mark: u32) -> io::Result<()> {
        SockRef::from(&self.socket).set_mark(mark)
    }

    /// The bound address; unspecified when all addresses are served.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Lends the port out. Needs a tokio runtime with IO.
    pub(crate) fn lend(&self) -> io::Result<LentPort> {
        let socket = tokio::net::UdpSocket::from_std(self.socket.try_clone()?)?;
        Ok(LentPort { socket, is_v6: self.local.is_ipv6() })
    }
}

/// The port on loan: plain and slow, for the one conversation before the packet thread has it.
/// Whoever drops it can be sure that nothing more is taken from the port.
pub(crate) struct LentPort {
    socket: tokio::net::UdpSocket,
    is_v6: bool,
}

impl LentPort {
    /// The next datagram, in `buffer`. Its source is in the kernel's form: on a dual-stack socket QUIC
    /// itself writes IPv4 destinations as mapped ones, and expects answers from there.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(SocketAddr, usize)> {
        let (len, from) = self.socket.recv_from(buffer).await?;
        Ok((from, len))
    }

    /// Sends `payload` to `to`.
    pub(crate) async fn send(&self, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
        let to = if self.is_v6 { mapped(to) } else { to };
        self.socket.send_to(payload, to).await.map(drop)
    }
}

/// Whether the kernel was built or booted without IPv6.
fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}
