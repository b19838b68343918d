//! Why gossip did not take something, and how often.

use mesh_model::Fault;

use crate::reasons::reasons;

reasons! {
    /// Why a datagram, or a part of one, was not taken.
    pub enum Drop {
        /// Not a gossip datagram, or too long to be one.
        Malformed => "gossip_malformed",
        /// From someone who is not in the agreed view: not yet, or no longer.
        UnknownSender => "gossip_unknown_sender",
        /// The tunnel says one member, the datagram another.
        ForeignSource => "gossip_foreign_source",
        /// Meant for another member.
        WrongTarget => "gossip_wrong_target",
        /// About a member that is not in the agreed view: not yet, or no longer.
        UnknownMember => "gossip_unknown_member",
        /// Claims a generation for someone that no clock can have given.
        Generation => "gossip_generation",
        /// A well-formed SWIM message at a time or in an order SWIM does not allow.
        Protocol => "gossip_protocol",
        /// Facts of a member that is not in the agreed view: not yet, or no longer.
        FactsUnknownMember => "facts_unknown_member",
        /// Facts their owner did not sign, or of another mesh.
        FactsForged => "facts_forged",
        /// Facts that are well signed but beyond a bound, or unreadable.
        FactsMalformed => "facts_malformed",
        /// Facts older than those known.
        FactsStale => "facts_stale",
        /// Arrived after this host was removed from the mesh.
        Removed => "gossip_removed",
        /// More was to be sent at once than the outbox holds.
        OutboxFull => "gossip_outbox_full",
        /// A gossip datagram that a newer version wrote.
        Newer => "gossip_newer",
        /// Facts that a newer version wrote.
        FactsNewer => "facts_newer",
    }
}

impl Drop {
    /// Whose fault it is. Crossing paths with a change of membership is nobody's, and neither is being newer: the world's.
    pub fn fault(self) -> Fault {
        match self {
            Self::Malformed
            | Self::ForeignSource
            | Self::WrongTarget
            | Self::Generation
            | Self::Protocol
            | Self::FactsForged
            | Self::FactsMalformed => Fault::Peer,
            Self::UnknownSender
            | Self::UnknownMember
            | Self::FactsUnknownMember
            | Self::FactsStale
            | Self::Removed
            | Self::Newer
            | Self::FactsNewer => Fault::World,
            Self::OutboxFull => Fault::Local,
        }
    }
}

/// One counter per reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drops {
    counts: [u64; Drop::ALL.len()],
}

impl Drops {
    pub(super) fn count(&mut self, reason: Drop) {
        self.counts[reason as usize] += 1;
        tracing::trace!(reason = reason.name(), "dropped");
    }

    /// How often `reason` struck.
    pub fn of(&self, reason: Drop) -> u64 {
        self.counts[reason as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Drop, u64)> + '_ {
        Drop::ALL.iter().map(|reason| (*reason, self.of(*reason)))
    }
}
