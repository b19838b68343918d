//! Which packets may be put together: neighbours in one flow that differ only in what a device that
//! cuts them apart again would restore.

use super::Segmentation;
use crate::packet::checksum::Sum;
use crate::packet::ip::{Inner, TCP, UDP, V4_HEADER};

/// Flags a TCP segment may carry to be put together: ACK always, PSH as the last one.
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// A packet that may be put together with others of its flow. Its checksums are right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) kind: Segmentation,
    /// Where the transport header begins.
    pub(super) transport: usize,
    /// Bytes of all headers.
    pub(super) header: usize,
    /// Bytes behind them; at least one.
    pub(super) payload: usize,
    /// TCP's sequence number; 0 in UDP.
    pub(super) sequence: u32,
    /// TCP's wish to be read from here; nothing follows it.
    pub(super) push: bool,
}

impl Candidate {
    /// Reads `packet`, which is an IP packet of exactly its stated length; `None` when it is to be
    /// left alone.
    ///
    /// IPv4 without "don't fragment" is left alone: its identification would have to be restored,
    /// while that of others means nothing (RFC 6864, section 4.1).
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let inner = Inner::parse(packet).ok()?;
        let transport = inner.header_len();
        let v4 = inner.src().is_ipv4();
        if v4 && (transport != V4_HEADER || packet[6] & 0x60 != 0x40 || inner.is_fragment()) {
            return None;
        }
        let segment = inner.payload();
        let len = u16::try_from(segment.len()).ok()?;
        let candidate = match inner.protocol() {
            TCP => Self::tcp(transport, segment, v4)?,
            UDP => Self::udp(transport, segment)?,
            _ => return None,
        };
        // The kernel takes our word for the checksums of what was put together: damage must not pass for whole
        // again. IPv6 has none of its own.
        let header = if v4 { Sum::default().add(&packet[..V4_HEADER]).finish() } else { 0 };
        let sum =
            Sum::default().pseudo(inner.src(), inner.dst(), inner.protocol(), len).add(segment);
        (header == 0 && sum.finish() == 0).then_some(candidate)
    }

    fn tcp(transport: usize, segment: &[u8], v4: bool) -> Option<Self> {
        let fixed: &[u8; 20] = segment.first_chunk()?;
        let header = usize::from(fixed[12] >> 4) * 4;
        let payload = segment.len().checked_sub(header).filter(|payload| *payload > 0)?;
        if header < fixed.len() || fixed[12] & 0x0f != 0 || fixed[13] & !PSH != ACK {
            return None;
        }
        Some(Self {
            kind: if v4 { Segmentation::TcpV4 } else { Segmentation::TcpV6 },
            transport,
            header: transport + header,
            payload,
            sequence: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            push: fixed[13] & PSH != 0,
        })
    }

    fn udp(transport: usize, segment: &[u8]) -> Option<Self> {
        let fixed: &[u8; 8] = segment.first_chunk()?;
        let stated = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let payload = segment.len() - fixed.len();
        if stated != segment.len() || payload == 0 || fixed[6..] == [0, 0] {
            return None;
        }
        Some(Self {
            kind: Segmentation::Udp,
            transport,
            header: transport + fixed.len(),
            payload,
            sequence: 0,
            push: false,
        })
    }

    /// Whether `next`, read from `packet`, continues the flow of this one, read from `first`, as far
    /// as headers tell. Sequence and sizes are the caller's to compare.
    pub(super) fn continues(&self, first: &[u8], next: &Self, packet: &[u8]) -> bool {
        if (self.kind, self.transport, self.header) != (next.kind, next.transport, next.header) {
            return false;
        }
        let same = |from: usize, to: usize| first[from..to] == packet[from..to];
        let ip = if self.transport == V4_HEADER {
            // Version, header length, traffic class; flags to protocol; addresses.
            same(0, 2) && same(6, 10) && same(12, 20)
        } else {
            same(0, 4) && same(6, 40)
        };
        let at = self.transport;
        let transport = match self.kind {
            Segmentation::Udp => same(at, at + 4),
            // Ports; acknowledgement and header length; window; urgent pointer and options.
            _ => {
                same(at, at + 4)
                    && same(at + 8, at + 13)
                    && same(at + 14, at + 16)
                    && same(at + 18, self.header)
            }
        };
        // IPv6 lacks the header's length in its first bytes, so 20 bytes of it never pass for IPv4.
        ip && transport && first[0] >> 4 == packet[0] >> 4
    }
}

/// A few bits of the addresses and ports of `packet`, TCP's or UDP's; `None` for what is neither, and
/// for fragments.
pub(super) fn hash(packet: &[u8]) -> Option<u8> {
    let inner = Inner::parse(packet).ok()?;
    let ports = inner.payload().get(..4).filter(|_| !inner.is_fragment())?;
    let addresses = &packet[inner.header_len() - 8..inner.header_len()];
    let mix = |hash: u8, byte: &u8| hash.rotate_left(3) ^ byte;
    matches!(inner.protocol(), TCP | UDP).then(|| addresses.iter().chain(ports).fold(0, mix))
}
