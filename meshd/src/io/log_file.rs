//! The agreement log's file: redb's own file access, with flushes that do not stall the runtime.

use std::fs::File;
use std::io;
use std::ops::Bound;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::failpoint::{Failpoint, reached};

/// A file as a [`mesh_control::ports::LogDisk`].
#[derive(Debug)]
pub(crate) struct LogFile(FileBackend);

impl LogFile {
    /// Takes `file`, read-write. redb locks it for as long as the store is open.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        FileBackend::new(file).map(Self).map_err(io::Error::other)
    }
}

impl StorageBackend for LogFile {
    /// A flush takes as long as the disk wants, often ten milliseconds: the runtime's other tasks
    /// are handed to another thread meanwhile. On a current-thread runtime that cannot be done.
    fn sync_data(&self) -> io::Result<()> {
        reached(Failpoint::LogSync)?;
        let several = Handle::try_current()
            .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
        if several {
            tokio::task::block_in_place(|| self.0.sync_data())?;
        } else {
            self.0.sync_data()?;
        }
        reached(Failpoint::LogSynced)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        reached(Failpoint::LogResize)?;
        self.0.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        reached(Failpoint::LogWrite)?;
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
