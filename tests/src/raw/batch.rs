//! Many datagrams in one system call, for a load that costs less than what it loads.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::check;

/// Datagrams of one call: beyond this many the call itself is no longer what costs.
pub(crate) const BATCH: usize = 64;

/// Sends `payload` up to `copies` times, at most [`BATCH`], on a connected socket; how many left.
pub(crate) fn send_copies(
    socket: BorrowedFd<'_>,
    payload: &[u8],
    copies: usize,
) -> io::Result<usize> {
    let mut part =
        libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
    // SAFETY: mmsghdr is integers and pointers; all zeroes, null pointers, is a valid value.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
    for header in &mut headers {
        header.msg_hdr.msg_iov = &raw mut part;
        header.msg_hdr.msg_iovlen = 1;
    }
    let count = copies.min(BATCH) as u32;
    // SAFETY: `count` headers are there; each names `part`, which names `payload`, which the kernel
    // only reads; all outlive the call.
    check(unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) })
        .map(|sent| sent as usize)
}

/// Waits for a datagram, takes what else is there, at most [`BATCH`], and throws the contents away;
/// how many there were.
pub(crate) fn count_arrived(socket: BorrowedFd<'_>, scratch: &mut [u8]) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: scratch.as_mut_ptr().cast(), iov_len: scratch.len() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
    for header in &mut headers {
        header.msg_hdr.msg_iov = &raw mut part;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: each header names `part`, which names `scratch`: every datagram is written over the one
    // before, and none beyond `scratch`; all outlive the call.
    check(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            BATCH as u32,
            libc::MSG_WAITFORONE as _,
            std::ptr::null_mut(),
        )
    })
    .map(|received| received as usize)
}
