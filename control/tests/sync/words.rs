//! What voters signed: how far it proves the log, and when it shows that somebody cheats.

use std::collections::BTreeSet;

use mesh_control::sync::{Divergence, MAX_DIVERGENCES, Mark, WordError, Words, majority};
use mesh_model::view::StateHash;
use mesh_model::wire::sync::{Checkpoint, ElectorateHash, Lead, LogHash, Place};
use mesh_model::{IdentitySecret, LogIndex, MemberId, MeshId, Signed};

const MESH: MeshId = MeshId([7; 16]);
const ME: MemberId = MemberId(9);
const LEAD: Lead = Lead { term: 3, leader: MemberId(1) };

fn key(member: u64) -> IdentitySecret {
    IdentitySecret::from_seed([member as u8; 32])
}

fn ids(ids: &[u64]) -> BTreeSet<MemberId> {
    ids.iter().copied().map(MemberId).collect()
}

fn mark(index: LogIndex, state: u8) -> Mark {
    Mark {
        at: Place { term: 3, index },
        log: LogHash([3; 32]),
        state: StateHash([state; 32]),
        electorate: ElectorateHash([1; 32]),
        encoding: 2,
    }
}

fn word(member: u64, mark: Mark) -> Checkpoint {
    Checkpoint::of(MESH, MemberId(member), mark, LEAD)
}

fn sign(word: &Checkpoint) -> Signed<Checkpoint> {
    Signed::seal(word, &key(word.member.0))
}

/// Words of a member in whose log members 1 to 5 vote.
fn words() -> Words {
    let mut words = Words::new(MESH, ME);
    words.note(mark(1, 1), &ids(&[1, 2, 3, 4, 5]));
    words
}

fn note(words: &mut Words, mark: Mark) {
    words.note(mark, &ids(&[1, 2, 3, 4, 5]));
}

fn take(words: &mut Words, member: u64, mark: Mark) -> Result<bool, WordError> {
    words.take(&sign(&word(member, mark)), MemberId(member), &key(member).public())
}

#[test]
fn more_than_half_of_each_set_is_a_majority() {
    let of = |set: &[u64], agreeing: &[u64]| {
        majority(&[ids(set)], |member| ids(agreeing).contains(member))
    };
    assert!(of(&[1], &[1]) && of(&[1, 2, 3], &[1, 3]) && of(&[1, 2], &[1, 2]));
    assert!(!of(&[1, 2], &[1]) && !of(&[1, 2, 3], &[3]) && !of(&[1, 2, 3], &[4, 5, 6]));
    assert!(!majority(&[], |_| true), "nobody votes: nothing is proven");
    let both = [ids(&[1, 2, 3]), ids(&[1, 4, 5])];
    assert!(majority(&both, |member| ids(&[1, 2, 4]).contains(member)));
    assert!(!majority(&both, |member| ids(&[1, 2, 3]).contains(member)), "one set alone");
}

#[test]
fn what_a_majority_signed_and_this_member_holds_is_proven() {
    let mut words = words();
    let voters = [ids(&[1, 2, 3])];
    note(&mut words, mark(5, 1));
    assert!(take(&mut words, 1, mark(5, 1)).expect("genuine"));
    assert_eq!(words.proven(&voters), None, "one of three");
    assert!(take(&mut words, 4, mark(5, 1)).expect("genuine"));
    assert_eq!(words.proven(&voters), None, "the other has no vote");
    assert!(take(&mut words, 2, mark(5, 1)).expect("genuine"));
    assert_eq!(words.proven(&voters), Some(mark(5, 1)));
    assert!(!take(&mut words, 2, mark(5, 1)).expect("genuine"), "said before");
    take(&mut words, 1, mark(8, 1)).expect("genuine");
    take(&mut words, 2, mark(8, 1)).expect("genuine");
    assert_eq!(words.proven(&voters), Some(mark(5, 1)), "not here yet");
    note(&mut words, mark(8, 1));
    assert_eq!(words.proven(&voters), Some(mark(8, 1)));
    assert_eq!(words.proof(8, &voters), Some(mark(8, 1)));
    assert_eq!(words.lead(8, &voters), Some(LEAD));
    assert!(words.divergences().is_empty());
}

#[test]
fn a_word_is_believed_from_its_own_member_and_mesh_only() {
    let mut words = words();
    let genuine = word(1, mark(5, 1));
    let forged = Signed::seal(&genuine, &key(2));
    let refused = words.take(&forged, MemberId(1), &key(1).public());
    assert!(matches!(refused, Err(WordError::Signed(_))), "{refused:?}");
    let refused = words.take(&forged, MemberId(2), &key(2).public());
    assert_eq!(refused, Err(WordError::NotOwn), "it speaks for another");
    let elsewhere = Checkpoint { mesh: MeshId([8; 16]), ..genuine };
    let refused = words.take(&sign(&elsewhere), MemberId(1), &key(1).public());
    assert_eq!(refused, Err(WordError::NotOwn));
    assert_eq!(words.at(5), []);
    // That it is known already makes no forgery of it genuine.
    assert_eq!(words.take(&sign(&genuine), MemberId(1), &key(1).public()), Ok(true));
    let again = words.take(&sign(&genuine), MemberId(1), &key(2).public());
    assert_eq!(again, Ok(false), "whose it is was looked at the first time");
    let refused = words.take(&forged, MemberId(1), &key(1).public());
    assert!(matches!(refused, Err(WordError::Signed(_))), "{refused:?}");
}

#[test]
fn voters_that_differ_at_one_index_diverge_and_are_named() {
    let mut words = words();
    take(&mut words, 1, mark(5, 1)).expect("genuine");
    take(&mut words, 2, mark(5, 1)).expect("genuine");
    take(&mut words, 3, mark(5, 2)).expect("genuine");
    let parties = [(1, 1), (2, 1), (3, 2)].map(|(id, byte)| (MemberId(id), mark(5, byte)));
    let divergence = Divergence { index: 5, parties: parties.into() };
    assert_eq!(words.divergences(), std::slice::from_ref(&divergence));
    assert_eq!(words.untold(), std::slice::from_ref(&divergence));
    assert_eq!(words.untold(), [], "once");
    assert!(divergence.stands(|_| true));
    assert!(!divergence.stands(|member| *member != MemberId(3)), "who was wrong is no member");
    // The majority's word goes on proving the log.
    note(&mut words, mark(5, 1));
    assert_eq!(words.proven(&[ids(&[1, 2, 3])]), Some(mark(5, 1)));
}

#[test]
fn this_members_own_state_counts_whether_the_word_comes_before_or_after_it() {
    let mine_first = {
        let mut words = words();
        note(&mut words, mark(5, 1));
        take(&mut words, 1, mark(5, 2)).expect("genuine");
        words.divergences().to_vec()
    };
    let theirs_first = {
        let mut words = words();
        take(&mut words, 1, mark(5, 2)).expect("genuine");
        note(&mut words, mark(5, 1));
        words.divergences().to_vec()
    };
    assert_eq!(mine_first, theirs_first);
    assert_eq!(mine_first[0].parties.keys().copied().collect::<Vec<_>>(), [MemberId(1), ME]);
}

#[test]
fn hashes_over_another_encoding_say_nothing() {
    let mut words = words();
    note(&mut words, mark(5, 1));
    take(&mut words, 1, Mark { encoding: 3, ..mark(5, 2) }).expect("genuine");
    assert!(words.divergences().is_empty());
}

#[test]
fn what_is_kept_of_a_voter_is_bounded_and_takes_nothing_from_others() {
    let mut words = words();
    let voters = [ids(&[1, 2, 3])];
    for index in 2..=5 {
        note(&mut words, mark(index, 1));
    }
    for member in [1, 2] {
        take(&mut words, member, mark(5, 1)).expect("genuine");
    }
    for ahead in 0..1000 {
        take(&mut words, 3, mark(u64::MAX - ahead, 2)).expect("genuine");
    }
    assert_eq!(words.proven(&voters), Some(mark(5, 1)), "a liar ends no proof");
    assert_eq!(words.tell(0).len(), 2, "and is not passed on before its time");
    take(&mut words, 1, mark(6, 1)).expect("genuine");
    take(&mut words, 2, mark(6, 1)).expect("genuine");
    note(&mut words, mark(6, 1));
    assert_eq!(words.proven(&voters), Some(mark(6, 1)));
    for index in 7..=1000 {
        note(&mut words, mark(index, 1));
        take(&mut words, 1, mark(index, 2)).expect("genuine");
    }
    let kept = (1..=1000).filter(|index| !words.at(*index).is_empty()).count();
    assert_eq!(kept, 64 + 2, "those of one voter, and two indexes that another spoke of");
    assert_eq!(words.divergences().len(), MAX_DIVERGENCES);
    assert_eq!(words.divergences().last().expect("many").index, 1000, "the latest stay");
    assert!(!take(&mut words, 1, mark(8, 2)).expect("genuine"), "older than all that is kept");
}

#[test]
fn who_does_not_vote_where_it_speaks_of_has_no_say() {
    let mut words = words();
    words.note(mark(10, 1), &ids(&[1, 2, 3]));
    words.note(mark(20, 1), &ids(&[1, 2, 3]));
    assert!(take(&mut words, 4, mark(9, 1)).expect("it voted then"));
    assert_eq!(take(&mut words, 4, mark(15, 2)), Err(WordError::NoVote));
    assert_eq!(take(&mut words, 4, mark(21, 2)), Ok(false), "it may vote again by then");
    assert_eq!(take(&mut words, 1, mark(0, 2)), Ok(false), "before all that is remembered");
    assert!(words.divergences().is_empty());
    assert!(take(&mut words, 1, mark(21, 1)).expect("it votes"));
    assert_eq!(take(&mut words, 1, mark(21, 2)), Ok(false), "the first word counts");
}

#[test]
fn a_word_on_what_this_member_does_not_hold_names_no_leader() {
    let mut words = words();
    // One of three spoke of an index ahead, and is the only voter when the others get there.
    take(&mut words, 3, mark(5, 1)).expect("genuine");
    assert_eq!(words.lead(5, &[ids(&[3])]), None, "not here yet");
    note(&mut words, mark(5, 2));
    assert_eq!(words.lead(5, &[ids(&[3])]), None, "another state");
}

#[test]
fn one_voter_alone_names_no_leader() {
    let mut words = words();
    let liar = Lead { term: u64::MAX, leader: MemberId(77) };
    let voters = [ids(&[1, 2, 3])];
    for (member, lead) in [(3, liar), (1, LEAD)] {
        let word = Checkpoint { lead, ..word(member, mark(5, 1)) };
        let key = key(member).public();
        words.take(&sign(&word), MemberId(member), &key).expect("genuine");
    }
    assert_eq!(words.proof(5, &voters), Some(mark(5, 1)), "they agree on the log");
    assert_eq!(words.lead(5, &voters), None, "and not on who leads");
    take(&mut words, 2, mark(5, 1)).expect("genuine");
    note(&mut words, mark(5, 1));
    assert_eq!(words.lead(5, &voters), Some(LEAD));
    let exchange = [ids(&[1, 2, 3]), ids(&[3, 4, 5])];
    assert_eq!(words.lead(5, &exchange), None, "more than half of both sets");
}

#[test]
fn a_voter_signs_its_last_mark_those_on_the_grid_and_every_change_of_voters() {
    let mut words = Words::new(MESH, ME);
    let (with_me, without) = (ids(&[1, ME.0]), ids(&[1, 2]));
    for index in 1..=70 {
        words.note(mark(index, 1), &with_me);
    }
    let changed = Mark { electorate: ElectorateHash([2; 32]), ..mark(71, 1) };
    words.note(changed, &with_me);
    words.note(Mark { at: Place { term: 3, index: 72 }, ..changed }, &without);
    let between = |after, upto| -> Vec<LogIndex> {
        words.to_sign(after, upto, 32).iter().map(|mark| mark.at.index).collect()
    };
    let signs = |after| between(after, LogIndex::MAX);
    assert_eq!(signs(0), [32, 64, 71], "without a vote at 72 it has no say there");
    assert_eq!(signs(64), [71]);
    assert_eq!(signs(71), []);
    assert_eq!(between(0, 70), [32, 64, 70], "what is not on its disk it does not sign");
    assert_eq!(between(64, 64), []);
    assert_eq!(between(64, 7), []);
}

#[test]
fn what_a_voter_said_last_is_known_also_where_others_are_further() {
    let mut words = words();
    note(&mut words, mark(5, 1));
    assert_eq!(words.last_of(MemberId(2)), None);
    for (number, index) in [(2, 5), (2, 9), (3, 12)] {
        take(&mut words, number, mark(index, 1)).expect("genuine");
    }
    let last = words.last_of(MemberId(2)).expect("it said two things");
    assert_eq!(last.peek().expect("whole").at.index, 9);
}

#[test]
fn one_that_signs_two_things_of_one_index_is_named_and_its_first_word_counts() {
    let mut words = words();
    note(&mut words, mark(5, 1));
    assert!(take(&mut words, 2, mark(5, 1)).expect("genuine"));
    assert!(!take(&mut words, 2, mark(5, 1)).expect("genuine"), "the same again");
    let newer = Mark { encoding: 3, ..mark(5, 2) };
    assert!(!take(&mut words, 2, newer).expect("genuine"), "in an encoding that says nothing here");
    assert_eq!(words.two_faced(), ids(&[]));
    assert!(!take(&mut words, 2, mark(5, 2)).expect("genuine"));
    assert_eq!(words.two_faced(), ids(&[2]));
    assert_eq!(words.two_faced(), ids(&[]), "until it does so again");
    assert_eq!(words.divergences(), [], "what it said first is what is held");
    let forged = Signed::seal(&word(2, mark(5, 3)), &key(3));
    assert!(words.take(&forged, MemberId(2), &key(2).public()).is_err());
    assert_eq!(words.two_faced(), ids(&[]), "nobody can say it for another");
}
