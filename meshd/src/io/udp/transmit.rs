//! Sending: many datagrams to a system call.
//!
//! A run of equal datagrams to one destination is a message of its own, which the kernel takes through
//! its stack as one and cuts at the end (GSO, `UDP_SEGMENT`, udp(7)); up to [`MAX_MESSAGES`] messages, to
//! whomever, share a call (`sendmmsg`). Each says for itself where it leaves from and how far it may go.
//! Nothing is allocated.
//!
//! Not by way of quinn-udp, which sends one message at a time, clears the mark of the control lane, knows
//! nothing of hop limits, and does without runs to anybody once one destination refused one; nor of nix,
//! which says the same of all messages of a call.

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use mesh_dataplane::Endpoint;
use nix::libc;
use socket2::SockAddr;

use super::mapped;

/// Messages of one call: with so many the call itself is a hundredth of what each of them costs, and
/// what describes them still fits a few kilobytes of the stack.
pub(crate) const MAX_MESSAGES: usize = 16;

/// A datagram, or a run of them, with everything that can be said of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transmit<'a> {
    /// To whom, and from which of our addresses if that matters.
    pub(crate) to: Endpoint,
    /// How far it may go, if that is limited.
    pub(crate) hops: Option<u8>,
    /// Of a run, the length of each datagram but the last, which may be shorter.
    pub(crate) segment: Option<u16>,
    /// The payload.
    pub(crate) contents: &'a [u8],
}

#[cfg(test)]
impl<'a> Transmit<'a> {
    /// One datagram about which nothing else is to be said.
    pub(crate) fn datagram(to: impl Into<Endpoint>, contents: &'a [u8]) -> Self {
        Self { to: to.into(), hops: None, segment: None, contents }
    }
}

/// What is said of one message, as the kernel reads it (cmsg(3)).
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Said {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Said {
    /// Three headers, and an address to send from (`in6_pktinfo`, the longer of two), a hop limit and the
    /// length of a segment, each rounded up to a word.
    const ROOM: usize = 3 * 16 + 24 + 8 + 8;

    const NOTHING: Self = Self { bytes: [0; Self::ROOM], len: 0 };

    /// Leave from `address`, on whatever interface.
    fn source(&mut self, address: IpAddr) {
        match address {
            // The interface, the address to leave from, and one that means nothing here.
            IpAddr::V4(it) => {
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &[&[0; 4], &it.octets(), &[0; 4]]);
            }
            IpAddr::V6(it) => {
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[&it.octets(), &[0; 4]]);
            }
        }
    }

    /// Go no further than `limit` on the way to `remote`.
    fn hops(&mut self, remote: IpAddr, limit: u8) {
        let (level, kind) = match remote {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
        };
        self.push(level, kind, &[&i32::from(limit).to_ne_bytes()]);
    }

    /// Be cut into datagrams of `len` bytes.
    fn segment(&mut self, len: u16) {
        self.push(libc::IPPROTO_UDP, libc::UDP_SEGMENT, &[&len.to_ne_bytes()]);
    }

    fn push(&mut self, level: i32, kind: i32, value: &[&[u8]]) {
        let header = size_of::<usize>() + 2 * size_of::<i32>();
        let whole = header + value.iter().map(|part| part.len()).sum::<usize>();
        let (whole, level, kind) = (whole.to_ne_bytes(), level.to_ne_bytes(), kind.to_ne_bytes());
        for part in [&whole[..], &level, &kind].iter().chain(value) {
            self.bytes[self.len..][..part.len()].copy_from_slice(part);
            self.len += part.len();
        }
        self.len = self.len.next_multiple_of(size_of::<usize>());
    }
}

/// Sends up to [`MAX_MESSAGES`] of `transmits` until one is refused; how many left. The error is the
/// first one's. `is_v6` says that `socket` wants IPv4 addresses in mapped form.
#[allow(unsafe_code)]
pub(super) fn send<'a>(
    socket: &UdpSocket,
    is_v6: bool,
    transmits: impl Iterator<Item = Transmit<'a>>,
) -> io::Result<usize> {
    let mut addresses = [const { None::<SockAddr> }; MAX_MESSAGES];
    let mut said = [Said::NOTHING; MAX_MESSAGES];
    // SAFETY: both are made of integers and pointers, of which all zeroes is a valid value.
    let (mut parts, mut messages): ([libc::iovec; MAX_MESSAGES], [libc::mmsghdr; MAX_MESSAGES]) =
        unsafe { (zeroed(), zeroed()) };
    let mut count = 0;
    let places = addresses.iter_mut().zip(&mut said).zip(parts.iter_mut().zip(&mut messages));
    for (((address, said), (part, message)), transmit) in places.zip(transmits) {
        let Transmit { to: Endpoint { remote, local, .. }, hops, segment, contents } = transmit;
        let to = address.insert(if is_v6 { mapped(remote) } else { remote }.into());
        *part =
            libc::iovec { iov_base: contents.as_ptr().cast_mut().cast(), iov_len: contents.len() };
        let header = &mut message.msg_hdr;
        header.msg_name = to.as_ptr().cast_mut().cast();
        header.msg_namelen = to.len();
        header.msg_iov = part;
        header.msg_iovlen = 1;
        if let Some(local) = local {
            said.source(local);
        }
        if let Some(hops) = hops {
            said.hops(remote.ip(), hops);
        }
        if let Some(segment) = segment {
            said.segment(segment);
        }
        header.msg_control = said.bytes.as_mut_ptr().cast();
        header.msg_controllen = said.len as _;
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    loop {
        // SAFETY: `count` messages are filled in. Each names one of `addresses`, one of `parts` and one of
        // `said`, with their lengths; the part names a transmit's contents, which the kernel only reads.
        // All of them outlive the call.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, 0) };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;
    use std::net::SocketAddr;

    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg, setsockopt, sockopt,
    };

    use super::*;

    /// The hop limit that a datagram to `to` arrives with.
    fn arrives_with(from: &UdpSocket, to: &str, hops: Option<u8>) -> i32 {
        let receiver = UdpSocket::bind(to).expect("loopback");
        let at = receiver.local_addr().expect("bound");
        if at.is_ipv4() {
            setsockopt(&receiver, sockopt::Ipv4RecvTtl, &true).expect("supported");
        } else {
            setsockopt(&receiver, sockopt::Ipv6RecvHopLimit, &true).expect("supported");
        }
        let to = Endpoint { local: Some(at.ip()), ..at.into() };
        let transmit = Transmit { hops, ..Transmit::datagram(to, b"hop") };
        assert_eq!(send(from, true, [transmit].into_iter()).expect("sent"), 1);
        let mut buffer = [0; 8];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let mut space = nix::cmsg_space!(i32);
        let got: RecvMsg<'_, '_, SockaddrStorage> =
            recvmsg(receiver.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())
                .expect("received");
        let mut said = got.cmsgs().expect("whole");
        said.find_map(|message| match message {
            ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
                Some(limit)
            }
            _ => None,
        })
        .expect("told")
    }

    #[test]
    fn a_hop_limit_is_the_datagrams_alone_in_both_families() {
        let socket = UdpSocket::bind("[::]:0").expect("both families");
        for to in ["127.0.0.1:0", "[::1]:0"] {
            let usual = arrives_with(&socket, to, None);
            assert_eq!(arrives_with(&socket, to, Some(17)), 17);
            assert_eq!(arrives_with(&socket, to, None), usual);
        }
    }

    #[test]
    fn each_of_many_arrives_where_it_should_and_from_where_it_should() {
        let socket = UdpSocket::bind("[::]:0").expect("both families");
        let port = socket.local_addr().expect("bound").port();
        let receivers: Vec<_> = ["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"]
            .map(|at| UdpSocket::bind(at).expect("loopback"))
            .into();
        let ways: Vec<_> = receivers
            .iter()
            .zip(["127.0.0.3", "::1", "127.0.0.4"])
            .map(|(to, from)| {
                let local: IpAddr = from.parse().expect("an address");
                Endpoint { local: Some(local), ..to.local_addr().expect("bound").into() }
            })
            .collect();
        let contents: Vec<[u8; 2]> = (0..40).map(|n| [n, 0]).collect();
        let mut rest = &contents[..];
        while !rest.is_empty() {
            let transmits = rest.iter().map(|contents| {
                let n = usize::from(contents[0]);
                Transmit::datagram(ways[n % ways.len()], &contents[..1 + n % 2])
            });
            let sent = send(&socket, true, transmits).expect("sent");
            assert_eq!(sent, rest.len().min(MAX_MESSAGES));
            rest = &rest[sent..];
        }
        for n in 0..contents.len() {
            let (receiver, way) = (&receivers[n % ways.len()], ways[n % ways.len()]);
            let mut buffer = [0; 8];
            let (len, from) = receiver.recv_from(&mut buffer).expect("received");
            assert_eq!((len, usize::from(buffer[0])), (1 + n % 2, n));
            assert_eq!(from, SocketAddr::new(way.local.expect("named"), port));
        }
        assert_eq!(send(&socket, true, std::iter::empty()).expect("nothing to do"), 0);
    }

    #[test]
    fn those_before_a_refused_one_have_left_and_it_is_the_next_calls_error() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let to: Endpoint = receiver.local_addr().expect("bound").into();
        let gone = Endpoint { local: Some([192, 0, 2, 1].into()), ..to };
        let all = [to, to, gone, to].map(|to| Transmit::datagram(to, b"one"));
        assert_eq!(send(&socket, false, all.into_iter()).expect("two"), 2);
        send(&socket, false, all[2..].iter().copied()).expect_err("not ours");
        assert_eq!(send(&socket, false, all[3..].iter().copied()).expect("the last"), 1);
    }
}
