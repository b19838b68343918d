//! Reasons, as the leader knows them and as the others do.

use super::scene::{LEADER, Scene, ids};
use super::*;

/// What the leader and the others make of a change.
fn both(scene: &Scene, before: &[u64], after: &[u64]) -> [Vec<Cause>; 2] {
    [true, false].map(|is_leaders| causes(&ids(before), &ids(after), &scene.grounds(is_leaders)))
}

fn taken(member: u64, reason: Reason) -> Cause {
    Cause::VoteTaken(MemberId(member), reason)
}

fn given(member: u64, reason: Reason) -> Cause {
    Cause::VoteGiven(MemberId(member), reason)
}

const DECIDED: Reason = Reason::Decided(Some(LEADER));

#[test]
fn one_that_is_silent_is_replaced_and_only_the_leader_knows_why() {
    let [leader, others] = both(&Scene::new(), &[1, 2, 3], &[1, 3, 7]);
    let instead = given(7, Reason::InPlaceOf(MemberId(2)));
    assert_eq!(leader, [taken(2, Reason::Silent(61)), instead]);
    assert_eq!(others, [taken(2, DECIDED), instead]);
}

#[test]
fn what_was_agreed_is_a_reason_for_everybody() {
    let scene = Scene::new();
    for (before, after, causes) in [
        (&[1][..], &[1, 2, 3][..], vec![given(2, Reason::Target(3)), given(3, Reason::Target(3))]),
        (&[1, 5, 6], &[1], vec![taken(5, Reason::Wish), taken(6, Reason::WithoutRight)]),
        (&[1, 2, 9], &[1, 2, 4], vec![taken(9, Reason::Gone), given(4, Reason::Wish)]),
        (&[1, 3, 4, 7, 9], &[1, 3, 4], vec![taken(7, Reason::Target(3)), taken(9, Reason::Gone)]),
        (&[1, 2, 3], &[1, 2, 3], vec![]),
    ] {
        assert_eq!(both(&scene, before, after), [causes.clone(), causes]);
    }
}

#[test]
fn a_vote_is_taken_from_one_that_works_for_the_sake_of_others() {
    let scene = Scene::new();
    for (before, after, reason, given_for) in [
        (
            &[1, 2, 3][..],
            &[1, 2, 7][..],
            Reason::Spread,
            Some(given(7, Reason::InPlaceOf(MemberId(3)))),
        ),
        (&[1, 2, 3], &[1, 2, 4], Reason::MadeRoomFor(MemberId(4)), Some(given(4, Reason::Wish))),
        (&[1, 3, 9], &[1], Reason::Even, None),
    ] {
        let [leader, others] = both(&scene, before, after);
        assert_eq!(leader[0], taken(3, reason));
        assert_eq!(others[0], taken(3, DECIDED), "the others cannot know");
        assert_eq!(leader.last(), given_for.or(Some(taken(9, Reason::Gone))).as_ref());
    }
}

#[test]
fn a_change_without_bounds_leaves_a_bounded_trace() {
    let many: Vec<u64> = (1..1000).collect();
    let [leader, _] = both(&Scene::new(), &[1], &many);
    assert_eq!(leader.len(), MAX_TURNS);
}
