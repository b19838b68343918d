//! `udp::parse`: control frames, after the tunnel has vouched for their sender.

use mesh_dataplane::packet::udp;

use crate::cursor::Cursor;
use crate::reference::{Ip, UDP, repair, transport_sum, word};

/// Reads the packet of the input, which is made likely first if its first byte says so.
pub fn run(input: &[u8]) {
    let mut cursor = Cursor::new(input);
    let how = cursor.u8();
    let mut packet = cursor.rest().to_vec();
    if how & 1 != 0 && repair(how & 2 != 0, UDP, &mut packet).is_none() {
        return;
    }
    // A repaired packet is damaged again, in one place.
    if how & 4 != 0 && !packet.is_empty() {
        let at = usize::from(how >> 3) * 7 % packet.len();
        packet[at] ^= 1 << (how >> 5);
    }
    let parsed = udp::parse(&packet);
    let read = read(&packet);
    let (Some((ip, segment)), Ok(datagram)) = (read, parsed) else {
        assert!(read.is_none() && parsed.is_err(), "{read:?}, {parsed:?}");
        return;
    };
    assert_eq!((datagram.src.ip(), datagram.dst.ip()), (ip.src, ip.dst));
    assert_eq!((datagram.src.port(), datagram.dst.port()), (word(segment, 0), word(segment, 2)));
    assert_eq!(datagram.payload, &segment[8..]);
    let written = udp::encode(datagram.src, datagram.dst, datagram.payload).expect("it fitted");
    assert_eq!(udp::parse(&written), Ok(datagram));
    assert!(self::read(&written).is_some());
}

/// A whole, undamaged datagram, as RFC 768 has it.
fn read(packet: &[u8]) -> Option<(Ip, &[u8])> {
    let ip = Ip::read(packet).filter(|ip| ip.protocol == UDP && !ip.fragment)?;
    let segment = &packet[ip.header..ip.total];
    if segment.len() < 8 {
        return None;
    }
    let segment = segment.get(..word(segment, 4).into()).filter(|segment| segment.len() >= 8)?;
    let right = match word(segment, 6) {
        0 => ip.src.is_ipv4(),
        _ => transport_sum(ip.src, ip.dst, UDP, segment) == 0xffff,
    };
    right.then_some((ip, segment))
}
