//! What voters signed: how far it proves the log, and when it shows that somebody cheats.

use std::collections::BTreeSet;

use mesh_control::sync::{Divergence, MAX_DIVERGENCES, Mark, WordError, Words, majority};
use mesh_model::view::StateHash;
use mesh_model::wire::sync::{Checkpoint, ElectorateHash, Lead, Place};
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
        state: StateHash([state; 32]),
        electorate: ElectorateHash([1; 32]),
        encoding: 2,
    }
}

fn word(member: u64, mark: Mark) -> Checkpoint {
    let Mark { at, state, electorate, encoding } = mark;
    let (mesh, member, lead) = (MESH, MemberId(member), LEAD);
    Checkpoint { mesh, member, at, state, electorate, encoding, lead }
}

fn sign(word: &Checkpoint) -> Signed<Checkpoint> {
    Signed::seal(word, &key(word.member.0))
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
    let mut words = Words::new(MESH, ME);
    let voters = [ids(&[1, 2, 3])];
    words.note(mark(5, 1), false);
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
    words.note(mark(8, 1), false);
    assert_eq!(words.proven(&voters), Some(mark(8, 1)));
    assert_eq!(words.proof(8, &voters), Some((mark(8, 1), LEAD)));
    assert!(words.divergences().is_empty());
}

#[test]
fn a_word_is_believed_from_its_own_member_and_mesh_only() {
    let mut words = Words::new(MESH, ME);
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
}

#[test]
fn voters_that_differ_at_one_index_diverge_and_are_named() {
    let mut words = Words::new(MESH, ME);
    take(&mut words, 1, mark(5, 1)).expect("genuine");
    take(&mut words, 2, mark(5, 1)).expect("genuine");
    take(&mut words, 3, mark(5, 2)).expect("genuine");
    let state = |byte| StateHash([byte; 32]);
    let parties = [(1, 1), (2, 1), (3, 2)].map(|(id, byte)| (MemberId(id), state(byte)));
    assert_eq!(words.divergences(), [Divergence { index: 5, parties: parties.into() }]);
    // The majority's word goes on proving the log.
    words.note(mark(5, 1), false);
    assert_eq!(words.proven(&[ids(&[1, 2, 3])]), Some(mark(5, 1)));
}

#[test]
fn this_members_own_state_counts_whether_the_word_comes_before_or_after_it() {
    let mine_first = {
        let mut words = Words::new(MESH, ME);
        words.note(mark(5, 1), false);
        take(&mut words, 1, mark(5, 2)).expect("genuine");
        words.divergences().to_vec()
    };
    let theirs_first = {
        let mut words = Words::new(MESH, ME);
        take(&mut words, 1, mark(5, 2)).expect("genuine");
        words.note(mark(5, 1), false);
        words.divergences().to_vec()
    };
    assert_eq!(mine_first, theirs_first);
    assert_eq!(mine_first[0].parties.keys().copied().collect::<Vec<_>>(), [MemberId(1), ME]);
}

#[test]
fn hashes_over_another_encoding_say_nothing() {
    let mut words = Words::new(MESH, ME);
    words.note(mark(5, 1), false);
    take(&mut words, 1, Mark { encoding: 3, ..mark(5, 2) }).expect("genuine");
    assert!(words.divergences().is_empty());
}

#[test]
fn what_is_kept_is_bounded_and_the_latest_stays() {
    let mut words = Words::new(MESH, ME);
    for index in 1..=1000 {
        words.note(mark(index, 1), true);
        take(&mut words, 1, mark(index, 2)).expect("genuine");
    }
    assert_eq!(words.indexes(0).count(), 64);
    assert_eq!(words.indexes(0).next_back(), Some(1000));
    assert_eq!(words.divergences().len(), MAX_DIVERGENCES);
    assert!(!take(&mut words, 1, mark(3, 2)).expect("genuine"), "older than all that is kept");
    assert!(words.tell(0).len() <= mesh_model::wire::sync::MAX_CHECKPOINTS);
    assert!(
        (2..=20).map(|member| take(&mut words, member, mark(1000, 1))).any(|taken| taken.is_err())
    );
}

#[test]
fn a_voter_signs_its_last_mark_one_on_the_grid_and_every_change_of_voters() {
    let mut words = Words::new(MESH, ME);
    for index in 1..=70 {
        words.note(mark(index, 1), true);
    }
    let changed = Mark { electorate: ElectorateHash([2; 32]), ..mark(71, 1) };
    words.note(changed, true);
    words.note(Mark { at: Place { term: 3, index: 72 }, ..changed }, false);
    let signs =
        |after| words.to_sign(after, 32).iter().map(|mark| mark.at.index).collect::<Vec<_>>();
    assert_eq!(signs(0), [64, 71], "without a vote at 72 it has no say there");
    assert_eq!(signs(64), [71]);
    assert_eq!(signs(71), []);
}
