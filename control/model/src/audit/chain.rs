//! Entries with their hashes, and whether they fit.

use serde::{Deserialize, Serialize};

use super::MAX_ENTRIES;
use super::entry::Entry;
use super::hash::AuditHash;
use crate::id::LogIndex;

/// An entry and the hash of the trail up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The entry.
    pub entry: Entry,
    /// [`AuditHash::after`] of the link before.
    pub hash: AuditHash,
}

impl Link {
    /// The link after the one with the hash `before`.
    pub fn new(before: AuditHash, entry: Entry) -> Self {
        Self { hash: before.after(&entry), entry }
    }
}

/// Where a trail stops being one. Always the fault of whoever wrote it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// An entry's hash is not what the hash before it and the entry give.
    #[error(
        "the entry at index {0} does not fit: it was altered, or an entry right before it was removed, added or moved"
    )]
    Hash(LogIndex),
    /// An entry stands behind one that was agreed later, or twice.
    #[error(
        "the entry at index {0} does not fit: its index is not above that of the entry before it"
    )]
    Order(LogIndex),
    /// The oldest entry is missing although nothing had to make room.
    #[error(
        "the trail does not begin where the mesh did although it has only {0} entries: older ones were removed"
    )]
    Beginning(usize),
    /// The chain leads elsewhere than it says.
    #[error(
        "the trail ends at index {0}, and its head is the hash of another: entries after that were removed"
    )]
    Head(LogIndex),
    /// More entries than are ever kept.
    #[error("the trail has {0} entries, and none has more than {MAX_ENTRIES}")]
    TooLong(usize),
}

/// The head of the trail in which `links` follow the hash `before`, if it is one that can have begun at `beginning`.
pub fn verify<'a>(
    beginning: AuditHash,
    before: AuditHash,
    links: impl ExactSizeIterator<Item = &'a Link>,
) -> Result<AuditHash, Break> {
    let len = links.len();
    if len > MAX_ENTRIES {
        return Err(Break::TooLong(len));
    }
    // Only a full trail has forgotten its start.
    if len < MAX_ENTRIES && before != beginning {
        return Err(Break::Beginning(len));
    }
    let mut head = before;
    let mut last = 0;
    for Link { entry, hash } in links {
        if entry.index <= last {
            return Err(Break::Order(entry.index));
        }
        if *hash != head.after(entry) {
            return Err(Break::Hash(entry.index));
        }
        (head, last) = (*hash, entry.index);
    }
    Ok(head)
}
