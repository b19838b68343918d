//! What super-packets cost: cutting one apart and putting one together.
//! `cargo bench -p mesh-dataplane --bench offload`.

// Benchmarks are no tests, but nothing is lost when they panic.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use mesh_dataplane::packet::offload::{Coalescer, Segmentation, Segments, Takes, VirtioHeader};
use mesh_dataplane::packet::udp;

/// Payloads of the segments: a small one and a full one.
const SIZES: [usize; 2] = [100, 1368];

/// Segments in a super-packet: what fits 64 KiB of full ones.
const COUNT: usize = 45;

fn main() {
    divan::main();
}

fn at(host: u8) -> SocketAddr {
    ([10, 0, 0, host], 4000).into()
}

fn super_packet(size: usize) -> (VirtioHeader, Vec<u8>) {
    let header = VirtioHeader {
        checksum: Some((20, 6)),
        segmentation: Some((Segmentation::Udp, size as u16)),
        header_len: 28,
    };
    (header, udp::encode(at(1), at(2), &vec![7; size * COUNT]).unwrap())
}

#[divan::bench(args = SIZES)]
fn split(bencher: Bencher<'_, '_>, size: usize) {
    let (header, packet) = super_packet(size);
    let mut out = vec![0; 2048];
    let bencher = bencher.counter(BytesCount::new(size * COUNT)).counter(ItemsCount::new(COUNT));
    bencher.bench_local(|| {
        let segments = Segments::of(header, black_box(&packet)).unwrap();
        (0..segments.count()).map(|n| segments.write(n, &mut out)).sum::<usize>()
    });
}

#[divan::bench(args = SIZES)]
fn coalesce(bencher: Bencher<'_, '_>, size: usize) {
    let (header, packet) = super_packet(size);
    let segments = Segments::of(header, &packet).unwrap();
    let mut arena = Vec::new();
    let places: Vec<_> = (0..segments.count())
        .map(|n| {
            let start = arena.len() + 16;
            arena.resize(start + segments.longest(), 0);
            let len = segments.write(n, &mut arena[start..]);
            start..start + len
        })
        .collect();
    // Headers of the first packet are amended, so each round needs its own.
    let first = places[0].start..places[0].start + 28;
    let headers = arena[first.clone()].to_vec();
    let mut coalescer = Coalescer::new(Takes::TcpAndUdp);
    let bencher = bencher.counter(BytesCount::new(size * COUNT)).counter(ItemsCount::new(COUNT));
    bencher.bench_local(|| {
        arena[first.clone()].copy_from_slice(&headers);
        for place in &places {
            coalescer.push(black_box(&arena), place.clone());
        }
        let mut written = 0;
        coalescer.drain(&mut arena, |packet| {
            written += packet.map(<[u8]>::len).sum::<usize>();
        });
        written
    });
}
