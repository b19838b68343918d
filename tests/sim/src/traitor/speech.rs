//! What members say to each other about agreement, as far as the traitor takes it apart and puts it together again.
//!
//! These are the words of `mesh_control::raft` once more, by one that keeps none of its rules. What it tells no lies in has no
//! fields here: such bytes do not decode, and go on as they came. A test below, and the count of lies in each run, show when
//! the two have come apart.

use std::collections::BTreeSet;

use bytes::Bytes;
use mesh_control::command::Proposal;
use mesh_model::codec::{self, Message};
use mesh_model::trust::EpochId;
use mesh_model::wire::sync::{Checkpoint, Pull, Pulled};
use mesh_model::{LogIndex, MemberId, Signed};
use serde::{Deserialize, Serialize};

/// What the honest code takes at most, and more.
const LIMIT: usize = codec::MAX_MESSAGE;

/// The place of [`Request::Snapshot`], which is too long to be taken apart for nothing.
const SNAPSHOT: u8 = 4;

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    Append(Append),
    Vote(Candidacy),
    PreVote(Candidacy),
    TransferLeader,
    Snapshot,
    Propose(Proposal),
    IsVoter(MemberId),
    HandOver,
    ReadIndex,
    Pull(Pull),
    Attest { index: LogIndex, word: Option<Signed<Checkpoint>> },
    Passage,
}

/// A question and the epoch it is asked in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) request: Request,
    pub(crate) epoch: EpochId,
}

mesh_model::message!(Question, "agreement request", version 1, limit LIMIT);

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Append,
    Vote,
    TransferLeader,
    Snapshot,
    Propose(ProposeReply),
    IsVoter(bool),
    HandOver,
    ReadIndex,
    Pulled(Pulled),
    Attested(Vec<Signed<Checkpoint>>),
    OtherEpoch,
    Passage,
}

mesh_model::message!(Reply, "agreement reply", version 1, limit LIMIT);

/// Entries to follow `prev`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Append {
    pub(crate) vote: Vote,
    pub(crate) prev: Option<LogId>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) commit: Option<LogId>,
}

/// "Vote for me."
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidacy {
    pub(crate) vote: Vote,
    pub(crate) last: Option<LogId>,
    pub(crate) transfer: bool,
}

/// Whom a member votes for in a term, and whether that candidate won.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Vote {
    pub(crate) term: u64,
    pub(crate) node: u64,
    pub(crate) committed: bool,
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogId {
    pub(crate) term: u64,
    pub(crate) index: u64,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: LogId,
    pub(crate) payload: Payload,
}

mesh_model::message!(Entry, "log entry", version 1, limit LIMIT);

/// What an entry carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Payload {
    Blank,
    Proposal(Proposal),
    Membership { configs: Vec<BTreeSet<u64>>, nodes: BTreeSet<u64> },
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum ProposeReply {
    Applied { index: LogIndex, outcome: mesh_control::command::Outcome },
    NotLeader(Option<MemberId>),
    Undecided,
}

/// Whether `answer` is a source's.
pub(crate) fn is_news(answer: &[u8]) -> bool {
    matches!(open(answer), Some(Reply::Pulled(_)))
}

/// Whether `question` is for the way into another epoch.
pub(crate) fn asks_the_way(question: &[u8]) -> bool {
    matches!(open(question), Some(Question { request: Request::Passage, .. }))
}

/// Whether `question` of a leader brings the whole state.
pub(crate) fn brings_the_state(question: &[u8]) -> bool {
    question.get(1) == Some(&SNAPSHOT)
}

/// Whether `answer` is a source's that holds the whole state.
pub(crate) fn holds_the_state(answer: &[u8]) -> bool {
    match open(answer) {
        Some(Reply::Pulled(Pulled::News(news))) => news.snapshot.is_some(),
        _ => false,
    }
}

/// `question`, which is asked in epoch `own`, as if it were asked in `other`.
pub(crate) fn in_epoch(question: Bytes, own: EpochId, other: EpochId) -> Bytes {
    // The epoch is the last thing in it.
    let ending = |epoch| close(&Question { request: Request::Passage, epoch }).slice(2..);
    match question.strip_suffix(&*ending(own)) {
        Some(asked) => [asked, &ending(other)].concat().into(),
        None => question,
    }
}

/// `bytes` taken apart; `None` for what no lies are told in.
pub(crate) fn open<M: Message>(bytes: &[u8]) -> Option<M> {
    codec::decode(bytes).ok()
}

/// Put together again.
pub(crate) fn close<M: Message>(message: &M) -> Bytes {
    codec::encode(message).into()
}

#[cfg(test)]
mod tests {
    use mesh_model::trust::EpochHead;

    use super::*;

    /// The places of the words that are spoken, by their numbers on the wire.
    #[test]
    fn the_words_have_the_places_that_the_honest_code_gives_them() {
        let epoch = EpochId { number: 0, head: EpochHead([0; 32]) };
        let place = |request| close(&Question { request, epoch })[1];
        let attest = Request::Attest { index: 1, word: None };
        let asked = [Request::IsVoter(MemberId(1)), Request::ReadIndex, attest, Request::Passage];
        assert_eq!(asked.map(place), [6, 8, 10, 11]);
        assert_eq!(place(Request::Snapshot), SNAPSHOT);
        let told =
            [Reply::IsVoter(true), Reply::Pulled(Pulled::Adrift), Reply::Attested(Vec::new())];
        assert_eq!(told.map(|reply| close(&reply)[1]), [5, 8, 9]);
        assert!(is_news(&close(&Reply::Pulled(Pulled::Adrift))));
    }
}
