use std::thread;

use super::packed::CRATE_PACKETS;
use super::*;
use crate::io::doorbell;

fn pair() -> ((Outgoing, Incoming), (Outgoing, Incoming)) {
    let bell = || {
        let (sender, _) = doorbell::channel::<()>(1).expect("an eventfd");
        sender.ringer().expect("a bell")
    };
    let mut ends = between(&[bell(), bell()]).into_iter();
    (ends.next().expect("the first"), ends.next().expect("the second"))
}

fn datagram(bytes: &[u8]) -> Parcel<'_> {
    let from = std::net::SocketAddr::from(([192, 0, 2, 1], 1)).into();
    Parcel::Datagram { from, bytes, admitted: false }
}

fn handshake(bytes: &[u8]) -> Parcel<'_> {
    match datagram(bytes) {
        Parcel::Datagram { from, bytes, .. } => Parcel::Datagram { from, bytes, admitted: true },
        inner @ Parcel::Inner { .. } => inner,
    }
}

fn take(incoming: &mut Incoming, lane: Lane) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    incoming.each(lane, |it| {
        for n in 0..it.len() {
            let (label, at) = it.packet(n);
            let admitted = lane == Lane::Control;
            assert!(matches!(label, Label::Datagram { admitted: is, .. } if is == admitted));
            got.push(it.bytes()[at].to_vec());
        }
    });
    got
}

#[test]
fn what_is_put_in_comes_out_in_order_at_the_end_of_the_turn() {
    let ((mut out, _), (_, mut incoming)) = pair();
    for round in 0..100u8 {
        let sent = [vec![round], vec![round; 65_545], Vec::new()];
        for bytes in &sent {
            assert!(out.put(1, datagram(bytes)));
        }
        assert!(incoming.is_empty(Lane::Bulk));
        assert!(out.dispatch());
        assert_eq!(take(&mut incoming, Lane::Bulk), sent);
        assert!(incoming.is_empty(Lane::Bulk));
    }
    assert!(!out.put(0, datagram(b"to itself")));
    assert!(!out.put(2, datagram(b"to nobody")));
}

#[test]
fn a_thread_that_is_behind_is_waited_for_by_bytes_and_then_not_at_all() {
    let ((mut out, _), (_, mut incoming)) = pair();
    // Far more turns than crates.
    let mut stayed = 0;
    for turn in 0..10 * CRATES {
        assert!(out.put(1, datagram(&turn.to_be_bytes())));
        stayed += usize::from(!out.dispatch());
    }
    assert!(stayed > 0);
    let more = (0..).take_while(|_| out.put(1, datagram(&[7; 1000]))).count();
    assert!((100..CRATE_PACKETS).contains(&more), "{more}");
    let mut got = Vec::new();
    for _ in 0..2 * CRATES {
        out.dispatch();
        got.extend(take(&mut incoming, Lane::Bulk));
    }
    assert_eq!(got.len(), 10 * CRATES + more);
    let turns = got[..10 * CRATES].iter();
    assert!(
        turns.eq((0..10 * CRATES)
            .map(|turn| turn.to_be_bytes().to_vec())
            .collect::<Vec<_>>()
            .iter())
    );
    assert!(out.put(1, datagram(b"and again")));
}

#[test]
fn bulk_that_is_behind_leaves_room_for_what_is_urgent() {
    let ((mut out, _), (_, mut incoming)) = pair();
    while out.put(1, datagram(&[7; 60_000])) {
        out.dispatch();
    }
    assert!(!out.dispatch() && incoming.is_empty(Lane::Control));
    assert!(out.put(1, handshake(b"hello")));
    out.dispatch();
    assert_eq!(take(&mut incoming, Lane::Control), [b"hello"]);
    assert!(!incoming.is_empty(Lane::Bulk));
}

#[test]
fn between_two_threads_nothing_is_lost_or_overtakes() {
    let ((mut out, _), (_, mut incoming)) = pair();
    let packets = 50_000u32;
    let filler = thread::spawn(move || {
        for n in 0..packets {
            while !out.put(1, datagram(&n.to_be_bytes())) {
                out.dispatch();
                thread::yield_now();
            }
            if n % 7 == 0 {
                out.dispatch();
            }
        }
        while !out.dispatch() {
            thread::yield_now();
        }
    });
    let mut expected = 0..packets;
    while !expected.is_empty() {
        for bytes in take(&mut incoming, Lane::Bulk) {
            assert_eq!(Some(bytes), expected.next().map(|n| n.to_be_bytes().to_vec()));
        }
    }
    filler.join().expect("no panic");
}
