//! Who has a place at a source.

use std::time::Duration;

use mesh_control::sync::{Desk, HOLD, PLACES, Seat};
use mesh_model::{LogIndex, MemberId};

const AT: Duration = Duration::from_secs(100);

/// What the source has.
const OWN: LogIndex = 7;

/// `member` asks, who has all there is.
fn admit(desk: &mut Desk, member: u64, now: Duration) -> Seat {
    desk.admit((MemberId(member), OWN), OWN, now)
}

#[test]
fn so_many_have_a_place_and_the_others_are_told_of_them() {
    let mut desk = Desk::default();
    for member in 1..=PLACES as u64 {
        assert_eq!(admit(&mut desk, member, AT), Seat::Taken);
    }
    let Seat::Full(instead) = admit(&mut desk, 99, AT) else { panic!("there is no place") };
    assert!(!instead.is_empty() && instead.iter().all(|member| member.0 <= PLACES as u64));
    let Seat::Full(others) = admit(&mut desk, 98, AT) else { panic!("there is no place") };
    assert_ne!(instead, others, "not everybody is sent to the same ones");
    assert_eq!(desk.turned_away(), 2);
    assert_eq!(admit(&mut desk, 1, AT), Seat::Taken, "whoever has a place keeps it");
}

#[test]
fn a_place_is_free_again_when_its_holder_does_not_come_back() {
    let mut desk = Desk::default();
    for member in 1..=PLACES as u64 {
        admit(&mut desk, member, AT);
    }
    let later = AT + HOLD + Duration::from_secs(1);
    admit(&mut desk, 1, later);
    assert!(matches!(admit(&mut desk, 99, later), Seat::Full(_)), "they may be on their way");
    let later = later + Duration::from_millis(1001);
    assert_eq!(admit(&mut desk, 99, later), Seat::Taken);
    assert_eq!(desk.served(later).collect::<Vec<_>>(), [MemberId(1), MemberId(99)]);
}

#[test]
fn one_that_can_prove_nothing_of_what_it_is_sent_makes_room_for_another_after_a_while() {
    let mut desk = Desk::default();
    let asks = |desk: &mut Desk, member, proven, second| {
        desk.admit((MemberId(member), proven), OWN, AT + Duration::from_secs(second)) == Seat::Taken
    };
    for second in 0..15 {
        // One of them goes on from 1 to 2, and one has all there is.
        assert!(asks(&mut desk, 1, 1 + second / 8, second) && asks(&mut desk, 2, OWN, second));
        assert!((3..=PLACES as u64).all(|member| asks(&mut desk, member, 1, second)));
        assert!(!asks(&mut desk, 99, OWN, second));
    }
    assert!(asks(&mut desk, 99, OWN, 15));
    assert!((90..95).all(|member| asks(&mut desk, member, OWN, 15)), "the stuck make room");
    assert!(!asks(&mut desk, 98, OWN, 15), "and nobody else");
    assert!(asks(&mut desk, 1, 2, 15) && asks(&mut desk, 2, OWN, 15));
}

#[test]
fn snapshots_are_sent_a_few_at_a_time() {
    let mut desk = Desk::default();
    let take = |desk: &mut Desk, member, second| {
        desk.take_snapshot(MemberId(member), AT + Duration::from_secs(second))
    };
    assert!(take(&mut desk, 1, 0) && take(&mut desk, 2, 0));
    assert!(!take(&mut desk, 3, 3600), "two are on their way, however long that takes");
    assert!(!take(&mut desk, 1, 3600), "one is it already");
    desk.snapshot_gone(MemberId(1));
    assert!(take(&mut desk, 3, 3600));
    desk.snapshot_gone(MemberId(2));
    desk.snapshot_gone(MemberId(3));
    assert!(!take(&mut desk, 3, 3619), "one that keeps asking leaves none to others");
    assert!(take(&mut desk, 3, 3620));
}
