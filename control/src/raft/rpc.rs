//! What members say to each other about agreement: one request, one reply.
//!
//! ```text
//! leader ──Append──> follower, learner        entries, or none as a heartbeat
//! leader ──Snapshot──> one that fell behind   the whole state in one message
//! candidate ──PreVote, Vote──> voters
//! leader ──TransferLeader──> voters           "you next"
//! member ──Propose──> leader                  forwarded once
//! member ──IsVoter──> voter it knows          "somebody I know no vote of speaks to me; rightly?"
//! member ──HandOver──> leader                 "let another lead", as an operator asked
//! member ──ReadIndex──> leader                "how far is the log agreed now?"
//! member ──Pull──> any other                  "what was agreed after this?", by one that the leader does not feed
//! voter ──Attest──> those the leader feeds    "here my log leads to this", signed; or "what do they say of it?"
//! member ──Passage──> one of a later epoch    "how do I get there?"
//! member ──Report──> leader                   "that one does wrong", signed
//! ```
//!
//! Each says in which epoch it is asked, and only `Passage` is answered across epochs: any other gets `OtherEpoch`.
//!
//! The link says who speaks; [`speaker`](super::speaker) decides who may say what.

use mesh_model::codec::{self, CodecError, Message};
use mesh_model::trust::{EpochId, Report};
use mesh_model::wire::sync::{Checkpoint, MAX_CHECKPOINTS, MAX_ENTRY_BYTES, Pull, Pulled};
use mesh_model::{Edition, Fault, LogIndex, MemberId, Signed, Term};
use openraft::errors::ForwardToLeader;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use super::editions::HeldBack;
use super::records::{ENTRY_LIMIT, EntryRecord, LogIdRecord, VoteRecord};
use super::snapshot::{SNAPSHOT_LIMIT, SnapshotError};
use super::transfer::HandOverRefusal;
use super::types::{Entry, LogId, Types, Vote};
use crate::command::{NEWEST, Outcome, Proposal};
use crate::reports::{NotTaken, Tally};

/// The most entries one append carries. 64 admissions are 40 kB: a burst of joins in one flush, and
/// short enough to get through a slow link within a heartbeat or two.
pub(crate) const MAX_APPEND: usize = 64;

/// How far ahead of this host's a term may be that somebody speaks of. Elections an hour apart or a
/// second apart do not get there in half a year, and a host that hears nothing for so long is fed a
/// snapshot. An epoch has 2^40 terms: a voter that cheats leaps sixty-five thousand times to use them up.
pub(crate) const MAX_TERM_AHEAD: u64 = 1 << 24;

/// A snapshot is the longest thing said, then a full append of the longest entries.
const REQUEST_LIMIT: usize = {
    let append = MAX_APPEND * ENTRY_LIMIT;
    let longest = if SNAPSHOT_LIMIT > append { SNAPSHOT_LIMIT } else { append };
    longest + 1024
};

/// A snapshot, or one entry that is longer than all others of an answer may be together, with what proves it.
const REPLY_LIMIT: usize = {
    let entries = if ENTRY_LIMIT > MAX_ENTRY_BYTES { ENTRY_LIMIT } else { MAX_ENTRY_BYTES };
    SNAPSHOT_LIMIT + entries + MAX_CHECKPOINTS * 320 + 1024
};

/// A question about agreement.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Append(Append),
    Vote(Candidacy),
    PreVote(Candidacy),
    TransferLeader(Transfer),
    Snapshot {
        vote: VoteRecord,
        snapshot: Vec<u8>,
    },
    Propose(Proposal),
    IsVoter(MemberId),
    /// The one that shall lead; the best there is when absent.
    HandOver(Option<MemberId>),
    ReadIndex,
    Pull(Pull),
    /// What the sender signed of `index`, and a question for what others did.
    Attest {
        index: LogIndex,
        word: Option<Signed<Checkpoint>>,
    },
    /// The way into the epoch of the one asked.
    Passage,
    /// The sender's own report.
    Report(Signed<Report>),
}

/// A question and the epoch it is asked in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) request: Request,
    pub(crate) epoch: EpochId,
}

impl Message for Question {
    const NAME: &'static str = "agreement request";
    const VERSION: u8 = NEWEST.0;
    const OLDEST: u8 = Edition::FIRST.0;
    const LIMIT: usize = REQUEST_LIMIT;

    fn version(&self) -> u8 {
        self.request.edition().0
    }
}

/// The answer.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Append(AppendReply),
    Vote(VoteReply),
    TransferLeader(TransferReply),
    Snapshot {
        vote: VoteRecord,
    },
    Propose(ProposeReply),
    IsVoter(bool),
    HandOver(HandOverReply),
    /// `None` when the member asked does not lead, or no majority confirms it.
    ReadIndex(Option<LogIndex>),
    Pulled(Pulled),
    Attested(Vec<Signed<Checkpoint>>),
    /// The one asked is in this epoch, and the question was asked in another.
    OtherEpoch(EpochId),
    /// `None` where the one asked has none to show, or shows it to another just now.
    Passage(Option<PassageReply>),
    /// `None` when the member asked does not lead.
    Reported(Option<Result<Tally, NotTaken>>),
}

impl Message for Reply {
    const NAME: &'static str = "agreement reply";
    const VERSION: u8 = NEWEST.0;
    const OLDEST: u8 = Edition::FIRST.0;
    // A snapshot is the longest thing said, and 64 checkpoints of 256 bytes come with it.
    const LIMIT: usize = REPLY_LIMIT;

    /// Entries and snapshots in it are bytes with versions of their own.
    fn version(&self) -> u8 {
        match self {
            Self::Propose(ProposeReply::Applied { outcome, .. }) => outcome.edition().0,
            _ => Self::OLDEST,
        }
    }
}

/// The way into another epoch.
#[derive(Serialize, Deserialize)]
pub(crate) struct PassageReply {
    /// A [`PassageRecord`](super::passage::PassageRecord).
    pub(crate) passage: Vec<u8>,
    /// Whether the asker had a vote there already, as far as the one asked knows. Then it has lost its store.
    pub(crate) voted: bool,
}

/// Entries to follow `prev`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Append {
    vote: VoteRecord,
    prev: Option<LogIdRecord>,
    entries: Vec<EntryRecord>,
    commit: Option<LogIdRecord>,
}

impl Append {
    /// Whether it is a sign of life and no more.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The term of the leader it is from.
    pub(super) fn term(&self) -> Term {
        self.vote.term()
    }
}

impl From<AppendEntriesRequest<Types>> for Append {
    fn from(request: AppendEntriesRequest<Types>) -> Self {
        Self {
            vote: request.vote.into(),
            prev: request.prev_log_id.map(Into::into),
            entries: request.entries.into_iter().map(Into::into).collect(),
            commit: request.leader_commit.map(Into::into),
        }
    }
}

impl TryFrom<Append> for AppendEntriesRequest<Types> {
    type Error = CodecError;

    /// Entries must follow each other and `prev`: openraft takes that for granted.
    fn try_from(append: Append) -> Result<Self, CodecError> {
        let malformed = |reason: &str| CodecError::Malformed {
            name: "agreement request",
            reason: reason.to_owned(),
        };
        if append.entries.len() > MAX_APPEND {
            return Err(malformed("more entries than one append may carry"));
        }
        let prev: Option<LogId> = append.prev.map(Into::into);
        let mut next = prev.map_or(0, |prev| prev.index.saturating_add(1));
        let mut entries: Vec<Entry> = Vec::with_capacity(append.entries.len());
        for entry in append.entries {
            if entry.index() != next {
                return Err(malformed("entries that do not follow each other"));
            }
            next = next.saturating_add(1);
            entries.push(entry.open()?);
        }
        let vote: Vote = append.vote.into();
        let terms = prev.iter().chain(entries.iter().map(|entry| &entry.log_id));
        let terms = terms.map(|id| id.leader_id.term).chain([vote.leader_id.term]);
        if !terms.is_sorted() {
            return Err(malformed(
                "entries of a later term than their successor's or the leader's",
            ));
        }
        Ok(Self { vote, prev_log_id: prev, entries, leader_commit: append.commit.map(Into::into) })
    }
}

/// What an append spoke of, to hold the reply against.
pub(crate) struct AppendSpan {
    pub(crate) vote: Vote,
    pub(crate) prev: Option<LogId>,
    ids: Vec<LogId>,
}

impl AppendSpan {
    pub(crate) fn of(request: &AppendEntriesRequest<Types>) -> Self {
        let ids = request.entries.iter().map(|entry| entry.log_id).collect();
        Self { vote: request.vote, prev: request.prev_log_id, ids }
    }

    /// Whether `upto` is the place before the entries, or one of theirs.
    pub(crate) fn covers(&self, upto: Option<LogId>) -> bool {
        upto == self.prev || upto.is_some_and(|upto| self.ids.contains(&upto))
    }
}

/// What came of an append.
#[derive(Serialize, Deserialize)]
pub(crate) enum AppendReply {
    Success,
    Partial(Option<LogIdRecord>),
    Conflict,
    HigherVote(VoteRecord),
}

impl From<AppendEntriesResponse<Types>> for AppendReply {
    fn from(response: AppendEntriesResponse<Types>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Success,
            AppendEntriesResponse::PartialSuccess(upto) => Self::Partial(upto.map(Into::into)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<AppendReply> for AppendEntriesResponse<Types> {
    fn from(reply: AppendReply) -> Self {
        match reply {
            AppendReply::Success => Self::Success,
            AppendReply::Partial(upto) => Self::PartialSuccess(upto.map(Into::into)),
            AppendReply::Conflict => Self::Conflict,
            AppendReply::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

/// "Vote for me", or "would you?".
#[derive(Serialize, Deserialize)]
pub(crate) struct Candidacy {
    vote: VoteRecord,
    last: Option<LogIdRecord>,
    transfer: bool,
}

impl From<VoteRequest<Types>> for Candidacy {
    fn from(request: VoteRequest<Types>) -> Self {
        Self {
            vote: request.vote.into(),
            last: request.last_log_id.map(Into::into),
            transfer: request.leadership_transfer,
        }
    }
}

impl From<Candidacy> for VoteRequest<Types> {
    fn from(candidacy: Candidacy) -> Self {
        let mut request = Self::new(candidacy.vote.into(), candidacy.last.map(Into::into));
        request.leadership_transfer = candidacy.transfer;
        request
    }
}

/// A vote, or a refusal with what stands against it.
#[derive(Serialize, Deserialize)]
pub(crate) struct VoteReply {
    vote: VoteRecord,
    granted: bool,
    last: Option<LogIdRecord>,
}

impl From<VoteResponse<Types>> for VoteReply {
    fn from(response: VoteResponse<Types>) -> Self {
        Self {
            vote: response.vote.into(),
            granted: response.vote_granted,
            last: response.last_log_id.map(Into::into),
        }
    }
}

impl From<VoteReply> for VoteResponse<Types> {
    fn from(reply: VoteReply) -> Self {
        Self {
            vote: reply.vote.into(),
            vote_granted: reply.granted,
            last_log_id: reply.last.map(Into::into),
        }
    }
}

/// "Lead in my place."
#[derive(Serialize, Deserialize)]
pub(crate) struct Transfer {
    vote: VoteRecord,
    to: u64,
    last: Option<LogIdRecord>,
}

impl From<TransferLeaderRequest<Types>> for Transfer {
    fn from(request: TransferLeaderRequest<Types>) -> Self {
        Self {
            vote: (*request.from_leader()).into(),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Into::into),
        }
    }
}

impl From<Transfer> for TransferLeaderRequest<Types> {
    fn from(transfer: Transfer) -> Self {
        Self::new(transfer.vote.into(), transfer.to, transfer.last.map(Into::into))
    }
}

/// Whether the transfer was taken up.
#[derive(Serialize, Deserialize)]
pub(crate) enum TransferReply {
    Accepted,
    VoteChanged { expected: VoteRecord, actual: VoteRecord },
    LogNotFlushed { expected: Option<LogIdRecord>, actual: Option<LogIdRecord> },
}

impl From<TransferLeaderResponse<Types>> for TransferReply {
    fn from(response: TransferLeaderResponse<Types>) -> Self {
        match response {
            Ok(()) => Self::Accepted,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                Self::VoteChanged { expected: expected.into(), actual: actual.into() }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => Self::LogNotFlushed {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            },
        }
    }
}

impl From<TransferReply> for TransferLeaderResponse<Types> {
    fn from(reply: TransferReply) -> Self {
        match reply {
            TransferReply::Accepted => Ok(()),
            TransferReply::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged {
                    expected: expected.into(),
                    actual: actual.into(),
                })
            }
            TransferReply::LogNotFlushed { expected, actual } => {
                Err(TransferLeaderError::LogNotFlushed {
                    expected: expected.map(Into::into),
                    actual: actual.map(Into::into),
                })
            }
        }
    }
}

/// What became of a forwarded proposal.
#[derive(Serialize, Deserialize)]
pub(crate) enum ProposeReply {
    /// Agreed and applied.
    Applied { index: LogIndex, outcome: Outcome },
    /// The member asked does not lead; perhaps this one does.
    NotLeader(Option<MemberId>),
    /// It leads but got no agreement in time. It may still come.
    Undecided,
    /// It leads, and members hold different states at this index.
    Diverged(LogIndex),
    /// It leads, and others could not read it.
    HeldBack(HeldBack),
}

impl From<&ForwardToLeader<Types>> for ProposeReply {
    fn from(forward: &ForwardToLeader<Types>) -> Self {
        Self::NotLeader(forward.leader_id.map(MemberId))
    }
}

/// Whether the leader hands over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum HandOverReply {
    /// It told the voters that `to` comes after `term`.
    Begun { term: Term, to: MemberId },
    /// The member asked does not lead.
    NotLeader,
    /// It leads and will not.
    Refused(HandOverRefusal),
}

impl Request {
    /// The edition it takes to read it. A snapshot in it is bytes with a version of its own.
    fn edition(&self) -> Edition {
        match self {
            Self::Append(append) => {
                let entries = append.entries.iter().map(EntryRecord::edition);
                entries.max().unwrap_or(Edition::FIRST)
            }
            Self::Propose(proposal) => proposal.command.edition(),
            _ => Edition::FIRST,
        }
    }

    /// Whether only one that leads may ask it, and whoever is asked takes it for the leader.
    pub(super) fn is_a_leaders(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Snapshot { .. })
    }

    /// Whether it is answered whatever epoch it is asked in.
    pub(super) fn is_of_any_epoch(&self) -> bool {
        matches!(self, Self::Passage)
    }

    /// The question's bytes, asked in `epoch`.
    pub(crate) fn ask_in(self, epoch: EpochId) -> bytes::Bytes {
        codec::encode(&Question { request: self, epoch }).into()
    }
}

impl Reply {
    /// Whether it is as long as the agreed state is.
    pub(crate) fn holds_the_state(&self) -> bool {
        match self {
            Self::Pulled(Pulled::News(news)) => news.snapshot.is_some(),
            Self::Passage(passage) => passage.is_some(),
            _ => false,
        }
    }

    pub(crate) fn encode(&self) -> bytes::Bytes {
        codec::encode(self).into()
    }
}

/// Why a request was not carried out. The link is closed without a reply; the caller sees a broken
/// call and tries again as it would after any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The sender is no member of this mesh.
    #[error("{0} is no member")]
    NotAMember(MemberId),
    /// The sender speaks for somebody else, or has no vote and speaks as if it had.
    #[error("{from} may not speak as {claimed}")]
    NotEntitled {
        /// Who sent it.
        from: MemberId,
        /// Whose word it claims to be.
        claimed: MemberId,
    },
    /// A term that no number of elections leads to.
    #[error("{from} speaks of term {term}, this host is in {ours}")]
    TermOutOfReach {
        /// Who sent it.
        from: MemberId,
        /// The term it speaks of.
        term: Term,
        /// This host's term.
        ours: Term,
    },
    /// Not a request this build understands.
    #[error(transparent)]
    Malformed(#[from] CodecError),
    /// A snapshot that is not genuine, or contradicts what is already agreed.
    #[error("{0}")]
    Snapshot(#[from] SnapshotError),
    /// A snapshot that no correct leader can have sent.
    #[error("the snapshot contradicts what is agreed")]
    Contradiction,
    /// This host was left behind.
    #[error("the leader has said what this host cannot read")]
    Outdated,
    /// Agreement on this host has stopped.
    #[error("agreement has stopped here")]
    Stopped,
}

impl RpcError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Outdated => Fault::Local,
            Self::Stopped => Fault::World,
            _ => Fault::Peer,
        }
    }
}

#[cfg(test)]
mod tests;
