//! The one UDP port: tunnels, joiners and their replies all pass here.
//!
//! One dual-stack socket serves both families; where the kernel has no IPv6, an IPv4 socket does.
//! IPv4 peers of a dual-stack socket look like `::ffff:192.0.2.1` to the kernel; the rest of the
//! program never sees that form. Receiving takes many datagrams per system call (`recvmmsg`, and
//! GRO inside each), sending takes runs of equal datagrams to one destination (GSO).
//!
//! Packets may be fragmented on the way, as WireGuard's are: a path narrower than the overlay
//! expects is slow, not dead.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;

/// What the kernel is asked to hold in each direction, in bytes: 30 ms of 1 Gbit/s, rounded up. It
/// gives what `net.core.rmem_max` allows.
const KERNEL_BUFFER: usize = 4 << 20;

/// Buffers filled by one system call: half of what quinn-udp can take, at 64 KiB each.
const RECEIVE_BUFFERS: usize = 16;

/// One buffer, in bytes: the largest run of datagrams that GRO may put together.
const RECEIVE_BUFFER: usize = 1 << 16;

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
    socket: std::net::UdpSocket,
    local: SocketAddr,
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
        let socket = std::net::UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// The bound address; unspecified when all addresses are served.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Marks what is sent (SO_MARK), for the host's routing rules; 0 is no mark.
    pub(crate) fn set_mark(&self, mark: u32) -> io::Result<()> {
        SockRef::from(&self.socket).set_mark(mark)
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
    matches!(error.raw_os_error(), Some(nix::libc::EAFNOSUPPORT | nix::libc::EADDRNOTAVAIL))
}

/// The port in service. Needs a tokio runtime with IO.
pub(crate) struct Udp {
    socket: tokio::net::UdpSocket,
    state: UdpSocketState,
    /// An IPv6 socket: IPv4 destinations are written in their mapped form.
    is_v6: bool,
}

impl Udp {
    /// Puts `port` into service on the current runtime.
    pub(crate) fn serve(port: UdpPort) -> io::Result<Self> {
        let is_v6 = port.local.is_ipv6();
        let socket = tokio::net::UdpSocket::from_std(port.socket)?;
        let state = UdpSocketState::new((&socket).into())?;
        allow_fragments(&socket, is_v6)?;
        let kernel = SockRef::from(&socket);
        // Less than asked for is what an ordinary user gets; it is no reason to fail.
        let _ = kernel.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = kernel.set_send_buffer_size(KERNEL_BUFFER);
        Ok(Self { socket, state, is_v6 })
    }

    /// Returns once something may have arrived.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Returns once there may be room to send.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Fills `batch` with what has arrived; `WouldBlock` when that is nothing.
    pub(crate) fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<()> {
        batch.filled = 0;
        let mut chunks = batch.arena.chunks_exact_mut(RECEIVE_BUFFER);
        let mut slices: [IoSliceMut<'_>; RECEIVE_BUFFERS] = std::array::from_fn(|_| {
            IoSliceMut::new(chunks.next().expect("the arena holds RECEIVE_BUFFERS chunks"))
        });
        batch.filled = self.socket.try_io(Interest::READABLE, || {
            self.state.recv((&self.socket).into(), &mut slices, &mut batch.metas)
        })?;
        Ok(())
    }

    /// Sends `contents` to `to`: one datagram, or with `segment` a run of datagrams of that length
    /// of which only the last may be shorter.
    pub(crate) fn send(
        &self,
        to: SocketAddr,
        contents: &[u8],
        segment: Option<usize>,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: if self.is_v6 { mapped(to) } else { to },
            ecn: None,
            contents,
            segment_size: segment,
            src_ip: None,
        };
        self.socket
            .try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit))
    }

    /// Marks what is sent (SO_MARK), for the host's routing rules; 0 is no mark.
    pub(crate) fn set_mark(&self, mark: u32) -> io::Result<()> {
        SockRef::from(&self.socket).set_mark(mark)
    }

    /// How many datagrams one run may hold: 1 where the kernel has no GSO.
    pub(crate) fn max_run(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Whether the kernel puts arriving datagrams together.
    pub(crate) fn has_gro(&self) -> bool {
        self.state.gro_segments() > 1
    }
}

/// quinn-udp forbids fragmentation, which QUIC needs and WireGuard does not.
fn allow_fragments(socket: &tokio::net::UdpSocket, is_v6: bool) -> io::Result<()> {
    set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)?;
    if is_v6 {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT)?;
        setsockopt(socket, sockopt::Ipv6DontFrag, &false)?;
    }
    Ok(())
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) => SocketAddr::from((v4.to_ipv6_mapped(), address.port())),
        IpAddr::V6(_) => address,
    }
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// Room for one receive call, kept from call to call.
pub(crate) struct ReceiveBatch {
    /// [`RECEIVE_BUFFERS`] chunks. Untouched pages cost no memory: only GRO fills a chunk.
    arena: Box<[u8]>,
    metas: [RecvMeta; RECEIVE_BUFFERS],
    filled: usize,
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; RECEIVE_BUFFERS * RECEIVE_BUFFER].into_boxed_slice(),
            metas: [RecvMeta::default(); RECEIVE_BUFFERS],
            filled: 0,
        }
    }

    /// Hands every datagram of the last call to `take`, in order of arrival.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(SocketAddr, &mut [u8])) {
        let chunks = self.arena.chunks_exact_mut(RECEIVE_BUFFER);
        for (chunk, meta) in chunks.zip(&self.metas[..self.filled]) {
            let from = unmapped(meta.addr);
            // An empty datagram has no stride.
            for datagram in chunk[..meta.len].chunks_mut(meta.stride.max(1)) {
                take(from, datagram);
            }
        }
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything the next receive call brings, once something has arrived.
    async fn receive(udp: &Udp) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut batch = ReceiveBatch::new();
        loop {
            udp.readable().await.expect("a port");
            match udp.receive(&mut batch) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
        let mut got = Vec::new();
        batch.drain(|from, datagram| got.push((from, datagram.to_vec())));
        got
    }

    #[tokio::test]
    async fn ipv4_peers_of_the_dual_stack_port_look_like_ipv4() {
        let port = UdpPort::bind_any(0).expect("any");
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port.local().port()));
        let udp = Udp::serve(port).expect("served");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        peer.send_to(b"hello", to).expect("sent");
        let from = peer.local_addr().expect("bound");
        assert_eq!(receive(&udp).await, [(from, b"hello".to_vec())]);

        udp.writable().await.expect("a port");
        udp.send(from, b"back", None).expect("sent");
        let mut buf = [0; 16];
        let (len, _) = peer.recv_from(&mut buf).expect("received");
        assert_eq!(&buf[..len], b"back");
    }

    #[tokio::test]
    async fn a_run_arrives_as_the_datagrams_it_was_made_of() {
        let open = || {
            let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
            let at = port.local();
            (Udp::serve(port).expect("served"), at)
        };
        let ((near, from), (far, to)) = (open(), open());
        let run = [[1; 100], [2; 100]].concat();
        let run = [&run[..], &[3; 40]].concat();
        near.writable().await.expect("a port");
        if near.max_run() > 1 {
            near.send(to, &run, Some(100)).expect("sent");
        } else {
            for datagram in run.chunks(100) {
                near.send(to, datagram, None).expect("sent");
            }
        }
        near.send(to, &[], None).expect("sent");
        let mut got = Vec::new();
        // The empty one may be dropped on the way up: it carries nothing.
        while got.len() < 3 {
            got.extend(receive(&far).await);
        }
        got.truncate(3);
        let parts = [vec![1; 100], vec![2; 100], vec![3; 40]];
        assert_eq!(got, parts.map(|part| (from, part)));
    }

    #[test]
    fn a_taken_port_is_named() {
        let held = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
        let error = UdpPort::bind(held.local()).expect_err("taken");
        assert!(error.to_string().contains(&held.local().to_string()), "{error}");
    }
}
