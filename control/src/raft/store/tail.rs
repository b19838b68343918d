//! The end of the log, in memory: what waits for a transaction to go into, and what is read most.
//!
//! ```text
//!  log    1 ──────────────────────────── 900 ── 1412 ── 1415
//!         on disk                         └─ here, for reading ─┘
//!                                                └ waits ┘
//! ```
//!
//! An entry can be read as soon as it is appended, and everybody reads the last ones: what sends them to each follower, what
//! applies them, whoever follows by sync. It is on disk when the transaction that takes it along is flushed, which is when
//! anybody hears that this host holds it. How far the log is known to be agreed waits for the same transaction.

use std::collections::BTreeMap;
use std::ops::Range;

use redb::Durability;

use super::super::types::{Entry, LogId};

/// How many entries that are on disk are kept as well: half a second's worth of a mesh that agrees on a thousand a second,
/// which is what a follower on a long line lacks. A quarter of a megabyte, as entries usually are.
const RECENT: usize = 512;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The last of the log, without a hole.
    entries: BTreeMap<u64, Entry>,
    /// Those from here on wait.
    waiting_from: Option<u64>,
    /// Those from here on are lost in a crash.
    unflushed_from: Option<u64>,
    /// How far the log is agreed, if that waits.
    committed: Option<LogId>,
    /// How often the end of the log was cut off.
    cuts: u64,
}

/// What a transaction takes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried {
    entries: Option<u64>,
    committed: Option<LogId>,
}

impl Carried {
    /// How far the log is agreed, if that waited.
    pub(super) fn committed(&self) -> Option<LogId> {
        self.committed
    }
}

impl Tail {
    /// Takes in `entries`, which follow the last.
    pub(super) fn append(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            let index = entry.log_id.index;
            self.waiting_from.get_or_insert(index);
            self.unflushed_from.get_or_insert(index);
            self.entries.insert(index, entry);
        }
    }

    /// The log is agreed up to `committed`.
    pub(super) fn commit(&mut self, committed: LogId) {
        self.committed = Some(committed);
    }

    /// Whether anything waits.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting_from.is_some() || self.committed.is_some()
    }

    /// The index before which everything survives a crash: all there is when `None`.
    pub(super) fn unflushed_from(&self) -> Option<u64> {
        self.unflushed_from
    }

    /// The entries that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Entry> {
        let from = self.waiting_from.map(|from| self.entries.range(from..));
        from.into_iter().flatten().map(|(_, entry)| entry)
    }

    /// How far the log is agreed, if that waits.
    pub(super) fn committed(&self) -> Option<LogId> {
        self.committed
    }

    /// All that waits at this moment.
    pub(super) fn carried(&self) -> Carried {
        let entries = self.waiting().last().map(|entry| entry.log_id.index);
        Carried { entries, committed: self.committed }
    }

    /// `carried` is in the tables, and with `durability` on disk as all that was there before. What came meanwhile still waits.
    pub(super) fn written(&mut self, carried: Carried, durability: Durability) {
        if let Some(last) = carried.entries {
            let next = self.entries.range(last + 1..).next();
            self.waiting_from = next.map(|(index, _)| *index);
        }
        if !matches!(durability, Durability::None) {
            self.unflushed_from = self.waiting_from;
        }
        self.committed = self.committed.filter(|committed| Some(*committed) != carried.committed);
        let on_disk = self.entries.len() - self.waiting().count();
        for _ in RECENT..on_disk {
            self.entries.pop_first();
        }
    }

    /// Forgets `first_gone` and what comes after it.
    pub(super) fn truncate(&mut self, first_gone: u64) {
        self.cuts += 1;
        drop(self.entries.split_off(&first_gone));
        self.waiting_from = self.waiting_from.filter(|from| *from < first_gone);
        self.unflushed_from = self.unflushed_from.filter(|from| *from < first_gone);
    }

    /// Forgets `last_gone` and what comes before it, all of which is in the tables.
    pub(super) fn purge(&mut self, last_gone: u64) {
        self.entries = self.entries.split_off(&(last_gone + 1));
    }

    /// Those of `range` that are here, the last of what there is.
    pub(super) fn entries(&self, range: Range<u64>) -> Vec<Entry> {
        match range.is_empty() {
            true => Vec::new(),
            false => self.entries.range(range).map(|(_, entry)| entry.clone()).collect(),
        }
    }

    /// How often the end of the log was cut off: what was read before the last time does not go with what is read after it.
    pub(super) fn cuts(&self) -> u64 {
        self.cuts
    }

    /// The last of the log, unless that is on disk alone.
    pub(super) fn last(&self) -> Option<LogId> {
        self.entries.last_key_value().map(|(_, entry)| entry.log_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{blank, log_id};
    use super::*;

    fn appended(range: Range<u64>) -> Tail {
        let mut tail = Tail::default();
        tail.append(range.map(|index| blank(1, index)));
        tail
    }

    fn waiting(tail: &Tail) -> Vec<u64> {
        tail.waiting().map(|entry| entry.log_id.index).collect()
    }

    #[test]
    fn what_comes_while_a_transaction_is_made_waits_for_the_next() {
        let mut tail = appended(5..7);
        tail.commit(log_id(1, 4));
        let carried = tail.carried();
        tail.append([blank(1, 7)]);
        tail.commit(log_id(1, 5));
        tail.written(carried, Durability::Immediate);
        assert_eq!((waiting(&tail), tail.committed()), (vec![7], Some(log_id(1, 5))));
        let rest = tail.carried();
        tail.written(rest, Durability::Immediate);
        assert!(!tail.has_waiting());
        assert_eq!(tail.entries(0..9).len(), 3, "they are kept for reading");
    }

    #[test]
    fn what_is_written_without_a_flush_is_lost_in_a_crash_until_the_next_flush() {
        let mut tail = appended(5..7);
        tail.written(tail.carried(), Durability::None);
        assert!(!tail.has_waiting());
        assert_eq!(tail.unflushed_from(), Some(5));
        let carried = tail.carried();
        tail.append([blank(1, 7)]);
        tail.written(carried, Durability::Immediate);
        assert_eq!(tail.unflushed_from(), Some(7), "it came when the transaction was made");
        tail.truncate(7);
        assert_eq!(tail.unflushed_from(), None);
    }

    #[test]
    fn what_is_cut_off_waits_no_more() {
        let mut tail = appended(5..9);
        tail.truncate(7);
        assert_eq!((waiting(&tail), tail.last()), (vec![5, 6], Some(log_id(1, 6))));
        tail.append([blank(2, 7)]);
        assert_eq!(waiting(&tail), [5, 6, 7]);
        tail.truncate(5);
        assert!(!tail.has_waiting() && tail.last().is_none());
    }

    #[test]
    fn so_many_are_kept_of_those_on_disk_and_all_that_wait() {
        let many = RECENT as u64 + 10;
        let mut tail = appended(0..many);
        assert_eq!(waiting(&tail).len() as u64, many);
        let carried = tail.carried();
        tail.append([blank(1, many)]);
        tail.written(carried, Durability::Immediate);
        assert_eq!(tail.entries(0..many).len(), RECENT);
        tail.purge(many - 1);
        assert_eq!(tail.entries(0..many + 1), [blank(1, many)]);
    }
}
