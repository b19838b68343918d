//! ICMP echo (RFC 792, RFC 4443) over a socket that also says when an answer came in.

use std::io::{self, IoSliceMut, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Context as _, Result};

/// Bytes of an echo header; what follows is ours.
const HEADER: usize = 8;

/// Bytes of payload, as customary `ping` sends.
const PAYLOAD: usize = 56;

/// The longest an echo waits for room in a queue: an interface nobody serves would keep it for ever.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// An answer to one of our echoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EchoAnswer {
    /// Which echo it answers.
    pub(crate) sequence: u16,
    /// When the kernel took it in, however late we looked.
    pub(crate) at: SystemTime,
}

/// An open echo socket to one target.
pub(crate) struct Echo {
    socket: Socket,
    target: IpAddr,
    ident: u16,
}

impl Echo {
    pub(crate) fn open(target: IpAddr) -> Result<Self> {
        /// Tells the echoes of parallel streams apart.
        static NEXT_IDENT: AtomicU16 = AtomicU16::new(1);
        let (domain, protocol) = match target {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket =
            Socket::new(domain, Type::RAW, Some(protocol)).context("open an echo socket")?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)
            .context("ask for times of arrival")?;
        socket
            .connect(&SocketAddr::new(target, 0).into())
            .context(format!("find a route to {target}"))?;
        socket.set_write_timeout(Some(SEND_LIMIT)).context("set a timeout")?;
        let ident = NEXT_IDENT.fetch_add(1, Ordering::Relaxed) ^ std::process::id() as u16;
        Ok(Self { socket, target, ident })
    }

    pub(crate) fn send(&mut self, sequence: u16) -> io::Result<()> {
        let kind = if self.target.is_ipv4() { 8 } else { 128 };
        let mut packet = [0; HEADER + PAYLOAD];
        packet[0] = kind;
        packet[4..6].copy_from_slice(&self.ident.to_be_bytes());
        packet[6..8].copy_from_slice(&sequence.to_be_bytes());
        if self.target.is_ipv4() {
            // The kernel fills in the checksum of ICMPv6 only.
            let sum = internet_checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        self.socket.write_all(&packet)
    }

    /// An answer to us, should one come within `limit`. Without patience it is still a read: whoever is
    /// behind hears what has come in meanwhile.
    pub(crate) fn receive(&mut self, limit: Duration) -> Result<Option<EchoAnswer>> {
        let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut ready, Some(TimeSpec::from_duration(limit)), None) {
            Ok(0) | Err(nix::Error::EINTR) => return Ok(None),
            other => other.context("wait for an answer")?,
        };
        let mut buffer = [0; 2048];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let mut control = nix::cmsg_space!(TimeSpec);
        let read = recvmsg::<()>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        );
        // Nothing came, or the kernel reports the target unreachable: no answer either way.
        let Ok(message) = read else { return Ok(None) };
        let stamp = message.cmsgs().ok().and_then(|mut notes| {
            notes.find_map(|note| match note {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            })
        });
        let len = message.bytes;
        let at = stamp.map_or_else(SystemTime::now, |stamp| SystemTime::UNIX_EPOCH + stamp);
        Ok(self.answered(&buffer[..len]).map(|sequence| EchoAnswer { sequence, at }))
    }

    fn answered(&self, packet: &[u8]) -> Option<u16> {
        let (echo, answer_kind) = match self.target {
            // Raw IPv4 sockets see the IP header, whose length is in 32-bit words.
            IpAddr::V4(_) => (packet.get(usize::from(packet.first()? & 0x0f) * 4..)?, 0),
            IpAddr::V6(_) => (packet, 129),
        };
        let header = echo.first_chunk::<HEADER>()?;
        let ident = u16::from_be_bytes([header[4], header[5]]);
        let sequence = u16::from_be_bytes([header[6], header[7]]);
        (header[0] == answer_kind && ident == self.ident).then_some(sequence)
    }
}

/// RFC 1071 over a packet of even length.
fn internet_checksum(packet: &[u8]) -> u16 {
    let mut sum: u32 =
        packet.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
