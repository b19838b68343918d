//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// Bytes summed at once, in lanes that the compiler turns into vector registers.
const STRIDE: usize = 32;

/// The running ones'-complement sum, in the machine's own byte order: the sum does not care
/// (RFC 1071, section 2), only reading and writing it does. A lane of 32-bit words overflows 64 bits
/// after 2^32 words.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// Adds `bytes`, the last one padded with zero. Only the last part of a message may have an odd
    /// length.
    #[must_use]
    pub(super) fn add(self, bytes: &[u8]) -> Self {
        let mut lanes = [0u64; STRIDE / 4];
        let (strides, rest) = bytes.as_chunks::<STRIDE>();
        for stride in strides {
            let (words, _) = stride.as_chunks::<4>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane += u64::from(u32::from_ne_bytes(*word));
            }
        }
        let (words, last) = rest.as_chunks::<2>();
        let words = words.iter().map(|word| u64::from(u16::from_ne_bytes(*word))).sum::<u64>();
        let last = last.first().map_or(0, |byte| u64::from(u16::from_ne_bytes([*byte, 0])));
        Self(self.0 + lanes.iter().sum::<u64>() + words + last)
    }

    /// Adds the pseudo header of UDP and TCP (RFC 768, RFC 9293 section 3.1, RFC 8200 section 8.1).
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
        !self.fold()
    }

    /// The sum itself, as its two bytes would be read from the wire: what a device is given that
    /// finishes the checksum of the rest.
    pub(super) fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > u64::from(u16::MAX) {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        u16::from_be_bytes((sum as u16).to_ne_bytes())
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_1071_example() {
        let sum = Sum::default().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.fold(), 0xddf2);
        assert_eq!(sum.finish(), !0xddf2);
    }

    #[test]
    fn an_odd_byte_counts_as_the_upper_half() {
        assert_eq!(Sum::default().add(&[0xab]).finish(), !0xab00);
    }

    /// Word by word, as the RFC says it.
    fn plainly(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | word.get(1).map_or(0, |b| u32::from(*b));
            sum = (sum >> 16) + (sum & 0xffff);
        }
        sum as u16
    }

    proptest! {
        #[test]
        fn lanes_sum_what_words_sum(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..150) {
            let (head, tail) = bytes.split_at((cut * 2).min(bytes.len() & !1));
            prop_assert_eq!(Sum::default().add(head).add(tail).fold(), plainly(&bytes));
        }
    }
}
