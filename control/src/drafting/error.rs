//! Why something cannot be put into words.

use ipnet::Ipv4Net;
use mesh_model::MemberId;
use mesh_model::api::v1::ErrorCode;
use mesh_model::trust::{
    AccessBound, MAX_BAN_MS, MAX_INVITE_LIFETIME_MS, MAX_INVITE_USES, MAX_TAGS, Name, Tag,
};

use super::MIN_INVITE_DIGITS;
use crate::access::WordsError;

/// What was asked for is no statement an admin could make in this mesh. Always the fault of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Nobody is called so.
    #[error("there is no member `{0}`")]
    UnknownMember(String),
    /// The host that was asked.
    #[error("that is this host itself")]
    ThisHost,
    /// There is no ban to end.
    #[error("{0} ({1}) is not banned")]
    NotBanned(Name, MemberId),
    /// A ban that ends at once, or later than a ban may.
    #[error(
        "`for_s` is {0}; a ban that ends by itself lasts 1 to {most} seconds",
        most = MAX_BAN_MS / 1000
    )]
    BanTime(u64),
    /// Not a number of members that can vote.
    #[error("`target` is {0}; 1, 3, 5 or 7 members can vote")]
    VoterTarget(u8),
    /// No present admin is called so.
    #[error("there is no admin `{0}`")]
    UnknownAdmin(String),
    /// One admin's name and another's id.
    #[error("`{0}` is the name of one admin and the id of another")]
    EitherAdmin(String),
    /// Too little of an invite's id.
    #[error(
        "`invite` is `{0}`; at least the first {MIN_INVITE_DIGITS} digits of its id are needed"
    )]
    InviteDigits(String),
    /// No invite's id begins so.
    #[error("there is no invite `{0}`")]
    UnknownInvite(String),
    /// Several do.
    #[error("several invites begin with `{0}`")]
    EitherInvite(String),
    /// An invite for nobody, or for more than one may be.
    #[error("`uses` is {0}; an invite admits 1 to {MAX_INVITE_USES} hosts")]
    InviteUses(u32),
    /// An invite that ends at once, or later than one may.
    #[error(
        "`lifetime_s` is {0}; an invite is valid for 1 to {most} seconds",
        most = MAX_INVITE_LIFETIME_MS / 1000
    )]
    InviteLifetime(u64),
    /// Addresses the mesh does not have.
    #[error("{range} is no part of the mesh's prefix {prefix}")]
    InviteRange {
        /// What was asked for.
        range: Ipv4Net,
        /// What there is.
        prefix: Ipv4Net,
    },
    /// A tag to be given and taken.
    #[error("{0} is to be given and taken at once")]
    EitherTag(Tag),
    /// More tags than a member may have.
    #[error("{whom} would have {tags} tags; a member has at most {MAX_TAGS}")]
    TooManyTags {
        /// Who.
        whom: String,
        /// How many.
        tags: usize,
    },
    /// Rules that are not understood.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// A policy beyond its bounds.
    #[error("the policy is out of bounds: {0}")]
    Bounds(#[from] AccessBound),
}

impl DraftError {
    /// What the local API calls it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownMember(_) => ErrorCode::UnknownMember,
            Self::BanTime(_)
            | Self::VoterTarget(_)
            | Self::InviteDigits(_)
            | Self::InviteUses(_)
            | Self::InviteLifetime(_)
            | Self::EitherTag(_)
            | Self::Words(_)
            | Self::Bounds(_) => ErrorCode::BadRequest,
            Self::ThisHost
            | Self::NotBanned(..)
            | Self::UnknownAdmin(_)
            | Self::EitherAdmin(_)
            | Self::UnknownInvite(_)
            | Self::EitherInvite(_)
            | Self::InviteRange { .. }
            | Self::TooManyTags { .. } => ErrorCode::Refused,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownMember(_) => "`mesh peers` lists names, ids and addresses",
            Self::ThisHost => "to take this host out of the mesh, run `mesh leave`",
            Self::NotBanned(..) => "`mesh bans` lists who is",
            Self::BanTime(_) => "leave it out to ban for good",
            Self::VoterTarget(_) => {
                "an even number needs a larger majority and survives no more failures"
            }
            Self::UnknownAdmin(_) => "`mesh admin list` shows who they are",
            Self::EitherAdmin(_) => "use the other of the two: `mesh admin list` shows both",
            Self::InviteDigits(_) | Self::UnknownInvite(_) | Self::EitherInvite(_) => {
                "`mesh invites` lists them with their ids"
            }
            Self::InviteUses(_) => "make a second invite for more",
            Self::InviteLifetime(_) | Self::EitherTag(_) => "",
            Self::InviteRange { .. } => "name a part of it, or leave the range out",
            Self::TooManyTags { .. } => "take some away with `--remove`",
            Self::Words(error) => error.reason.hint(),
            Self::Bounds(_) => "tags say in one word what would take many names",
        }
    }
}
