//! `VirtioHeader::parse` and `Segments::of`: super-packets from the kernel, cut apart.
//!
//! Each segment is held against one that was put together byte by byte as the RFCs say.

use mesh_dataplane::packet::offload::{Segmentation, Segments, VirtioHeader};

use crate::cursor::Cursor;
use crate::reference::{Ip, TCP, UDP, put, repair, sum, transport_sum, word};

/// TCP's flags.
const FIN_AND_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// The most segments that a super-packet of 64 KiB has: TCP's smallest have 8 bytes.
const MAX_SEGMENTS: usize = 8192;

/// Cuts the input: how to make it likely, a virtio header, a packet.
pub fn run(input: &[u8]) {
    let mut cursor = Cursor::new(input);
    let how = cursor.u8();
    let mut beside = [0; VirtioHeader::LEN];
    let given = cursor.bytes(VirtioHeader::LEN);
    beside[..given.len()].copy_from_slice(given);
    let mut packet = cursor.rest().to_vec();
    let Some(mut header) = VirtioHeader::parse(&beside) else { return };
    assert_eq!(VirtioHeader::parse(&header.bytes()), Some(header));
    let likely = how & 1 != 0;
    if likely && make_likely(how, &mut header, &mut packet).is_none() {
        return;
    }
    match Segments::of(header, &packet) {
        Ok(segments) => check(header, &packet, &segments),
        Err(error) => assert!(!likely, "what the kernel may send is refused: {error}"),
    }
    if let Ok(one) = Segments::one(&packet) {
        check(VirtioHeader::default(), &packet, &one);
    }
}

/// Makes a super-packet as the kernel hands it over.
fn make_likely(how: u8, header: &mut VirtioHeader, packet: &mut [u8]) -> Option<()> {
    let (v6, udp) = (how & 2 != 0, how & 4 != 0);
    let protocol = if udp { UDP } else { TCP };
    repair(v6, protocol, packet)?;
    let transport = if v6 { 40 } else { 20 };
    let kind = match (udp, v6) {
        (true, _) => Segmentation::Udp,
        (false, false) => Segmentation::TcpV4,
        (false, true) => Segmentation::TcpV6,
    };
    let (_, size) = header.segmentation?;
    header.checksum = Some((transport, if udp { 6 } else { 16 }));
    header.segmentation = Some((kind, size));
    let cuttable = size > 0 && packet.len() <= usize::from(size) * MAX_SEGMENTS;
    cuttable.then_some(())
}

fn check(header: VirtioHeader, packet: &[u8], segments: &Segments<'_>) {
    let ip = Ip::read(packet).expect("only IP packets are accepted");
    let whole = &packet[..ip.total];
    assert_eq!(segments.inner().bytes(), whole);
    let expected = match header.segmentation {
        None => vec![finished(header.checksum, whole)],
        Some((kind, size)) => {
            let (transport, _) = header.checksum.expect("where the transport header begins");
            cut(kind, transport.into(), size.into(), ip, whole)
        }
    };
    assert_eq!(segments.count(), expected.len());
    let longest = expected.iter().map(Vec::len).max();
    assert_eq!(Some(segments.longest()), longest);
    for (n, expected) in expected.iter().enumerate() {
        assert_eq!(written(segments, n), *expected, "segment {n} of {}", segments.count());
    }
}

/// Segment `n`, which is all that is written.
fn written(segments: &Segments<'_>, n: usize) -> Vec<u8> {
    const UNTOUCHED: u8 = 0xaa;
    let mut out = vec![UNTOUCHED; segments.longest() + 4];
    let len = segments.write(n, &mut out);
    assert!(len <= segments.longest());
    assert!(out[len..].iter().all(|byte| *byte == UNTOUCHED));
    out.truncate(len);
    out
}

/// A packet that is one, its checksum finished.
fn finished(checksum: Option<(u16, u16)>, whole: &[u8]) -> Vec<u8> {
    let mut packet = whole.to_vec();
    if let Some((start, behind)) = checksum {
        let start = usize::from(start);
        let sum = !sum(&packet[start..]);
        put(&mut packet, start + usize::from(behind), if sum == 0 { 0xffff } else { sum.into() });
    }
    packet
}

fn cut(kind: Segmentation, transport: usize, size: usize, ip: Ip, whole: &[u8]) -> Vec<Vec<u8>> {
    let (protocol, headers) = match kind {
        Segmentation::Udp => (UDP, transport + 8),
        _ => (TCP, transport + usize::from(whole[transport + 12] >> 4) * 4),
    };
    let (headers, payload) = whole.split_at(headers);
    let parts: Vec<_> =
        if payload.is_empty() { vec![payload] } else { payload.chunks(size).collect() };
    let count = parts.len();
    let segment = |(n, part): (usize, &[u8])| {
        let mut packet = [headers, part].concat();
        let len = packet.len();
        if ip.src.is_ipv4() {
            put(&mut packet, 2, len);
            let id = word(headers, 4).wrapping_add(n as u16);
            put(&mut packet, 4, id.into());
            put(&mut packet, 10, 0);
            let sum = !sum(&packet[..ip.header]);
            put(&mut packet, 10, sum.into());
        } else {
            put(&mut packet, 4, len - 40);
        }
        if protocol == UDP {
            put(&mut packet, transport + 4, len - transport);
        } else {
            let first = u32::from(word(headers, transport + 4)) << 16
                | u32::from(word(headers, transport + 6));
            let sequence = first.wrapping_add((n * size) as u32);
            packet[transport + 4..transport + 8].copy_from_slice(&sequence.to_be_bytes());
            packet[transport + 13] &= if n == 0 { 0xff } else { !CWR };
            packet[transport + 13] &= if n + 1 == count { 0xff } else { !FIN_AND_PSH };
        }
        let at = transport + if protocol == TCP { 16 } else { 6 };
        put(&mut packet, at, 0);
        let sum = !transport_sum(ip.src, ip.dst, protocol, &packet[transport..]);
        put(&mut packet, at, if sum == 0 && protocol == UDP { 0xffff } else { sum.into() });
        packet
    };
    parts.into_iter().enumerate().map(segment).collect()
}
