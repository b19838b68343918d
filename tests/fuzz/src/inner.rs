//! `Inner::parse`: the header of every packet that leaves a tunnel or the kernel.

use std::net::IpAddr;

use mesh_dataplane::packet::ip::Inner;
use mesh_model::addr::port;

use crate::reference::{Ip, UDP, word};

/// Reads `input` as an IP packet, twice.
pub fn run(input: &[u8]) {
    let read = Ip::read(input);
    let parsed = Inner::parse(input);
    let (Some(ip), Ok(inner)) = (read, &parsed) else {
        assert!(read.is_none() && parsed.is_err(), "{read:?}, {parsed:?}");
        return;
    };
    assert_eq!(inner.bytes(), &input[..ip.total]);
    assert_eq!(inner.payload(), &input[ip.header..ip.total]);
    assert_eq!((inner.src(), inner.dst()), (ip.src, ip.dst));
    assert_eq!((inner.protocol(), inner.header_len()), (ip.protocol, ip.header));
    assert_eq!(inner.is_fragment(), ip.fragment);
    let whole = ip.protocol == UDP && !ip.fragment && inner.payload().len() >= 8;
    let dst_port = whole.then(|| word(inner.payload(), 2));
    assert_eq!(inner.udp_dst_port(), dst_port);
    assert_eq!(inner.is_control(), dst_port.is_some_and(port::is_control));
    // What was read says the same as the bytes it was read from.
    let at = if ip.src.is_ipv4() { 12 } else { 8 };
    let addresses = [octets(inner.src()), octets(inner.dst())].concat();
    assert_eq!(addresses, input[at..at + addresses.len()]);
    // What lies behind the packet's end is not looked at.
    assert_eq!(Inner::parse(inner.bytes()), Ok(*inner));
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
