//! What the RFCs say, written down once more as plainly as can be, to hold the fast code against.

use std::net::{IpAddr, Ipv6Addr};

/// IP protocol numbers.
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// The ones'-complement sum of RFC 1071, word by word.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | word.get(1).map_or(0, |byte| u32::from(*byte));
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// The sum of a transport segment with its pseudo header: all ones when its checksum is right.
pub(crate) fn transport_sum(src: IpAddr, dst: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let mut bytes = Vec::new();
    for addr in [src, dst] {
        match addr {
            IpAddr::V4(v4) => bytes.extend(v4.octets()),
            IpAddr::V6(v6) => bytes.extend(v6.octets()),
        }
    }
    bytes.extend((segment.len() as u32).to_be_bytes());
    bytes.extend([0, 0, 0, protocol]);
    bytes.extend(segment);
    sum(&bytes)
}

/// An IP header, as RFC 791 and RFC 8200 draw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ip {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) protocol: u8,
    /// Bytes of the header, and of the packet.
    pub(crate) header: usize,
    pub(crate) total: usize,
    /// A part of a packet, whose rest is elsewhere.
    pub(crate) fragment: bool,
}

impl Ip {
    /// Reads it; `None` when it contradicts itself or its packet.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            Some(usize::from(*packet.get(at)?) << 8 | usize::from(*packet.get(at + 1)?))
        };
        let ip = match packet.first()? >> 4 {
            4 => {
                let quad = |at: usize| <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok();
                Self {
                    src: quad(12)?.into(),
                    dst: quad(16)?.into(),
                    protocol: *packet.get(9)?,
                    header: usize::from(packet[0] & 15) * 4,
                    total: word(2)?,
                    fragment: word(6)? & 0x3fff != 0,
                }
            }
            6 => {
                let address = |at: usize| {
                    let bytes = <[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?;
                    Some(IpAddr::from(Ipv6Addr::from(bytes)))
                };
                Self {
                    src: address(8)?,
                    dst: address(24)?,
                    protocol: packet[6],
                    header: 40,
                    total: 40 + word(4)?,
                    fragment: false,
                }
            }
            _ => return None,
        };
        let least = if ip.src.is_ipv4() { 20 } else { 40 };
        let fits = least <= ip.header && ip.header <= ip.total && ip.total <= packet.len();
        fits.then_some(ip)
    }
}

/// Makes a likely packet of `packet`: version, lengths and checksums as they should be, the rest as it is.
/// `None` when it is too short to be any.
pub(crate) fn repair(v6: bool, protocol: u8, packet: &mut [u8]) -> Option<()> {
    let len = packet.len();
    let header = if v6 { 40 } else { 20 };
    let transport = if protocol == TCP { 20 } else { 8 };
    if len < header + transport || len > usize::from(u16::MAX) {
        return None;
    }
    if v6 {
        packet[0] = packet[0] & 15 | 0x60;
        put(packet, 4, len - header);
        packet[6] = protocol;
    } else {
        packet[0] = 0x45;
        put(packet, 2, len);
        // A whole packet; whether it may be cut is the input's to say.
        packet[6] &= 0x40;
        packet[7] = 0;
        packet[9] = protocol;
    }
    if protocol == TCP {
        let words = usize::from(packet[header + 12] >> 4).clamp(5, (len - header) / 4);
        packet[header + 12] = packet[header + 12] & 15 | (words as u8) << 4;
    } else {
        put(packet, header + 4, len - header);
    }
    finish(packet, header, protocol);
    Some(())
}

/// Computes the checksums of the IP and the transport header, which begins at `transport`.
pub(crate) fn finish(packet: &mut [u8], transport: usize, protocol: u8) {
    if packet[0] >> 4 == 4 {
        put(packet, 10, 0);
        let sum = !sum(&packet[..20]);
        put(packet, 10, sum.into());
    }
    let Some(ip) = Ip::read(packet) else { return };
    let at = transport + if protocol == TCP { 16 } else { 6 };
    put(packet, at, 0);
    let sum = !transport_sum(ip.src, ip.dst, protocol, &packet[transport..]);
    put(packet, at, if sum == 0 { 0xffff } else { sum.into() });
}

pub(crate) fn put(bytes: &mut [u8], at: usize, word: usize) {
    bytes[at..at + 2].copy_from_slice(&(word as u16).to_be_bytes());
}

/// The word at `at`.
pub(crate) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
