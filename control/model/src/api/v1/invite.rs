//! Documents about invites that were made: list, revoke.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::ban::{AppliedBy, Bans};
use super::document::schema;
use crate::id::{InviteId, LogIndex, MemberId};
use crate::key::IdentityKey;
use crate::trust::{AdminsHead, Bootstrap, Name, Tag};

/// Whether an invite admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InviteState {
    /// It does.
    Open,
    /// All its uses are spent.
    Used,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// A member by id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberName {
    /// Its id.
    pub member: MemberId,
    /// Its name.
    pub name: Name,
}

/// An invite the mesh remembers. Its secret is nowhere but in the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteInfo {
    /// Its id.
    pub invite: InviteId,
    /// Whether it admits, by the asked host's clock.
    pub state: InviteState,
    /// How many hosts it may admit.
    pub uses: u32,
    /// How many it has admitted, those that have left since included.
    pub used: u32,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// Where the addresses of those it admits come from; `None`: from the whole of the mesh's prefix.
    #[serde(default)]
    pub range: Option<Ipv4Net>,
    /// Whether those it admits have the right to vote. It counts from the third member that has it: then only they vote.
    #[serde(default)]
    pub voter: bool,
    /// The members it admitted that have a place in the mesh, banned ones included.
    pub members: Vec<MemberName>,
    /// What those it admits are tagged with.
    #[serde(default)]
    pub tags: BTreeSet<Tag>,
}

impl InviteInfo {
    /// Whom to ban when it is taken back with those it admitted, and who of them is left out.
    ///
    /// They are to be banned for good, so a ban that ends by itself or an exclusion is none yet. Left out is `asked`, the
    /// host that has all this agreed: its tunnels would end with its own ban, and nothing could be agreed after that.
    pub fn to_ban(
        &self,
        bans: &Bans,
        asked: Option<MemberId>,
    ) -> (Vec<MemberName>, Option<MemberName>) {
        let is_banned = |member: &MemberName| {
            bans.bans.iter().any(|ban| ban.member == member.member && ban.until_ms.is_none())
        };
        let members = self.members.iter().filter(|member| !is_banned(member)).cloned();
        let (mut asked, others): (Vec<_>, _) =
            members.partition(|member| Some(member.member) == asked);
        (others, asked.pop())
    }
}

/// The invites the mesh remembers, the newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invites {
    /// The invites.
    pub invites: Vec<InviteInfo>,
    /// Up to where this host has applied the log.
    pub applied: LogIndex,
}

/// Take an invite back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// Its id, or the first digits of it that no other has.
    pub invite: String,
    /// Ban the members it admitted too.
    #[serde(default)]
    pub with_members: bool,
    /// Answer only when every member has applied it, or this many milliseconds are over.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// The invite admits nobody any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeReply {
    /// Which.
    pub invite: InviteId,
    /// The members that were banned with it.
    pub banned: Vec<MemberName>,
    /// The host that was asked, if it came in by it too: it is not banned.
    #[serde(default)]
    pub left_out: Option<MemberName>,
    /// Where the last of that stands in the log.
    pub index: LogIndex,
    /// Who has applied it; `None` when nobody waited for that.
    pub applied_by: Option<AppliedBy>,
}

/// Ask for a token, but for its secret, of an invite that is agreed. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Which invite.
    pub invite: InviteId,
    /// Where a joiner finds the asked host, best first; what it knows of itself when empty.
    #[serde(default)]
    pub endpoints: Vec<SocketAddr>,
}

/// What a token says besides the invite's secret, which is only with whoever drew it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenParts {
    /// The mesh's root key.
    pub root: IdentityKey,
    /// The admin that signed the invite.
    pub admin: IdentityKey,
    /// What stands for the admins, as the asked host knows them.
    pub admins: AdminsHead,
    /// The invite with that signature, in base64 as in [`Draft`](super::Draft).
    pub invite: String,
    /// The members to ask, best first.
    pub bootstraps: Vec<Bootstrap>,
}

schema! {
    TokenParts => "mesh.token_parts/v1",
    Invites => "mesh.invites/v1",
    RevokeReply => "mesh.revoked/v1",
}
