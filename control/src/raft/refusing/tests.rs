//! Each refusal moves one counter, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_model::codec::{self, CodecError};
use mesh_model::trust::{EpochHead, EpochId, Ruling};
use mesh_model::wire::sync::{Checkpoint, Lead, MAX_INSTEAD, News, Place, Pull, Pulled};
use mesh_model::{IdentitySecret, LogIndex, Signed};
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::raft::VoteRequest;
use openraft::type_config::TypeConfigExt as _;

use super::*;
use crate::command::{Command, Proposal};
use crate::ports::{Transport, TransportError};
use crate::raft::fixture::{
    self, Fixed, GUEST, append, blank, forged, guest, leads, log_id, settled, start,
};
use crate::raft::network::{AskError, Peers, calls};
use crate::raft::replica::Replica;
use crate::raft::rpc::{AppendReply, Reply, Request};
use crate::raft::types::{Types, Vote};
use crate::raft::{MemoryDisk, Timing};

const FOUNDER: MemberId = MemberId::FOUNDER;
const STRANGER: MemberId = MemberId(77);

/// Every reason that struck, and how often.
fn counted(group: &Group) -> Vec<(Refused, u64)> {
    group.refusals().iter().filter(|(_, count)| *count > 0).collect()
}

async fn say_bytes(group: &Group, from: MemberId, request: &[u8]) -> Result<Bytes, RpcError> {
    Box::pin(group.handle_rpc(from, request)).await
}

async fn say(group: &Group, from: MemberId, request: Request) -> Result<Bytes, RpcError> {
    say_bytes(group, from, &request.ask_in(fixture::epoch())).await
}

/// Asserts that `group` counts what `from` says once more, as `reason`, counts nothing else, and hears nothing of it.
async fn is_refused(group: &Group, from: MemberId, request: Bytes, reason: Refused) {
    let heard = |group: &Group| {
        let status = group.status();
        (status.leadership.term, status.applied, status.state_hash)
    };
    let (before, was) = (heard(group), group.refusals().of(reason));
    let sum = |group: &Group| counted(group).iter().map(|(_, count)| count).sum::<u64>();
    let all = sum(group);
    // An answer may tell what this host has; that it went by nothing of what was said, the rest shows.
    let _ = say_bytes(group, from, &request).await;
    let counts = (group.refusals().of(reason), sum(group));
    assert_eq!(counts, (was + 1, all + 1), "{}: {:?}", reason.name(), counted(group));
    assert_eq!(heard(group), before, "{}", reason.name());
}

fn asked(request: Request) -> Bytes {
    request.ask_in(fixture::epoch())
}

fn campaign(node: MemberId, term: u64) -> VoteRequest<Types> {
    VoteRequest::new(Vote::new(term, node.0), Some(log_id(1, 9)))
}

fn snapshot(vote: Vote, replica: &Replica) -> Request {
    Request::Snapshot { vote: vote.into(), snapshot: replica.to_snapshot() }
}

/// As a build says it whose version no other knows.
fn newer(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[0] = u8::MAX;
    bytes.into()
}

fn pull(hold_ms: u32) -> Request {
    let (have, lead) = (Some(Place { term: 1, index: 9 }), Some(Lead { term: 1, leader: FOUNDER }));
    Request::Pull(Pull { have, proven: 9, lead, hold_ms, snapshot: false })
}

/// A founder that leads a mesh of two.
async fn founder() -> Group {
    let founder = start(fixture::founder_store(MemoryDisk::new()), 2).await;
    founder.propose(fixture::invitation()).await.expect("agreed");
    founder.propose(fixture::admission()).await.expect("agreed");
    founder
}

#[test]
fn who_speaks_without_being_a_member_is_counted_by_what_it_is() {
    Types::run(async {
        let guest = guest().await;
        let word = || asked(append(leads(STRANGER, 9), 4, 1));
        is_refused(&guest, STRANGER, word(), Refused::AgreementStranger).await;
        is_refused(&guest, GUEST, asked(pull(0)), Refused::AgreementOwnIdentity).await;
        let before = guest.refusals().of(Refused::AgreementOwnIdentity);
        guest.refuse_stranger(Some(&fixture::secret(4).public()));
        assert_eq!(guest.refusals().of(Refused::AgreementOwnIdentity), before + 1);
        guest.shutdown().await;
    });
}

#[test]
fn one_that_was_banned_or_removed_is_counted_as_that_by_its_id_and_by_its_key() {
    let rulings = [
        (fixture::ban(), Refused::AgreementBanned),
        (fixture::judge(1, Ruling::Removed), Refused::AgreementRemoved),
    ];
    for (ruling, reason) in rulings {
        Types::run(async {
            let guest = guest().await;
            say(&guest, FOUNDER, fixture::agreed(ruling)).await.expect("it leads");
            let mut views = guest.inner().views.clone();
            let is_gone = |view: &Arc<mesh_model::view::ClusterView>| view.applied == 4;
            views.wait_until(is_gone).await.expect("applied");
            is_refused(&guest, FOUNDER, asked(Request::ReadIndex), reason).await;
            guest.refuse_stranger(Some(&fixture::secret(2).public()));
            assert_eq!(counted(&guest), [(reason, 2)]);
            guest.refuse_stranger(Some(&fixture::secret(50).public()));
            guest.refuse_stranger(None);
            assert_eq!(guest.refusals().of(Refused::AgreementStranger), 2);
            guest.shutdown().await;
        });
    }
}

#[test]
fn what_a_voter_may_not_say_is_counted_by_why() {
    Types::run(async {
        let guest = guest().await;
        let far = u64::MAX;
        for request in [
            append(leads(GUEST, 9), 4, 1),
            Request::Vote(campaign(GUEST, 9).into()),
            snapshot(leads(GUEST, 9), &settled()),
        ] {
            is_refused(&guest, FOUNDER, asked(request), Refused::AgreementForeignSource).await;
        }
        for request in [
            append(Vote::new(1, FOUNDER.0), 4, 1),
            Request::PreVote(VoteRequest::new(leads(FOUNDER, 1), None).into()),
        ] {
            is_refused(&guest, FOUNDER, asked(request), Refused::AgreementOutOfTurn).await;
        }
        for request in
            [append(leads(FOUNDER, far), 4, 1), Request::Vote(campaign(FOUNDER, far).into())]
        {
            is_refused(&guest, FOUNDER, asked(request), Refused::AgreementTermOutOfReach).await;
        }
        let command = Command::Exclude { subject: GUEST, reports: Vec::new() };
        let request = Request::Propose(Proposal { at_ms: fixture::wall_ms(), command });
        is_refused(&guest, FOUNDER, asked(request), Refused::AgreementNotTheLeader).await;
        let other = EpochId { number: 1, head: EpochHead([7; 32]) };
        let request = append(leads(FOUNDER, 1), 4, 1).ask_in(other);
        is_refused(&guest, FOUNDER, request, Refused::AgreementOtherEpoch).await;
        guest.shutdown().await;
    });
}

#[test]
fn a_plain_member_that_speaks_raft_and_a_leader_of_the_past_are_counted() {
    Types::run(async {
        let founder = fixture::leads_again().await;
        let term = founder.status().leadership.term;
        for request in [
            append(leads(GUEST, term + 1), 4, 1),
            Request::Vote(campaign(GUEST, term + 1).into()),
            Request::PreVote(campaign(GUEST, term + 1).into()),
            snapshot(leads(GUEST, term + 1), &settled()),
        ] {
            is_refused(&founder, GUEST, asked(request), Refused::AgreementNotAVoter).await;
        }
        let of_the_past = asked(append(leads(GUEST, term - 1), 4, 1));
        is_refused(&founder, GUEST, of_the_past, Refused::AgreementTermOver).await;
        founder.shutdown().await;
    });
}

#[test]
fn what_cannot_be_read_or_believed_is_counted_by_why() {
    Types::run(async {
        let guest = guest().await;
        let whole = asked(append(leads(FOUNDER, 1), 4, 1));
        let cut = whole.slice(..whole.len() - 1);
        is_refused(&guest, FOUNDER, cut, Refused::AgreementMalformed).await;
        let lie = asked(snapshot(leads(FOUNDER, 1), &forged()));
        is_refused(&guest, FOUNDER, lie, Refused::AgreementSnapshotForged).await;
        let mut of_a_later_term = settled();
        of_a_later_term.apply(&blank(8, 4));
        let lie = asked(snapshot(leads(FOUNDER, 1), &of_a_later_term));
        is_refused(&guest, FOUNDER, lie, Refused::AgreementSnapshotContradicts).await;

        // The leader is understood, then speaks a version that is not, then beats as before.
        say(&guest, FOUNDER, append(leads(FOUNDER, 1), 4, 0)).await.expect("it leads");
        is_refused(&guest, FOUNDER, newer(&whole), Refused::AgreementNewer).await;
        let beat = asked(append(leads(FOUNDER, 1), 4, 0));
        is_refused(&guest, FOUNDER, beat, Refused::AgreementOutdated).await;

        guest.shutdown().await;
        let before = guest.refusals().of(Refused::AgreementStopped);
        assert_eq!(say(&guest, FOUNDER, Request::ReadIndex).await, Err(RpcError::Stopped));
        assert_eq!(guest.refusals().of(Refused::AgreementStopped), before + 1);
    });
}

/// What `signer` says, as `member`, of what `group` has applied.
fn word(
    group: &Group,
    member: MemberId,
    signer: &IdentitySecret,
) -> (LogIndex, Signed<Checkpoint>) {
    let mark = group.inner().replica.lock().mark().expect("entries");
    let lead = Lead { term: 1, leader: FOUNDER };
    let word = Checkpoint::of(fixture::root().mesh, member, mark, lead);
    (mark.at.index, Signed::seal(&word, signer))
}

#[test]
fn a_checkpoint_that_does_not_count_is_counted_by_why() {
    Types::run(async {
        let guest = guest().await;
        let (index, by_another) = word(&guest, FOUNDER, &fixture::secret(66));
        let attest = |word| asked(Request::Attest { index, word: Some(word) });
        is_refused(&guest, FOUNDER, attest(by_another), Refused::CheckpointForged).await;
        let (_, of_another) = word(&guest, GUEST, &fixture::secret(4));
        is_refused(&guest, FOUNDER, attest(of_another.clone()), Refused::AgreementForeignSource)
            .await;

        let inner = guest.inner();
        assert!(!inner.take_words(&[word(&guest, STRANGER, &fixture::secret(66)).1]));
        assert_eq!(guest.refusals().of(Refused::CheckpointUnknownMember), 1);
        assert!(!inner.take_words(&[of_another]), "the guest has no vote");
        assert_eq!(guest.refusals().of(Refused::CheckpointNotAVoter), 1);
        let (_, genuine) = word(&guest, FOUNDER, &fixture::secret(2));
        assert!(inner.take_words(std::slice::from_ref(&genuine)));
        for (version, reason) in
            [(0, Refused::CheckpointMalformed), (u8::MAX, Refused::CheckpointNewer)]
        {
            assert!(!inner.take_words(&[of_version(&genuine, version)]));
            assert_eq!(guest.refusals().of(reason), 1, "{}", reason.name());
        }
        let all: u64 = counted(&guest).iter().map(|(_, count)| count).sum();
        assert_eq!(all, 6, "{:?}", counted(&guest));
        guest.shutdown().await;
    });
}

/// `word` with another version in front.
fn of_version(word: &Signed<Checkpoint>, version: u8) -> Signed<Checkpoint> {
    let payload = word.payload().to_vec();
    let outside = codec::encode(&Reply::Attested(vec![word.clone()]));
    let at = outside.windows(payload.len()).position(|part| part == payload);
    let mut outside = outside.clone();
    outside[at.expect("the word is in the reply")] = version;
    match codec::decode(&outside).expect("a word is bytes to a reply") {
        Reply::Attested(words) => words.into_iter().next().expect("one word"),
        _ => unreachable!("it is still a reply with words"),
    }
}

#[test]
fn one_that_goes_while_it_waits_for_news_is_counted() {
    Types::run(async {
        let founder = founder().await;
        let waits = say(&founder, GUEST, pull(10_000));
        let goes = async { founder.propose(fixture::goodbye().1).await.expect("agreed") };
        let (told, _) = futures_util::join!(waits, goes);
        assert_eq!(told, Err(RpcError::LeftMeanwhile(GUEST)));
        assert_eq!(founder.refusals().of(Refused::SyncRemoved), 1);
        founder.shutdown().await;
    });
}

/// A wire on which everybody answers the same.
#[derive(Clone)]
struct Says(Bytes);

impl Transport for Says {
    async fn call(&self, _: MemberId, _: Bytes, _: Duration) -> Result<Bytes, TransportError> {
        Types::sleep(Duration::from_millis(1)).await;
        Ok(self.0.clone())
    }
}

#[test]
fn a_reply_that_is_not_taken_is_counted_by_why() {
    let later = EpochId { number: 1, head: EpochHead([7; 32]) };
    let yes = Reply::IsVoter(true).encode();
    let replies = [
        (yes.slice(..1), Refused::AgreementReplyMalformed),
        (newer(&yes), Refused::AgreementReplyNewer),
        (Reply::OtherEpoch(later).encode(), Refused::AgreementOtherEpoch),
    ];
    for (reply, reason) in replies {
        Types::run(async {
            let refusals = Arc::<Refusals>::default();
            let heard = (Arc::default(), Arc::clone(&refusals));
            let pause = Duration::from_secs(1);
            let peers = Peers::new(GUEST, fixture::epoch(), calls(Says(reply)), heard, pause);
            let asked = peers.ask(FOUNDER, Request::IsVoter(STRANGER), pause).await;
            assert!(matches!(asked, Err(AskError::Codec(_) | AskError::OtherEpoch(_))));
            let struck: Vec<_> = refusals.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(struck, [(reason, 1)]);
        });
    }
}

/// The leader's own questions: replies to them have to fit.
#[test]
fn a_reply_to_another_question_and_one_that_is_not_believed_are_counted() {
    let unbelievable = Reply::Append(AppendReply::HigherVote(leads(GUEST, 9).into())).encode();
    for (reply, reason) in [
        (Reply::IsVoter(true).encode(), Refused::AgreementReplyMalformed),
        (unbelievable, Refused::AgreementReplyNotBelieved),
    ] {
        Types::run(async {
            let store = fixture::founder_store(MemoryDisk::new());
            let (key, timing) = (fixture::secret(2), Timing::default());
            let founder = Group::start(store, key, Says(reply), &Fixed, fixture::wall_ms, timing);
            let founder = founder.await.expect("starts");
            founder.propose(fixture::invitation()).await.expect("agreed");
            founder.propose(fixture::admission()).await.expect("agreed");
            until(&founder, reason).await;
            assert_eq!(founder.status().leadership.term, 1);
            founder.shutdown().await;
        });
    }
}

async fn until(group: &Group, reason: Refused) {
    let seen = async {
        while group.refusals().of(reason) == 0 {
            Types::sleep(Duration::from_millis(5)).await;
        }
    };
    let seen = Types::timeout(Duration::from_secs(20), seen).await;
    assert!(seen.is_ok(), "{}: {:?}", reason.name(), counted(group));
}

fn news(snapshot: Option<Vec<u8>>, entries: Vec<Vec<u8>>) -> Pulled {
    Pulled::News(Box::new(News {
        snapshot,
        entries,
        proven: 9,
        checkpoints: Vec::new(),
        lead: None,
        confirmed_ms: None,
        held_ms: 0,
        depth: 0,
    }))
}

fn entry(term: u64, index: u64) -> Vec<u8> {
    codec::encode(&crate::raft::records::EntryRecord::from(blank(term, index)))
}

/// The guest follows by sync, since no leader feeds it; its one source says what it likes.
#[test]
fn what_a_source_sends_and_is_not_taken_is_counted_by_why() {
    let mut forged_ahead = forged();
    forged_ahead.apply(&blank(1, 4));
    let mut of_another_past = fixture::settled_late(1);
    of_another_past.apply(&blank(1, 4));
    let answers = [
        (Reply::IsVoter(true), Refused::SyncMalformed),
        (
            Reply::Pulled(Pulled::Busy { instead: vec![FOUNDER; MAX_INSTEAD + 1] }),
            Refused::SyncMalformed,
        ),
        (Reply::Pulled(news(None, vec![vec![1, 2, 3]])), Refused::SyncMalformed),
        (Reply::Pulled(news(None, vec![newer(&entry(1, 4)).to_vec()])), Refused::SyncNewer),
        (Reply::Pulled(news(None, vec![entry(1, 6)])), Refused::SyncGap),
        (Reply::Pulled(news(Some(settled().to_snapshot()), vec![])), Refused::SyncUnasked),
        (Reply::Pulled(news(Some(forged_ahead.to_snapshot()), vec![])), Refused::SyncForged),
        (
            Reply::Pulled(news(Some(of_another_past.to_snapshot()), vec![])),
            Refused::SyncContradicts,
        ),
    ];
    for (answer, reason) in answers {
        Types::run(async {
            let store = fixture::guest_store(MemoryDisk::new());
            let (key, timing) = (fixture::secret(4), Timing::default());
            let says = Says(answer.encode());
            let guest = Group::start(store, key, says, &Fixed, fixture::wall_ms, timing);
            let guest = guest.await.expect("starts");
            until(&guest, reason).await;
            assert_eq!(guest.status().applied, 3, "nothing of it was taken");
            let is_sync = |reason: &Refused| reason.name().starts_with("sync_");
            let struck = counted(&guest);
            assert!(
                struck.iter().all(|(other, _)| other == &reason || !is_sync(other)),
                "{struck:?}"
            );
            guest.shutdown().await;
        });
    }
}

#[test]
fn every_fault_of_what_was_sent_has_a_reason_of_its_own() {
    let unread = || CodecError::Malformed { name: "entry", reason: String::new() };
    let faults = [
        (DraftError::Malformed(unread()), "sync_malformed"),
        (DraftError::Snapshot(SnapshotError::Codec(unread())), "sync_malformed"),
        (DraftError::Snapshot(SnapshotError::Compression(String::new())), "sync_malformed"),
        (DraftError::Gap, "sync_gap"),
        (DraftError::Useless, "sync_unasked"),
        (DraftError::Contradiction, "sync_contradicts"),
        (DraftError::TooMuch, "sync_too_much"),
        (DraftError::Refuted(4), "sync_refuted"),
    ];
    for (fault, name) in faults {
        assert_eq!(Refused::of_draft(&fault).name(), name);
    }
}
