//! The one UDP port: tunnels, joiners and their replies all pass here.
//!
//! One dual-stack socket serves both families; where the kernel has no IPv6, an IPv4 socket does.
//! IPv4 peers of a dual-stack socket look like `::ffff:192.0.2.1` to the kernel; the rest of the
//! program never sees that form. Receiving takes many datagrams per system call (`recvmmsg`, and GRO
//! inside each), and so does sending (`sendmmsg`, and GSO inside each).
//!
//! Packets may be fragmented on the way, as WireGuard's are: a path narrower than the overlay
//! expects is slow, not dead.

mod control;
mod group;
mod port;
mod receive;
mod steering;
#[cfg(test)]
mod tests;
mod transmit;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use mesh_dataplane::Lane;
use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::UdpSocketState;
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::SockRef;

use super::ioctl;
use super::offloads::Offloads;
pub(crate) use port::{BindError, LentPort, UdpPort};
pub(crate) use receive::ReceiveBatch;
pub(crate) use transmit::{MAX_MESSAGES, Transmit};

/// What the kernel is asked to hold of what arrives on a lane, and of what is sent on the control lane, in
/// bytes. (Of bulk that is sent: `Uplink`.) A bulk transfer fills it, and
/// whatever else comes the same way waits behind that: twice as much brings a transfer some 5 % and everybody
/// else twice the wait. The kernel gives what `net.core.rmem_max` and
/// `wmem_max` allow.
const KERNEL_BUFFER: usize = 512 << 10;

/// The port in service, for a thread that waits by itself: a queue for each lane, each way.
///
/// The lanes are two sockets on one port, so that nothing urgent waits behind bulk in the kernel,
/// neither here nor, since it is marked, on the way. Datagrams with the mark arrive at the urgent
/// lane's socket. Where the kernel has no second socket on a port, everything takes the bulk lane.
pub(crate) struct Udp {
    bulk: Queue,
    control: Option<Queue>,
    /// IPv6 sockets: IPv4 destinations are written in their mapped form.
    is_v6: bool,
}

struct Queue {
    socket: UdpSocket,
    state: UdpSocketState,
    /// What may be used; `state` says what the kernel has.
    allowed: Offloads,
}

impl Udp {
    /// Fills `batch` with what has arrived on `lane`; `WouldBlock` when that is nothing.
    pub(crate) fn receive(&self, lane: Lane, batch: &mut ReceiveBatch) -> io::Result<()> {
        let queue = self.queue(lane);
        batch.fill(lane, &queue.socket, &queue.state)
    }

    /// Sends `transmits` on `lane`, in their order: as many as one call and the kernel have room for, and
    /// how many those were. The error is the first one's.
    pub(crate) fn send<'a>(
        &self,
        lane: Lane,
        transmits: impl Iterator<Item = Transmit<'a>>,
    ) -> io::Result<usize> {
        transmit::send(&self.queue(lane).socket, self.is_v6, transmits)
    }

    /// What to poll for the bulk lane.
    pub(crate) fn bulk(&self) -> BorrowedFd<'_> {
        self.bulk.socket.as_fd()
    }

    /// What to poll for the control lane, unless it shares the bulk lane's socket.
    pub(crate) fn control(&self) -> Option<BorrowedFd<'_>> {
        self.control.as_ref().map(|queue| queue.socket.as_fd())
    }

    /// How many datagrams one run may hold: 1 where the kernel has no GSO, or none is allowed.
    pub(crate) fn max_run(&self) -> usize {
        if self.bulk.allowed.udp_gso { self.bulk.state.max_gso_segments() } else { 1 }
    }

    /// Whether the kernel puts arriving datagrams together.
    pub(crate) fn has_gro(&self) -> bool {
        self.bulk.allowed.udp_gro && self.bulk.state.gro_segments() > 1
    }

    /// Marks what is sent (SO_MARK), for the host's routing rules; 0 is no mark.
    pub(crate) fn set_mark(&self, mark: u32) -> io::Result<()> {
        let control = self.control.as_ref();
        let mut queues = control.into_iter().chain([&self.bulk]);
        queues.try_for_each(|queue| SockRef::from(&queue.socket).set_mark(mark))
    }

    /// Asks the kernel to hold `bytes` of what is sent as bulk, whatever `net.core.wmem_max` says. Where we have
    /// not that right, less than asked for is no reason to fail.
    pub(crate) fn set_send_buffer(&self, bytes: usize) {
        let forced = setsockopt(&self.bulk.socket, sockopt::SndBufForce, &bytes);
        let _ = forced.or_else(|_| setsockopt(&self.bulk.socket, sockopt::SndBuf, &bytes));
    }

    /// What the kernel still holds of bulk that was sent, in bytes of its own memory.
    pub(crate) fn unsent(&self) -> usize {
        ioctl::unsent(&self.bulk.socket)
    }

    /// The mark of what is sent.
    pub(crate) fn mark(&self) -> u32 {
        // A kernel without marks has none.
        SockRef::from(&self.bulk.socket).mark().unwrap_or_default()
    }

    fn queue(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Control => self.control.as_ref().unwrap_or(&self.bulk),
            Lane::Bulk => &self.bulk,
        }
    }
}

impl Queue {
    fn serve(socket: UdpSocket, is_v6: bool, allowed: Offloads) -> io::Result<Self> {
        let state = prepare(&socket, is_v6)?;
        if !allowed.udp_gro && state.gro_segments() > 1 {
            // The library asks for it where there is any.
            setsockopt(&socket, sockopt::UdpGroSegment, &false)?;
        }
        let kernel = SockRef::from(&socket);
        // Less than asked for is what an ordinary user may get; it is no reason to fail.
        let _ = kernel.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = kernel.set_send_buffer_size(KERNEL_BUFFER);
        Ok(Self { socket, state, allowed })
    }
}

/// Finds out what the kernel can do with `socket`.
fn prepare(socket: &UdpSocket, is_v6: bool) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(socket.into())?;
    // quinn-udp asks for them; nobody here does, and the kernel would stamp every packet of the host.
    setsockopt(socket, sockopt::ReceiveTimestampns, &false)?;
    allow_fragments(socket, is_v6)?;
    Ok(state)
}

/// quinn-udp forbids fragmentation, which QUIC needs and WireGuard does not.
fn allow_fragments(socket: &UdpSocket, is_v6: bool) -> io::Result<()> {
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
