//! One decision.

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use crate::id::{AdminId, InviteId, LogIndex, MemberId};
use crate::key::{IdentityKey, TunnelKey};
use crate::trust::{Misconduct, Name, Reason, Tag};

/// Something that changed the agreed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands in the log.
    pub index: LogIndex,
    /// When, in milliseconds since the Unix epoch, by the state's clock.
    pub at_ms: u64,
    /// Who decided.
    pub by: Actor,
    /// What.
    pub event: Event,
}

// The tags of a member and the ids of 32 reporters are the longest, 340 bytes at most; the rest is room for events to come. Old entries keep their hashes
// only as long as this encoding keeps its version: kinds are added at the end, fields never.
crate::message!(Entry, "audit entry", version 1, limit 512);

/// What changed. New kinds go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An invite was made.
    InviteAdded {
        /// Which.
        invite: InviteId,
        /// How many it may admit.
        uses: u32,
        /// Until when, in milliseconds since the Unix epoch.
        expires_ms: u64,
    },
    /// A host came in.
    Admitted {
        /// The id it got.
        member: MemberId,
        /// Its name.
        name: Name,
    },
    /// A member left.
    Departed {
        /// Who.
        member: MemberId,
    },
    /// A member was banned.
    Banned {
        /// Who.
        member: MemberId,
        /// When that ends by itself, in milliseconds since the Unix epoch; `None`: it does not.
        until_ms: Option<u64>,
        /// Why.
        reason: Option<Reason>,
    },
    /// A member was pardoned.
    Pardoned {
        /// Who.
        member: MemberId,
    },
    /// A member was removed by an admin.
    Removed {
        /// Who.
        member: MemberId,
    },
    /// The time of a member's ban or exclusion was over.
    BanLapsed {
        /// Whose.
        member: MemberId,
    },
    /// Who shall vote was said anew.
    VotersSet {
        /// The policy's serial.
        serial: u64,
    },
    /// An invite was taken back.
    InviteRevoked {
        /// Which.
        invite: InviteId,
    },
    /// The mesh has one admin more.
    AdminAdded {
        /// Its id.
        admin: AdminId,
        /// What it is called.
        name: Name,
        /// What it signs with.
        key: IdentityKey,
    },
    /// The mesh has one admin less.
    AdminRemoved {
        /// Who is none any more.
        admin: AdminId,
        /// Whether the invites it made admit nobody any more.
        invites_revoked: bool,
    },
    /// How many admins have to sign a change of admins was said anew.
    AdminThreshold {
        /// So many.
        threshold: u8,
    },
    /// A member's tags were said anew.
    Tagged {
        /// Whose.
        member: MemberId,
        /// The statement's serial.
        serial: u64,
        /// All it has now.
        tags: Vec<Tag>,
    },
    /// Who may reach whom was said anew.
    AccessSet {
        /// The policy's serial.
        serial: u64,
        /// How many rules it has.
        rules: u32,
    },
    /// The mesh went on without a majority.
    EpochBegan {
        /// The epoch's number.
        number: u64,
        /// The last entry it went on from.
        from: LogIndex,
        /// Whose log that was, and who alone voted at first.
        voter: MemberId,
        /// Why.
        reason: Option<Reason>,
    },
    /// A member was shut out for a time, on the word of other members.
    Excluded {
        /// Who.
        member: MemberId,
        /// When that ends by itself, in milliseconds since the Unix epoch.
        until_ms: u64,
        /// How many lineages could have reported it; each of those who did is of another one.
        lineages: u32,
        /// What it was reported for, in ascending order.
        misconduct: Vec<Misconduct>,
    },
    /// A member has another WireGuard key.
    Rekeyed {
        /// Who.
        member: MemberId,
        /// How often it had one, with this time.
        serial: u64,
        /// The key it has now.
        key: TunnelKey,
    },
}

impl Event {
    /// The names of all kinds, as the local API and the command line write them.
    pub const KINDS: [&str; 17] = [
        "invite_added",
        "admitted",
        "departed",
        "banned",
        "pardoned",
        "removed",
        "ban_lapsed",
        "voters_set",
        "invite_revoked",
        "admin_added",
        "admin_removed",
        "admin_threshold",
        "tagged",
        "access_set",
        "epoch_began",
        "excluded",
        "rekeyed",
    ];

    /// The name of this kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InviteAdded { .. } => Self::KINDS[0],
            Self::Admitted { .. } => Self::KINDS[1],
            Self::Departed { .. } => Self::KINDS[2],
            Self::Banned { .. } => Self::KINDS[3],
            Self::Pardoned { .. } => Self::KINDS[4],
            Self::Removed { .. } => Self::KINDS[5],
            Self::BanLapsed { .. } => Self::KINDS[6],
            Self::VotersSet { .. } => Self::KINDS[7],
            Self::InviteRevoked { .. } => Self::KINDS[8],
            Self::AdminAdded { .. } => Self::KINDS[9],
            Self::AdminRemoved { .. } => Self::KINDS[10],
            Self::AdminThreshold { .. } => Self::KINDS[11],
            Self::Tagged { .. } => Self::KINDS[12],
            Self::AccessSet { .. } => Self::KINDS[13],
            Self::EpochBegan { .. } => Self::KINDS[14],
            Self::Excluded { .. } => Self::KINDS[15],
            Self::Rekeyed { .. } => Self::KINDS[16],
        }
    }

    /// Whether the mesh's clock goes by the stamp of such an entry: it was held against a time that
    /// an admin signed. A goodbye, a ruling, who shall vote, who is an admin, a revocation, tags, a policy, an epoch and a key say
    /// nothing about time, and members that report another do not set the mesh's clock.
    pub fn tells_time(&self) -> bool {
        match self {
            Self::InviteAdded { .. } | Self::Admitted { .. } | Self::BanLapsed { .. } => true,
            Self::Departed { .. }
            | Self::Banned { .. }
            | Self::Pardoned { .. }
            | Self::Removed { .. }
            | Self::VotersSet { .. }
            | Self::InviteRevoked { .. }
            | Self::AdminAdded { .. }
            | Self::AdminRemoved { .. }
            | Self::AdminThreshold { .. }
            | Self::Tagged { .. }
            | Self::AccessSet { .. }
            | Self::EpochBegan { .. }
            | Self::Excluded { .. }
            | Self::Rekeyed { .. } => false,
        }
    }
}
