//! What the mesh agrees on, one entry of the log at a time.
//!
//! A [`Command`] is a statement somebody signed; a [`Proposal`] is that statement with the time the
//! leader read. Voters put proposals in an order and every member applies them in that order; the
//! [`Outcome`] is the same everywhere. A refusal is an outcome too and
//! changes nothing; one that anybody could provoke does not even get a place in the log.
//!
//! Commands are idempotent by what they are about (an invite's id, a joiner's identity, a member, a serial):
//! repeating one yields the outcome of the first. So whoever lost an answer just asks again, and no
//! serial numbers have to be remembered.

mod refusal;

use mesh_model::codec::Message;
use mesh_model::trust::{
    AccessPolicy, AdminChange, Admission, Departure, Invite, Rekey, Report, Revocation, Tagging,
    Verdict, VoterPolicy,
};
use mesh_model::{Cosigned, Edition, InviteId, MemberId, OverlayAddrs, Signed};
use serde::{Deserialize, Serialize};

pub(crate) use refusal::reason;
pub use refusal::{AdminRefusal, ExclusionRefusal, InviteField, Refusal, RekeyRefusal};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// When it was proposed, in milliseconds since the Unix epoch, by the clock of the leader, who
    /// overwrites what the proposer put here. The only time the state machine knows.
    pub at_ms: u64,
    /// What is proposed.
    pub command: Command,
}

/// The newest edition this build reads and writes.
pub const NEWEST: Edition = Edition(if cfg!(feature = "next") { 2 } else { 1 });

impl Message for Proposal {
    const NAME: &'static str = "proposal";
    const VERSION: u8 = NEWEST.0;
    const OLDEST: u8 = Edition::FIRST.0;
    // A policy on who may reach whom is the largest command, 20 KiB at most.
    const LIMIT: usize = 21 << 10;

    fn version(&self) -> u8 {
        self.command.edition().0
    }
}

/// A change to the agreed state. New kinds go to the end: the log keeps the old numbers. Each says which [edition](Edition) brought
/// it, and is proposed only where all read that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Let the holder of an invite's secret bring members in. Signed by an admin.
    Invite(Signed<Invite>),
    /// Let a host in. Signed by its invite and by its own identity.
    Admit(Admission),
    /// Let a member go. Signed by that member.
    Depart {
        /// Who leaves; must be the one inside the signature.
        member: MemberId,
        /// Its own goodbye.
        departure: Signed<Departure>,
    },
    /// Ban a member, pardon it, or remove it for good. Signed by an admin.
    Judge(Signed<Verdict>),
    /// A ban's time is over. Needs no signature: its end is in the verdict.
    Lapse(MemberId),
    /// Say who shall vote. Signed by an admin.
    SetVoters(Signed<VoterPolicy>),
    /// Take an invite back. Signed by an admin.
    Revoke(Signed<Revocation>),
    /// Change who the admins are. Signed by as many of them as they have agreed on.
    ChangeAdmins(Cosigned<AdminChange>),
    /// Say which tags a member has. Signed by an admin.
    Tag(Signed<Tagging>),
    /// Say who may reach whom. Signed by an admin.
    SetAccess(Signed<AccessPolicy>),
    /// Shut a member out for a time. Signed by members of a quorum of lineages, each for itself.
    Exclude {
        /// Whom; must be the one inside each report.
        subject: MemberId,
        /// What they say, by ascending reporter.
        reports: Vec<Signed<Report>>,
    },
    /// Have another WireGuard key. Signed by the member whose it is.
    Rekey(Signed<Rekey>),
    /// Go on to the next edition, of which this is all there is: for tests in which members of two run together.
    #[cfg(feature = "next")]
    Trial(u64),
}

impl Command {
    /// The edition it takes to apply it: the one that brought it, or a later one that brought the version of the statement in it.
    /// Builds that differ in whether they understand a statement would otherwise differ in the state.
    pub fn edition(&self) -> Edition {
        match self {
            Self::Invite(_)
            | Self::Admit(_)
            | Self::Depart { .. }
            | Self::Judge(_)
            | Self::Lapse(_)
            | Self::SetVoters(_)
            | Self::Revoke(_)
            | Self::ChangeAdmins(_)
            | Self::Tag(_)
            | Self::SetAccess(_)
            | Self::Exclude { .. }
            | Self::Rekey(_) => Edition::FIRST,
            #[cfg(feature = "next")]
            Self::Trial(_) => Edition(2),
        }
    }
}

/// What became of a proposal: the same on every member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The invite stands, since now or already.
    InviteAdded(InviteId),
    /// The host is a member, since now or already.
    Admitted {
        /// Its id.
        member: MemberId,
        /// Its overlay addresses.
        addrs: OverlayAddrs,
    },
    /// The member has left, now or before.
    Departed(MemberId),
    /// Nothing changed.
    Refused(Refusal),
    /// The verdict about the member holds, since now or already.
    Judged(MemberId),
    /// The member's ban is over.
    Lapsed(MemberId),
    /// The policy with this serial stands, since now or already.
    VotersSet(u64),
    /// The invite is revoked, since now or already.
    InviteRevoked(InviteId),
    /// The change of admins with this number stands, since now or already.
    AdminsChanged(u64),
    /// The member has the tags of this statement, since now or already.
    Tagged(MemberId),
    /// The policy on who may reach whom with this serial stands, since now or already.
    AccessSet(u64),
    /// The member is excluded, since now or already.
    Excluded(MemberId),
    /// The member has the key of this statement, since now or already.
    Rekeyed(MemberId),
    /// The mesh has gone on to the next edition.
    #[cfg(feature = "next")]
    Tried(u64),
}

impl Outcome {
    /// The edition that brought it.
    pub fn edition(&self) -> Edition {
        match self {
            #[cfg(feature = "next")]
            Self::Tried(_) => Edition(2),
            _ => Edition::FIRST,
        }
    }
}

impl Message for Outcome {
    const NAME: &'static str = "outcome";
    const VERSION: u8 = NEWEST.0;
    const OLDEST: u8 = Edition::FIRST.0;
    // The longest is a refusal with its text, see `refusal::MAX_REASON`.
    const LIMIT: usize = 1024;

    fn version(&self) -> u8 {
        self.edition().0
    }
}
