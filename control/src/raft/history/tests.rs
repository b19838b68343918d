//! Causes, from what a host saw.

use mesh_model::MeshId;
use mesh_model::codec::CodecError;

use super::chronicle::Chronicle;
use super::reason::scene::Scene;
use super::*;
use crate::raft::fixture;
use crate::raft::replica::Replica;

const ME: MemberId = MemberId(1);
const OTHER: MemberId = MemberId(4);

fn led(role: Role, term: Term, leader: Option<MemberId>) -> Leadership {
    Leadership { role, term, leader }
}

/// What `history` makes of `now`, with `candidate` voted for and both members voters.
fn seen(history: &mut History, now: Leadership, candidate: Option<MemberId>) -> Option<Cause> {
    let known = history.tell().0.len();
    let voters = [ME, OTHER].into();
    history.observe(now, &Circumstances { at_ms: 7, candidate, voters: &voters });
    let (told, _) = history.tell();
    assert!(told.len() <= known + 1);
    told.get(known).map(|transition| transition.cause)
}

#[test]
fn an_election_is_told_from_its_vote_to_its_winner() {
    let mut history = History::new(ME);
    let at = led(Role::Follower, 2, Some(OTHER));
    assert_eq!(seen(&mut history, at, None), Some(Cause::Started));
    assert_eq!(seen(&mut history, at, None), None, "nothing new");
    let silent = led(Role::Follower, 2, None);
    assert_eq!(seen(&mut history, silent, None), Some(Cause::FellSilent(OTHER)));
    let asks = led(Role::Candidate, 2, None);
    assert_eq!(seen(&mut history, asks, None), None, "whether anybody would vote for it");
    let voted = led(Role::Candidate, 3, None);
    assert_eq!(seen(&mut history, voted, Some(ME)), Some(Cause::Voted(ME)));
    let leads = led(Role::Leader, 3, Some(ME));
    assert_eq!(seen(&mut history, leads, None), Some(Cause::Elected(Some(OTHER))));
}

#[test]
fn a_leader_that_is_heard_again_was_not_elected_again() {
    let mut history = History::new(ME);
    let leads = led(Role::Leader, 3, Some(ME));
    seen(&mut history, leads, None);
    let alone = led(Role::Follower, 3, None);
    assert_eq!(seen(&mut history, alone, None), Some(Cause::LostMajority));
    assert_eq!(seen(&mut history, leads, None), Some(Cause::Heard));
}

#[test]
fn a_host_that_starts_finds_its_leader_and_sees_the_next_one_elected() {
    let mut history = History::new(ME);
    let waits = led(Role::Learner, 2, None);
    assert_eq!(seen(&mut history, waits, None), Some(Cause::Started));
    let found = led(Role::Learner, 3, Some(OTHER));
    assert_eq!(seen(&mut history, found, None), Some(Cause::Heard));
    let next = led(Role::Learner, 4, Some(MemberId(9)));
    assert_eq!(seen(&mut history, next, None), Some(Cause::Elected(Some(OTHER))));
}

#[test]
fn a_transfer_is_known_by_its_announcement_and_only_if_it_came_to_pass() {
    let mut history = History::new(ME);
    seen(&mut history, led(Role::Follower, 2, Some(OTHER)), None);
    history.announce(2, OTHER, ME);
    seen(&mut history, led(Role::Candidate, 3, None), Some(ME));
    let leads = led(Role::Leader, 3, Some(ME));
    assert_eq!(seen(&mut history, leads, None), Some(Cause::Transferred(OTHER)));

    history.announce(3, ME, OTHER);
    let third = led(Role::Follower, 4, Some(MemberId(9)));
    assert_eq!(seen(&mut history, third, None), Some(Cause::Elected(Some(ME))), "another won");
    let late = led(Role::Follower, 5, Some(OTHER));
    assert_eq!(
        seen(&mut history, late, None),
        Some(Cause::Elected(Some(MemberId(9)))),
        "and the term was over"
    );
}

#[test]
fn a_leader_that_gave_up_its_vote_has_retired() {
    let mut history = History::new(ME);
    let gone = MemberId(9);
    seen(&mut history, led(Role::Follower, 2, Some(gone)), None);
    history.announce(2, gone, OTHER);
    let next = led(Role::Follower, 3, Some(OTHER));
    assert_eq!(seen(&mut history, next, None), Some(Cause::Retired(gone)));
}

#[test]
fn votes_that_come_and_go_are_told() {
    let mut history = History::new(ME);
    seen(&mut history, led(Role::Learner, 2, Some(OTHER)), None);
    let votes = led(Role::Follower, 2, Some(OTHER));
    assert_eq!(seen(&mut history, votes, None), Some(Cause::GotVote));
    let follows = led(Role::Learner, 2, Some(OTHER));
    assert_eq!(seen(&mut history, follows, None), Some(Cause::LostVote));
    let ended = led(Role::Stopped, 2, None);
    assert_eq!(seen(&mut history, ended, None), Some(Cause::Stopped));
    assert_eq!(seen(&mut history, ended, None), None);
}

#[test]
fn the_oldest_makes_room_and_is_counted() {
    let mut history = History::new(ME);
    for term in 0..=MAX_TRANSITIONS as u64 {
        seen_last(&mut history, term);
    }
    let (told, forgotten) = history.tell();
    assert_eq!((told.len(), forgotten), (MAX_TRANSITIONS, 1));
    assert_eq!(told[0].now.term, 1);
}

fn seen_last(history: &mut History, term: Term) {
    let voters = BTreeSet::new();
    let known = Circumstances { at_ms: 0, candidate: None, voters: &voters };
    history.observe(led(Role::Follower, term, Some(OTHER)), &known);
}

/// What `history` tells of a change to `voters`, which its host wanted, or another.
fn change(history: &mut History, voters: [u64; 3], is_intended: bool) -> Vec<Cause> {
    let scene = Scene::new();
    let voters: BTreeSet<MemberId> = voters.map(MemberId).into();
    let known = history.count();
    if is_intended {
        history.intend(voters.clone(), &scene.grounds(true));
        assert_eq!(history.count(), known, "it is not agreed yet");
    }
    history.observe_voters(voters, 9, &scene.grounds(false));
    let told = history.tell().0.into_iter().rev().map(|transition| transition.cause);
    let mut causes: Vec<Cause> = told.take((history.count() - known) as usize).collect();
    causes.reverse();
    causes
}

#[test]
fn the_leader_tells_its_reasons_once_the_change_is_agreed() {
    let mut history = History::new(ME);
    seen(&mut history, led(Role::Leader, 2, Some(ME)), None);
    assert_eq!(change(&mut history, [1, 2, 3], false), [], "so it was");
    let instead = Cause::VoteGiven(MemberId(7), Reason::InPlaceOf(MemberId(2)));
    let silent = Cause::VoteTaken(MemberId(2), Reason::Silent(61));
    assert_eq!(change(&mut history, [1, 3, 7], true), [silent, instead]);
    assert_eq!(change(&mut history, [1, 3, 7], false), [], "nothing new");
    let last = history.tell().0.last().copied().expect("there is one");
    assert_eq!((last.at_ms, last.now.leader), (9, Some(ME)));
}

#[test]
fn what_an_earlier_leader_intended_is_no_reason_of_the_next() {
    let mut history = History::new(ME);
    seen(&mut history, led(Role::Leader, 2, Some(ME)), None);
    change(&mut history, [1, 2, 3], false);
    history.intend([1, 3, 7].map(MemberId).into(), &Scene::new().grounds(true));
    seen(&mut history, led(Role::Follower, 3, Some(OTHER)), None);
    let decided = Cause::VoteTaken(MemberId(2), Reason::Decided(Some(ME)));
    assert_eq!(change(&mut history, [1, 3, 7], false)[0], decided);
}

#[test]
fn a_history_goes_on_where_it_was_kept_and_one_of_somebody_else_is_none() {
    let mesh = MeshId([7; 16]);
    let mut history = History::new(ME);
    for term in 0..=MAX_TRANSITIONS as u64 {
        seen_last(&mut history, term);
    }
    change(&mut history, [1, 2, 3], false);
    let kept = history.keep(mesh);
    let mut resumed = History::resume((ME, mesh), &kept).expect("our own");
    assert_eq!((resumed.tell(), resumed.count()), (history.tell(), history.count()));
    let again = led(Role::Follower, 9, Some(OTHER));
    assert_eq!(seen_next(&mut resumed, again), Cause::Started, "a start is told from the last run");
    let meanwhile = change(&mut resumed, [1, 2, 4], false);
    assert_eq!(meanwhile.len(), 2, "the voters of before are known: {meanwhile:?}");
    for (me, mesh) in [(OTHER, mesh), (ME, MeshId([8; 16]))] {
        let other = History::resume((me, mesh), &kept).expect("well formed");
        assert_eq!(other.count(), 0);
    }
    for version in [0, 9] {
        let other: Vec<u8> = [&[version], &kept[1..]].concat();
        let refused = History::resume((ME, mesh), &other).err();
        assert!(matches!(refused, Some(CodecError::Version { .. })), "{refused:?}");
    }
}

fn seen_next(history: &mut History, now: Leadership) -> Cause {
    let voters = BTreeSet::new();
    history.observe(now, &Circumstances { at_ms: 0, candidate: None, voters: &voters });
    history.tell().0.last().expect("told").cause
}

#[test]
fn votes_that_moved_before_anything_was_known_of_a_leader_are_told_behind_the_start() {
    let mut history = History::new(ME);
    assert_eq!(change(&mut history, [1, 2, 3], false), []);
    assert_eq!(change(&mut history, [1, 3, 7], false), [], "it waits");
    seen_next(&mut history, led(Role::Learner, 5, Some(OTHER)));
    let told = history.tell().0;
    assert_eq!((told[0].cause, told.len()), (Cause::Started, 3));
    assert!(told[1..].iter().all(|it| it.cause.is_of_votes() && it.now.term == 5), "{told:?}");
}

#[test]
fn a_start_that_finds_less_than_was_written_down_takes_no_votes_back() {
    let at =
        |replica: &Replica| replica.membership.log_id().map(|id| (id.leader_id.term, id.index));
    let replica = fixture::settled();
    let chronicle = fixture::chronicle();
    chronicle.note(&replica);
    let told = |chronicle: &Chronicle| {
        let history = chronicle.history();
        (history.voters.clone(), history.voters_at)
    };
    assert_eq!(told(&chronicle), (Some(replica.voters()), at(&replica)));
    // As if more had been agreed before the crash.
    let later: BTreeSet<MemberId> = [ME, OTHER].into();
    {
        let mut history = chronicle.history();
        (history.voters, history.voters_at) = (Some(later.clone()), Some((9, 9)));
    }
    chronicle.note(&replica);
    assert_eq!(told(&chronicle), (Some(later), Some((9, 9))));
}

#[test]
fn the_longest_history_fits_and_its_bytes_stay() {
    let mesh = MeshId([u8::MAX; 16]);
    let mut history = History::new(MemberId(u64::MAX));
    let many: BTreeSet<MemberId> = (0..100).map(|below| MemberId(u64::MAX - below)).collect();
    history.voters = Some(many);
    history.voters_at = Some((u64::MAX, u64::MAX));
    history.forgotten = u64::MAX;
    let last = Some(MemberId(u64::MAX));
    let now = Leadership { role: Role::Stopped, term: u64::MAX, leader: last };
    let cause = Cause::VoteTaken(MemberId(u64::MAX), Reason::Decided(last));
    for _ in 0..MAX_TRANSITIONS {
        history.push(Transition { at_ms: u64::MAX, now, cause });
    }
    assert!(history.keep(mesh).len() <= MAX_KEPT);

    let mut small = History::new(ME);
    let now = Leadership { role: Role::Leader, term: 2, leader: Some(ME) };
    small.push(Transition { at_ms: 5, now, cause: Cause::Elected(Some(OTHER)) });
    let cause = Cause::VoteTaken(MemberId(2), Reason::Silent(61));
    small.push(Transition { at_ms: 6, now, cause });
    let mut bytes = vec![1];
    bytes.extend([7; 16]);
    bytes.extend([1, 0, 0, 0, 2]);
    bytes.extend([5, 0, 2, 1, 1, 2, 1, 4]);
    bytes.extend([6, 0, 2, 1, 1, 12, 2, 4, 61]);
    assert_eq!(small.keep(MeshId([7; 16])), bytes);
}
