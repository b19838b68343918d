//! Tunnels in tunnels, and how deep.
//!
//! Two devices whose endpoints lead into each other, on one host or on several, would wrap a packet again
//! and again. Neither can tell from its own routes. What tells is that the packet carries a WireGuard
//! message itself: so each wrapping of one shortens the life of what carries it, as a router does, only by
//! more. The price is that an onlooker can see by the hop limit that a tunnel carries a tunnel.

use super::ip::{Inner, UDP};
use crate::steer::{Steer, steer};

/// Hops that a wrapping costs: of the 64 that hosts begin with, a tunnel in a tunnel is left with 48, which
/// leads to everywhere, and one more with 32. The fourth wrapping of a packet is its last.
const PRICE: u8 = 16;

/// Bytes of a UDP header.
const UDP_HEADER: usize = 8;

/// It has been wrapped too often: tunnels lead into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// The most hops that the datagram around `packet` may go; `None` when `packet` carries no WireGuard
/// message, as almost none does.
#[inline]
pub(crate) fn hops_around(packet: &Inner<'_>) -> Result<Option<u8>, TooDeep> {
    if packet.protocol() != UDP || !carries_wireguard(packet) {
        return Ok(None);
    }
    match packet.hop_limit().checked_sub(PRICE) {
        None | Some(0) => Err(TooDeep),
        left => Ok(left),
    }
}

/// Whether the UDP packet begins like a WireGuard message. Of a packet in parts only the first does: the
/// others are shorter, and end sooner than they would be parted again.
fn carries_wireguard(packet: &Inner<'_>) -> bool {
    let begins = !packet.is_fragment() || packet.bytes()[6..8] == [0x20, 0];
    let message = packet.payload().get(UDP_HEADER..);
    begins && message.is_some_and(|message| steer(message) == Steer::WireGuard)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
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
        hops_around(&Inner::parse(packet).unwrap())
    }

    #[test]
    fn each_wrapping_of_a_message_shortens_its_life() {
        for v6 in [false, true] {
            for kind in 1..=4 {
                let around = |left| hops(&packet(v6, left, &[kind, 0, 0, 0, 7]));
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
        for payload in [&[][..], &[4, 0, 0], &[5, 0, 0, 0], &[4, 0, 1, 0], &[0x40, 0, 0, 0]] {
            assert_eq!(hops(&packet(true, 1, payload)), Ok(None), "{payload:?}");
        }
        let mut tcp = packet(false, 1, &[4, 0, 0, 0]);
        tcp[9] = super::super::ip::TCP;
        assert_eq!(hops(&tcp), Ok(None));
    }

    #[test]
    fn of_a_packet_in_parts_the_first_tells() {
        let mut part = packet(false, 16, &[4, 0, 0, 0]);
        part[6..8].copy_from_slice(&[0x20, 0]);
        assert_eq!(hops(&part), Err(TooDeep));
        part[7] = 1;
        assert_eq!(hops(&part), Ok(None), "what lies there is the middle of something");
    }
}
