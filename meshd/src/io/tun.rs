//! The TUN device: where the kernel's traffic for the mesh comes out.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use mesh_dataplane::packet::offload::{Gathered, MAX_PARTS, Takes, VirtioHeader};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::ioctl;
use super::offloads::Offloads;

/// The longest interface name the kernel takes, in bytes (IFNAMSIZ less its end mark).
const MAX_NAME_LEN: usize = 15;

/// No TUN device. The operator's to solve; every text names a way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunError {
    /// The right is missing.
    #[error(
        "cannot create the interface `{0}`: the capability CAP_NET_ADMIN is missing; run meshd as \
         root or as a service that has it, or run it with `--tun none` (no kernel traffic, \
         everything else works)"
    )]
    Capability(String),
    /// The kernel or container has no TUN.
    #[error(
        "cannot create the interface `{0}`: /dev/net/tun is missing; load the `tun` kernel module or \
         give the container the device, or run meshd with `--tun none`"
    )]
    Missing(String),
    /// The name is taken.
    #[error(
        "cannot create the interface `{0}`: it is in use; choose another name with `--tun NAME`"
    )]
    Busy(String),
    /// The name cannot be one.
    #[error("`{0}` is no interface name: 1 to {MAX_NAME_LEN} characters, no `/`, no space")]
    Name(String),
    /// Anything else.
    #[error("cannot create the interface `{name}`: {source}")]
    Other {
        /// The interface's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Room for whatever one read can bring: the longest packet, and the header beside it.
pub(crate) const READ_BUFFER: usize = VirtioHeader::LEN + (1 << 16);

/// A TUN device. It vanishes with its last handle, and its addresses and routes with it.
pub(crate) struct Tun {
    device: SyncDevice,
    name: String,
    index: u32,
    /// Whether super-packets of UDP are taken too, where those of TCP are.
    of_udp: bool,
    /// What to ask the kernel by, in the network namespace that the interface was made in.
    home: Arc<UnixDatagram>,
}

impl Tun {
    /// Creates interface `name` for packets of at most `mtu` bytes. It is down until netlink brings it
    /// up.
    pub(crate) fn create(name: &str, mtu: u16) -> Result<Self, TunError> {
        Self::create_with(name, mtu, false, Offloads::ALL)
    }

    /// The same, with room for [more queues](Self::queue) if `several`, and with no other super-packets
    /// than those `allowed`, of which the rest is the port's to heed. Where the kernel has none it goes without.
    pub(crate) fn create_with(
        name: &str,
        mtu: u16,
        several: bool,
        allowed: Offloads,
    ) -> Result<Self, TunError> {
        let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > MAX_NAME_LEN || name.contains(odd) {
            return Err(TunError::Name(name.to_owned()));
        }
        // Asked for several queues, the kernel would give us one of somebody else's interface.
        if several && nix::net::if_::if_nametoindex(name).is_ok() {
            return Err(TunError::Busy(name.to_owned()));
        }
        let build = |offload, several| {
            DeviceBuilder::new()
                .name(name)
                .mtu(mtu)
                .enable(false)
                .with(|linux| {
                    linux.packet_information(false).offload(offload).multi_queue(several);
                })
                .build_sync()
        };
        // What the kernel does not know of is gone without: several queues first, then super-packets.
        let super_packets = allowed.tun_tcp;
        let [first, rest @ ..] = [(super_packets, several), (super_packets, false), (false, false)];
        let device =
            rest.into_iter().fold(build(first.0, first.1), |device, (offload, several)| {
                let unknown = |error: &io::Error| error.raw_os_error() == Some(nix::libc::EINVAL);
                if device.as_ref().is_err_and(unknown) { build(offload, several) } else { device }
            });
        let device = device.map_err(|error| explain(name, error))?;
        let other = |source| TunError::Other { name: name.to_owned(), source };
        let tun = Self {
            name: device.name().map_err(other)?,
            index: device.if_index().map_err(other)?,
            of_udp: allowed.tun_udp && device.udp_gso(),
            home: Arc::new(UnixDatagram::unbound().map_err(other)?),
            device,
        };
        tun.prepare().map_err(other)?;
        Ok(tun)
    }

    /// Another queue of the same interface, for another thread. The kernel gives a flow's packets to the
    /// queue that the flow's other direction was written to last, and spreads what it has not seen.
    pub(crate) fn queue(&self) -> io::Result<Self> {
        let device = self.device.try_clone()?;
        let (name, home) = (self.name.clone(), Arc::clone(&self.home));
        let queue = Self { device, name, home, ..*self };
        queue.prepare()?;
        Ok(queue)
    }

    fn prepare(&self) -> io::Result<()> {
        if self.has_tcp_offload() && !self.of_udp {
            // The library asks for both, at each new queue.
            ioctl::super_packets_of_tcp(self.as_fd())?;
        }
        self.device.set_nonblocking(true)
    }

    /// The interface's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The interface's index.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The longest packet it takes now: the operator may change that. `None` when it is not in this
    /// network namespace any more, where its name may be another interface's.
    pub(crate) fn mtu(&self) -> Option<u16> {
        let index = rustix::net::netdevice::name_to_index(&*self.home, &self.name).ok()?;
        ioctl::mtu(&self.home, &self.name).filter(|_| index == self.index)
    }

    /// Whether it is switched on, wherever it has been moved to: only then does it take packets.
    pub(crate) fn is_up(&self) -> bool {
        let mut takes = [PollFd::new(self, PollFlags::OUT)];
        // Not to know is no reason to fall silent.
        poll(&mut takes, Some(&Timespec::default())).is_err()
            || takes[0].revents().contains(PollFlags::OUT)
    }

    /// Whether it gives and takes super-packets of TCP.
    pub(crate) fn has_tcp_offload(&self) -> bool {
        self.device.tcp_gso()
    }

    /// Whether it gives and takes super-packets of UDP.
    pub(crate) fn has_udp_offload(&self) -> bool {
        self.of_udp
    }

    /// Which super-packets it takes.
    pub(crate) fn takes(&self) -> Takes {
        match (self.has_tcp_offload(), self.has_udp_offload()) {
            (false, _) => Takes::None,
            (true, false) => Takes::Tcp,
            (true, true) => Takes::TcpAndUdp,
        }
    }

    /// Reads the next packet into `buffer` and returns it with the header beside it; no header if that
    /// makes no sense. `WouldBlock` when there is none.
    pub(crate) fn read<'a>(
        &self,
        buffer: &'a mut [u8; READ_BUFFER],
    ) -> io::Result<(Option<VirtioHeader>, &'a [u8])> {
        let len = rustix::io::read(&self.device, &mut buffer[..])?;
        if !self.has_tcp_offload() {
            return Ok((Some(VirtioHeader::default()), &buffer[..len]));
        }
        match buffer[..len].split_first_chunk() {
            Some((header, packet)) => Ok((VirtioHeader::parse(header), packet)),
            None => Ok((None, &[])),
        }
    }

    /// Writes a packet, gathering its pieces. `WouldBlock` when the kernel has no room.
    pub(crate) fn write(&self, packet: Gathered<'_>) -> io::Result<()> {
        let header = packet.header().bytes();
        let mut slices = [IoSlice::new(&[]); 1 + MAX_PARTS];
        let mut used = 0;
        if self.has_tcp_offload() {
            slices[0] = IoSlice::new(&header);
            used = 1;
        }
        for (slice, piece) in slices[used..].iter_mut().zip(packet) {
            *slice = IoSlice::new(piece);
            used += 1;
        }
        rustix::io::writev(&self.device, &slices[..used])?;
        Ok(())
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

fn explain(name: &str, error: io::Error) -> TunError {
    let name = name.to_owned();
    match error.raw_os_error() {
        Some(nix::libc::EPERM | nix::libc::EACCES) => TunError::Capability(name),
        Some(nix::libc::ENOENT | nix::libc::ENODEV | nix::libc::ENXIO) => TunError::Missing(name),
        Some(nix::libc::EBUSY | nix::libc::EEXIST) => TunError::Busy(name),
        _ => TunError::Other { name, source: error },
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::addr::OVERLAY_MTU;

    use super::*;

    #[test]
    fn refusals_name_the_capability_and_the_way_without() {
        let text = |errno| explain("mesh0", io::Error::from_raw_os_error(errno)).to_string();
        let denied = text(nix::libc::EPERM);
        assert!(denied.contains("CAP_NET_ADMIN") && denied.contains("--tun none"), "{denied}");
        let missing = text(nix::libc::ENOENT);
        assert!(missing.contains("/dev/net/tun") && missing.contains("--tun none"), "{missing}");
        assert!(text(nix::libc::EBUSY).contains("in use"));
    }

    #[test]
    fn a_name_the_kernel_would_not_take_is_refused_before_asking() {
        for name in ["", "a/b", "sixteen-letters-", "two words"] {
            assert!(matches!(Tun::create(name, OVERLAY_MTU), Err(TunError::Name(_))), "{name}");
        }
    }
}
