//! Tunnels in tunnels, and how deep.
//!
//! Two devices whose endpoints lead into each other, on one host or on several, would wrap a packet again
//! and again. Neither can tell from its own routes. What tells is that the packet carries a WireGuard
//! message itself: so each wrapping of one shortens the life of what carries it, as a router does, only by
//! more. The price is that an onlooker can see by the hop limit that a tunnel carries a tunnel, and that
//! such packets leave one by one.

use super::ip::{FRAGMENT, Inner, UDP};
use super::offload::Segments;
use crate::steer::{Steer, steer};
use crate::tunnel::{COOKIE, INITIATION, OVERHEAD, PADDING, RESPONSE};

/// Hops that a wrapping costs: of the 64 that hosts begin with, a tunnel in a tunnel is left with 48, which
/// leads to everywhere, and one more with 32. The fourth wrapping of a packet is its last.
const PRICE: u8 = 16;

/// Bytes of a UDP header.
const UDP_HEADER: usize = 8;

/// The smallest MTU that devices are given: the packet that every IPv4 host must take (RFC 791, section
/// 3.1). What fills a device is not padded beyond its MTU, so from there on data may have any length.
const LEAST_MTU: usize = 576;

/// It has been wrapped too often: tunnels lead into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// The most hops that the datagrams around `packets` may go; `None` when these carry no WireGuard
/// messages, as almost none do.
#[inline]
pub(crate) fn hops_around(packets: &Segments<'_>) -> Result<Option<u8>, TooDeep> {
    let packet = packets.inner();
    if !matches!(packet.protocol(), UDP | FRAGMENT) || !carries_wireguard(packets) {
        return Ok(None);
    }
    match packet.hop_limit().checked_sub(PRICE) {
        None | Some(0) => Err(TooDeep),
        left => Ok(left),
    }
}

/// Whether what the UDP packet brings begins like a WireGuard message and has the length of one. Several
/// packets are all as long as the first, but for the last.
fn carries_wireguard(packets: &Segments<'_>) -> bool {
    let packet = packets.inner();
    let Some(datagram) = begin_of_datagram(packet) else { return false };
    let Some((header, message)) = datagram.split_first_chunk::<UDP_HEADER>() else { return false };
    if steer(message) != Steer::WireGuard {
        return false;
    }
    let len = match packets.count() {
        1 => u16::from_be_bytes([header[4], header[5]]).into(),
        _ => packets.longest() - (packet.bytes().len() - datagram.len()),
    };
    len.checked_sub(UDP_HEADER).is_some_and(|len| is_length_of(message[0], len))
}

/// The UDP datagram that begins in `packet`, as far as it is there. Of a packet in parts only the first
/// tells, whose UDP header states the length of the whole: the others are shorter, and end sooner than
/// they would be parted again.
fn begin_of_datagram<'a>(packet: &Inner<'a>) -> Option<&'a [u8]> {
    let payload = packet.payload();
    match (packet.protocol(), packet.bytes()) {
        (UDP, bytes) if packet.src().is_ipv4() => {
            let offset = u16::from_be_bytes([bytes[6], bytes[7]]) & 0x1fff;
            (offset == 0).then_some(payload)
        }
        (UDP, _) => Some(payload),
        (FRAGMENT, _) if packet.src().is_ipv6() => match payload {
            [UDP, _, 0, 0 | 1, _, _, _, _, datagram @ ..] => Some(datagram),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a message of type `kind` may be `len` bytes long.
fn is_length_of(kind: u8, len: usize) -> bool {
    match kind {
        1 => len == INITIATION,
        2 => len == RESPONSE,
        3 => len == COOKIE,
        _ => {
            let sealed = len.checked_sub(OVERHEAD);
            sealed.is_some_and(|len| len.is_multiple_of(PADDING) || len >= LEAST_MTU)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::packet::offload::{Segmentation, VirtioHeader};
    use crate::packet::udp;

    fn packet(v6: bool, hops: u8, payload: &[u8]) -> Vec<u8> {
        let (src, dst, at) =
            if v6 { ("[fd00::1]:9", "[fd00::2]:9", 7) } else { ("10.0.0.1:9", "10.0.0.2:9", 8) };
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut packet = udp::encode(end(src), end(dst), payload).unwrap();
        packet[at] = hops;
        packet
    }

    fn hops(packet: &[u8]) -> Result<Option<u8>, TooDeep> {
        hops_around(&Segments::one(packet).unwrap())
    }

    fn message(kind: u8, len: usize) -> Vec<u8> {
        let mut message = vec![7; len];
        message[..4].copy_from_slice(&[kind, 0, 0, 0]);
        message
    }

    #[test]
    fn each_wrapping_of_a_message_shortens_its_life() {
        for v6 in [false, true] {
            for (kind, len) in [(1, 148), (2, 92), (3, 64), (4, 32), (4, 96), (4, 1452)] {
                let around = |left| hops(&packet(v6, left, &message(kind, len)));
                assert_eq!(around(64), Ok(Some(48)));
                assert_eq!(around(48), Ok(Some(32)));
                assert_eq!(around(17), Ok(Some(1)));
                assert_eq!(around(16), Err(TooDeep));
                assert_eq!(around(0), Err(TooDeep));
            }
        }
    }

    #[test]
    fn everything_else_goes_as_far_as_it_likes() {
        for payload in [&[][..], &[4, 0, 0], &[5; 32], &[4; 32], &[0x40; 32]] {
            assert_eq!(hops(&packet(true, 1, payload)), Ok(None), "{payload:?}");
        }
        for (kind, len) in [(1, 147), (1, 149), (2, 148), (3, 92), (4, 31), (4, 33), (4, 600)] {
            assert_eq!(hops(&packet(false, 1, &message(kind, len))), Ok(None), "{kind} {len}");
        }
        let mut tcp = packet(false, 1, &message(4, 32));
        tcp[9] = super::super::ip::TCP;
        assert_eq!(hops(&tcp), Ok(None));
    }

    #[test]
    fn of_a_packet_in_parts_the_first_tells() {
        let whole = packet(false, 16, &message(4, 1452));
        let part = |offset: [u8; 2]| {
            let mut part = whole[..1420].to_vec();
            part[2..4].copy_from_slice(&1420u16.to_be_bytes());
            part[6..8].copy_from_slice(&offset);
            part
        };
        assert_eq!(hops(&part([0x20, 0])), Err(TooDeep));
        assert_eq!(hops(&part([0x20, 1])), Ok(None), "what lies there is the middle of something");

        let whole = packet(true, 16, &message(4, 1452));
        let part = |offset: [u8; 2]| {
            let mut part = [&whole[..40], &[UDP, 0, offset[0], offset[1], 1, 2, 3, 4]].concat();
            part.extend(&whole[40..1412]);
            part[4..6].copy_from_slice(&1380u16.to_be_bytes());
            part[6] = FRAGMENT;
            part
        };
        assert_eq!(hops(&part([0, 1])), Err(TooDeep));
        assert_eq!(hops(&part([0, 9])), Ok(None));
    }

    #[test]
    fn of_several_packets_the_first_tells() {
        for (v6, at) in [(false, 20u16), (true, 40)] {
            for (size, expected) in [(96, Err(TooDeep)), (100, Ok(None))] {
                let run = packet(v6, 16, &message(4, 3 * 96 + 32));
                let header = VirtioHeader {
                    checksum: Some((at, 6)),
                    segmentation: Some((Segmentation::Udp, size)),
                    header_len: at + 8,
                };
                let run = Segments::of(header, &run).unwrap();
                assert_eq!(run.count(), 4);
                assert_eq!(hops_around(&run), expected);
            }
        }
    }
}
