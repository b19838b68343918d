//! Cutting super-packets and putting packets together cost no allocation.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use allocation_counter::measure;
use mesh_dataplane::packet::offload::{Coalescer, Segmentation, Segments, Takes, VirtioHeader};
use mesh_dataplane::packet::udp;

/// Payload of one packet, in bytes.
const SIZE: u16 = 1_000;

/// Packets in a super-packet.
const COUNT: u16 = 40;

/// Times that everything is done, the first to make room.
const TIMES: usize = 50;

fn super_packet() -> (VirtioHeader, Vec<u8>) {
    let [src, dst]: [SocketAddr; 2] = ["10.0.0.1:1", "10.0.0.2:9"].map(|at| at.parse().unwrap());
    let header = VirtioHeader {
        checksum: Some((20, 6)),
        segmentation: Some((Segmentation::Udp, SIZE)),
        header_len: 28,
    };
    (header, udp::encode(src, dst, &vec![7; usize::from(SIZE * COUNT)]).unwrap())
}

/// The allocations of doing it again and again, once it has been done.
fn allocations(mut again: impl FnMut()) -> u64 {
    again();
    measure(|| (1..TIMES).for_each(|_| again())).count_total
}

#[test]
fn a_super_packet_is_cut_and_put_together_again() {
    let (header, packet) = super_packet();
    let mut arena = vec![0; usize::from(COUNT) * 2_048];
    let mut coalescer = Coalescer::new(Takes::TcpAndUdp);
    let mut whole = 0;
    let allocations = allocations(|| {
        let segments = Segments::of(header, &packet).unwrap();
        for n in 0..segments.count() {
            let start = n * 2_048;
            let len = segments.write(n, &mut arena[start..]);
            coalescer.push(&arena, start..start + len);
        }
        coalescer.drain(&mut arena, |packet| {
            whole +=
                usize::from(packet.map(<[u8]>::len).sum::<usize>() >= usize::from(SIZE * COUNT));
        });
    });
    assert_eq!((allocations, whole), (0, TIMES));
}
