//! The outer layer of an inner packet: version, addresses, protocol.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mesh_model::addr::port;

/// IP protocol number of TCP.
pub(crate) const TCP: u8 = 6;

/// IP protocol number of UDP.
pub(crate) const UDP: u8 = 17;

/// IP protocol number of ICMP.
pub(crate) const ICMP: u8 = 1;

/// IP protocol number of ICMPv6.
pub(crate) const ICMPV6: u8 = 58;

/// The extension header of a part of an IPv6 packet (RFC 8200, section 4.5).
pub(crate) const FRAGMENT: u8 = 44;

/// Other extension headers that stand before what a packet carries (RFC 8200, sections 4.3, 4.4 and 4.6).
pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;

/// Bytes of an IPv4 header without options.
pub(super) const V4_HEADER: usize = 20;

/// Bytes of an IPv6 header.
pub(super) const V6_HEADER: usize = 40;

/// Why bytes are not an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IpError {
    /// Neither 4 nor 6 in the first four bits, or nothing at all.
    #[error("neither an IPv4 nor an IPv6 packet")]
    Version,
    /// Ends before its header does.
    #[error("the packet ends inside its header")]
    Truncated,
    /// The header's lengths and the packet's contradict each other.
    #[error("the lengths in the header contradict the packet")]
    Length,
}

/// A packet whose outer header has been checked. Cut to the length the header states, so padding is
/// gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inner<'a> {
    bytes: &'a [u8],
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    header: usize,
    fragment: bool,
}

impl<'a> Inner<'a> {
    /// Reads the header. Its checksum (IPv4) is the receiving kernel's to verify.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, IpError> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => Self::parse_v4(bytes, usize::MAX),
            Some(6) => Self::parse_v6(bytes, usize::MAX),
            _ => Err(IpError::Version),
        }
    }

    /// Reads the header of a packet of which an ICMP error quotes only the beginning: its length may be more than is
    /// there.
    pub(crate) fn parse_quoted(bytes: &'a [u8]) -> Result<Self, IpError> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => Self::parse_v4(bytes, bytes.len()),
            Some(6) => Self::parse_v6(bytes, bytes.len()),
            _ => Err(IpError::Version),
        }
    }

    /// `most` bytes of it are looked at, whatever length it states.
    fn parse_v4(bytes: &'a [u8], most: usize) -> Result<Self, IpError> {
        let fixed: &[u8; V4_HEADER] = bytes.first_chunk().ok_or(IpError::Truncated)?;
        let header = usize::from(fixed[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]])).min(most);
        if header < V4_HEADER || total < header || total > bytes.len() {
            return Err(IpError::Length);
        }
        let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *fixed;
        // More-fragments or an offset: the rest of the datagram is elsewhere.
        let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0;
        Ok(Self {
            bytes: &bytes[..total],
            src: Ipv4Addr::new(s0, s1, s2, s3).into(),
            dst: Ipv4Addr::new(d0, d1, d2, d3).into(),
            protocol: fixed[9],
            header,
            fragment,
        })
    }

    fn parse_v6(bytes: &'a [u8], most: usize) -> Result<Self, IpError> {
        let fixed: &[u8; V6_HEADER] = bytes.first_chunk().ok_or(IpError::Truncated)?;
        let stated = V6_HEADER + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let total = stated.min(most);
        if total > bytes.len() {
            return Err(IpError::Length);
        }
        let mut src = [0; 16];
        let mut dst = [0; 16];
        src.copy_from_slice(&fixed[8..24]);
        dst.copy_from_slice(&fixed[24..40]);
        Ok(Self {
            bytes: &bytes[..total],
            src: Ipv6Addr::from(src).into(),
            dst: Ipv6Addr::from(dst).into(),
            protocol: fixed[6],
            header: V6_HEADER,
            fragment: false,
        })
    }

    /// The packet, without anything behind its end.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The source address.
    pub fn src(&self) -> IpAddr {
        self.src
    }

    /// The destination address.
    pub fn dst(&self) -> IpAddr {
        self.dst
    }

    /// The protocol of the payload; in IPv6 that of the first extension header, if there is one.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// How many routers it may still pass (time to live, hop limit).
    pub fn hop_limit(&self) -> u8 {
        self.bytes[if self.src.is_ipv4() { 8 } else { 7 }]
    }

    /// Bytes of the header.
    pub fn header_len(&self) -> usize {
        self.header
    }

    /// Whether it is a part of an IPv4 packet, whose rest is elsewhere.
    pub fn is_fragment(&self) -> bool {
        self.fragment
    }

    /// What follows the header.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header..]
    }

    /// The destination port, when this is a whole UDP datagram that follows the IP header directly.
    pub fn udp_dst_port(&self) -> Option<u16> {
        if self.protocol != UDP || self.fragment {
            return None;
        }
        match self.payload() {
            [_, _, high, low, _, _, _, _, ..] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }

    /// Whether this goes to a port that daemons serve themselves. Sender and receiver judge by the
    /// same rule, so that what a receiver takes for control is never let through from a sender's
    /// kernel.
    pub fn is_control(&self) -> bool {
        self.udp_dst_port().is_some_and(port::is_control)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4() -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, UDP, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend([0, 1, 0xca, 0x6d, 0, 8, 0, 0]);
        packet
    }

    #[test]
    fn reads_addresses_and_cuts_padding() {
        let mut bytes = v4();
        bytes.extend([0; 7]);
        let inner = Inner::parse(&bytes).unwrap();
        assert_eq!(inner.src(), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(inner.dst(), IpAddr::from([10, 0, 0, 2]));
        assert_eq!(inner.bytes().len(), 28);
        assert_eq!(inner.udp_dst_port(), Some(port::GOSSIP));
        assert!(inner.is_control());
    }

    #[test]
    fn contradicting_lengths_are_refused() {
        for (at, value, error) in [
            (0, 0x44, IpError::Length),
            (0, 0x4f, IpError::Length),
            (0, 0x55, IpError::Version),
            (3, 19, IpError::Length),
            (3, 29, IpError::Length),
        ] {
            let mut bytes = v4();
            bytes[at] = value;
            assert_eq!(Inner::parse(&bytes), Err(error), "byte {at} = {value}");
        }
        assert_eq!(Inner::parse(&v4()[..19]), Err(IpError::Truncated));
        assert_eq!(Inner::parse(&[0x60; 39]), Err(IpError::Truncated));
        let mut v6 = [0; 40];
        v6[0] = 0x60;
        assert!(Inner::parse(&v6).is_ok());
        v6[5] = 1;
        assert_eq!(Inner::parse(&v6), Err(IpError::Length));
        assert_eq!(Inner::parse(&[]), Err(IpError::Version));
    }

    #[test]
    fn a_fragment_has_no_port() {
        for (at, value) in [(6, 0x20), (7, 1)] {
            let mut bytes = v4();
            bytes[6] = 0;
            bytes[at] = value;
            assert_eq!(Inner::parse(&bytes).unwrap().udp_dst_port(), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version in any::<bool>()) {
            if let Some(first) = bytes.first_mut() {
                *first = if version { 0x45 } else { 0x60 };
            }
            if let Ok(inner) = Inner::parse(&bytes) {
                prop_assert!(inner.bytes().len() <= bytes.len());
                prop_assert!(inner.payload().len() < inner.bytes().len());
                let _ = inner.udp_dst_port();
            }
        }
    }
}
