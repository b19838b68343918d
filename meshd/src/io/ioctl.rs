//! What only ioctl(2) says.

#![allow(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixDatagram;

use nix::libc;

/// What the kernel holds of what was sent through `socket`, in bytes of its own memory (SIOCOUTQ, udp(7)); 0
/// where it does not say.
pub(super) fn unsent(socket: &UdpSocket) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes one c_int, which `bytes` is, and nothing else.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Has the TUN device of `queue` take and give super-packets of TCP and no others (TUNSETOFFLOAD).
pub(super) fn super_packets_of_tcp(queue: BorrowedFd<'_>) -> io::Result<()> {
    let flags = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    // SAFETY: the request takes its argument as a number and touches no memory of ours.
    let done =
        unsafe { libc::ioctl(queue.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(flags)) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The MTU of interface `name` in the network namespace that `socket`, which may be of any kind, was opened in
/// (SIOCGIFMTU, netdevice(7)).
pub(super) fn mtu(socket: &UnixDatagram, name: &str) -> Option<u16> {
    // SAFETY: it is made of integers and pointers, of which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last place stays zero.
    let places = request.ifr_name.len() - 1;
    for (place, byte) in request.ifr_name[..places].iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    // SAFETY: the request reads the name, which ends with a zero, and writes the MTU into `request`.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    if done != 0 {
        return None;
    }
    // SAFETY: the kernel has written this field.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    // What is longer cannot be in an IP packet anyway.
    Some(u16::try_from(mtu).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_says_its_mtu_and_one_that_is_not_there_does_not() {
        let socket = UnixDatagram::unbound().expect("a socket");
        assert_eq!(mtu(&socket, "lo"), Some(u16::MAX));
        assert_eq!(mtu(&socket, "no-such-device"), None);
        assert_eq!(mtu(&socket, "a-name-that-is-longer-than-any"), None);
    }

    #[test]
    fn what_has_left_is_not_held() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let far = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.send_to(b"hello", far.local_addr().expect("bound")).expect("sent");
        far.recv_from(&mut [0; 16]).expect("received");
        assert_eq!(unsent(&socket), 0);
    }
}
