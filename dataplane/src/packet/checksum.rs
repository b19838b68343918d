//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// The running ones'-complement sum. Eight header words and a 64 KB payload stay far below 2^32.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum(u32);

impl Sum {
    /// Adds `bytes` as big-endian words, the last one padded with zero. Only the last part of a
    /// message may have an odd length.
    #[must_use]
    pub(super) fn add(self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(2);
        let sum = words
            .by_ref()
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum::<u32>();
        let last = words.remainder().first().map_or(0, |b| u32::from(*b) << 8);
        Self(self.0 + sum + last)
    }

    /// Adds the pseudo header of UDP (RFC 768 and RFC 8200, section 8.1).
    #[must_use]
    pub(super) fn pseudo(self, src: IpAddr, dst: IpAddr, protocol: u8, len: u16) -> Self {
        let addrs = match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.add(&src.octets()).add(&dst.octets()),
            (src, dst) => self.add(&v6(src)).add(&v6(dst)),
        };
        addrs.add(&[0, protocol]).add(&len.to_be_bytes())
    }

    /// The checksum: zero over a message that contains its own.
    pub(super) fn finish(self) -> u16 {
        let folded = (self.0 >> 16) + (self.0 & 0xffff);
        let folded = (folded >> 16) + (folded & 0xffff);
        !(folded as u16)
    }
}

fn v6(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        let sum = Sum::default().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), !0xddf2);
    }

    #[test]
    fn an_odd_byte_counts_as_the_upper_half() {
        assert_eq!(Sum::default().add(&[0xab]).finish(), !0xab00);
    }
}
