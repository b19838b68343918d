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

mod append;
mod election;
mod error;
mod passage;
mod propose;
mod transfer;

use mesh_model::codec::{self, Message};
use mesh_model::trust::{EpochId, Report};
use mesh_model::wire::sync::{Checkpoint, MAX_CHECKPOINTS, MAX_ENTRY_BYTES, Pull, Pulled};
use mesh_model::{Edition, LogIndex, MemberId, Signed};
use serde::{Deserialize, Serialize};

pub(crate) use self::append::{Append, AppendReply, AppendSpan};
use self::election::{Candidacy, VoteReply};
pub use self::error::RpcError;
pub(crate) use self::passage::PassageReply;
pub(crate) use self::propose::ProposeReply;
pub(crate) use self::transfer::HandOverReply;
use self::transfer::{Transfer, TransferReply};
use super::records::{ENTRY_LIMIT, VoteRecord};
use super::snapshot::SNAPSHOT_LIMIT;
use crate::command::{NEWEST, Proposal};
use crate::reports::{NotTaken, Tally};

/// The most entries one append carries. 64 admissions are 40 kB: a burst of joins in one flush, and
/// short enough to get through a slow link within a heartbeat or two.
pub(crate) const MAX_APPEND: usize = 64;

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

impl Request {
    /// The edition it takes to read it. A snapshot in it is bytes with a version of its own.
    fn edition(&self) -> Edition {
        match self {
            Self::Append(append) => append.edition(),
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

#[cfg(test)]
mod tests;
