//! A genuine question and a genuine answer of every kind, between the members of a mesh of three: the founder, which votes and
//! leads, the guest, and the third member.

use mesh_model::trust::{EpochHead, EpochId, Misconduct, Report, Ruling};
use mesh_model::wire::sync::{Checkpoint, Lead, News, Place, Pull, Pulled};
use mesh_model::{Edition, LogIndex, MemberId, Signed, codec};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};

use crate::command::{Outcome, Refusal};
use crate::raft::editions::HeldBack;
use crate::raft::fixture::{
    self, GUEST, THIRD, blank, leads, log_id, root, secret, three, wall_ms,
};
use crate::raft::passage::Passage;
use crate::raft::records::{EntryRecord, LAST_INDEX};
use crate::raft::replica::Replica;
use crate::raft::rpc::{
    Append, AppendReply, HandOverReply, PassageReply, ProposeReply, Reply, Request,
};
use crate::raft::transfer::HandOverRefusal;
use crate::raft::types::{Entry, Membership, Payload, Types, Vote};
use crate::reports::{NotTaken, Tally};

const FOUNDER: MemberId = MemberId::FOUNDER;

/// Whom the founder's words name as the leader.
const LEAD: Lead = Lead { term: 1, leader: FOUNDER };

/// What is agreed after the third member came in, at index 4: an entry of each kind.
pub(super) fn agreed() -> [Entry; 3] {
    let membership = Membership::new_with_defaults(vec![[1].into()], [GUEST.0]);
    let payloads =
        [Payload::Blank, Payload::Normal(fixture::invitation()), Payload::Membership(membership)];
    let mut index = 4;
    payloads.map(|payload| {
        index += 1;
        Entry { log_id: log_id(1, index), payload }
    })
}

/// What a liar says instead: somebody signed it, and nobody agreed to it.
fn bent() -> [Entry; 3] {
    let [blank, mut proposal, membership] = agreed();
    proposal.payload = Payload::Normal(fixture::ban());
    [blank, proposal, membership]
}

/// Where the mesh of three is after `entries`.
fn led_to(entries: &[Entry]) -> Replica {
    let mut replica = three();
    entries.iter().for_each(|entry| drop(replica.apply(entry)));
    replica
}

/// What is agreed leads to this.
pub(super) fn later() -> Replica {
    led_to(&agreed())
}

/// The word of `member` on `replica`.
fn word(member: MemberId, key: u8, replica: &Replica) -> Signed<Checkpoint> {
    let mark = replica.mark().expect("something was applied");
    Signed::seal(&Checkpoint::of(root().mesh, member, mark, LEAD), &secret(key))
}

/// The founder's append of what is agreed.
pub(super) fn append() -> Request {
    Request::Append(Append::from(AppendEntriesRequest {
        vote: leads(FOUNDER, 1),
        prev_log_id: Some(log_id(1, 4)),
        entries: agreed().to_vec(),
        leader_commit: Some(log_id(1, 7)),
    }))
}

/// The agreed state, as if another index had led to it.
fn far(index: LogIndex) -> Replica {
    Replica { applied: Some(log_id(1, index)), ..later() }
}

/// What is well-formed, and no correct leader says: it contradicts what was agreed, or comes from where no log gets.
pub(super) fn impossible(from: MemberId) -> Vec<Vec<u8>> {
    let append = |term, (prev_term, prev), (entry_term, entries): (u64, u64), commit| {
        let entries = prev + 1..=prev + entries;
        Request::Append(Append::from(AppendEntriesRequest {
            vote: leads(from, term),
            prev_log_id: Some(log_id(prev_term, prev)),
            entries: entries.map(|index| blank(entry_term, index)).collect(),
            leader_commit: Some(log_id(term, commit)),
        }))
    };
    let snapshot = |index| {
        let (vote, snapshot) = (leads(from, 1).into(), far(index).to_snapshot());
        Request::Snapshot { vote, snapshot }
    };
    let said = [
        append(2, (2, 2), (2, 0), 4),
        append(2, (2, 3), (2, 3), 9),
        append(2, (1, 1), (2, 5), 9),
        append(2, (0, 3), (0, 5), 9),
        append(2, (1, 4), (2, 2), LAST_INDEX),
        append(1, (1, LAST_INDEX), (1, 1), u64::MAX),
        snapshot(LAST_INDEX),
        snapshot(u64::MAX),
    ];
    said.map(asked).into()
}

fn pull(index: LogIndex, snapshot: bool) -> Request {
    let have = Some(Place { term: 1, index });
    Request::Pull(Pull { have, proven: 3, lead: Some(LEAD), hold_ms: 1000, snapshot })
}

fn report() -> Request {
    let report = Report {
        mesh: root().mesh,
        reporter: THIRD,
        subject: FOUNDER,
        identity: secret(2).public(),
        misconduct: Misconduct::Floods,
        reason: "it floods".parse().ok(),
        made_ms: wall_ms(),
    };
    Request::Report(Signed::seal(&report, &secret(5)))
}

fn asked(request: Request) -> Vec<u8> {
    request.ask_in(fixture::epoch()).to_vec()
}

/// What `from`, whose key has this number, may ask.
pub(super) fn questions((from, key): (MemberId, u8)) -> Vec<Vec<u8>> {
    let candidacy = || VoteRequest::<Types>::new(Vote::new(2, from.0), Some(log_id(1, 7)));
    let heartbeat = AppendEntriesRequest {
        vote: leads(from, 1),
        prev_log_id: Some(log_id(1, 4)),
        entries: Vec::new(),
        leader_commit: Some(log_id(1, 4)),
    };
    let transfer = TransferLeaderRequest::new(leads(from, 1), GUEST.0, Some(log_id(1, 4)));
    let (vote, snapshot) = (leads(from, 1).into(), later().to_snapshot());
    let own_word = word(from, key, &three());
    let proposals = [
        fixture::invitation(),
        fixture::admission(),
        fixture::goodbye().1,
        fixture::judge(1, Ruling::Removed),
    ];
    let requests = [
        append(),
        Request::Append(heartbeat.into()),
        Request::Vote(candidacy().into()),
        Request::PreVote(candidacy().into()),
        Request::TransferLeader(transfer.into()),
        Request::Snapshot { vote, snapshot },
        Request::IsVoter(FOUNDER),
        Request::HandOver(None),
        Request::HandOver(Some(GUEST)),
        Request::ReadIndex,
        pull(4, false),
        pull(4, true),
        pull(u64::MAX, false),
        Request::Attest { index: 4, word: None },
        Request::Attest { index: 4, word: Some(own_word) },
        Request::Passage,
        report(),
    ];
    requests.into_iter().chain(proposals.map(Request::Propose)).map(asked).collect()
}

/// What `from`, whose key has this number, may answer to `question`.
pub(super) fn answers((from, key): (MemberId, u8), question: &Request) -> Vec<Vec<u8>> {
    let elsewhere = EpochId { number: 1, head: EpochHead([7; 32]) };
    let mut answers = match question {
        Request::Append(_) => appended(),
        Request::Vote(_) | Request::PreVote(_) => vec![
            Reply::Vote(VoteResponse::new(Vote::new(1, 1), Some(log_id(1, 4)), true).into()),
            Reply::Vote(VoteResponse::new(leads(FOUNDER, 2), None, false).into()),
        ],
        Request::TransferLeader(_) => transferred(),
        Request::Snapshot { .. } => vec![Reply::Snapshot { vote: leads(FOUNDER, 1).into() }],
        Request::Propose(_) => proposed(),
        Request::IsVoter(_) => vec![Reply::IsVoter(true), Reply::IsVoter(false)],
        Request::HandOver(_) => vec![
            Reply::HandOver(HandOverReply::Begun { term: 1, to: GUEST }),
            Reply::HandOver(HandOverReply::NotLeader),
            Reply::HandOver(HandOverReply::Refused(HandOverRefusal::TooSoon { wait_ms: 300 })),
        ],
        Request::ReadIndex => vec![Reply::ReadIndex(Some(4)), Reply::ReadIndex(None)],
        Request::Pull(_) => pulled(word(from, key, &later())),
        Request::Attest { .. } => vec![
            Reply::Attested(vec![word(from, key, &three()), word(from, key, &later())]),
            Reply::Attested(vec![word(THIRD, 5, &later())]),
        ],
        Request::Passage => vec![shown(), Reply::Passage(None)],
        Request::Report(_) => vec![
            Reply::Reported(Some(Ok(Tally { have: 1, needed: 2, lineages: 3 }))),
            Reply::Reported(Some(Err(NotTaken::TooSoon))),
            Reply::Reported(None),
        ],
    };
    answers.push(Reply::OtherEpoch(elsewhere));
    answers.iter().map(|answer| answer.encode().to_vec()).collect()
}

fn appended() -> Vec<Reply> {
    let appended = [
        AppendEntriesResponse::Success,
        AppendEntriesResponse::PartialSuccess(Some(log_id(1, 4))),
        AppendEntriesResponse::Conflict,
        AppendEntriesResponse::HigherVote(Vote::new(2, GUEST.0)),
    ];
    appended.map(|appended| Reply::Append(AppendReply::from(appended))).into()
}

fn transferred() -> Vec<Reply> {
    let (expected, actual) = (leads(FOUNDER, 1), leads(GUEST, 2));
    let changed = TransferLeaderError::VoteChanged { expected, actual };
    let (expected, actual) = (Some(log_id(1, 4)), None);
    let unflushed = TransferLeaderError::LogNotFlushed { expected, actual };
    [Ok(()), Err(changed), Err(unflushed)].map(|said| Reply::TransferLeader(said.into())).into()
}

fn proposed() -> Vec<Reply> {
    let held =
        HeldBack { edition: Edition(2), members: 3, older: vec![GUEST], silent: vec![THIRD] };
    let outcome = Outcome::Refused(Refusal::UnknownMember(THIRD));
    let proposed = [
        ProposeReply::Applied { index: 5, outcome: Outcome::Departed(THIRD) },
        ProposeReply::Applied { index: 5, outcome },
        ProposeReply::NotLeader(Some(GUEST)),
        ProposeReply::Undecided,
        ProposeReply::Diverged(4),
        ProposeReply::HeldBack(held),
        ProposeReply::NoSuccessor(FOUNDER),
    ];
    proposed.map(Reply::Propose).into()
}

/// Where among the answers to a pull what is agreed comes with its proof.
pub(super) const PROVEN: usize = 2;

/// News of what is agreed, which `proof` proves, and of what is not.
fn pulled(proof: Signed<Checkpoint>) -> Vec<Reply> {
    let entries = agreed().map(|entry| codec::encode(&EntryRecord::from(entry)));
    let nothing = News {
        snapshot: None,
        entries: Vec::new(),
        proven: 4,
        checkpoints: Vec::new(),
        lead: Some(LEAD),
        confirmed_ms: Some(250),
        held_ms: 1000,
        depth: 0,
    };
    let proof = vec![proof];
    let unproven = News { entries: entries.to_vec(), proven: 7, ..nothing.clone() };
    let proven = News { checkpoints: proof.clone(), ..unproven.clone() };
    let whole = News {
        snapshot: Some(later().to_snapshot()),
        checkpoints: proof,
        proven: 7,
        ..nothing.clone()
    };
    let further = News {
        snapshot: Some(far(LAST_INDEX).to_snapshot()),
        entries: vec![codec::encode(&EntryRecord::from(blank(1, LAST_INDEX + 1)))],
        ..whole.clone()
    };
    let other = bent().map(|entry| codec::encode(&EntryRecord::from(entry)));
    let contradicted = News { entries: other.to_vec(), ..proven.clone() };
    let strangers = vec![word(THIRD, 5, &led_to(&bent()))];
    let unvouched = News { checkpoints: strangers, ..contradicted.clone() };
    let furthest = News { snapshot: Some(far(u64::MAX).to_snapshot()), ..unproven.clone() };
    let mut pulled: Vec<_> =
        [nothing, unproven, proven, whole, contradicted, unvouched, further, furthest]
            .map(|news| Pulled::News(Box::new(news)))
            .into();
    pulled.extend([Pulled::Busy { instead: vec![THIRD] }, Pulled::Adrift, Pulled::Elsewhere]);
    pulled.into_iter().map(Reply::Pulled).collect()
}

/// The way into the epoch that the root begins where the third member has come in.
pub(super) fn passage() -> Passage {
    let begun = fixture::begun(&three());
    Passage::new(&three().state, THIRD.0, &begun).expect("the root's to begin")
}

/// What is shown of it.
fn shown() -> Reply {
    let passage = passage().bytes().to_vec();
    Reply::Passage(Some(PassageReply { passage, voted: false }))
}
