//! Having another lead: a member asks the leader for it, and the leader tells the voters who comes next.

use mesh_model::{MemberId, Term};
use openraft::raft::{TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse};
use serde::{Deserialize, Serialize};

use crate::raft::records::{LogIdRecord, VoteRecord};
use crate::raft::transfer::HandOverRefusal;
use crate::raft::types::Types;

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
