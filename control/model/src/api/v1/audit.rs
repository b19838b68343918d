//! The audit trail: who decided what, and the hashes to check it by.
//!
//! Always the whole of what is kept, which is bounded ([`MAX_ENTRIES`](crate::audit::MAX_ENTRIES)): a part of a chain proves
//! nothing, so looking for something in it is left to whoever reads it. Everything the document says is covered by
//! the root's signature or by the chain, but for [`contents`](Audit::contents), [`members`](Audit::members) and
//! [`admins`](Audit::admins), which are there to be read.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::admin::AdminName;
use super::document::Schema;
use super::invite::MemberName;
use super::policy::PolicyRule;
use super::voters::VoterWish;
use crate::audit::{Actor, AuditHash, Beginning, Break, Entry, Event, Link, verify};
use crate::id::{AdminId, InviteId, LogIndex, MemberId, MeshId};
use crate::key::{IdentityKey, TunnelKey};
use crate::trust::{ChainError, Genesis, MeshRoot, Misconduct, Name, Reason, Tag};

/// What was said where an entry of the trail only tells that something was, as the answering host remembers it. A signed statement
/// of an admin's each, and found by its place in the log; the chain itself does not cover it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditContent {
    /// The entry's place in the log.
    pub index: LogIndex,
    /// What was said.
    #[serde(flatten)]
    pub said: AuditSaid,
}

/// What an admin said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum AuditSaid {
    /// What those get that an invite admits.
    Invite {
        /// Where their addresses come from; `None`: from the whole of the mesh's prefix.
        range: Option<Ipv4Net>,
        /// The right to vote.
        voter: bool,
        /// Their tags.
        tags: BTreeSet<Tag>,
    },
    /// Who shall vote.
    Voters {
        /// How many; `None` when the mesh chooses.
        target: Option<u8>,
        /// What is wanted of single members.
        wishes: Vec<MemberWish>,
    },
    /// Who may reach whom.
    Access {
        /// What is allowed, with the members' names of today.
        rules: Vec<PolicyRule>,
    },
    /// What a newer daemon says and this program does not know.
    #[serde(other)]
    Unknown,
}

/// What is wanted of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberWish {
    /// Which.
    pub member: MemberId,
    /// What.
    pub wish: VoterWish,
}

/// The trail of a mesh. `E` is what an entry is read as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit<E = AuditEntry> {
    /// The mesh.
    pub mesh: MeshId,
    /// Its root key, which the mesh's id vouches for.
    pub root: IdentityKey,
    /// The genesis it signed, in base64: what the chain hangs from.
    pub genesis: Beginning,
    /// The hash before the first of `entries`; that of the genesis while nothing was dropped.
    pub before_hash: AuditHash,
    /// The decisions, oldest first.
    pub entries: Vec<E>,
    /// The hash of everything decided so far; that of the last entry, if there is one. To be compared with another
    /// member's.
    pub head_hash: AuditHash,
    /// What some of them only refer to, oldest first, as far as it is remembered: of invites and of policies on who may reach whom
    /// those that the mesh still knows, of policies on who votes the one that stands.
    #[serde(default)]
    pub contents: Vec<AuditContent>,
    /// What present members are called, by id: the entry of an admission makes room for later ones before the member is gone.
    #[serde(default)]
    pub members: Vec<MemberName>,
    /// What those are called who are, or were, admins, by id.
    #[serde(default)]
    pub admins: Vec<AdminName>,
}

impl<E> Schema for Audit<E> {
    const SCHEMA: &'static str = "mesh.audit/v1";
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Where it stands in the log.
    pub index: LogIndex,
    /// When, in milliseconds since the Unix epoch, by the mesh's clock.
    pub at_ms: u64,
    /// Who decided: `who` and what belongs to it.
    #[serde(with = "ActorFields")]
    pub by: Actor,
    /// What: `kind` and what belongs to it.
    #[serde(flatten, with = "EventFields")]
    pub event: Event,
    /// The hash of the trail up to and with this entry.
    pub hash: AuditHash,
}

/// [`Actor`] as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Actor", tag = "who", rename_all = "snake_case")]
enum ActorFields {
    Root,
    Joiner { invite: InviteId, member: MemberId },
    Member { member: MemberId },
    Time,
    Admins { admins: Vec<AdminId> },
    Members { members: Vec<MemberId> },
}

/// [`Event`] as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Event", tag = "kind", rename_all = "snake_case")]
enum EventFields {
    InviteAdded { invite: InviteId, uses: u32, expires_ms: u64 },
    Admitted { member: MemberId, name: Name },
    Departed { member: MemberId },
    Banned { member: MemberId, until_ms: Option<u64>, reason: Option<Reason> },
    Pardoned { member: MemberId },
    Removed { member: MemberId },
    BanLapsed { member: MemberId },
    VotersSet { serial: u64 },
    InviteRevoked { invite: InviteId },
    AdminAdded { admin: AdminId, name: Name, key: IdentityKey },
    AdminRemoved { admin: AdminId, invites_revoked: bool },
    AdminThreshold { threshold: u8 },
    Tagged { member: MemberId, serial: u64, tags: Vec<Tag> },
    AccessSet { serial: u64, rules: u32 },
    EpochBegan { number: u64, from: LogIndex, voter: MemberId, reason: Option<Reason> },
    Excluded { member: MemberId, until_ms: u64, lineages: u32, misconduct: Vec<Misconduct> },
    Rekeyed { member: MemberId, serial: u64, key: TunnelKey },
}

impl From<Link> for AuditEntry {
    fn from(Link { entry, hash }: Link) -> Self {
        let Entry { index, at_ms, by, event } = entry;
        Self { index, at_ms, by, event, hash }
    }
}

impl From<AuditEntry> for Link {
    fn from(AuditEntry { index, at_ms, by, event, hash }: AuditEntry) -> Self {
        Self { entry: Entry { index, at_ms, by, event }, hash }
    }
}

impl Audit {
    /// How the mesh began, if the document holds: the root key signed the genesis, the chain can have begun there, and
    /// it leads to the head. See [`crate::audit`] for what that cannot show.
    pub fn verify(&self) -> Result<Genesis, ChainError> {
        let root = MeshRoot { mesh: self.mesh, key: self.root };
        let genesis = Genesis::verify(&self.genesis.0, &root)?;
        let links: Vec<Link> = self.entries.iter().cloned().map(Link::from).collect();
        let head = verify(self.genesis.hash(), self.before_hash, links.iter())?;
        if head != self.head_hash {
            return Err(Break::Head(self.entries.last().map_or(0, |last| last.index)).into());
        }
        Ok(genesis)
    }
}
