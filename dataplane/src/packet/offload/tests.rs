//! Cutting and putting together undo each other, and never change what a flow carries.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::packet::checksum::Sum;
use crate::packet::ip::{Inner, TCP, UDP, V4_HEADER, V6_HEADER};
use crate::packet::udp;

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
const FIN: u8 = 0x01;
const CWR: u8 = 0x80;

/// A TCP segment to be built.
#[derive(Debug, Clone)]
struct Tcp {
    v6: bool,
    flow: u8,
    id: u16,
    sequence: u32,
    flags: u8,
    window: u16,
    options: Vec<u8>,
    payload: Vec<u8>,
}

impl Tcp {
    fn new(v6: bool, sequence: u32, payload: Vec<u8>) -> Self {
        // Two timestamps, padded: the options of every segment on Linux.
        let options = vec![1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
        Self { v6, flow: 1, id: 0x1234, sequence, flags: ACK, window: 500, options, payload }
    }

    fn bytes(&self) -> Vec<u8> {
        let tcp_len = 20 + self.options.len() + self.payload.len();
        let mut packet = ip_header(self.v6, TCP, self.id, tcp_len);
        let at = packet.len();
        packet.extend([0, self.flow, 0, 80]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(77u32.to_be_bytes());
        packet.extend([(((20 + self.options.len()) / 4) << 4) as u8, self.flags]);
        packet.extend(self.window.to_be_bytes());
        packet.extend([0, 0, 0, 0]);
        packet.extend(&self.options);
        packet.extend(&self.payload);
        finish(&mut packet, at, TCP, 16);
        packet
    }
}

fn ip_header(v6: bool, protocol: u8, id: u16, payload: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    if v6 {
        packet.extend([0x60, 0, 0, 0]);
        packet.extend((payload as u16).to_be_bytes());
        packet.extend([protocol, 64]);
        packet.extend([0xfd; 16]);
        packet.extend([0xfe; 16]);
    } else {
        packet.extend([0x45, 0]);
        packet.extend(((V4_HEADER + payload) as u16).to_be_bytes());
        packet.extend(id.to_be_bytes());
        packet.extend([0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let sum = Sum::default().add(&packet).finish();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

fn finish(packet: &mut [u8], at: usize, protocol: u8, behind: usize) {
    let (src, dst): (IpAddr, IpAddr) = {
        let inner = Inner::parse(packet).unwrap();
        (inner.src(), inner.dst())
    };
    let len = (packet.len() - at) as u16;
    let sum = Sum::default().pseudo(src, dst, protocol, len).add(&packet[at..]).finish();
    packet[at + behind..at + behind + 2].copy_from_slice(&sum.to_be_bytes());
}

fn datagram(v6: bool, flow: u8, payload: &[u8]) -> Vec<u8> {
    let [src, dst] = [1, 2].map(|host| match v6 {
        true => IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, host]),
        false => IpAddr::from([10, 0, 0, host as u8]),
    });
    let port = 1000 + u16::from(flow);
    udp::encode(SocketAddr::new(src, port), SocketAddr::new(dst, 53), payload).unwrap()
}

/// What comes out for the kernel: header and bytes of each packet.
fn coalesce(packets: &[Vec<u8>]) -> Vec<(VirtioHeader, Vec<u8>)> {
    coalesce_for(Takes::TcpAndUdp, packets)
}

fn coalesce_for(takes: Takes, packets: &[Vec<u8>]) -> Vec<(VirtioHeader, Vec<u8>)> {
    let mut arena = vec![0xee; 7];
    let mut coalescer = Coalescer::new(takes);
    let mut places = Vec::new();
    for packet in packets {
        let at = arena.len()..arena.len() + packet.len();
        arena.extend(packet);
        arena.extend([0xee; 16]);
        places.push(at);
    }
    for at in places {
        coalescer.push(&arena, at);
    }
    let mut out = Vec::new();
    coalescer.drain(&mut arena, |gathered| {
        let (header, count) = (gathered.header(), gathered.packets());
        let pieces: Vec<_> = gathered.collect();
        assert!(pieces.len() == count && count <= MAX_PARTS);
        out.push((header, pieces.concat()));
    });
    assert!(coalescer.is_empty());
    out
}

fn split(header: VirtioHeader, packet: &[u8]) -> Vec<Vec<u8>> {
    let segments = Segments::of(header, packet).unwrap();
    let write = |n| {
        let mut out = vec![0xaa; segments.longest()];
        let len = segments.write(n, &mut out);
        out.truncate(len);
        out
    };
    (0..segments.count()).map(write).collect()
}

/// A stream of `count` full segments and a shorter one with PSH.
fn stream(v6: bool, count: usize, size: usize) -> Vec<Vec<u8>> {
    let segment = |n: usize| {
        let last = n == count;
        let payload = vec![n as u8; if last { size / 2 } else { size }];
        let mut tcp = Tcp::new(v6, (0xffff_f000u32).wrapping_add((n * size) as u32), payload);
        tcp.id = 0xfffe_u16.wrapping_add(n as u16);
        tcp.flags |= if last { PSH } else { 0 };
        tcp.bytes()
    };
    (0..=count).map(segment).collect()
}

#[test]
fn a_stream_becomes_one_packet_and_cutting_it_restores_every_byte() {
    for v6 in [false, true] {
        let packets = stream(v6, 40, 1368);
        let out = coalesce(&packets);
        assert_eq!(out.len(), 1);
        let (header, bytes) = &out[0];
        let kind = if v6 { Segmentation::TcpV6 } else { Segmentation::TcpV4 };
        assert_eq!(header.segmentation, Some((kind, 1368)));
        assert_eq!(Inner::parse(bytes).unwrap().bytes().len(), bytes.len());
        assert_eq!(split(*header, bytes), packets);
    }
}

#[test]
fn datagrams_of_one_size_become_one_packet_and_come_apart_again() {
    for v6 in [false, true] {
        let sizes = [100, 100, 100, 60, 100];
        let packets: Vec<_> =
            sizes.iter().map(|size| datagram(v6, 1, &vec![*size; (*size).into()])).collect();
        let out = coalesce(&packets);
        assert_eq!(out.len(), 2, "a shorter one ends the run");
        let back: Vec<_> = out.iter().flat_map(|(header, bytes)| split(*header, bytes)).collect();
        // "Don't fragment" makes the identification meaningless: it counts up from the first.
        let payloads = |all: &[Vec<u8>]| -> Vec<Vec<u8>> {
            all.iter().map(|packet| udp::parse(packet).unwrap().payload.to_vec()).collect()
        };
        assert_eq!(payloads(&back), payloads(&packets));
    }
}

#[test]
fn only_what_continues_the_stream_joins_it() {
    let base = || Tcp::new(false, 1000, vec![1; 100]);
    let next = || Tcp::new(false, 1100, vec![2; 100]);
    let joined = |second: Tcp| coalesce(&[base().bytes(), second.bytes()]).len() == 1;
    assert!(joined(next()));
    assert!(joined(Tcp { flags: ACK | PSH, ..next() }));
    for (why, second) in [
        ("a gap", Tcp { sequence: 1101, ..next() }),
        ("another flow", Tcp { flow: 2, ..next() }),
        ("another window", Tcp { window: 501, ..next() }),
        ("other options", Tcp { options: vec![1, 1, 8, 10, 0, 0, 0, 8, 0, 0, 0, 9], ..next() }),
        ("no options", Tcp { options: Vec::new(), ..next() }),
        ("the stream's end", Tcp { flags: ACK | FIN, ..next() }),
        ("a congestion signal", Tcp { flags: ACK | CWR, ..next() }),
        ("more than the first carried", Tcp { payload: vec![2; 101], ..next() }),
        ("nothing carried", Tcp { payload: Vec::new(), ..next() }),
    ] {
        assert!(!joined(second), "{why}");
    }
    let mut damaged = next().bytes();
    damaged[60] ^= 1;
    assert_eq!(coalesce(&[base().bytes(), damaged]).len(), 2, "a wrong checksum stays visible");
    let mut damaged = next().bytes();
    damaged[10] ^= 1;
    let out = coalesce(&[base().bytes(), damaged.clone()]);
    assert_eq!(out[1].1, damaged, "and so does that of the header");
    let mut fragmentable = next().bytes();
    fragmentable[6] = 0;
    fragmentable[10..12].fill(0);
    let sum = Sum::default().add(&fragmentable[..20]).finish();
    fragmentable[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(coalesce(&[base().bytes(), fragmentable]).len(), 2, "its id means something");
}

#[test]
fn a_device_gets_no_super_packets_but_those_it_takes() {
    let tcp = stream(false, 4, 500);
    let udp: Vec<_> = (0..5).map(|n| datagram(true, 1, &[n; 90])).collect();
    let packets = |takes| [&tcp, &udp].map(|packets| coalesce_for(takes, packets).len());
    assert_eq!(packets(Takes::None), [5, 5]);
    assert_eq!(packets(Takes::Tcp), [1, 5]);
    assert_eq!(packets(Takes::TcpAndUdp), [1, 1]);
    let alone: Vec<_> = coalesce_for(Takes::None, &tcp);
    assert!(alone.iter().all(|(header, _)| *header == VirtioHeader::default()));
}

#[test]
fn a_packet_that_stays_alone_is_not_overtaken_by_its_own_flow() {
    let data = |n: u32| Tcp::new(false, 1000 + 100 * n, vec![n as u8; 100]).bytes();
    let ack = Tcp::new(false, 1200, Vec::new()).bytes();
    let other = Tcp { flow: 9, ..Tcp::new(false, 5, Vec::new()) }.bytes();
    let out = coalesce(&[data(0), data(1), ack.clone(), data(2), data(3)]);
    assert_eq!(out.len(), 3);
    assert_eq!(out[1].1, ack);
    assert_eq!(coalesce(&[data(0), other, data(1)]).len(), 2, "others do not part it");
}

#[test]
fn a_segment_with_marks_keeps_them_where_they_belong() {
    let mut tcp = Tcp::new(false, 1, vec![3; 250]);
    tcp.flags = ACK | PSH | FIN | CWR;
    let header = VirtioHeader {
        checksum: Some((20, 16)),
        segmentation: Some((Segmentation::TcpV4, 100)),
        header_len: 52,
    };
    let flags: Vec<_> = split(header, &tcp.bytes()).iter().map(|packet| packet[33]).collect();
    assert_eq!(flags, [ACK | CWR, ACK, ACK | PSH | FIN]);
}

#[test]
fn an_unfinished_checksum_is_finished() {
    let whole = Tcp::new(true, 1, vec![3; 251]).bytes();
    let mut unfinished = whole.clone();
    let inner = Inner::parse(&whole).unwrap();
    let len = (whole.len() - V6_HEADER) as u16;
    let pseudo = Sum::default().pseudo(inner.src(), inner.dst(), TCP, len).fold();
    unfinished[56..58].copy_from_slice(&pseudo.to_be_bytes());
    let header = VirtioHeader { checksum: Some((40, 16)), ..VirtioHeader::default() };
    assert_eq!(split(header, &unfinished), [whole]);
}

#[test]
fn an_unfinished_checksum_stays_out_of_what_a_packet_is_judged_by() {
    for v6 in [false, true] {
        let packet = datagram(v6, 1, b"to a port that is nobody's secret");
        let ip = if v6 { V6_HEADER } else { V4_HEADER } as u16;
        let of = |start, behind| {
            let checksum = Some((start, behind));
            Segments::of(VirtioHeader { checksum, ..VirtioHeader::default() }, &packet).err()
        };
        let (ports, addresses) = (ip..ip + 4, 8..ip);
        for at in ports.chain(addresses) {
            assert_eq!(of(0, at), Some(SplitError::Checksum), "{at}");
            assert_eq!(of(ip, at.saturating_sub(ip)), Some(SplitError::Checksum), "{at}");
        }
        assert_eq!(of(ip, 6), None);
        // That of a datagram inside.
        assert_eq!(of(ip + 16, 6), None);
    }
}

#[test]
fn contradictions_are_refused() {
    let tcp = Tcp::new(false, 1, vec![3; 250]).bytes();
    let header = |start, kind, size| VirtioHeader {
        checksum: Some((start, 16)),
        segmentation: Some((kind, size)),
        header_len: 0,
    };
    for (header, error) in [
        (header(20, Segmentation::TcpV6, 100), SplitError::Protocol),
        (header(20, Segmentation::Udp, 100), SplitError::Protocol),
        (header(24, Segmentation::TcpV4, 100), SplitError::Header),
        (header(20, Segmentation::TcpV4, 0), SplitError::Size),
        (
            VirtioHeader { checksum: None, ..header(20, Segmentation::TcpV4, 100) },
            SplitError::Checksum,
        ),
        (
            VirtioHeader { checksum: Some((300, 2)), ..VirtioHeader::default() },
            SplitError::Checksum,
        ),
    ] {
        assert_eq!(Segments::of(header, &tcp).err(), Some(error), "{header:?}");
    }
    for words in [0x40, 0xf0] {
        let mut tcp = Tcp::new(false, 1, vec![]).bytes();
        tcp[32] = words;
        let refused = Segments::of(header(20, Segmentation::TcpV4, 100), &tcp).err();
        assert_eq!(refused, Some(SplitError::Header), "a header of {words:#x}");
    }
    let v6 = Tcp::new(true, 1, vec![3; 25]).bytes();
    for start in [0, 39, 90, 60_000] {
        assert!(Segments::of(header(start, Segmentation::TcpV6, 10), &v6).is_err(), "{start}");
    }
}

fn traffic() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let step = (0u8..3, any::<bool>(), 0u8..10, 1usize..4);
    prop::collection::vec(step, 1..200).prop_map(|steps| {
        let mut sequences = [0u32; 6];
        let mut id = 0u16;
        let mut packets = Vec::new();
        for (flow, v6, what, size) in steps {
            id = id.wrapping_add(1);
            if what == 9 {
                packets.push(datagram(v6, flow, &vec![size as u8; 20 * size]));
                continue;
            }
            let sequence = &mut sequences[usize::from(flow) * 2 + usize::from(v6)];
            let payload = vec![id as u8; if what == 8 { 0 } else { 50 * size }];
            let mut tcp = Tcp::new(v6, *sequence, payload);
            tcp.flow = flow;
            tcp.id = id;
            tcp.flags |= if what == 7 { PSH } else { 0 };
            *sequence = sequence.wrapping_add(tcp.payload.len() as u32);
            packets.push(tcp.bytes());
        }
        packets
    })
}

/// The packet without what "don't fragment" makes meaningless.
fn without_id(mut packet: Vec<u8>) -> Vec<u8> {
    if packet[0] >> 4 == 4 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// The packets of each flow, in order.
fn by_flow(packets: Vec<Vec<u8>>) -> std::collections::BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut flows = std::collections::BTreeMap::<_, Vec<_>>::new();
    for packet in packets {
        let ports = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let protocol = if packet[0] >> 4 == 4 { packet[9] } else { packet[6] };
        let key = [&[packet[0], protocol], &packet[ports..ports + 4]].concat();
        flows.entry(key).or_default().push(without_id(packet));
    }
    flows
}

proptest! {
    #[test]
    fn every_flow_keeps_its_bytes_and_its_order(packets in traffic()) {
        let out = coalesce(&packets);
        prop_assert!(out.len() <= packets.len());
        let back = out.iter().flat_map(|(header, bytes)| split(*header, bytes)).collect();
        prop_assert_eq!(by_flow(back), by_flow(packets));
    }

    #[test]
    fn any_bytes_are_cut_or_refused(
        beside in any::<[u8; VirtioHeader::LEN]>(),
        mut packet in prop::collection::vec(any::<u8>(), 0..400),
        start in 0u8..60,
        kind in 0u8..6,
    ) {
        let mut beside = beside;
        beside[1] = kind;
        beside[6..8].copy_from_slice(&u16::from(start).to_ne_bytes());
        let len = packet.len() as u16;
        if packet.len() > 40 {
            packet[0] = if start % 2 == 0 { 0x45 } else { 0x60 };
            let (at, len) = if packet[0] == 0x45 { (2, len) } else { (4, len - 40) };
            packet[at..at + 2].copy_from_slice(&len.to_be_bytes());
        }
        let Some(header) = VirtioHeader::parse(&beside) else { return Ok(()) };
        let Ok(segments) = Segments::of(header, &packet) else { return Ok(()) };
        let again = Segments::of(segments.header(), segments.inner().bytes()).unwrap();
        prop_assert_eq!(format!("{again:?}"), format!("{segments:?}"), "handed on");
        let mut out = vec![0; segments.longest()];
        let mut payload = 0;
        for n in 0..segments.count() {
            let len = segments.write(n, &mut out);
            prop_assert!(len <= segments.longest());
            payload += len;
        }
        prop_assert!(payload >= segments.inner().bytes().len());
    }
}

// Both layouts above rely on it.
const _: () = assert!(UDP == 17 && TCP == 6);
