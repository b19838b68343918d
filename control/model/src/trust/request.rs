//! A statement on its way to the signatures it needs.
//!
//! ```text
//! a member's daemon            wherever a key is                a member's daemon
//! Request, unsigned ──file──> read out, signed ──file──> ... ──> proposed, agreed
//! ```
//!
//! Whoever signs has these bytes and nothing else to go by: what is read out before signing comes from them alone.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::{AccessPolicy, AdminChange, Epoch, Invite, Revocation, Tagging, Verdict, VoterPolicy};
use crate::codec::{self, CodecError, Message};
use crate::cosigned::Cosigned;
use crate::id::MeshId;
use crate::key::{IdentityKey, IdentitySecret};
use crate::signed::SignedError;

/// Something to be said for the mesh, with whatever signatures it has. New kinds go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// An invite.
    Invite(Cosigned<Invite>),
    /// A ruling about a member.
    Judge(Cosigned<Verdict>),
    /// Who shall vote.
    SetVoters(Cosigned<VoterPolicy>),
    /// The end of an invite.
    Revoke(Cosigned<Revocation>),
    /// Who the admins are.
    ChangeAdmins(Cosigned<AdminChange>),
    /// Which tags a member has.
    Tag(Cosigned<Tagging>),
    /// Who may reach whom.
    SetAccess(Cosigned<AccessPolicy>),
    /// A new epoch. Not for a daemon to propose: `mesh recover` carries it out where none runs.
    BeginEpoch(Cosigned<Epoch>),
}

// A policy on who may reach whom is the longest statement, 20 KiB; sixteen signatures take 1.5.
crate::message!(Request, "request", version 1, limit 22 << 10);

/// Text that is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Longer than [`MAX_REQUEST_LEN`].
    #[error("the request has {0} characters; the longest has {MAX_REQUEST_LEN}")]
    TooLong(usize),
    /// Other characters, or cut off.
    #[error("the request is not base64")]
    NotBase64,
    /// Other bytes.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The same for every kind of statement.
macro_rules! each {
    ($request:expr, $cosigned:ident => $answer:expr) => {
        match $request {
            Request::Invite($cosigned) => $answer,
            Request::Judge($cosigned) => $answer,
            Request::SetVoters($cosigned) => $answer,
            Request::Revoke($cosigned) => $answer,
            Request::ChangeAdmins($cosigned) => $answer,
            Request::Tag($cosigned) => $answer,
            Request::SetAccess($cosigned) => $answer,
            Request::BeginEpoch($cosigned) => $answer,
        }
    };
}

impl Request {
    /// Adds the signature of `secret`. `false` when it has all it can have.
    pub fn sign(&mut self, secret: &IdentitySecret) -> bool {
        each!(self, cosigned => cosigned.sign(secret))
    }

    /// Whose signatures are there, in ascending order.
    pub fn signers(&self) -> Vec<IdentityKey> {
        each!(self, cosigned => cosigned.signers().copied().collect())
    }

    /// Fails when one of its signatures does not hold, or nobody can tell what it says.
    pub fn check(&self) -> Result<(), SignedError> {
        each!(self, cosigned => cosigned.open().map(drop))
    }

    /// The mesh it is for.
    pub fn mesh(&self) -> Result<MeshId, CodecError> {
        Ok(each!(self, cosigned => cosigned.peek()?.mesh))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&codec::encode(self)))
    }
}

impl FromStr for Request {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        if text.len() > MAX_REQUEST_LEN {
            return Err(RequestError::TooLong(text.len()));
        }
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| RequestError::NotBase64)?;
        Ok(codec::decode(&bytes)?)
    }
}

/// The longest text of a request.
pub const MAX_REQUEST_LEN: usize = Request::LIMIT.div_ceil(3) * 4;
