//! A super-packet from the kernel, cut into the packets it stands for.
//!
//! Each segment gets a copy of the headers with what differs: lengths, the IPv4 identification, the
//! TCP sequence number and flags, checksums. It is written where it will be sealed, so that a byte of
//! payload is copied once between the TUN device and the send buffer.

use super::{Segmentation, VirtioHeader};
use crate::packet::checksum::Sum;
use crate::packet::ip::{Inner, IpError, TCP, UDP, V4_HEADER, V6_HEADER};

/// Bytes of a TCP header without options.
const TCP_HEADER: usize = 20;

/// Bytes of a UDP header.
const UDP_HEADER: usize = 8;

/// Where a TCP header stores its flags, sequence number and checksum.
const TCP_FLAGS: usize = 13;
const TCP_SEQUENCE: usize = 4;
const TCP_CHECKSUM: usize = 16;

/// Bytes of both ports, with which TCP and UDP headers begin.
const PORTS: usize = 4;

/// Where a UDP header stores its length and checksum.
const UDP_LENGTH: usize = 4;
const UDP_CHECKSUM: usize = 6;

/// Flags that belong to the last segment only: the stream ends there, or wants to be read from there.
const FIN_AND_PSH: u8 = 0x09;

/// The flag that belongs to the first segment only: the sender has slowed down (RFC 3168, section
/// 6.1.2).
const CWR: u8 = 0x80;

/// Segments of one super-packet: 64 KiB in the smallest pieces the kernel's TCP cuts
/// (TCP_MIN_GSO_SIZE, 8 bytes).
const MAX_SEGMENTS: usize = (1 << 16) / 8;

/// Why a super-packet cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Not an IP packet.
    #[error(transparent)]
    Ip(#[from] IpError),
    /// The kind of segmentation is for another protocol than the packet's.
    #[error("the packet is not of the protocol that its segmentation names")]
    Protocol,
    /// A header ends behind the packet's end, or begins elsewhere than stated.
    #[error("the header's length contradicts the packet")]
    Header,
    /// The place of the checksum lies outside the packet.
    #[error("the checksum's place is outside the packet")]
    Checksum,
    /// No bytes to a segment, or too many segments.
    #[error("the segment size cuts the packet into nothing or into too many segments")]
    Size,
}

/// The packets that one packet from a TUN device stands for; often just itself.
#[derive(Debug, Clone, Copy)]
pub struct Segments<'a> {
    inner: Inner<'a>,
    cut: Cut,
    /// Bytes of all headers, which every segment repeats.
    header: usize,
    /// Payload bytes of each segment but the last.
    size: usize,
    count: usize,
}

/// What differs from segment to segment.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Nothing: there is one.
    Whole,
    /// One, whose checksum over everything from `start` belongs at `at`.
    Unfinished { start: usize, at: usize },
    /// TCP, its header at `transport`.
    Tcp { transport: usize },
    /// UDP, its header at `transport`.
    Udp { transport: usize },
}

impl<'a> Segments<'a> {
    /// Reads what the kernel handed over: `packet`, and the header beside it.
    pub fn of(header: VirtioHeader, packet: &'a [u8]) -> Result<Self, SplitError> {
        let inner = Inner::parse(packet)?;
        match header.segmentation {
            None => Self::whole(header.checksum, inner),
            Some((kind, size)) => Self::several(header.checksum, kind, size.into(), inner),
        }
    }

    /// A single packet that needs nothing.
    pub fn one(packet: &'a [u8]) -> Result<Self, SplitError> {
        Self::whole(None, Inner::parse(packet)?)
    }

    fn whole(checksum: Option<(u16, u16)>, inner: Inner<'a>) -> Result<Self, SplitError> {
        let len = inner.bytes().len();
        let cut = match checksum {
            None => Cut::Whole,
            Some((start, behind)) => {
                let (start, at) = (usize::from(start), usize::from(start) + usize::from(behind));
                // What the packet is judged by stays as it is: addresses, protocol and ports.
                let judged = match inner.protocol() {
                    TCP | UDP => inner.header_len() + PORTS,
                    _ => inner.header_len(),
                };
                if start < inner.header_len() || at < judged || at + 2 > len {
                    return Err(SplitError::Checksum);
                }
                Cut::Unfinished { start, at }
            }
        };
        Ok(Self { inner, cut, header: len, size: 0, count: 1 })
    }

    fn several(
        checksum: Option<(u16, u16)>,
        kind: Segmentation,
        size: usize,
        inner: Inner<'a>,
    ) -> Result<Self, SplitError> {
        // The kernel states where the transport header begins; in IPv6 extension headers may precede it.
        let transport =
            checksum.map(|(start, _)| usize::from(start)).ok_or(SplitError::Checksum)?;
        let least = if inner.src().is_ipv4() { inner.header_len() } else { V6_HEADER };
        let most = if inner.src().is_ipv4() { inner.header_len() } else { usize::MAX };
        if !(least..=most).contains(&transport) {
            return Err(SplitError::Header);
        }
        let (protocol, v4, cut) = match kind {
            Segmentation::TcpV4 => (TCP, Some(true), Cut::Tcp { transport }),
            Segmentation::TcpV6 => (TCP, Some(false), Cut::Tcp { transport }),
            Segmentation::Udp => (UDP, None, Cut::Udp { transport }),
        };
        let direct = transport == inner.header_len();
        if v4.is_some_and(|v4| v4 != inner.src().is_ipv4())
            || (direct && inner.protocol() != protocol)
            || inner.is_fragment()
        {
            return Err(SplitError::Protocol);
        }
        let bytes = inner.bytes();
        let header = transport + transport_header(cut, &bytes[transport.min(bytes.len())..]);
        let payload = bytes.len().checked_sub(header).ok_or(SplitError::Header)?;
        if size == 0 || payload > size * MAX_SEGMENTS {
            return Err(SplitError::Size);
        }
        Ok(Self { inner, cut, header, size, count: payload.div_ceil(size).max(1) })
    }

    /// The packet as a whole: its addresses and ports are every segment's.
    pub fn inner(&self) -> &Inner<'a> {
        &self.inner
    }

    /// The header that says the same of the [whole packet](Self::inner): whoever hands both on hands
    /// everything on.
    pub fn header(&self) -> VirtioHeader {
        let header_len = self.header as u16;
        let several = |kind, transport: usize, behind: usize| VirtioHeader {
            checksum: Some((transport as u16, behind as u16)),
            segmentation: Some((kind, self.size as u16)),
            header_len,
        };
        match self.cut {
            Cut::Whole => VirtioHeader::default(),
            Cut::Unfinished { start, at } => VirtioHeader {
                checksum: Some((start as u16, (at - start) as u16)),
                ..VirtioHeader::default()
            },
            Cut::Tcp { transport } if self.inner.src().is_ipv4() => {
                several(Segmentation::TcpV4, transport, TCP_CHECKSUM)
            }
            Cut::Tcp { transport } => several(Segmentation::TcpV6, transport, TCP_CHECKSUM),
            Cut::Udp { transport } => several(Segmentation::Udp, transport, UDP_CHECKSUM),
        }
    }

    /// How many packets there are; at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of the longest.
    pub fn longest(&self) -> usize {
        self.inner.bytes().len().min(self.header + self.size)
    }

    /// Writes packet `n` to the start of `out`, which is at least [`longest`](Self::longest) bytes
    /// long, and returns its length. `n` is below [`count`](Self::count).
    pub fn write(&self, n: usize, out: &mut [u8]) -> usize {
        let packet = self.inner.bytes();
        let from = (self.header + n * self.size).min(packet.len());
        let to = (from + self.size).min(packet.len());
        let len = self.header + (to - from);
        let out = &mut out[..len];
        out[..self.header].copy_from_slice(&packet[..self.header]);
        out[self.header..].copy_from_slice(&packet[from..to]);
        match self.cut {
            Cut::Whole => {}
            Cut::Unfinished { start, at } => {
                let sum = Sum::default().add(&out[start..]).finish();
                put(out, at, never_zero(sum));
            }
            Cut::Tcp { transport } => {
                self.write_ip(n, out);
                self.write_tcp(n, transport, out);
            }
            Cut::Udp { transport } => {
                self.write_ip(n, out);
                let udp_len = (len - transport) as u16;
                put(out, transport + UDP_LENGTH, udp_len);
                self.finish(transport, UDP_CHECKSUM, UDP, out);
            }
        }
        len
    }

    fn write_ip(&self, n: usize, out: &mut [u8]) {
        let len = out.len();
        if self.inner.src().is_ipv6() {
            return put(out, 4, (len - V6_HEADER) as u16);
        }
        put(out, 2, len as u16);
        let id = u16::from_be_bytes([out[4], out[5]]).wrapping_add(n as u16);
        put(out, 4, id);
        put(out, 10, 0);
        let sum = Sum::default().add(&out[..self.inner.header_len()]).finish();
        put(out, 10, sum);
    }

    fn write_tcp(&self, n: usize, transport: usize, out: &mut [u8]) {
        let tcp = &mut out[transport..];
        let at = TCP_SEQUENCE..TCP_SEQUENCE + 4;
        let [a, b, c, d] = [tcp[4], tcp[5], tcp[6], tcp[7]];
        let sequence = u32::from_be_bytes([a, b, c, d]).wrapping_add((n * self.size) as u32);
        tcp[at].copy_from_slice(&sequence.to_be_bytes());
        if n + 1 < self.count {
            tcp[TCP_FLAGS] &= !FIN_AND_PSH;
        }
        if n > 0 {
            tcp[TCP_FLAGS] &= !CWR;
        }
        self.finish(transport, TCP_CHECKSUM, TCP, out);
    }

    /// Computes the transport checksum and stores it `behind` bytes into the transport header.
    fn finish(&self, transport: usize, behind: usize, protocol: u8, out: &mut [u8]) {
        let len = (out.len() - transport) as u16;
        put(out, transport + behind, 0);
        let sum = Sum::default()
            .pseudo(self.inner.src(), self.inner.dst(), protocol, len)
            .add(&out[transport..])
            .finish();
        put(out, transport + behind, if protocol == UDP { never_zero(sum) } else { sum });
    }
}

/// Bytes of the transport header at the start of `bytes`: more than there are when it is cut short
/// or states a length that cannot be.
fn transport_header(cut: Cut, bytes: &[u8]) -> usize {
    match cut {
        Cut::Udp { .. } => UDP_HEADER,
        _ => {
            let words = bytes.get(12).map_or(0, |byte| usize::from(byte >> 4));
            if words * 4 < TCP_HEADER { usize::MAX / 2 } else { words * 4 }
        }
    }
}

/// Zero would say "no checksum" in UDP; its other form in ones' complement says the same sum, and in
/// TCP both are right.
fn never_zero(sum: u16) -> u16 {
    if sum == 0 { u16::MAX } else { sum }
}

fn put(out: &mut [u8], at: usize, word: u16) {
    out[at..at + 2].copy_from_slice(&word.to_be_bytes());
}

// Every IPv4 header is at least this long, so the writes to fixed places above are inside it.
const _: () = assert!(V4_HEADER == 20);
