//! Whole Ethernet frames.

use std::ffi::c_int;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{FromRawFd as _, OwnedFd};

use super::check;

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
