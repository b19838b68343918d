//! Why a proposal changed nothing: the same on every member, and in words that its proposer can do something with.

use mesh_model::signed::SignedError;
use mesh_model::trust::{AccessBound, ChainError, MAX_ADMIN_CHANGES, MAX_ADMINS, MAX_TAGS, Name};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{AdminId, IdentityKey, InviteId, LogIndex, MemberId};
use serde::{Deserialize, Serialize};

use crate::state::exclusions::{MAX_EXCLUDED, MAX_REMEMBERED};
use crate::state::rekeying::MOST_A_DAY;

/// The longest text a refusal carries, in bytes. What a decoder says may quote what a stranger sent,
/// and an outcome has to fit its message.
const MAX_REASON: usize = 256;

/// Why a proposal changed nothing. Always the fault of whoever signed or proposed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// A host may not come in.
    #[error(transparent)]
    Join(JoinRefusal),
    /// An invite's, departure's, verdict's or policy's signature does not hold.
    #[error("the statement's signatures do not hold: {0}")]
    Chain(String),
    /// An invite that could never admit anyone, or too many for too long.
    #[error("the invite's {0} is out of bounds")]
    InviteBounds(InviteField),
    /// The invite's time was over before it was agreed.
    #[error("the invite has already expired")]
    InviteExpired,
    /// An invite with the same key but other terms stands.
    #[error("another invite with the same key exists")]
    InviteExists,
    /// The mesh remembers as many invites as it can.
    #[error("the mesh has {0} invites, the most it can hold; wait for some to expire")]
    TooManyInvites(usize),
    /// Nobody has, or had, this id.
    #[error("there is no member {0}")]
    UnknownMember(MemberId),
    /// The index was used before: the log was applied twice or out of order. A bug in the caller.
    #[error("log index {0} was applied before")]
    IndexReused(LogIndex),
    /// A verdict as late or later stands.
    #[error("a later verdict about {member} stands, with serial {serial}")]
    Overruled {
        /// About whom.
        member: MemberId,
        /// The serial of the one that stands.
        serial: u64,
    },
    /// The verdict was made about somebody else with this id.
    #[error("the verdict's identity is not that of {0}")]
    OtherIdentity(MemberId),
    /// There is no ban to end.
    #[error("{0} is not banned")]
    NotBanned(MemberId),
    /// The ban's time is not over.
    #[error("the ban of {0} is not over")]
    StillBanned(MemberId),
    /// A policy on who votes that is not later than the one that stands.
    #[error("a later policy on who votes, number {0}, stands already")]
    StalePolicy(u64),
    /// A policy with wishes about too many members.
    #[error("the policy has wishes about {0} members, more than it may")]
    TooManyWishes(usize),
    /// The mesh does not remember such an invite.
    #[error("the mesh knows no invite {0}; it has expired long ago, or never was")]
    NoSuchInvite(InviteId),
    /// A change of admins that cannot be made.
    #[error(transparent)]
    Admins(#[from] AdminRefusal),
    /// A statement about a member's tags that is not later than the one that stands.
    #[error("a later statement about the tags of {member}, number {serial}, stands already")]
    StaleTags {
        /// Whose tags.
        member: MemberId,
        /// The serial of the one that stands.
        serial: u64,
    },
    /// More tags than a member may have.
    #[error("{0} tags are too many; a member has at most {MAX_TAGS}")]
    TooManyTags(usize),
    /// A policy on who may reach whom that is not later than the one that stands.
    #[error("a later policy on who may reach whom, number {0}, stands already")]
    StaleAccess(u64),
    /// A policy on who may reach whom that is beyond its bounds.
    #[error("the policy is out of bounds: {0}")]
    AccessBounds(AccessBound),
    /// A serial so far ahead that few could follow it.
    #[error("its serial is {serial}, the most that may follow is {most}; is a clock wrong?")]
    SerialTooFar {
        /// The statement's.
        serial: u64,
        /// The highest that would do.
        most: u64,
    },
    /// An exclusion that cannot be.
    #[error(transparent)]
    Exclusion(#[from] ExclusionRefusal),
    /// A member's WireGuard key stays as it is.
    #[error(transparent)]
    Rekey(#[from] RekeyRefusal),
}

/// Why a member is not shut out on the word of others, or why a word does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ExclusionRefusal {
    /// By nobody that has a say.
    #[error("{0} reported it, which is no present member")]
    NoReporter(MemberId),
    /// A member reports itself.
    #[error("{0} reports itself; it can leave")]
    OfItself(MemberId),
    /// Too old, or from the future.
    #[error("the report of {0} is too old, or its clock is wrong")]
    NotFresh(MemberId),
    /// From before an admin ruled about the member.
    #[error("{0} reported it before an admin ruled about it")]
    BeforeRuling(MemberId),
    /// A report about somebody else.
    #[error("{0} reported another member")]
    OtherSubject(MemberId),
    /// Twice the same reporter, or not by ascending id.
    #[error("the report of {0} is out of order, or there twice")]
    OutOfOrder(MemberId),
    /// Two that came in by the same way.
    #[error("{0} came in by the same way as another reporter, which counts once")]
    SameLineage(MemberId),
    /// Not enough of them.
    #[error("members of {have} lineages report it; {needed} are needed")]
    TooFewReports {
        /// How many there are.
        have: usize,
        /// How many there have to be.
        needed: usize,
    },
    /// More than an exclusion needs.
    #[error("{0} reports are more than are ever needed")]
    TooManyReports(usize),
    /// It is out already.
    #[error("{0} is banned or excluded already")]
    IsOut(MemberId),
    /// Not so soon again.
    #[error("{0} was excluded a short time ago; for a day after that only an admin can put it out")]
    Pause(MemberId),
    /// Others are excluded.
    #[error(
        "{MAX_EXCLUDED} members are excluded, the most there may be at once; it takes an admin to put more out"
    )]
    TooManyAtOnce,
    /// Many were.
    #[error(
        "{MAX_REMEMBERED} members were excluded lately, the most a mesh remembers; it takes an admin to put more out"
    )]
    TooManyLately,
}

/// Why a member's WireGuard key stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RekeyRefusal {
    /// Not the next change after the last.
    #[error("the last change of the key of {member} has number {serial}, and this is not the next")]
    Stale {
        /// Whose key.
        member: MemberId,
        /// The serial of the one that stands.
        serial: u64,
    },
    /// It replaces a key that the member does not have.
    #[error("the key it replaces is not that of {0}")]
    OtherKey(MemberId),
    /// Somebody has the key, or had it before the one it has.
    #[error("the key is or was that of a member; every change needs a new one")]
    KeyUsed,
    /// No key that anybody may have.
    #[error("it is no key that keeps a secret")]
    Degenerate,
    /// The member is banned, or excluded.
    #[error("{0} is banned or excluded")]
    Banned(MemberId),
    /// It changed too often lately.
    #[error(
        "the key of {0} was changed {MOST_A_DAY} times within a day, which is as often as a key may be"
    )]
    TooOften(MemberId),
}

/// Why the admins stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AdminRefusal {
    /// It does not follow the last change, of which this is the number.
    #[error(
        "it was signed before the admins were last changed (change {0}); make and sign it again"
    )]
    Stale(u64),
    /// Signed by somebody who is no admin.
    #[error("the key {0} signed it, which is not that of an admin")]
    NoAdmin(IdentityKey),
    /// Not signed by enough of them.
    #[error("{have} of the {needed} signatures it needs are there")]
    TooFewSignatures {
        /// How many signed.
        have: usize,
        /// How many have to.
        needed: usize,
    },
    /// There are as many as there can be.
    #[error("there are {MAX_ADMINS} admins, the most a mesh can have; remove one first")]
    TooMany,
    /// They were changed as often as they can be.
    #[error("the admins were changed {MAX_ADMIN_CHANGES} times, the most a mesh remembers")]
    TooManyChanges,
    /// The key of somebody who is, or was, an admin.
    #[error("the key is or was that of an admin; every admin needs a key of its own")]
    KeyUsed,
    /// Another present admin is called so.
    #[error("another admin is called {0}")]
    NameTaken(Name),
    /// There is no such admin, or it is called otherwise.
    #[error("there is no admin {0} of that name")]
    Unknown(AdminId),
    /// Nobody would be left.
    #[error("the only admin cannot be removed; add another one first")]
    LastAdmin,
    /// Fewer would be left than have to sign.
    #[error(
        "fewer admins would be left than have to sign a change ({0}); lower the threshold first"
    )]
    BelowThreshold(u8),
    /// Nobody, or more than there are, would have to sign.
    #[error("{wanted} of {admins} admins cannot be asked to sign; 1 to {admins} can")]
    Threshold {
        /// How many were to sign.
        wanted: u8,
        /// How many there are.
        admins: usize,
    },
}

/// A field of an invite that has bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InviteField {
    /// [`uses`](mesh_model::trust::Invite::uses).
    Uses,
    /// From [`created_ms`](mesh_model::trust::Invite::created_ms) to [`expires_ms`](mesh_model::trust::Invite::expires_ms).
    Lifetime,
    /// [`range`](mesh_model::trust::Invite::range): no part of the mesh's prefix.
    Range,
}

impl std::fmt::Display for InviteField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uses => "number of uses",
            Self::Lifetime => "lifetime",
            Self::Range => "address range",
        })
    }
}

impl From<JoinRefusal> for Refusal {
    fn from(refusal: JoinRefusal) -> Self {
        Self::Join(refusal)
    }
}

impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Self {
        Self::Chain(reason(&error))
    }
}

impl From<SignedError> for Refusal {
    fn from(error: SignedError) -> Self {
        ChainError::from(error).into()
    }
}

/// What is wrong with a chain, short enough for an outcome.
pub(crate) fn reason(error: &ChainError) -> String {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(MAX_REASON));
    text
}
