//! Asking for votes: "vote for me", and before it "would you?", which changes nothing at the one asked.

use openraft::raft::{VoteRequest, VoteResponse};
use serde::{Deserialize, Serialize};

use crate::raft::records::{LogIdRecord, VoteRecord};
use crate::raft::types::Types;

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
