//! Packets that wait for a slow uplink, in virtual time: what passes what, and what is dropped.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mesh_dataplane::packet::offload::{Segmentation, Segments, VirtioHeader};
use mesh_dataplane::packet::udp;
use mesh_dataplane::{Backlog, Origin, Slice, Uplink};

const MS: Duration = Duration::from_millis(1);

/// Any will do.
#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

/// A packet of flow `flow`, `len` bytes long, that says which of them it is.
fn packet(flow: u16, n: u32, len: usize) -> Vec<u8> {
    let [src, dst]: [SocketAddr; 2] =
        [format!("10.0.0.1:{}", 1000 + flow), "10.0.0.2:9".into()].map(|end| end.parse().unwrap());
    let mut payload = vec![0; len - 28];
    payload[..2].copy_from_slice(&flow.to_be_bytes());
    payload[2..6].copy_from_slice(&n.to_be_bytes());
    udp::encode(src, dst, &payload).unwrap()
}

fn push(backlog: &mut Backlog, flow: u16, n: u32, len: usize, now: Instant) {
    let packet = packet(flow, n, len);
    let packet = Segments::one(&packet).unwrap();
    backlog.push(Origin::Kernel, &packet, &Uplink::default(), now);
}

/// Which packet is next: its flow, and which of it.
fn pop(backlog: &mut Backlog, now: Instant) -> Option<(u16, u32)> {
    let mut said = None;
    backlog.pop(now, |_, packets| {
        let [f0, f1, n0, n1, n2, n3, ..] = packets.inner().payload()[8..] else { panic!("short") };
        said = Some((u16::from_be_bytes([f0, f1]), u32::from_be_bytes([n0, n1, n2, n3])));
    });
    said
}

fn rest(backlog: &mut Backlog, now: Instant) -> Vec<(u16, u32)> {
    std::iter::from_fn(|| pop(backlog, now)).collect()
}

#[test]
fn a_flows_packets_leave_as_they_came_and_unharmed() {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [1; 32]);
    assert!(backlog.is_empty());
    for n in 0..100 {
        push(&mut backlog, 1, n, 1400, start);
    }
    let first = packet(1, 0, 1400);
    let len = backlog.pop(start, |_, packets| assert_eq!(packets.inner().bytes(), first));
    assert_eq!(len, Some(1400));
    assert_eq!(rest(&mut backlog, start), (1..100).map(|n| (1, n)).collect::<Vec<_>>());
    assert!(backlog.is_empty());
    assert_eq!(backlog.take_dropped(), 0);
}

#[test]
fn flows_share_by_bytes_and_not_by_packets() {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [2; 32]);
    for n in 0..2000 {
        push(&mut backlog, 1, n, 1400, start);
        push(&mut backlog, 2, n, 140, start);
    }
    let first: Vec<_> = (0..1100).filter_map(|_| pop(&mut backlog, start)).collect();
    let long = first.iter().filter(|(flow, _)| *flow == 1).count();
    assert!((95..=105).contains(&long), "{long} of 1100");
}

#[test]
fn whoever_says_little_passes_whoever_says_much() {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [3; 32]);
    for n in 0..500 {
        push(&mut backlog, 1, n, 1400, start);
    }
    for at in 0..50 {
        // Each time the quiet one has had nothing to say for a while.
        let now = start + MS * at;
        for _ in 0..3 {
            assert_eq!(pop(&mut backlog, now).map(|(flow, _)| flow), Some(1));
        }
        push(&mut backlog, 2, at, 84, now);
        let next = [pop(&mut backlog, now), pop(&mut backlog, now)];
        assert!(next.contains(&Some((2, at))), "{next:?}");
    }
}

/// Sends `rate` packets of 1250 bytes a millisecond into an uplink of 10 Mbit/s, for ten seconds, together with
/// a ping each 20 ms; how many of the transfer's were dropped, and the longest that either waited in the
/// last second.
fn overload(reacts: bool) -> (u64, Duration, Duration) {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [4; 32]);
    let mut sent_at = Vec::new();
    let (mut pings, mut dropped, mut window) = (Vec::new(), 0, 100);
    let (mut worst, mut worst_ping, mut on_way) = (Duration::ZERO, Duration::ZERO, 0);
    for at in 0..10_000 {
        let now = start + MS * at;
        while on_way < window {
            push(&mut backlog, 1, sent_at.len() as u32, 1250, now);
            sent_at.push(now);
            on_way += 1;
        }
        if at % 20 == 0 {
            push(&mut backlog, 2, pings.len() as u32, 84, now);
            pings.push(now);
        }
        let next = pop(&mut backlog, now);
        let lost = backlog.take_dropped();
        dropped += lost;
        on_way -= lost;
        if reacts && lost > 0 {
            window = (window * 7 / 10).max(2);
        } else if at % 20 == 0 {
            window += 1;
        }
        let Some((flow, n)) = next else { continue };
        let waited = now - if flow == 1 { sent_at[n as usize] } else { pings[n as usize] };
        on_way -= u64::from(flow == 1);
        if at >= 9000 {
            let worst = if flow == 1 { &mut worst } else { &mut worst_ping };
            *worst = waited.max(*worst);
        }
    }
    (dropped, worst, worst_ping)
}

#[test]
fn a_sender_that_listens_comes_to_wait_little_and_loses_little() {
    let (dropped, worst, worst_ping) = overload(true);
    assert!((1..500).contains(&dropped), "{dropped}");
    assert!(worst < MS * 60, "{worst:?}");
    assert!(worst_ping <= MS * 2, "{worst_ping:?}");
}

#[test]
fn one_that_does_not_listen_harms_only_itself() {
    let (dropped, _, worst_ping) = overload(false);
    assert!(dropped > 100, "{dropped}");
    assert!(worst_ping <= MS * 2, "{worst_ping:?}");
}

#[test]
fn what_may_wait_is_bounded_and_the_greedy_one_pays() {
    let start = start();
    for (len, most) in [(1400, (4 << 20) / 1400), (28 + 6, 8192)] {
        let mut backlog = Backlog::new(Slice::WHOLE, [5; 32]);
        for n in 0..10 {
            push(&mut backlog, 2, n, 100, start);
        }
        for n in 0..20_000 {
            push(&mut backlog, 1, n, len, start);
        }
        let dropped = backlog.take_dropped();
        let kept = rest(&mut backlog, start);
        assert!(kept.len() <= most + 10, "{}", kept.len());
        assert_eq!(kept.len() as u64 + dropped, 20_010);
        assert_eq!(kept.iter().filter(|(flow, _)| *flow == 2).count(), 10);
        let last = kept.iter().rfind(|(flow, _)| *flow == 1);
        assert_eq!(last, Some(&(1, 19_999)), "the newest is worth most");
        assert!(backlog.is_empty());
    }
}

#[test]
fn few_of_a_hundred_flows_share_a_queue() {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [6; 32]);
    for n in 0..20 {
        for flow in 0..100 {
            push(&mut backlog, flow, n, 1400, start);
        }
    }
    // The first round gives each queue two packets: those who share one have sent one each.
    let round: Vec<_> = (0..180).filter_map(|_| pop(&mut backlog, start)).collect();
    let alone = round.iter().filter(|(_, n)| *n == 1).count();
    assert!(alone > 75, "{alone}");
}

/// A super-packet of TCP with `count` segments of `size` bytes.
fn super_packet(size: u16, count: u16) -> (VirtioHeader, Vec<u8>) {
    let payload = usize::from(size) * usize::from(count);
    let mut packet = vec![0; 40 + payload];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&((40 + payload) as u16).to_be_bytes());
    packet[8..10].copy_from_slice(&[64, 6]);
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet[32] = 5 << 4;
    let header = VirtioHeader {
        checksum: Some((20, 16)),
        segmentation: Some((Segmentation::TcpV4, size)),
        header_len: 40,
    };
    (header, packet)
}

#[test]
fn a_super_packet_is_cut_so_that_others_can_pass_it() {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [7; 32]);
    let (header, packet) = super_packet(1360, 45);
    let whole = Segments::of(header, &packet).unwrap();
    backlog.push(Origin::Kernel, &whole, &Uplink::default(), start);
    assert_eq!(backlog.pop(start, |_, _| ()), Some(1400));
    push(&mut backlog, 2, 7, 84, start);
    let next = [backlog.pop(start, |_, _| ()), backlog.pop(start, |_, _| ())];
    assert!(next.contains(&Some(84)), "{next:?}");
    let mut left = 0;
    let mut expected = vec![0; 1400];
    while let Some(len) = backlog.pop(start, |_, cut| {
        assert_eq!(cut.count(), 1);
        whole.write(2 + left, &mut expected);
        assert_eq!(cut.inner().bytes(), expected);
    }) {
        assert_eq!(len, 1400);
        left += 1;
    }
    assert_eq!(left, 43);
}

#[test]
fn the_one_with_most_packets_pays_for_packets() {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [8; 32]);
    for n in 0..300 {
        push(&mut backlog, 1, n, 1400, start);
    }
    for n in 0..10_000 {
        push(&mut backlog, 2, n, 40, start);
    }
    let kept = rest(&mut backlog, start);
    assert_eq!(kept.iter().filter(|(flow, _)| *flow == 1).count(), 300);
}

#[test]
fn slices_share_the_room() {
    let start = start();
    let fill = |slice| {
        let mut backlog = Backlog::new(slice, [9; 32]);
        (0..8000).for_each(|n| push(&mut backlog, 1, n, 1400, start));
        rest(&mut backlog, start).len() * 1400
    };
    let all: usize = Slice::all(4).map(fill).sum();
    assert!((Backlog::MAX_BYTES / 2..=Backlog::MAX_BYTES).contains(&all), "{all}");
}

#[test]
fn packets_wait_when_others_do_when_there_is_no_room_and_when_they_are_too_many() {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [10; 32]);
    let mut uplink = Uplink::default();
    let (header, packet) = super_packet(1360, 45);
    let many = Segments::of(header, &packet).unwrap();
    let short = self::packet(1, 0, 100);
    let one = Segments::one(&short).unwrap();
    assert!(!backlog.must_take(&one, &uplink) && !backlog.must_take(&many, &uplink));

    // 10 KB in 10 ms: a millisecond's worth is one of them.
    uplink.handle_full(start);
    assert!(backlog.must_take(&one, &uplink));
    uplink.handle_sent(10_000, start + MS * 5);
    uplink.handle_full(start + MS * 10);
    uplink.handle_room(100_000);
    assert!(!backlog.must_take(&one, &uplink) && backlog.must_take(&many, &uplink));

    backlog.push(Origin::Kernel, &one, &uplink, start);
    assert!(backlog.must_take(&one, &Uplink::default()));
    assert_eq!(backlog.pop(start, |_, _| ()), Some(100));
    assert!(!backlog.must_take(&one, &uplink));
}

#[test]
fn what_waits_for_a_slow_uplink_is_half_a_seconds_worth() {
    let start = start();
    // 2 Mbit/s.
    let mut uplink = Uplink::default();
    uplink.handle_full(start);
    uplink.handle_sent(5_000, start + MS);
    uplink.handle_full(start + MS * 20);
    let mut backlog = Backlog::new(Slice::WHOLE, [11; 32]);
    for n in 0..1_000 {
        let packet = packet(1, n, 1_250);
        backlog.push(Origin::Kernel, &Segments::one(&packet).unwrap(), &uplink, start);
    }
    let kept = rest(&mut backlog, start).len();
    assert!((50..=100).contains(&kept), "{kept} of 1250 bytes");
}

#[test]
fn who_gave_a_packet_is_known_when_it_leaves() {
    let start = start();
    let mut backlog = Backlog::new(Slice::WHOLE, [12; 32]);
    for (n, origin) in [Origin::Handed, Origin::Kernel, Origin::Handed].into_iter().enumerate() {
        let packet = packet(1, n as u32, 100);
        let packet = Segments::one(&packet).unwrap();
        backlog.push(origin, &packet, &Uplink::default(), start);
    }
    let mut origins = Vec::new();
    while backlog.pop(start, |origin, _| origins.push(origin)).is_some() {}
    assert_eq!(origins, [Origin::Handed, Origin::Kernel, Origin::Handed]);
}
