//! The few system calls that have no safe wrapper: everything `unsafe` in the lab is in this file.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// Sub-commands of the ethtool ioctl that switch an offload (linux/ethtool.h).
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum Offload {
    /// Checksums of sent packets are left to the device.
    TxChecksum = 0x17,
    /// TCP super-packets.
    TcpSegmentation = 0x1f,
    /// Super-packets of every kind.
    Segmentation = 0x24,
}

#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// A socket that sends and receives whole Ethernet frames on the interface with index `interface`
/// of the calling thread's namespace. Frames it sends itself are not received back.
pub(crate) fn frame_socket(interface: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers. Protocol 0 receives nothing until bind names one.
    let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: `fd` was just returned by the kernel and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };

    let on: c_int = 1;
    // SAFETY: the pointer and length describe `on`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            (&raw const on).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    })?;

    // SAFETY: sockaddr_ll is plain integers; all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = interface as c_int;
    // SAFETY: the pointer and length describe `address`, which outlives the call.
    check(unsafe {
        libc::bind(
            fd,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    })?;
    Ok(socket)
}

/// Switches `offload` of `interface` off. `socket` is any socket of the interface's namespace.
pub(crate) fn switch_off(
    socket: BorrowedFd<'_>,
    interface: &str,
    offload: Offload,
) -> io::Result<()> {
    let mut value = EthtoolValue { command: offload as u32, data: 0 };
    // SAFETY: ifreq is plain integers and a union of them; all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: SIOCETHTOOL reads and writes the ethtool_value that `ifr_data` points to; both it and
    // `request` outlive the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) })?;
    Ok(())
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
