//! A leader's word to one that it feeds: entries for its log, or none as a sign of life.
//!
//! ```text
//! leader ──vote, prev, entries, commit──> follower
//!        <──Success─────────────────────  it holds all of them
//!        <──Partial(upto)───────────────  it holds them up to here
//!        <──Conflict────────────────────  it holds something else at `prev`: begin further back
//!        <──HigherVote(vote)────────────  it follows another: this term is over
//! ```
//!
//! Neither side takes the other's word for what openraft builds on: entries that do not follow each other are malformed, and a reply
//! is held against the [`AppendSpan`] of what was sent.

use mesh_model::codec::CodecError;
use mesh_model::{Edition, Term};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use serde::{Deserialize, Serialize};

use super::MAX_APPEND;
use crate::raft::records::{EntryRecord, LogIdRecord, VoteRecord};
use crate::raft::types::{Entry, LogId, Types, Vote};

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
    pub(in crate::raft) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The edition it takes to read it: that of its newest entry.
    pub(super) fn edition(&self) -> Edition {
        let entries = self.entries.iter().map(EntryRecord::edition);
        entries.max().unwrap_or(Edition::FIRST)
    }

    /// The term of the leader it is from.
    pub(in crate::raft) fn term(&self) -> Term {
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
