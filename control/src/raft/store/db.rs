//! The file below the store: redb tables, transactions, and the rule about failed flushes.
//!
//! ```text
//! log   index -> LogEntry            meta  "identity"   whose store, of which mesh
//!                                          "vote"       term, candidate, won or not
//!                                          "committed"  how far the log is known to be agreed
//!                                          "purged"     the last entry removed at the front
//!                                          "snapshot"   the state those entries led to
//! ```
//!
//! A write that somebody else will rely on commits with [`Durability::Immediate`]: redb writes its
//! pages, flushes, swings the root and flushes again before `commit` returns. One such commit is about
//! 28 kB and one or two flushes, whatever is in it, and a fifth of a millisecond of a processor. So what is appended to the
//! log waits in its [`Tail`], and every transaction takes along what waits when it is made: the tables are never behind
//! what it changes in them.
//!
//! The first failed commit ends this process's right to answer: redb refuses everything from then on,
//! [`Db::fault`] keeps the reason, and the group stops. After a failed flush nobody can tell which
//! pages reached the disk, so going on, or trying again, would mean to vouch for what may be gone. A read
//! that fails ends it as well, whoever asked: what cannot be read back is not held.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use mesh_model::LogIndex;
use mesh_model::codec;
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase as _, TableDefinition, WriteTransaction,
};
use tokio::sync::{Mutex as Turn, Notify};

use super::super::records::EntryRecord;
use super::super::types::Entry;
use super::error::StoreError;
use super::log::COMMITTED;
use super::tail::{Carried, Tail};
use crate::ports::LogDisk;

/// The log: entries by index.
pub(super) const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");

/// Everything that exists once.
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

/// redb's page cache, in bytes. A thousand entries of half a kilobyte and a snapshot of a few hundred
/// members fit; an idle daemon is to stay below 40 MB in all, and redb's own default is 1 GiB.
const CACHE_BYTES: usize = 2 << 20;

/// The open database.
pub(crate) struct Db {
    /// `None` once closed.
    database: RwLock<Option<Database>>,
    /// Whose turn it is to write. redb lets one write at a time and has the others wait with their thread,
    /// which is everybody's: they wait here instead.
    turn: Turn<()>,
    tail: Mutex<Tail>,
    /// Something was committed without a flush since the last one.
    unflushed: AtomicBool,
    fault: OnceLock<StoreError>,
    /// Wakes whoever ends agreement when the first fault is found: Raft hears only of those that its own calls meet.
    struck: Notify,
}

impl Db {
    /// Opens what is on `disk`, or lays out an empty store there.
    ///
    /// The whole file is checked against its checksums; a log and a snapshot are a few megabytes at
    /// most. redb repairs what an interrupted commit left. Whatever else it finds damaged is an error,
    /// and so is a panic of redb over bytes it did not expect: a damaged file is the operator's to
    /// hear of, not a bug of ours.
    pub(super) fn open(disk: impl LogDisk) -> Result<Self, StoreError> {
        catch_unwind(AssertUnwindSafe(|| Self::try_open(disk))).unwrap_or_else(|_| {
            Err(StoreError::Corrupt("the store cannot be read at all".to_owned()))
        })
    }

    fn try_open(disk: impl LogDisk) -> Result<Self, StoreError> {
        let mut database = redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(disk)
            .map_err(redb::Error::from)?;
        let clean = database.check_integrity().map_err(redb::Error::from)?;
        if !clean {
            tracing::warn!("the agreement store was repaired after an unclean end");
        }
        let db = Self {
            database: RwLock::new(Some(database)),
            turn: Turn::default(),
            tail: Mutex::default(),
            unflushed: AtomicBool::new(false),
            fault: OnceLock::new(),
            struck: Notify::new(),
        };
        db.write_now(Durability::Immediate, |txn| {
            txn.open_table(LOG).map_err(redb::Error::from)?;
            txn.open_table(META).map_err(redb::Error::from)?;
            Ok(())
        })?;
        Ok(db)
    }

    /// Runs `change` in one transaction and commits it, after those who asked before.
    pub(super) async fn write<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _turn = self.turn.lock().await;
        self.write_now(durability, change)
    }

    /// Flushes what waits, for those that `whom` names. They are named in this one's turn, and before it is looked at what waits: who
    /// appends later waits for the next.
    pub(super) async fn flush_for<T>(
        &self,
        whom: impl FnOnce() -> T,
    ) -> (T, Result<(), StoreError>) {
        let _turn = self.turn.lock().await;
        let named = whom();
        (named, self.write_now(Durability::Immediate, |_| Ok(())))
    }

    /// Like [`Self::write`], for a store that nobody shares yet.
    pub(super) fn write_now<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.fault.get().map_or(Ok(()), |fault| Err(fault.clone()))?;
        let result = self.try_write(durability, change);
        self.keep_fault(result)
    }

    fn try_write<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database();
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        let mut txn = database.begin_write().map_err(redb::Error::from)?;
        txn.set_durability(durability).map_err(redb::Error::from)?;
        let carried = self.take_along(&txn)?;
        let done = change(&txn)?;
        txn.commit().map_err(redb::Error::from)?;
        self.tail().written(carried, durability);
        self.unflushed.store(matches!(durability, Durability::None), Ordering::Relaxed);
        Ok(done)
    }

    /// Writes what waits.
    fn take_along(&self, txn: &WriteTransaction) -> Result<Carried, StoreError> {
        let (entries, carried) = {
            let tail = self.tail();
            (tail.waiting().cloned().collect::<Vec<Entry>>(), tail.carried())
        };
        if !entries.is_empty() {
            let mut log = txn.open_table(LOG).map_err(redb::Error::from)?;
            for entry in entries {
                let index = entry.log_id.index;
                let bytes = codec::encode(&EntryRecord::from(entry));
                log.insert(index, bytes.as_slice()).map_err(redb::Error::from)?;
            }
        }
        if let Some(committed) = carried.committed() {
            let mut meta = txn.open_table(META).map_err(redb::Error::from)?;
            COMMITTED.write(&mut meta, &committed.into())?;
        }
        Ok(carried)
    }

    /// The log in the tables is another than it was.
    pub(super) fn forget_tail(&self) {
        *self.tail() = Tail::default();
    }

    /// Held for the length of one look or change, never across an await.
    pub(super) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `look` on a consistent picture of the store.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = self.try_read(look);
        self.keep_fault(result)
    }

    fn try_read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database();
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        let txn = database.begin_read().map_err(redb::Error::from)?;
        look(&txn)
    }

    /// The store serves no more, because of `error`.
    pub(super) fn fail(&self, error: StoreError) {
        // What comes back is the fault that stands.
        let _ = self.keep_fault::<()>(Err(error));
    }

    /// Remembers the first fault; whoever asks later hears that one.
    fn keep_fault<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match result {
            Err(error) if error != StoreError::Closed => {
                let fault = self.fault.get_or_init(|| {
                    tracing::warn!(%error, "agreement on this host ends here");
                    self.struck.notify_one();
                    error
                });
                Err(fault.clone())
            }
            result => result,
        }
    }

    /// The last index that survives a crash, and all before it; the greatest there can be when all does.
    pub(crate) fn flushed(&self) -> LogIndex {
        self.tail().unflushed_from().map_or(LogIndex::MAX, |from| from.saturating_sub(1))
    }

    /// Nothing gets on disk as long as what this returns is held.
    #[cfg(test)]
    pub(crate) async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Whether there is something that was not flushed yet.
    pub(crate) fn has_unflushed(&self) -> bool {
        self.unflushed.load(Ordering::Relaxed) || self.tail().has_waiting()
    }

    /// The same file under another handle. Whoever still holds this one finds it closed.
    pub(crate) async fn hand_on(&self) -> Result<Self, StoreError> {
        let _turn = self.turn.lock().await;
        self.fault.get().map_or(Ok(()), |fault| Err(fault.clone()))?;
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Self {
            database: RwLock::new(Some(database.ok_or(StoreError::Closed)?)),
            turn: Turn::default(),
            tail: Mutex::new(std::mem::take(&mut *self.tail())),
            unflushed: AtomicBool::new(self.unflushed.load(Ordering::Relaxed)),
            fault: OnceLock::new(),
            struck: Notify::new(),
        })
    }

    /// Closes the file in good order, whoever still holds a handle.
    pub(crate) fn close(&self) {
        if self.has_unflushed() && self.write_now(Durability::Immediate, |_| Ok(())).is_err() {
            tracing::debug!("what nobody relies upon is lost with the store's last transaction");
        }
        let closed = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(closed);
    }

    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes durable what was not flushed yet, if there is anything.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        if self.has_unflushed() {
            self.write(Durability::Immediate, |_| Ok(())).await?;
        }
        Ok(())
    }

    /// Waits for the first fault. For one that waits, and looks at [`Self::fault`] itself before.
    pub(crate) async fn struck(&self) {
        self.struck.notified().await;
    }

    /// Why the store no longer serves, if it does not.
    pub(crate) fn fault(&self) -> Option<&StoreError> {
        self.fault.get()
    }
}
