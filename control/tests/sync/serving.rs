//! Who has a place at a source.

use std::time::Duration;

use mesh_control::sync::{Desk, HOLD, PLACES, Seat};
use mesh_model::MemberId;

const AT: Duration = Duration::from_secs(100);

#[test]
fn so_many_have_a_place_and_the_others_are_told_of_them() {
    let mut desk = Desk::default();
    for member in 1..=PLACES as u64 {
        assert_eq!(desk.admit(MemberId(member), AT), Seat::Taken);
    }
    let Seat::Full(instead) = desk.admit(MemberId(99), AT) else { panic!("there is no place") };
    assert!(!instead.is_empty() && instead.iter().all(|member| member.0 <= PLACES as u64));
    let Seat::Full(others) = desk.admit(MemberId(98), AT) else { panic!("there is no place") };
    assert_ne!(instead, others, "not everybody is sent to the same ones");
    assert_eq!(desk.turned_away(), 2);
    assert_eq!(desk.admit(MemberId(1), AT), Seat::Taken, "whoever has a place keeps it");
}

#[test]
fn a_place_is_free_again_when_its_holder_does_not_come_back() {
    let mut desk = Desk::default();
    for member in 1..=PLACES as u64 {
        desk.admit(MemberId(member), AT);
    }
    let later = AT + HOLD + Duration::from_secs(1);
    desk.admit(MemberId(1), later);
    assert!(matches!(desk.admit(MemberId(99), later), Seat::Full(_)), "they may be on their way");
    let later = later + Duration::from_millis(1001);
    assert_eq!(desk.admit(MemberId(99), later), Seat::Taken);
    assert_eq!(desk.served(later).collect::<Vec<_>>(), [MemberId(1), MemberId(99)]);
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
