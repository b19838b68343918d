//! What happened lately, as everyone agrees it did.

use std::collections::VecDeque;

use mesh_model::trust::{Name, Reason};
use mesh_model::{InviteId, LogIndex, MemberId};
use serde::{Deserialize, Serialize};

/// How many entries are kept: a year of a quiet mesh, a day of a busy one, and at 130 bytes each a
/// small part of any snapshot. The oldest makes room.
pub const MAX_ENTRIES: usize = 1024;

/// Something that changed the agreed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands in the log.
    pub index: LogIndex,
    /// When, in milliseconds since the Unix epoch, by the state's clock.
    pub at_ms: u64,
    /// What.
    pub event: Event,
}

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
        /// The invite it came under.
        invite: InviteId,
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
        /// When that ends by itself, in milliseconds since the Unix epoch.
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
    /// The time of a member's ban was over.
    BanLapsed {
        /// Whose.
        member: MemberId,
    },
}

impl Event {
    /// Whether the state's clock goes by the stamp of such an entry: it was held against a time that
    /// somebody signed. A goodbye and a verdict say nothing about time.
    pub(super) fn tells_time(&self) -> bool {
        match self {
            Self::InviteAdded { .. } | Self::Admitted { .. } | Self::BanLapsed { .. } => true,
            Self::Departed { .. }
            | Self::Banned { .. }
            | Self::Pardoned { .. }
            | Self::Removed { .. } => false,
        }
    }
}

/// The last [`MAX_ENTRIES`] changes, oldest first. Refusals are not among them: they change nothing,
/// and a flood of them would push out what did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit(VecDeque<Entry>);

impl Audit {
    pub(super) fn record(&mut self, index: LogIndex, at_ms: u64, event: Event) {
        while self.0.len() >= MAX_ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back(Entry { index, at_ms, event });
    }

    /// The entries, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.0.iter()
    }
}
