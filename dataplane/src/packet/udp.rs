//! Whole UDP datagrams inside IPv4 and IPv6: how the daemon talks over the overlay without a
//! kernel.

use std::net::{IpAddr, SocketAddr};

use super::checksum::Sum;
use super::ip::{Inner, IpError, UDP, V4_HEADER, V6_HEADER};

/// Bytes of a UDP header.
const HEADER: usize = 8;

/// Hops a datagram may take: any, the overlay is one.
const HOP_LIMIT: u8 = 64;

/// Why there is no datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UdpError {
    /// One end is IPv4, the other IPv6.
    #[error("source and destination are of different families")]
    Families,
    /// More payload than the length fields can say.
    #[error("the payload does not fit into one datagram")]
    TooLarge,
    /// Not an IP packet.
    #[error(transparent)]
    Ip(#[from] IpError),
    /// Another protocol, an extension header or a fragment.
    #[error("not a whole UDP datagram")]
    NotUdp,
    /// The UDP header's length and the packet's contradict each other.
    #[error("the length in the UDP header contradicts the packet")]
    Length,
    /// Damaged, or no checksum where IPv6 demands one.
    #[error("the UDP checksum is wrong")]
    Checksum,
}

/// A checked UDP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// From.
    pub src: SocketAddr,
    /// To.
    pub dst: SocketAddr,
    /// What.
    pub payload: &'a [u8],
}

/// The inner packet that carries `payload` from `src` to `dst`.
pub fn encode(src: SocketAddr, dst: SocketAddr, payload: &[u8]) -> Result<Vec<u8>, UdpError> {
    let mut packet = Vec::with_capacity(V6_HEADER + HEADER + payload.len());
    encode_into(src, dst, payload, &mut packet)?;
    Ok(packet)
}

/// Like [`encode`], into a buffer that is cleared first and can be used again.
pub fn encode_into(
    src: SocketAddr,
    dst: SocketAddr,
    payload: &[u8],
    packet: &mut Vec<u8>,
) -> Result<(), UdpError> {
    packet.clear();
    let len = u16::try_from(HEADER + payload.len()).map_err(|_| UdpError::TooLarge)?;
    match (src.ip(), dst.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let total = len.checked_add(V4_HEADER as u16).ok_or(UdpError::TooLarge)?;
            let [total_high, total_low] = total.to_be_bytes();
            // Version and header length, DSCP, total length, id 0, don't fragment, hops, protocol,
            // checksum.
            packet.extend([0x45, 0, total_high, total_low, 0, 0, 0x40, 0]);
            packet.extend([HOP_LIMIT, UDP, 0, 0]);
            packet.extend(src.octets());
            packet.extend(dst.octets());
            let sum = Sum::default().add(packet).finish();
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let [len_high, len_low] = len.to_be_bytes();
            packet.extend([0x60, 0, 0, 0, len_high, len_low, UDP, HOP_LIMIT]);
            packet.extend(src.octets());
            packet.extend(dst.octets());
        }
        _ => return Err(UdpError::Families),
    }
    let udp = packet.len();
    packet.extend(src.port().to_be_bytes());
    packet.extend(dst.port().to_be_bytes());
    packet.extend(len.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    let sum = Sum::default().pseudo(src.ip(), dst.ip(), UDP, len).add(&packet[udp..]).finish();
    // Zero would say "no checksum"; its other form in ones' complement says the same sum.
    let sum = if sum == 0 { u16::MAX } else { sum };
    packet[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// Reads an inner packet as a UDP datagram, verifying lengths and checksum.
pub fn parse(packet: &[u8]) -> Result<Datagram<'_>, UdpError> {
    let inner = Inner::parse(packet)?;
    let dst_port = inner.udp_dst_port().ok_or(UdpError::NotUdp)?;
    let segment = inner.payload();
    let header: &[u8; HEADER] = segment.first_chunk().ok_or(UdpError::Length)?;
    let len = u16::from_be_bytes([header[4], header[5]]);
    let segment = segment
        .get(..usize::from(len))
        .filter(|segment| segment.len() >= HEADER)
        .ok_or(UdpError::Length)?;
    let absent = header[6..] == [0, 0];
    if absent && inner.src().is_ipv6() {
        return Err(UdpError::Checksum);
    }
    let sum = Sum::default().pseudo(inner.src(), inner.dst(), UDP, len).add(segment);
    if !absent && sum.finish() != 0 {
        return Err(UdpError::Checksum);
    }
    let src_port = u16::from_be_bytes([header[0], header[1]]);
    Ok(Datagram {
        src: SocketAddr::new(inner.src(), src_port),
        dst: SocketAddr::new(inner.dst(), dst_port),
        payload: &segment[HEADER..],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(v6: bool) -> (SocketAddr, SocketAddr) {
        if v6 {
            ("[fd00::1]:51821".parse().unwrap(), "[fd00::2]:7".parse().unwrap())
        } else {
            ("10.0.0.1:51821".parse().unwrap(), "10.0.0.2:7".parse().unwrap())
        }
    }

    #[test]
    fn a_known_packet() {
        let (src, dst) = pair(false);
        let packet = encode(src, dst, b"hi").unwrap();
        // Checksums worked out by hand: header words add to 0x(4500+1e+4000+4011+0a00+1+0a00+2).
        assert_eq!(packet[..4], [0x45, 0, 0, 30]);
        assert_eq!(packet[10..12], 0x26cd_u16.to_be_bytes());
        assert_eq!(packet[20..26], [0xca, 0x6d, 0, 7, 0, 10]);
        assert_eq!(&packet[28..], b"hi");
    }

    #[test]
    fn ends_must_be_of_one_family() {
        let (v4, v6) = (pair(false).0, pair(true).0);
        assert_eq!(encode(v4, v6, b""), Err(UdpError::Families));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (src, dst) = pair(false);
        assert!(encode(src, dst, &[0; 65_535 - 28]).is_ok());
        assert_eq!(encode(src, dst, &[0; 65_535 - 27]), Err(UdpError::TooLarge));
        let (src, dst) = pair(true);
        assert!(encode(src, dst, &[0; 65_535 - 8]).is_ok());
        assert_eq!(encode(src, dst, &[0; 65_535 - 7]), Err(UdpError::TooLarge));
    }

    #[test]
    fn no_checksum_passes_in_ipv4_only() {
        for v6 in [false, true] {
            let (src, dst) = pair(v6);
            let mut packet = encode(src, dst, b"x").unwrap();
            let at = if v6 { 46 } else { 26 };
            packet[at..at + 2].fill(0);
            assert_eq!(parse(&packet).is_ok(), !v6);
        }
    }

    #[test]
    fn lengths_are_checked() {
        let (src, dst) = pair(true);
        for len in [0, 7, 10, 0xffff_u16] {
            let mut packet = encode(src, dst, b"x").unwrap();
            packet[44..46].copy_from_slice(&len.to_be_bytes());
            assert_eq!(parse(&packet), Err(UdpError::Length), "{len}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_parses_back(payload in prop::collection::vec(any::<u8>(), 0..300), v6 in any::<bool>()) {
            let (src, dst) = pair(v6);
            let packet = encode(src, dst, &payload).unwrap();
            prop_assert_eq!(parse(&packet), Ok(Datagram { src, dst, payload: &payload }));
        }

        #[test]
        fn a_flipped_bit_in_the_datagram_is_noticed(payload in prop::collection::vec(any::<u8>(), 1..50), at in any::<prop::sample::Index>(), bit in 0u32..8) {
            let (src, dst) = pair(true);
            let mut packet = encode(src, dst, &payload).unwrap();
            let at = 40 + at.index(packet.len() - 40);
            packet[at] ^= 1u8 << bit;
            prop_assert!(parse(&packet).is_err());
        }
    }
}
