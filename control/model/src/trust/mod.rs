//! The trust chain: root key -> admin -> invite -> member record.
//!
//! A mesh begins with a root key, made by `mesh init`. The root signs the [`Genesis`] and is the first admin; who is one
//! besides, or in its place, enough admins say in an [`AdminChange`]. What is said for the mesh, one admin signs: every
//! [`Invite`], and each other [`AdminStatement`]. An invite carries a key of its own; whoever holds the invite's secret (it
//! travels in the join [`Token`]) may sign a [`MemberRecord`] with it, and the record also carries the joiner's
//! own signature, which proves that it holds the identity it claims. A member signs its own
//! [`Departure`], and each [`Rekey`] of its tunnels, and what it says against another is a [`Report`]; what becomes of one against its will is a [`Verdict`] of an admin, who shall vote its
//! [`VoterPolicy`], how members are labelled a [`Tagging`], and who may reach whom an [`AccessPolicy`]. Voters order these
//! statements; they cannot make them. Where too many voters are gone for that, admins begin another [`Epoch`].
//!
//! ```text
//! root ──signs──> Genesis (founder's record inside)
//! admins ─k sign─> AdminChange: one admin more, one less
//!   └────k sign──> Epoch: the mesh goes on without its majority
//! admin ──signs──> Invite{key} ──key signs──> MemberRecord{identity} <──identity signs── joiner
//!   ├─────signs──> Revocation: that invite admits nobody any more
//!   └─────signs──> Verdict: banned, pardoned, removed
//! ```

mod access;
mod admin;
mod departure;
mod epoch;
mod genesis;
mod invite;
mod name;
mod policy;
mod record;
mod region;
mod rekey;
mod report;
mod request;
mod revocation;
mod share;
mod statement;
mod tag;
mod token;
mod verdict;

pub use access::{AccessBound, AccessPolicy, MAX_RULES, MAX_TERMS};
pub use admin::{
    AdminChange, AdminStep, AdminsHead, AdminsHeadError, MAX_ADMIN_CHANGES, MAX_ADMINS,
};
pub use departure::Departure;
pub use epoch::{EPOCH_LEAP, Epoch, EpochHead, EpochHeadError, EpochId, MAX_EPOCHS};
pub use genesis::{Genesis, MeshRoot};
pub use invite::{Invite, MAX_INVITE_LIFETIME_MS, MAX_INVITE_USES};
pub use name::{MAX_NAME_LEN, Name, NameError};
pub use policy::{MAX_WISHES, VoterPolicy, VoterTarget, Wish};
pub use record::{Admission, MemberRecord};
pub use region::{Region, RegionError};
pub use rekey::Rekey;
pub use report::{Misconduct, MisconductError, REPORT_LIFETIME_MS, REPORT_SKEW_MS, Report};
pub use request::{MAX_REQUEST_LEN, Request, RequestError};
pub use revocation::Revocation;
pub use share::{MAX_SHARE_FILE, MAX_SHARES, MIN_THRESHOLD, RootShare, ShareError};
pub use statement::AdminStatement;
pub use tag::{MAX_TAG_LEN, MAX_TAGS, Tag, TagError, Tagging};
pub use token::{Bootstrap, MAX_BOOTSTRAPS, MAX_TOKEN_LEN, Token, TokenError};
pub use verdict::{MAX_BAN_MS, MAX_REASON_LEN, Reason, ReasonError, Ruling, Verdict};

use crate::audit::Break;
use crate::signed::SignedError;

/// Why a statement about the mesh's members is not believed. Always the speaker's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A signature of the chain does not hold.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// The statement belongs to another mesh.
    #[error("made for another mesh")]
    OtherMesh,
    /// The mesh id is not that of the root key.
    #[error("the mesh id is not that of the root key")]
    RootMismatch,
    /// The joiner did not prove that it holds the identity it claims.
    #[error("the record is not signed by the identity it claims")]
    NotOwnIdentity,
    /// The invite id is not that of the invite's key.
    #[error("the invite's id is not that of its key")]
    InviteMismatch,
    /// Statements that may each be genuine but cannot stand together, or that no correct member
    /// would have accepted.
    #[error("the statements contradict each other: {0}")]
    Contradiction(&'static str),
    /// What is told of the past does not fit together.
    #[error("the audit trail does not hold: {0}")]
    Audit(#[from] Break),
}
