//! `Coalescer`: packets of a burst put together for the kernel. Cut apart again they are what they were,
//! in the order of each flow.

use std::collections::BTreeMap;

use mesh_dataplane::packet::offload::{Coalescer, MAX_PARTS, Segments, Takes, VirtioHeader};

use crate::cursor::Cursor;
use crate::reference::{Ip, TCP, UDP, finish, put, repair, sum, transport_sum, word};

/// Packets in one burst, and their bytes: more of both than one super-packet holds.
const MAX_PACKETS: usize = 150;
const MAX_BYTES: usize = 96 << 10;

/// TCP's flags.
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// A flow in the making.
#[derive(Clone, Copy)]
struct Flow {
    sequence: u32,
    size: usize,
}

/// Plays the script in the input: packets that continue flows, and some that do not.
pub fn run(input: &[u8]) {
    let mut cursor = Cursor::new(input);
    let udp = cursor.u8() & 1 != 0;
    let mut flows = [Flow { sequence: 0xffff_ff00, size: 100 }; 8];
    let mut packets = Vec::new();
    let mut bytes = 0;
    while !cursor.is_empty() && packets.len() < MAX_PACKETS && bytes < MAX_BYTES {
        let packet = packet(&mut cursor, &mut flows, packets.len());
        if Ip::read(&packet).is_some_and(|ip| ip.total == packet.len()) {
            bytes += packet.len();
            packets.push(packet);
        }
    }
    check(udp, &packets);
}

/// The next packet. Three bits of a step choose the flow, and so the family; the others what happens.
fn packet(cursor: &mut Cursor<'_>, flows: &mut [Flow; 8], number: usize) -> Vec<u8> {
    let step = cursor.u8();
    let index = usize::from(step & 7);
    let flow = &mut flows[index];
    let what = step >> 3;
    if what == 24 {
        let (v6, protocol) = (index & 4 != 0, if index & 1 == 0 { TCP } else { UDP });
        let mut packet = raw(cursor);
        // Also one that is nothing is a packet here, if it says so itself.
        let _ = repair(v6, protocol, &mut packet);
        return packet;
    }
    if what == 25 {
        return raw(cursor);
    }
    if matches!(what, 16 | 21) {
        flow.size = usize::from(cursor.u16() % 1448);
    }
    if what == 19 {
        flow.sequence = cursor.u32();
    }
    let protocol = if matches!(what, 20 | 21) { UDP } else { TCP };
    let mut packet = header(index, number, protocol);
    let transport = packet.len();
    let flags = match what {
        17 => ACK | PSH,
        18 => cursor.u8(),
        _ => ACK,
    };
    if protocol == TCP {
        let options =
            if what == 26 { cursor.bytes(12) } else { &[1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9] };
        tcp(&mut packet, index, flow, flags, options);
    } else {
        packet.extend([0, index as u8, 0, 53]);
        packet.extend(((8 + flow.size) as u16).to_be_bytes());
        packet.extend([0, 0]);
    }
    packet.resize(packet.len() + flow.size, number as u8);
    let len = packet.len();
    if transport == 40 {
        put(&mut packet, 4, len - 40);
    } else {
        put(&mut packet, 2, len);
    }
    if what == 23 {
        let at = usize::from(cursor.u8()) % packet.len();
        packet[at] ^= cursor.u8();
    }
    if packet[0] >> 4 == 4 || transport == 40 {
        finish(&mut packet, transport, protocol);
    }
    if what == 22 {
        let at = usize::from(cursor.u16()) % packet.len();
        packet[at] ^= cursor.u8();
    }
    packet
}

fn raw(cursor: &mut Cursor<'_>) -> Vec<u8> {
    let len = cursor.u8();
    cursor.bytes(len.into()).to_vec()
}

/// An IP header, whose lengths are not yet right.
fn header(index: usize, number: usize, protocol: u8) -> Vec<u8> {
    let flow = index as u8;
    let mut packet = Vec::with_capacity(1600);
    if index & 4 != 0 {
        packet.extend([0x60, 0, 0, 0, 0, 0, protocol, 64]);
        packet.extend([[0xfd; 16], [0xfe; 16]].as_flattened());
    } else {
        packet.extend([0x45, 0, 0, 0]);
        packet.extend((number as u16).to_be_bytes());
        packet.extend([0x40, 0, 64, protocol, 0, 0, 10, 0, 0, flow, 10, 0, 1, 0]);
    }
    packet
}

fn tcp(packet: &mut Vec<u8>, index: usize, flow: &mut Flow, flags: u8, options: &[u8]) {
    let options = &options[..options.len() & !3];
    packet.extend([0, index as u8, 0, 80]);
    packet.extend(flow.sequence.to_be_bytes());
    packet.extend([
        0,
        0,
        0,
        77,
        (((20 + options.len()) / 4) << 4) as u8,
        flags,
        1,
        244,
        0,
        0,
        0,
        0,
    ]);
    packet.extend(options);
    flow.sequence = flow.sequence.wrapping_add(flow.size as u32);
}

fn check(udp: bool, packets: &[Vec<u8>]) {
    // Between packets lies what the tunnel leaves there.
    let mut arena = vec![0xee; 5];
    let mut coalescer = Coalescer::new(if udp { Takes::TcpAndUdp } else { Takes::Tcp });
    let mut places = Vec::new();
    for packet in packets {
        places.push(arena.len()..arena.len() + packet.len());
        arena.extend(packet);
        arena.extend([0xee; 16]);
    }
    for place in places {
        coalescer.push(&arena, place);
    }
    let mut out = Vec::new();
    coalescer.drain(&mut arena, |gathered| {
        let (header, count) = (gathered.header(), gathered.packets());
        let pieces: Vec<_> = gathered.collect();
        assert!(pieces.len() == count && (1..=MAX_PARTS).contains(&count));
        out.extend(apart(header, count, &pieces.concat()));
    });
    assert!(coalescer.is_empty());
    assert_eq!(out.len(), packets.len(), "lost, or made up");
    assert_eq!(by_flow(out), by_flow(packets.to_vec()));
}

/// What the kernel makes of a super-packet of `count`.
fn apart(header: VirtioHeader, count: usize, packet: &[u8]) -> Vec<Vec<u8>> {
    if count == 1 {
        assert_eq!(header, VirtioHeader::default());
        return vec![packet.to_vec()];
    }
    assert!(packet.len() <= usize::from(u16::MAX));
    let ip = Ip::read(packet).expect("a packet");
    assert_eq!(ip.total, packet.len(), "states its length");
    assert!(ip.src.is_ipv6() || sum(&packet[..ip.header]) == 0xffff);
    let header = VirtioHeader::parse(&header.bytes()).expect("a kind that there is");
    let segments = Segments::of(header, packet).expect("can be cut");
    assert_eq!(segments.count(), count);
    let write = |n| {
        let mut out = vec![0; segments.longest()];
        let len = segments.write(n, &mut out);
        out.truncate(len);
        out
    };
    (0..count).map(write).collect()
}

/// The packets of each flow, in order. What belongs to none is one flow more.
fn by_flow(packets: Vec<Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut flows = BTreeMap::<_, Vec<_>>::new();
    for packet in packets {
        flows.entry(flow_of(&packet)).or_default().push(essence(packet));
    }
    flows
}

fn flow_of(packet: &[u8]) -> Vec<u8> {
    let ip = Ip::read(packet).expect("a packet");
    let ports = packet.get(ip.header..ip.header + 4).filter(|_| ip.header + 4 <= ip.total);
    match ports {
        Some(ports) if matches!(ip.protocol, TCP | UDP) && !ip.fragment => {
            let ends = if ip.src.is_ipv4() { 12..20 } else { 8..40 };
            [&[ip.protocol], &packet[ends], ports].concat()
        }
        _ => Vec::new(),
    }
}

/// The packet, but for what may differ: the identification where "don't fragment" makes it meaningless
/// (RFC 6864), and which of its two zeros a right checksum of TCP says.
fn essence(mut packet: Vec<u8>) -> Vec<u8> {
    let Some(ip) = Ip::read(&packet) else { return packet };
    if ip.src.is_ipv4() && word(&packet, 6) & 0x4000 != 0 && !ip.fragment {
        let right = sum(&packet[..ip.header]) == 0xffff;
        packet[4..6].fill(0);
        if right {
            packet[10..12].fill(0);
        }
    }
    let segment = &packet[ip.header..ip.total];
    if ip.protocol == TCP
        && segment.len() >= 20
        && transport_sum(ip.src, ip.dst, TCP, segment) == 0xffff
    {
        packet[ip.header + 16..ip.header + 18].fill(0);
    }
    packet
}
