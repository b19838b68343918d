//! What is taken of what a source sends: nothing that the voters this host knows have not signed.

use mesh_model::trust::Ruling;
use mesh_model::wire::sync::ElectorateHash;
use mesh_model::{IdentitySecret, MeshId};

use super::*;
use crate::command::{Command, NEWEST, Proposal};
use crate::raft::fixture::{self, GUEST, forged, root, settled};
use crate::raft::types::{Membership, Payload, StoredMembership};
use crate::sync::Mark;

const FOUNDER: MemberId = MemberId::FOUNDER;
const LEAD: Lead = Lead { term: 1, leader: FOUNDER };

/// The identity keys of founder and guest.
fn key(member: MemberId) -> IdentitySecret {
    fixture::secret(if member == FOUNDER { 2 } else { 4 })
}

fn say(member: MemberId, mark: Mark) -> Signed<Checkpoint> {
    Signed::seal(&Checkpoint::of(root().mesh, member, mark, LEAD), &key(member))
}

fn entry(index: u64, payload: Payload) -> Entry {
    Entry { log_id: fixture::log_id(1, index), payload }
}

fn voters(configs: &[&[u64]]) -> Payload {
    let configs = configs.iter().map(|set| set.iter().copied().collect()).collect();
    Payload::Membership(Membership::new_with_defaults(configs, [1, 3]))
}

/// What `entries` lead to from where the settled state is, one mark each.
fn marks(entries: &[Entry]) -> Vec<Mark> {
    let mut replica = settled();
    let lead = |entry: &Entry| {
        replica.apply(entry);
        replica.mark().expect("something was applied")
    };
    entries.iter().map(lead).collect()
}

fn news(entries: &[Entry], checkpoints: Vec<Signed<Checkpoint>>) -> News {
    let encode = |entry: &Entry| codec::encode(&EntryRecord::from(entry.clone()));
    News {
        snapshot: None,
        entries: entries.iter().map(encode).collect(),
        proven: entries.last().map_or(0, |entry| entry.log_id.index),
        checkpoints,
        lead: Some(LEAD),
        confirmed_ms: Some(0),
        held_ms: 0,
        depth: 0,
    }
}

fn prove_by(news: News, leniency: &Leniency) -> Result<Option<LogIndex>, DraftError> {
    let own = settled();
    let mut draft = Draft::default();
    draft.add(news, false, &own, (&root(), NEWEST))?;
    Ok(draft.prove(&own, leniency)?.map(|proven| proven.upto))
}

fn prove(news: News) -> Result<Option<LogIndex>, DraftError> {
    prove_by(news, &Leniency::default())
}

#[test]
fn entries_that_a_majority_signed_are_proven_and_no_others() {
    let entries = [entry(4, Payload::Blank), entry(5, Payload::Normal(fixture::goodbye().1))];
    let marks = marks(&entries);
    assert_eq!(prove(news(&entries, vec![])), Ok(None), "nobody signed");
    let by_founder = |mark| say(FOUNDER, mark);
    assert_eq!(prove(news(&entries, vec![by_founder(marks[1])])), Ok(Some(5)));
    assert_eq!(prove(news(&entries, vec![by_founder(marks[0])])), Ok(Some(4)), "up to there");
    assert_eq!(prove(news(&entries, vec![say(GUEST, marks[1])])), Ok(None), "it has no vote");
}

#[test]
fn a_draft_follows_what_it_begins_after_and_nothing_later() {
    let place = |index| Some(Place { term: 1, index });
    let follows = |draft: &Draft| [2, 3, 4].map(|own| draft.follows(place(own)));
    assert!(Draft::default().follows(None));
    assert_eq!(follows(&Draft::default()), [true; 3]);
    let mut draft = Draft::default();
    let entries = [entry(4, Payload::Blank), entry(5, Payload::Blank)];
    draft.add(news(&entries, vec![]), false, &settled(), (&root(), NEWEST)).expect("they follow");
    assert_eq!(follows(&draft), [false, true, false]);
    let mut ahead = settled();
    ahead.apply(&entries[0]);
    let whole = News { snapshot: Some(ahead.to_snapshot()), ..news(&entries[1..], vec![]) };
    draft.add(whole, true, &settled(), (&root(), NEWEST)).expect("it leads further");
    assert_eq!(follows(&draft), [true, true, false]);
}

#[test]
fn whoever_signed_its_own_departure_is_gone_by_what_was_sent_and_nobody_else() {
    let own = settled();
    let gone = |payload| {
        let mut draft = Draft::default();
        let entries = [entry(4, payload), entry(5, Payload::Blank)];
        draft.add(news(&entries, vec![]), false, &own, (&root(), NEWEST)).expect("they follow");
        draft.departed(&own)
    };
    assert_eq!(gone(Payload::Normal(fixture::goodbye().1)), [GUEST].into());
    assert_eq!(gone(Payload::Normal(fixture::judge(1, Ruling::Removed))), [FOUNDER].into());
    // A ban may be over, and what a source makes up is no departure.
    assert_eq!(gone(Payload::Normal(fixture::ban())), [].into());
    let Proposal { at_ms, .. } = fixture::ban();
    let command = Command::Depart { member: FOUNDER, departure: fixture::goodbye().0 };
    assert_eq!(gone(Payload::Normal(Proposal { at_ms, command })), [].into());
}

#[test]
fn a_word_under_another_key_proves_nothing() {
    let entries = [entry(4, Payload::Blank)];
    let mark = marks(&entries)[0];
    let honest = say(FOUNDER, mark).peek().expect("our own word");
    let forged = Signed::seal(&honest, &key(GUEST));
    assert_eq!(prove(news(&entries, vec![forged])), Ok(None));
    let elsewhere = Checkpoint { mesh: MeshId([9; 16]), ..honest };
    let elsewhere = Signed::seal(&elsewhere, &key(FOUNDER));
    assert_eq!(prove(news(&entries, vec![elsewhere])), Ok(None), "of another mesh");
}

#[test]
fn entries_that_lead_elsewhere_than_the_voters_signed_are_refuted() {
    let honest = [entry(4, Payload::Normal(fixture::goodbye().1))];
    let word = say(FOUNDER, marks(&honest)[0]);
    let swapped = [entry(4, Payload::Blank)];
    assert_eq!(prove(news(&swapped, vec![word.clone()])), Err(DraftError::Refuted(4)));
    // The state is the same with it as without: only who votes differs.
    let honest = [entry(4, Payload::Blank)];
    let word_on_blank = say(FOUNDER, marks(&honest)[0]);
    let usurped = [entry(4, voters(&[&[1]]))];
    assert_eq!(prove(news(&usurped, vec![word_on_blank])), Err(DraftError::Refuted(4)));
    assert_eq!(prove(news(&honest, vec![word])), Err(DraftError::Refuted(4)));
}

#[test]
fn trust_goes_from_one_set_of_voters_to_the_next() {
    let entries =
        [entry(4, voters(&[&[1], &[3]])), entry(5, voters(&[&[3]])), entry(6, Payload::Blank)];
    let marks = marks(&entries);
    let chain = vec![say(FOUNDER, marks[0]), say(GUEST, marks[1]), say(GUEST, marks[2])];
    assert_eq!(prove(news(&entries, chain)), Ok(Some(6)));
    // Without the old voter's word on the change, the new one's proves nothing.
    let broken = || vec![say(GUEST, marks[1]), say(GUEST, marks[2])];
    assert_eq!(prove(news(&entries, broken())), Ok(None));
    let granted = Leniency { granted: true, believed: BTreeSet::new() };
    assert_eq!(prove_by(news(&entries, broken()), &granted), Ok(None), "unless it is vouched for");
    let vouched = Leniency { granted: true, believed: [GUEST].into() };
    assert_eq!(prove_by(news(&entries, broken()), &vouched), Ok(Some(6)));
}

#[test]
fn entries_have_to_follow_what_this_host_has() {
    for (entries, what) in [
        (vec![entry(5, Payload::Blank)], "one is left out"),
        (vec![entry(3, Payload::Blank)], "one it has"),
        (vec![entry(4, Payload::Blank), entry(6, Payload::Blank)], "a hole"),
        (vec![Entry { log_id: fixture::log_id(0, 4), payload: Payload::Blank }], "an earlier term"),
    ] {
        assert_eq!(prove(news(&entries, vec![])), Err(DraftError::Gap), "{what}");
    }
    let garbled = News { entries: vec![vec![1, 2, 3]], ..news(&[], vec![]) };
    assert!(matches!(prove(garbled), Err(DraftError::Malformed(_))));
}

#[test]
fn a_draft_that_grows_without_a_proof_is_bounded() {
    let own = settled();
    let mut draft = Draft::default();
    let mut next = 4;
    let refused = loop {
        let entries: Vec<Entry> = (next..next + 64).map(|at| entry(at, Payload::Blank)).collect();
        next += 64;
        if let Err(refused) = draft.add(news(&entries, vec![]), false, &own, (&root(), NEWEST)) {
            break refused;
        }
    };
    assert_eq!(refused, DraftError::TooMuch);
    assert_eq!(draft.entries.len(), MAX_DRAFT);
}

#[test]
fn a_snapshot_is_proven_like_entries_and_must_be_genuine() {
    let entries = [entry(4, Payload::Normal(fixture::goodbye().1)), entry(5, Payload::Blank)];
    let marks = marks(&entries);
    let mut later = settled();
    later.apply(&entries[0]);
    let with = |replica: &Replica, words| News {
        snapshot: Some(replica.to_snapshot()),
        ..news(&entries[1..], words)
    };
    assert_eq!(prove(with(&later, vec![say(FOUNDER, marks[1])])), Ok(Some(5)), "by what follows");
    assert_eq!(prove(with(&later, vec![say(FOUNDER, marks[0])])), Ok(Some(4)), "by itself");
    assert_eq!(prove(with(&later, vec![])), Ok(None));
    let lied = Mark { electorate: ElectorateHash([0; 32]), ..marks[0] };
    assert_eq!(prove(with(&later, vec![say(FOUNDER, lied)])), Err(DraftError::Refuted(4)));
    let mut forged = forged();
    forged.apply(&entry(4, Payload::Blank));
    let refused = prove(with(&forged, vec![]));
    assert!(matches!(refused, Err(DraftError::Snapshot(_))), "{refused:?}");
    let behind = fixture::founded();
    assert_eq!(prove(with(&behind, vec![])), Err(DraftError::Useless));
    let own = settled();
    let asked_for = Draft::default().add(with(&behind, vec![]), true, &own, (&root(), NEWEST));
    assert_eq!(asked_for, Err(DraftError::Contradiction));
    let again = News { snapshot: Some(own.to_snapshot()), ..news(&[], vec![]) };
    assert_eq!(
        Draft::default().add(again.clone(), true, &own, (&root(), NEWEST)),
        Ok(false),
        "as asked for"
    );
    assert_eq!(
        Draft::default().add(again, false, &own, (&root(), NEWEST)),
        Err(DraftError::Useless)
    );
}

#[test]
fn a_term_that_the_source_made_up_is_refuted_though_the_state_is_the_same() {
    let in_term =
        |term, index| Entry { log_id: fixture::log_id(term, index), payload: Payload::Blank };
    let agreed = [in_term(1, 4), in_term(1, 5), in_term(2, 6)];
    let lead = Lead { term: 2, ..LEAD };
    let mark = *marks(&agreed).last().expect("three");
    let word = Signed::seal(&Checkpoint::of(root().mesh, FOUNDER, mark, lead), &key(FOUNDER));
    assert_eq!(prove(news(&agreed, vec![word.clone()])), Ok(Some(6)));
    let rewritten = [in_term(1, 4), in_term(2, 5), in_term(2, 6)];
    assert_eq!(prove(news(&rewritten, vec![word.clone()])), Err(DraftError::Refuted(6)));
    // Nor can a snapshot say that its last entry is of another term.
    let mut later = settled();
    later.apply(&agreed[0]);
    later.apply(&agreed[1]);
    let from = |replica: &Replica| News {
        snapshot: Some(replica.to_snapshot()),
        ..news(&agreed[2..], vec![word.clone()])
    };
    assert_eq!(prove(from(&later)), Ok(Some(6)));
    later.applied = Some(fixture::log_id(2, 5));
    assert_eq!(prove(from(&later)), Err(DraftError::Refuted(6)));
}

#[test]
fn a_snapshot_in_which_the_source_made_itself_a_voter_is_refuted_though_the_state_is_the_same() {
    let entries = [entry(4, Payload::Blank)];
    let word = say(FOUNDER, marks(&entries)[0]);
    let mut later = settled();
    later.apply(&entries[0]);
    let from = |replica: &Replica, words| News {
        snapshot: Some(replica.to_snapshot()),
        ..news(&[], words)
    };
    assert_eq!(prove(from(&later, vec![word.clone()])), Ok(Some(4)));
    let Payload::Membership(usurped) = voters(&[&[3]]) else { panic!("a membership") };
    later.membership = StoredMembership::new(*later.membership.log_id(), usurped);
    assert_eq!(prove(from(&later, vec![word.clone()])), Err(DraftError::Refuted(4)));
    // Nor does the word of those that it names help, which nobody vouches for.
    let own_word = say(GUEST, later.mark().expect("something was applied"));
    assert_eq!(prove(from(&later, vec![own_word.clone()])), Ok(None));
    let granted = Leniency { granted: true, believed: BTreeSet::new() };
    assert_eq!(prove_by(from(&later, vec![own_word]), &granted), Ok(None));
}

#[test]
fn a_voter_that_makes_itself_the_only_one_is_believed_where_the_others_are_taken_for_gone_and_nowhere_else()
 {
    let mut own = settled();
    own.apply(&entry(4, voters(&[&[1], &[1, 3]])));
    own.apply(&entry(5, voters(&[&[1, 3]])));
    let usurped = [entry(6, voters(&[&[3]]))];
    let mut copy = own.clone();
    copy.apply(&usurped[0]);
    let word = say(GUEST, copy.mark().expect("something was applied"));
    let prove = |leniency: &Leniency| {
        let mut draft = Draft::default();
        draft.add(news(&usurped, vec![word.clone()]), false, &own, (&root(), NEWEST))?;
        Ok::<_, DraftError>(draft.prove(&own, leniency)?.map(|proven| proven.upto))
    };
    assert_eq!(prove(&Leniency::default()), Ok(None));
    // The known gap of docs/adr/0025: what a leader that this host hears could do as well.
    let granted = Leniency { granted: true, believed: BTreeSet::new() };
    assert_eq!(prove(&granted), Ok(Some(6)));
}

#[test]
fn one_voter_of_three_names_no_leader_for_a_follower() {
    let entries = [entry(4, voters(&[&[1], &[1, 3]])), entry(5, voters(&[&[1, 3]]))];
    let marks = marks(&entries);
    let liar = Lead { term: u64::MAX, leader: MemberId(77) };
    let lie = |mark| {
        let word = Checkpoint::of(root().mesh, GUEST, mark, liar);
        Signed::seal(&word, &key(GUEST))
    };
    let first = say(FOUNDER, marks[0]);
    let lied = vec![first.clone(), say(FOUNDER, marks[1]), lie(marks[1])];
    assert_eq!(prove(news(&entries, lied)), Ok(Some(4)), "no majority names one at the second");
    let honest = vec![first, say(FOUNDER, marks[1]), say(GUEST, marks[1])];
    assert_eq!(prove(news(&entries, honest)), Ok(Some(5)));
}
