//! Inner packets of every kind, made by hand.

use std::net::IpAddr;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const SCTP: u8 = 132;
const FRAGMENT: u8 = 44;

pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

/// From where to where.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
}

impl Ends {
    /// The way back.
    pub(crate) fn back(self) -> Self {
        Self { src: self.dst, dst: self.src }
    }

    /// `payload` of `protocol` in a packet of its own.
    pub(crate) fn packet(self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let len = payload.len() as u16;
        let mut packet = Vec::new();
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let [high, low] = (20 + len).to_be_bytes();
                packet.extend([0x45, 0, high, low, 0, 7, 0, 0, 64, protocol, 0, 0]);
                packet.extend(src.octets());
                packet.extend(dst.octets());
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let [high, low] = len.to_be_bytes();
                packet.extend([0x60, 0, 0, 0, high, low, protocol, 64]);
                packet.extend(src.octets());
                packet.extend(dst.octets());
            }
            _ => panic!("two families"),
        }
        packet.extend(payload);
        packet
    }

    /// The part of a packet marked `ident` that begins at `offset` bytes with `payload`.
    pub(crate) fn part(
        self,
        protocol: u8,
        ident: u16,
        offset: u16,
        more: bool,
        payload: &[u8],
    ) -> Vec<u8> {
        if self.src.is_ipv4() {
            let mut packet = self.packet(protocol, payload);
            packet[4..6].copy_from_slice(&ident.to_be_bytes());
            packet[6..8].copy_from_slice(&((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
            return packet;
        }
        let [high, low] = (offset | u16::from(more)).to_be_bytes();
        let [i0, i1] = ident.to_be_bytes();
        let header = [protocol, 0, high, low, 0, 0, i0, i1];
        self.packet(FRAGMENT, &[&header, payload].concat())
    }

    /// TCP with these ports and flags.
    pub(crate) fn tcp(self, src: u16, dst: u16, flags: u8) -> Vec<u8> {
        self.packet(TCP, &tcp(src, dst, flags))
    }

    /// UDP with these ports.
    pub(crate) fn udp(self, src: u16, dst: u16) -> Vec<u8> {
        self.packet(UDP, &udp(src, dst, 8))
    }

    /// An ICMP message of this IPv4 type and the like of it in IPv6.
    pub(crate) fn icmp(self, kinds: (u8, u8), rest: [u8; 4], body: &[u8]) -> Vec<u8> {
        let (protocol, kind) = if self.src.is_ipv4() { (1, kinds.0) } else { (58, kinds.1) };
        self.packet(protocol, &[&[kind, 0, 0, 0], &rest[..], body].concat())
    }

    /// An echo request.
    pub(crate) fn ping(self, id: u16) -> Vec<u8> {
        let [high, low] = id.to_be_bytes();
        self.icmp((8, 128), [high, low, 0, 1], b"ping")
    }

    /// An echo reply.
    pub(crate) fn pong(self, id: u16) -> Vec<u8> {
        let [high, low] = id.to_be_bytes();
        self.icmp((0, 129), [high, low, 0, 1], b"ping")
    }

    /// "Nobody listens there", about `sent`, of which `len` bytes are quoted.
    pub(crate) fn unreachable(self, sent: &[u8], len: usize) -> Vec<u8> {
        self.icmp((3, 1), [0; 4], &sent[..len.min(sent.len())])
    }
}

/// A TCP header.
pub(crate) fn tcp(src: u16, dst: u16, flags: u8) -> Vec<u8> {
    let mut header = vec![0; 20];
    header[..2].copy_from_slice(&src.to_be_bytes());
    header[2..4].copy_from_slice(&dst.to_be_bytes());
    header[12] = 5 << 4;
    header[13] = flags;
    header
}

/// A UDP header that states `len` bytes.
pub(crate) fn udp(src: u16, dst: u16, len: u16) -> Vec<u8> {
    [src, dst, len, 0].into_iter().flat_map(u16::to_be_bytes).collect()
}
