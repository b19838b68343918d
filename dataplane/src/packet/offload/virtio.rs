//! The header beside each packet of a TUN device with offloads.

/// The checksum is left to whoever sends the packet out (VIRTIO_NET_HDR_F_NEEDS_CSUM).
const NEEDS_CHECKSUM: u8 = 1;

/// The packet is whole (VIRTIO_NET_HDR_GSO_NONE).
const WHOLE: u8 = 0;

/// Cut as TCP over IPv4 (VIRTIO_NET_HDR_GSO_TCPV4).
const TCP_V4: u8 = 1;

/// Cut as TCP over IPv6 (VIRTIO_NET_HDR_GSO_TCPV6).
const TCP_V6: u8 = 4;

/// Cut as UDP over either, every segment a datagram (VIRTIO_NET_HDR_GSO_UDP_L4).
const UDP: u8 = 5;

/// TCP with congestion marks (VIRTIO_NET_HDR_GSO_ECN), beside the TCP types.
const ECN: u8 = 0x80;

/// How a super-packet is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segmentation {
    /// TCP segments over IPv4.
    TcpV4,
    /// TCP segments over IPv6.
    TcpV6,
    /// UDP datagrams over either.
    Udp,
}

/// `struct virtio_net_hdr` (virtio 1.2, section 5.1.6): ten bytes in the machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VirtioHeader {
    /// Where the unfinished checksum's coverage begins and how far behind that it is stored, in
    /// bytes; `None` when it is finished.
    pub checksum: Option<(u16, u16)>,
    /// The kind of super-packet and the payload bytes of each segment but the last; `None` for a
    /// whole packet.
    pub segmentation: Option<(Segmentation, u16)>,
    /// Bytes of all headers, as the sender sees them. A hint.
    pub header_len: u16,
}

impl VirtioHeader {
    /// Its length, in bytes.
    pub const LEN: usize = 10;

    /// Reads it; `None` for a kind of super-packet that was not asked for.
    pub fn parse(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let [flags, kind, h0, h1, size0, size1, start0, start1, at0, at1] = *bytes;
        let word = |low, high| u16::from_ne_bytes([low, high]);
        let segmentation = match kind & !ECN {
            WHOLE => None,
            TCP_V4 => Some(Segmentation::TcpV4),
            TCP_V6 => Some(Segmentation::TcpV6),
            UDP => Some(Segmentation::Udp),
            _ => return None,
        };
        Some(Self {
            checksum: (flags & NEEDS_CHECKSUM != 0).then(|| (word(start0, start1), word(at0, at1))),
            segmentation: segmentation.map(|kind| (kind, word(size0, size1))),
            header_len: word(h0, h1),
        })
    }

    /// Writes it.
    pub fn bytes(&self) -> [u8; Self::LEN] {
        let flags = if self.checksum.is_some() { NEEDS_CHECKSUM } else { 0 };
        let (kind, size) = match self.segmentation {
            None => (WHOLE, 0),
            Some((Segmentation::TcpV4, size)) => (TCP_V4, size),
            Some((Segmentation::TcpV6, size)) => (TCP_V6, size),
            Some((Segmentation::Udp, size)) => (UDP, size),
        };
        let (start, at) = self.checksum.unwrap_or_default();
        let words = [self.header_len, size, start, at].map(u16::to_ne_bytes);
        let [[h0, h1], [size0, size1], [start0, start1], [at0, at1]] = words;
        [flags, kind, h0, h1, size0, size1, start0, start1, at0, at1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        for segmentation in
            [None, Some(Segmentation::TcpV4), Some(Segmentation::TcpV6), Some(Segmentation::Udp)]
        {
            for checksum in [None, Some((20, 16))] {
                let segmentation = segmentation.map(|kind| (kind, 1368));
                let header = VirtioHeader { checksum, segmentation, header_len: 52 };
                assert_eq!(VirtioHeader::parse(&header.bytes()), Some(header));
            }
        }
    }

    #[test]
    fn congestion_marks_are_no_kind_of_their_own_and_old_kinds_are_refused() {
        let marked = VirtioHeader::parse(&[0, TCP_V4 | ECN, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(marked.and_then(|header| header.segmentation), Some((Segmentation::TcpV4, 0)));
        // UDP fragments (UFO), gone from the kernel since 4.14.
        assert_eq!(VirtioHeader::parse(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
