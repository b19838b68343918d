//! openraft's log storage on the tables.
//!
//! Appending adds to the [tail](super::tail), in memory, where entries are readable at once. A task of its own writes and
//! flushes them and says so to Raft, which counts nothing as held before, here or for others. Meanwhile a leader's
//! followers are sent the entries, so that all disks work at the same time; and whatever was appended before the
//! transaction began goes along with it.
//!
//! ```text
//!  append ──> tail ──> sent to followers ... their flushes ──┐
//!               └─> flush ── says so ────────────────────────┴─> a majority holds it
//! ```

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_model::Edition;
use mesh_model::codec::{self, CodecError, Message as _};
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{AsyncRuntime as _, OptionalSend, RaftLogReader};
use redb::{Durability, ReadableTable as _};

use super::super::records::{EntryRecord, LogIdRecord, VoteRecord};
use super::super::runtime::Runtime;
use super::super::types::{Entry, LogId, Types, Vote};
use super::db::{Db, LOG, META};
use super::error::StoreError;
use super::row::Row;

pub(super) const VOTE: Row<VoteRecord> = Row::new("vote");
pub(super) const COMMITTED: Row<LogIdRecord> = Row::new("committed");
pub(super) const PURGED: Row<LogIdRecord> = Row::new("purged");

/// The log, as openraft writes and reads it.
#[derive(Clone)]
pub(crate) struct LogStore {
    pub(crate) db: Arc<Db>,
    waiting: Arc<Mutex<Waiting>>,
}

/// Whom to tell that what they appended is on disk.
#[derive(Default)]
struct Waiting {
    /// In the order they appended. At most one for each message Raft has taken in since the last flush began, and it takes
    /// in no more than its queues hold.
    appended: Vec<IOFlushed<Types>>,
    /// A task is about to flush for all of them.
    is_flush_due: bool,
}

impl LogStore {
    pub(crate) fn new(db: Arc<Db>) -> Self {
        Self { db, waiting: Arc::default() }
    }

    /// Has `appended`, which waits in the tail, flushed with what else there is, and told so.
    fn flush_soon(&self, appended: IOFlushed<Types>) {
        let mut waiting = self.waiting();
        waiting.appended.push(appended);
        if !std::mem::replace(&mut waiting.is_flush_due, true) {
            drop(Runtime::spawn(self.clone().flush()));
        }
    }

    async fn flush(self) {
        let (mut covered, flushed) = self.db.flush_for(|| self.take_waiting()).await;
        if flushed.is_err() {
            covered.append(&mut self.take_waiting());
        }
        for appended in covered {
            appended.io_completed(flushed.clone().map_err(io::Error::from));
        }
    }

    fn take_waiting(&self) -> Vec<IOFlushed<Types>> {
        let mut waiting = self.waiting();
        waiting.is_flush_due = false;
        std::mem::take(&mut waiting.appended)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries of `range` that exist, without a hole between them.
    pub(crate) fn entries(&self, range: impl RangeBounds<u64>) -> Result<Vec<Entry>, StoreError> {
        let range = half_open(range);
        loop {
            let (mut entries, cuts) = {
                let tail = self.db.tail();
                (tail.entries(range.clone()), tail.cuts())
            };
            let end = entries.first().map_or(range.end, |first| first.log_id.index);
            if range.start >= end {
                return Ok(entries);
            }
            let mut before = self.on_disk(range.start..end)?;
            // Else the two may be of different logs. A leader cuts off nothing, and others once a term.
            if self.db.tail().cuts() != cuts {
                continue;
            }
            let joins = before.last().is_none_or(|last| last.log_id.index + 1 == end);
            if !joins && !entries.is_empty() {
                return Err(StoreError::Corrupt(format!("log entry {} is missing", end - 1)));
            }
            before.append(&mut entries);
            return Ok(before);
        }
    }

    fn on_disk(&self, range: Range<u64>) -> Result<Vec<Entry>, StoreError> {
        self.db.read(|txn| {
            let table = txn.open_table(LOG).map_err(redb::Error::from)?;
            let mut entries: Vec<Entry> = Vec::new();
            for row in table.range(range).map_err(redb::Error::from)? {
                let (index, bytes) = row.map_err(redb::Error::from)?;
                let record: EntryRecord = codec::decode(bytes.value())?;
                let expected = entries.last().map_or(index.value(), |last| last.log_id.index + 1);
                if record.index() != index.value() || index.value() != expected {
                    return Err(StoreError::Corrupt(format!("log entry {expected} is missing")));
                }
                entries.push(record.open()?);
            }
            Ok(entries)
        })
    }

    /// An error if there is an entry, agreed or not, that takes a later edition than `reads`. Raft must not find it only when it
    /// comes to it.
    pub(super) fn check_readable(&self, reads: Edition) -> Result<(), StoreError> {
        let (name, known) = (EntryRecord::NAME, reads.0);
        self.db.read(|txn| {
            let table = txn.open_table(LOG).map_err(redb::Error::from)?;
            for row in table.iter().map_err(redb::Error::from)? {
                let (_, bytes) = row.map_err(redb::Error::from)?;
                let found = bytes.value().first().copied().unwrap_or_default();
                if found > known {
                    return Err(CodecError::Version { name, found, known }.into());
                }
            }
            Ok(())
        })
    }

    /// Up to where the log was cut off.
    pub(crate) fn purged(&self) -> Result<Option<LogId>, StoreError> {
        self.meta(&PURGED)
    }

    pub(super) fn committed(&self) -> Result<Option<LogId>, StoreError> {
        let waiting = self.db.tail().committed();
        waiting.map_or_else(|| self.meta(&COMMITTED), |committed| Ok(Some(committed)))
    }

    pub(super) fn vote(&self) -> Result<Option<Vote>, StoreError> {
        self.meta(&VOTE)
    }

    fn meta<R: codec::Message, T: From<R>>(&self, row: &Row<R>) -> Result<Option<T>, StoreError> {
        self.db.read(|txn| {
            let table = txn.open_table(META).map_err(redb::Error::from)?;
            Ok(row.read(&table)?.map(Into::into))
        })
    }

    /// The last purged and the last present log id.
    pub(super) fn bounds(&self) -> Result<(Option<LogId>, Option<LogId>), StoreError> {
        let purged = self.purged()?;
        if let Some(last) = self.db.tail().last() {
            return Ok((purged, Some(last)));
        }
        let last = self.db.read(|txn| {
            let table = txn.open_table(LOG).map_err(redb::Error::from)?;
            let Some((_, bytes)) = table.last().map_err(redb::Error::from)? else {
                return Ok(None);
            };
            let record: EntryRecord = codec::decode(bytes.value())?;
            Ok(Some(record.id()))
        })?;
        Ok((purged, last.or(purged)))
    }
}

/// `range` from its first to behind its last.
fn half_open(range: impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(first) => *first,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(behind) => *behind,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.entries(range)?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.vote()?)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let (last_purged_log_id, last_log_id) = self.bounds()?;
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let saved = self.db.write(Durability::Immediate, |txn| {
            let mut table = txn.open_table(META).map_err(redb::Error::from)?;
            VOTE.write(&mut table, &(*vote).into())
        });
        Ok(saved.await?)
    }

    /// Without a flush of its own: what was agreed can be learnt again from the others. It matters to a
    /// host that reboots while nobody leads, so the steward flushes it soon after.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        if let Some(committed) = committed {
            self.db.tail().commit(committed);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.committed()?)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.db.fault().map_or(Ok(()), |fault| Err(fault.clone()))?;
        self.db.tail().append(entries);
        self.flush_soon(callback);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let first_gone = last.map_or(0, |last| last.index + 1);
        let truncated = self.db.write(Durability::Immediate, |txn| {
            let mut table = txn.open_table(LOG).map_err(redb::Error::from)?;
            table.retain_in(first_gone.., |_, _| false).map_err(redb::Error::from)?;
            self.db.tail().truncate(first_gone);
            Ok(())
        });
        Ok(truncated.await?)
    }

    /// Without a flush: a crash brings the entries back together with the older mark.
    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let purged = self.db.write(Durability::None, |txn| {
            let mut table = txn.open_table(LOG).map_err(redb::Error::from)?;
            table.retain_in(..=upto.index, |_, _| false).map_err(redb::Error::from)?;
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            PURGED.write(&mut meta, &upto.into())
        });
        purged.await?;
        self.db.tail().purge(upto.index);
        Ok(())
    }
}
