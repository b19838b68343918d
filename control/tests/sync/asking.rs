//! Whom a member asks, and whom not again.

use std::time::Duration;

use mesh_control::sync::{
    Ask, HOLD, Heard, MAX_DEPTH, MAX_PREFERRED, PreferenceError, Supply, Sync,
};
use mesh_model::{LogIndex, MemberId};

const ME: MemberId = MemberId(100);
const START: Duration = Duration::from_secs(3600);

/// Members 1 to 9 and this one; 1 leads, 2 and 3 vote with it.
fn sync() -> Sync {
    let mut sync = Sync::new(ME, [5; 32]);
    sync.handle_members((1..=9).chain([ME.0]).map(MemberId));
    sync.handle_agreement((1..=3).map(MemberId).collect(), Some(MemberId(1)), false);
    sync
}

fn news(gained: u64) -> Heard {
    let (withholds, proven, drafted, held) = (false, 7, 0, HOLD);
    Heard::News { gained, withholds, proven, drafted, held, depth: 0, attached: true }
}

/// Entries up to 50 that wait for their proof.
fn unproven(withholds: bool, attached: bool) -> Heard {
    let (gained, proven, drafted, held) = (0, 50, 50, HOLD);
    Heard::News { gained, withholds, proven, drafted, held, depth: 0, attached }
}

fn ask(sync: &mut Sync, now: Duration) -> Ask {
    sync.poll_ask(now).expect("it is time to ask")
}

#[test]
fn one_that_the_leader_feeds_asks_nobody_until_the_leader_is_silent() {
    let mut sync = sync();
    sync.handle_agreement([MemberId(1), ME].into(), Some(MemberId(1)), false);
    sync.handle_leader_heard(START);
    assert_eq!(sync.poll_ask(START), None);
    assert_eq!(sync.progress(START).supply, Supply::Leader);
    let (at, _) = sync.poll_timeout(START).expect("the leader may fall silent");
    assert_eq!(sync.poll_ask(at - Duration::from_millis(1)), None);
    assert!(sync.poll_ask(at).is_some());
}

#[test]
fn a_leader_asks_nobody() {
    let mut sync = sync();
    sync.handle_agreement([ME].into(), Some(ME), true);
    assert_eq!(sync.poll_ask(START), None);
    assert_eq!(sync.poll_timeout(START), None);
}

#[test]
fn those_the_leader_feeds_are_asked_before_the_leader_and_it_before_the_rest() {
    let mut sync = sync();
    let mut now = START;
    let mut asked = Vec::new();
    for _ in 0..9 {
        let ask = ask(&mut sync, now);
        asked.push(ask.to.0);
        sync.handle_answer(ask.to, Heard::Adrift, now);
        now += Duration::from_millis(1);
    }
    asked[..2].sort_unstable();
    assert_eq!(asked[..3], [2, 3, 1]);
    assert_eq!(sync.poll_ask(now), None, "everybody rests");
    let (at, _) = sync.poll_timeout(now).expect("somebody can be asked again");
    assert!(at <= START + Duration::from_secs(1));
    assert!(sync.poll_ask(at).is_some());
}

#[test]
fn a_source_that_serves_is_kept() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    assert_eq!(sync.poll_ask(START), None, "one question at a time");
    sync.handle_answer(first.to, news(3), START + HOLD);
    let second = ask(&mut sync, START + HOLD);
    assert_eq!(second.to, first.to);
    assert_eq!(sync.progress(START + HOLD).supply, Supply::Source(first.to));
}

#[test]
fn one_that_does_not_answer_is_left_alone_for_longer_each_time() {
    let mut sync = Sync::new(ME, [5; 32]);
    sync.handle_members([MemberId(1)].into_iter());
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let ask = ask(&mut sync, now);
        sync.handle_answer(ask.to, Heard::Silent, now);
        let (at, _) = sync.poll_timeout(now).expect("it will be asked again");
        pauses.push(at - now);
        now = at;
    }
    assert!(pauses.is_sorted() && pauses[1] == 2 * pauses[0], "{pauses:?}");
    assert_eq!(pauses[5], pauses[4], "but not for ever: {pauses:?}");
    let ask = ask(&mut sync, now);
    sync.handle_answer(ask.to, Heard::Silent, now);
    sync.handle_sighting(MemberId(1), false, 50, now);
    assert!(sync.poll_ask(now).is_some(), "gossip heard of it");
}

#[test]
fn an_answer_that_does_not_come_is_given_up() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    let (at, _) = sync.poll_timeout(START).expect("it may not answer");
    assert_eq!(at, START + first.limit);
    let second = ask(&mut sync, at);
    assert_ne!(second.to, first.to);
    sync.handle_answer(first.to, news(1), at);
    assert!(sync.is_asking(), "what comes late is no answer to the second");
}

#[test]
fn a_busy_source_names_others_and_strangers_are_not_asked() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    sync.handle_answer(first.to, Heard::Busy(vec![MemberId(555), MemberId(8)]), START);
    assert_eq!(ask(&mut sync, START).to, MemberId(8));
}

#[test]
fn one_whose_entries_are_wrong_is_not_asked_for_a_minute_and_blamed() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    sync.handle_answer(first.to, Heard::Wrong, START);
    let mut now = START;
    while now < START + Duration::from_secs(59) {
        if let Some(ask) = sync.poll_ask(now) {
            assert_ne!(ask.to, first.to);
            sync.handle_answer(ask.to, Heard::Adrift, now);
        }
        now += Duration::from_millis(100);
    }
    let report = sync.progress(now).sources.into_iter().find(|source| source.member == first.to);
    let report = report.expect("it was asked");
    assert_eq!((report.reliability, report.wrong), (0, 1));
}

#[test]
fn a_source_that_has_no_news_while_gossip_has_is_left_and_so_is_a_liar() {
    let mut sync = sync();
    sync.handle_applied(7, START);
    let first = ask(&mut sync, START);
    assert!(sync.handle_sighting(MemberId(9), false, 1_000_000, START));
    let (at, _) = sync.poll_timeout(START).expect("news should come");
    let second = ask(&mut sync, at);
    assert_ne!(second.to, first.to);
    // Whom it asks now may be another that withholds it.
    assert_eq!(sync.progress(at).target, 1_000_000);
    let (at, _) = sync.poll_timeout(at).expect("the next should have it");
    let third = ask(&mut sync, at);
    assert!(third.to != second.to && third.to != first.to);
    // Nobody knows of it, so it was not so; saying it again moves nobody.
    assert!(!sync.handle_sighting(MemberId(9), false, 2_000_000, at));
    assert_eq!(sync.progress(at).target, 7);
    let (next, _) = sync.poll_timeout(at).expect("it may not answer");
    assert_eq!(next, at + third.limit);
}

#[test]
fn a_ring_of_members_that_follow_each_other_comes_apart() {
    let mut sync = sync();
    let deep = |depth, attached| {
        let (gained, withholds, proven, drafted, held) = (0, false, 7, 0, HOLD);
        Heard::News { gained, withholds, proven, drafted, held, depth, attached }
    };
    for heard in [deep(MAX_DEPTH, true), deep(0, false)] {
        let first = ask(&mut sync, START);
        sync.handle_answer(first.to, heard, START);
        assert_ne!(ask(&mut sync, START).to, first.to);
        sync.handle_resync();
    }
}

#[test]
fn a_source_that_says_it_has_news_and_brings_none_is_left() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    sync.handle_answer(first.to, unproven(false, true), START + HOLD);
    let again = ask(&mut sync, START + HOLD);
    assert_eq!(again.to, first.to, "what it brought waits for its proof");
    sync.handle_answer(first.to, unproven(true, true), START + HOLD * 2);
    assert_ne!(ask(&mut sync, START + HOLD * 2).to, first.to);
}

#[test]
fn whoever_has_told_of_more_is_asked_before_those_that_may_be_gone() {
    let mut sync = sync();
    sync.handle_applied(5, START);
    // The leader feeds 2 and 3, and they told of what there was when this member was last here.
    for (member, applied) in [(2, 5), (3, 4), (8, 6)] {
        sync.handle_sighting(MemberId(member), false, applied, START);
    }
    assert_eq!(ask(&mut sync, START).to, MemberId(8));
}

#[test]
fn news_that_waits_for_its_proof_is_not_looked_for_elsewhere() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    sync.handle_answer(first.to, unproven(false, true), START + HOLD);
    let again = ask(&mut sync, START + HOLD);
    let (silent, _) = sync.poll_timeout(START + HOLD).expect("it may not answer");
    assert!(!sync.handle_sighting(MemberId(9), false, 50, START + HOLD));
    let (still, _) = sync.poll_timeout(START + HOLD).expect("it may not answer");
    assert_eq!((again.to, still), (first.to, silent));
    assert!(sync.handle_sighting(MemberId(9), false, 51, START + HOLD), "that it has not sent");
}

#[test]
fn what_waits_for_its_proof_is_not_given_up_for_those_that_never_answered() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    sync.handle_answer(first.to, unproven(false, true), START);
    assert_eq!(ask(&mut sync, START).to, first.to);
    assert!(sync.handle_sighting(MemberId(9), false, 51, START), "that it has not sent");
    let (mut at, _) = sync.poll_timeout(START).expect("news should come");
    for _ in 0..3 {
        assert_eq!(sync.poll_ask(at), None, "it is still asked");
        let (later, _) = sync.poll_timeout(at).expect("news should come");
        assert!(later > at);
        at = later;
    }
}

#[test]
fn what_waits_for_its_proof_is_given_up_for_one_that_has_answered() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    sync.handle_answer(first.to, unproven(false, false), START);
    let second = ask(&mut sync, START);
    sync.handle_answer(second.to, unproven(false, true), START);
    assert_eq!(ask(&mut sync, START).to, second.to);
    assert!(sync.handle_sighting(MemberId(9), false, 51, START), "that it has not sent");
    let late = START + HOLD;
    assert_ne!(
        ask(&mut sync, late).to,
        second.to,
        "the first may have both the news and the proof"
    );
}

#[test]
fn an_answer_at_once_with_nothing_in_it_does_not_make_a_busy_loop() {
    let mut sync = sync();
    let first = ask(&mut sync, START);
    let (gained, withholds, proven, drafted, held) = (0, false, 7, 0, Duration::ZERO);
    let nothing =
        Heard::News { gained, withholds, proven, drafted, held, depth: 0, attached: true };
    sync.handle_answer(first.to, nothing, START);
    assert_eq!(sync.poll_ask(START), None);
    let (at, _) = sync.poll_timeout(START).expect("later");
    assert!(at > START);
    assert!(sync.poll_ask(at).is_some());
}

#[test]
fn whom_the_operator_prefers_is_asked_first_and_a_snapshot_when_asked_for() {
    let mut sync = sync();
    sync.handle_preference(&[MemberId(7), MemberId(6)]).expect("two members");
    sync.handle_fast();
    let first = ask(&mut sync, START);
    assert_eq!((first.to, first.snapshot), (MemberId(7), true));
    sync.handle_answer(first.to, Heard::Silent, START);
    assert_eq!(ask(&mut sync, START).to, MemberId(6), "the next if it does not answer");
    sync.handle_answer(MemberId(6), news(4), START + HOLD);
    assert!(!ask(&mut sync, START + HOLD).snapshot, "once");
}

#[test]
fn one_that_is_preferred_is_gone_back_to_and_another_is_followed_until_then() {
    let (preferred, other) = (MemberId(7), MemberId(8));
    let mut sync = sync();
    sync.handle_preference(&[preferred]).expect("a member");
    let mut turn = |second: u64, has_place: bool| {
        let now = START + Duration::from_secs(second);
        let to = ask(&mut sync, now).to;
        let heard = match to == preferred && !has_place {
            true => Heard::Busy(vec![other]),
            false => news(1),
        };
        sync.handle_answer(to, heard, now);
        (to, sync.progress(now).supply)
    };
    let (first, next) = (turn(0, false), turn(0, false));
    assert_eq!((first.0, next), (preferred, (other, Supply::Source(other))));
    let turns = [1, 2, 3, 4].map(|second| turn(second, false).0);
    assert_eq!(turns, [other, preferred, other, preferred], "it rests while it has no place");
    assert_eq!(turn(5, true).0, other);
    assert_eq!(turn(6, true), (preferred, Supply::Source(preferred)));
}

#[test]
fn what_waits_for_its_proof_is_not_left_for_one_that_is_preferred() {
    let (preferred, other) = (MemberId(7), MemberId(8));
    let mut sync = sync();
    sync.handle_preference(&[preferred]).expect("a member");
    let turn = |sync: &mut Sync, second: u64, heard: Heard| {
        let now = START + Duration::from_secs(second);
        let to = ask(sync, now).to;
        sync.handle_answer(to, heard, now);
        to
    };
    assert_eq!(turn(&mut sync, 0, Heard::Busy(vec![other])), preferred);
    for second in [1, 2, 5, 9] {
        assert_eq!(turn(&mut sync, second, unproven(false, true)), other);
    }
    assert_eq!(turn(&mut sync, 10, news(50)), other, "which is proven now");
    sync.handle_applied(50, START + Duration::from_secs(10));
    assert_eq!(turn(&mut sync, 11, news(1)), preferred);
}

#[test]
fn who_cannot_be_preferred_is_said_and_nothing_changes() {
    let mut sync = Sync::new(ME, [5; 32]);
    sync.handle_members((1..=20).map(MemberId));
    sync.handle_preference(&[MemberId(7), MemberId(7)]).expect("once");
    let all: Vec<MemberId> = (1..=MAX_PREFERRED as u64 + 1).map(MemberId).collect();
    for (wanted, refused) in [
        (&all[..], PreferenceError::TooMany(MAX_PREFERRED + 1)),
        (&[ME], PreferenceError::Itself),
        (&[MemberId(99)], PreferenceError::NotAMember(MemberId(99))),
    ] {
        assert_eq!(sync.handle_preference(wanted), Err(refused));
        assert_eq!(sync.progress(START).preferred, [MemberId(7)]);
    }
    sync.handle_preference(&all[1..]).expect("as many as there may be");
    sync.handle_preference(&[]).expect("nobody");
    assert_eq!(sync.progress(START).preferred, []);
}

#[test]
fn for_other_questions_the_source_comes_first_and_one_that_was_refuted_last() {
    let mut sync = sync();
    sync.handle_preference(&[MemberId(8), MemberId(7)]).expect("members");
    sync.handle_sighting(MemberId(9), true, 0, START);
    assert_eq!(sync.candidates()[..2], [8, 7].map(MemberId));
    let first = ask(&mut sync, START);
    sync.handle_answer(first.to, Heard::Silent, START);
    assert_eq!(ask(&mut sync, START).to, MemberId(7));
    sync.handle_answer(MemberId(7), news(1), START + HOLD);
    let candidates = sync.candidates();
    assert_eq!(candidates[..2], [7, 8].map(MemberId));
    assert!(candidates.len() == 8 && !candidates.contains(&MemberId(9)), "{candidates:?}");
    sync.handle_refuted(MemberId(7), START + HOLD);
    assert_ne!(ask(&mut sync, START + HOLD).to, MemberId(7));
    let report = sync.progress(START + HOLD);
    let refuted = report.sources.iter().find(|source| source.member == MemberId(7));
    assert_eq!(refuted.expect("it was asked").wrong, 1);
}

#[test]
fn those_that_are_dead_or_gone_are_not_asked() {
    let mut sync = Sync::new(ME, [5; 32]);
    sync.handle_members([1, 2].map(MemberId).into_iter());
    sync.handle_sighting(MemberId(1), true, 0, START);
    assert_eq!(sync.absent(), [MemberId(1)].into());
    assert_eq!(ask(&mut sync, START).to, MemberId(2));
    sync.handle_members([1].map(MemberId).into_iter());
    assert_eq!(sync.poll_ask(START), None, "whom it asked has left, and the other is dead");
}

#[test]
fn the_rate_is_that_of_the_last_seconds() {
    let mut sync = sync();
    let steps: [LogIndex; 3] = [10, 60, 110];
    for (second, index) in steps.into_iter().enumerate() {
        sync.handle_applied(index, START + Duration::from_secs(second as u64));
    }
    let now = START + Duration::from_secs(2);
    assert!((sync.progress(now).rate - 10.0).abs() < 0.01, "a hundred in ten seconds");
    assert_eq!((sync.progress(now).behind(), sync.progress(now).left()), (0, None));
    sync.handle_sighting(MemberId(2), false, 160, now);
    let progress = sync.progress(now);
    assert_eq!((progress.target, progress.behind()), (160, 50));
    assert_eq!(progress.left(), Some(Duration::from_secs(5)));
    let later = sync.progress(now + Duration::from_secs(60));
    assert!(later.rate.abs() < 0.01);
    assert_eq!((later.behind(), later.left()), (50, None), "nothing comes");
}
