//! Joining: a stranger with a token asks a member, over QUIC on the underlay.
//!
//! The joiner checks that the member holds the identity its token names (TLS), sends one
//! [`JoinRequest`] on a fresh stream and reads one [`JoinReply`]. The member has the request agreed
//! and answers with the whole agreed state, which the joiner verifies from the root key up before it
//! believes a word.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::id::MemberId;
use crate::signed::Signed;
use crate::trust::{Admission, Genesis};

/// The ALPN protocol name (RFC 7301) of joining.
pub const ALPN: &[u8] = b"meshd-join/1";

/// "Let me in."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The joiner's record with both its signatures.
    pub admission: Admission,
}

crate::message!(JoinRequest, "join request", version 1, limit 1024);

/// Another member and where it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHint {
    /// Who.
    pub member: MemberId,
    /// Where the answering member reaches it; `None` for the answering member itself.
    pub endpoint: Option<SocketAddr>,
    /// What it says of itself, if anything was heard.
    pub facts: Option<Signed<Facts>>,
}

/// What an admitted host starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The id the mesh gave the joiner.
    pub member: MemberId,
    /// How the mesh began.
    pub genesis: Signed<Genesis>,
    /// The agreed state as a snapshot (`mesh-control` knows its format), at or after the admission.
    pub snapshot: Vec<u8>,
    /// Where the others are.
    pub peers: Vec<PeerHint>,
    /// The member that answered.
    pub answered_by: MemberId,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinReply {
    /// Admitted, now or by an earlier try.
    Welcome(Box<Welcome>),
    /// Refused by agreement: trying again will not help.
    Refused(JoinRefusal),
    /// Not decided: no supervisor could be reached. Try again.
    Unavailable,
}

crate::message!(JoinReply, "join reply", version 1, limit crate::codec::MAX_MESSAGE);

/// Why a joiner was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JoinRefusal {
    /// The mesh does not know the invite: made for another mesh, or forged.
    #[error("this mesh does not know the token's invite")]
    UnknownInvite,
    /// All its uses are spent.
    #[error("the token has already been used")]
    Used,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It was withdrawn.
    #[error("the token was revoked")]
    Revoked,
    /// A signature of the chain does not hold.
    #[error("the request's signatures do not hold: {0}")]
    Chain(String),
    /// Another present member has this name.
    #[error("the name `{0}` is taken")]
    NameTaken(String),
    /// Another member has this WireGuard key.
    #[error("the WireGuard key belongs to another member")]
    KeyTaken,
    /// This identity was a member and left; an identity joins once.
    #[error("this identity has left the mesh before; start with an empty state directory")]
    Departed,
    /// No IPv4 address is free.
    #[error("the mesh has no free address left in {0}")]
    AddressesExhausted(String),
    /// The mesh is full.
    #[error("the mesh has {0} members, the most it can hold")]
    Full(usize),
    /// This identity takes part in agreement already. Its host must go on with the store it has: with an
    /// empty one it could vote twice.
    #[error(
        "this identity already votes in the mesh; if its state was lost, start with an empty state \
         directory and a fresh token"
    )]
    AlreadyVotes,
    /// This identity is banned.
    #[error("this identity is banned from the mesh")]
    Banned,
}
