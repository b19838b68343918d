//! What happened lately, as everyone agrees it did: the trail of [`mesh_model::audit`], one entry for each decision that
//! changed something.
//!
//! ```text
//! before ──oldest kept──> h ── ... ──newest──> head        of more than MAX_ENTRIES the oldest becomes `before`
//! ```

use std::collections::VecDeque;

use mesh_model::LogIndex;
use mesh_model::audit::{self, AuditHash, Beginning, Break, Entry, Event, Link};
use serde::{Deserialize, Serialize};

pub use mesh_model::audit::MAX_ENTRIES;

/// The last [`MAX_ENTRIES`] decisions, oldest first. Refusals are not among them: they change nothing,
/// and a flood of them would push out what did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The hash before the oldest entry kept.
    before: AuditHash,
    links: VecDeque<Link>,
}

impl Audit {
    /// The trail of a mesh in which nothing was decided yet.
    pub(super) fn of(beginning: &Beginning) -> Self {
        Self { before: beginning.hash(), links: VecDeque::new() }
    }

    pub(super) fn record(&mut self, entry: Entry) {
        let link = Link::new(self.head(), entry);
        while self.is_full() {
            self.before = self.links.pop_front().map_or(self.before, |oldest| oldest.hash);
        }
        self.links.push_back(link);
    }

    fn is_full(&self) -> bool {
        self.links.len() >= MAX_ENTRIES
    }

    /// The entries, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.links.iter().map(|link| &link.entry)
    }

    /// Where in the log `event` was last decided, as far back as the trail goes.
    pub(super) fn index_of(&self, event: &Event) -> Option<LogIndex> {
        self.iter().rev().find(|entry| entry.event == *event).map(|entry| entry.index)
    }

    /// The same with their hashes.
    pub fn links(&self) -> impl ExactSizeIterator<Item = &Link> {
        self.links.iter()
    }

    /// The hash before the oldest entry kept; that of the mesh's beginning while nothing was dropped.
    pub fn before(&self) -> AuditHash {
        self.before
    }

    /// The hash of everything decided so far. Equal on all members at equal index.
    pub fn head(&self) -> AuditHash {
        self.links.back().map_or(self.before, |newest| newest.hash)
    }

    /// From which index on the trail tells of every decision.
    pub fn told_from(&self) -> LogIndex {
        match self.links.front() {
            Some(oldest) if self.is_full() => oldest.entry.index,
            _ => 0,
        }
    }

    /// Where the newest entry stands in the log; 0 before the first.
    pub(super) fn last_index(&self) -> LogIndex {
        self.links.back().map_or(0, |newest| newest.entry.index)
    }

    /// Checks that the trail is in one piece and can have begun where the mesh did.
    pub(super) fn verify(&self, beginning: &Beginning) -> Result<(), Break> {
        audit::verify(beginning.hash(), self.before, self.links.iter()).map(drop)
    }

    /// Whether this trail, which verifies, can have come of `earlier`: what both tell of is the same in both, and
    /// `earlier` tells of more only where this one had to make room.
    pub(super) fn continues(&self, earlier: &Self) -> bool {
        let last = earlier.last_index();
        let shared = self.links.iter().take_while(|link| link.entry.index <= last);
        let Some(dropped) = earlier.links.len().checked_sub(shared.clone().count()) else {
            return false;
        };
        let same_start = dropped == 0 && self.before == earlier.before;
        (same_start || self.is_full()) && shared.eq(earlier.links.iter().skip(dropped))
    }
}
