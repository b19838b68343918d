//! A disk in memory that can crash, for tests and the simulator.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ports::StorageBackend;

/// A disk in memory. Clones are the same disk.
///
/// It keeps two pictures: what was written and what was flushed. [`crash`](Self::crash) throws the first
/// away, all of it, which is the worst a disk that honours flushes may do, and cuts off whoever had the
/// disk open; [`attach`](Self::attach) is the machine after the reboot.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    platter: Arc<Mutex<Platter>>,
    /// The boot this handle belongs to.
    boot: u64,
}

#[derive(Debug, Default)]
struct Platter {
    written: Vec<u8>,
    flushed: Vec<u8>,
    /// Where the two differ.
    dirty: Vec<Range<usize>>,
    boot: u64,
    flushes: u64,
    fail_flush_after: Option<u64>,
    reads: u64,
    fail_read_after: Option<u64>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that holds `bytes`, flushed.
    pub fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::new();
        {
            let mut platter = disk.lock();
            platter.written.clone_from(&bytes);
            platter.flushed = bytes;
        }
        disk
    }

    /// Power fails: what was not flushed is gone, and handles from before fail from now on.
    pub fn crash(&self) {
        let mut platter = self.lock();
        platter.written = platter.flushed.clone();
        platter.dirty.clear();
        platter.boot += 1;
        platter.fail_flush_after = None;
        platter.fail_read_after = None;
    }

    /// The disk as the machine finds it when it starts: a handle that works until the next crash.
    pub fn attach(&self) -> Self {
        let boot = self.lock().boot;
        Self { platter: Arc::clone(&self.platter), boot }
    }

    /// Lets `more` flushes succeed and every one after them fail, until the next crash.
    pub fn fail_flushes_after(&self, more: u64) {
        let mut platter = self.lock();
        platter.fail_flush_after = Some(platter.flushes + more);
    }

    /// Lets `more` reads succeed and every one after them fail, as unreadable sectors do (EIO), until the next crash.
    pub fn fail_reads_after(&self, more: u64) {
        let mut platter = self.lock();
        platter.fail_read_after = Some(platter.reads + more);
    }

    /// How many reads succeeded.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// How many flushes succeeded.
    pub fn flushes(&self) -> u64 {
        self.lock().flushes
    }

    /// What a reader would find now, flushed or not.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().written.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn powered(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.lock();
        match platter.boot == self.boot {
            true => Ok(platter),
            false => Err(io::Error::other("the machine has crashed")),
        }
    }
}

impl StorageBackend for MemoryDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.powered()?.written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut platter = self.powered()?;
        if platter.fail_read_after.is_some_and(|after| platter.reads >= after) {
            return Err(io::Error::other("the disk could not read"));
        }
        platter.reads += 1;
        let range = range(offset, out.len())?;
        let bytes = platter.written.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut platter = self.powered()?;
        let before = platter.written.len();
        platter.written.resize(len, 0);
        // Bytes that come back after a cut are zero, whatever was flushed there.
        platter.dirty.push(before.min(len)..len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.powered()?;
        if platter.fail_flush_after.is_some_and(|after| platter.flushes >= after) {
            return Err(io::Error::other("the disk could not flush"));
        }
        platter.flushes += 1;
        let Platter { written, flushed, dirty, .. } = &mut *platter;
        flushed.resize(written.len(), 0);
        for range in dirty.drain(..) {
            // What was cut off since needs no copy.
            let end = range.end.min(written.len());
            let start = range.start.min(end);
            flushed[start..end].copy_from_slice(&written[start..end]);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.powered()?;
        let range = range(offset, data.len())?;
        let bytes = platter.written.get_mut(range.clone()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(data);
        platter.dirty.push(range);
        Ok(())
    }
}

fn range(offset: u64, len: usize) -> io::Result<Range<usize>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    Ok(start..start.saturating_add(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_keeps_what_was_flushed_and_nothing_else() {
        let disk = MemoryDisk::new();
        disk.set_len(4).expect("grows");
        disk.write(0, b"kept").expect("writes");
        disk.sync_data().expect("flushes");
        disk.write(0, b"lost").expect("writes");
        disk.crash();
        assert!(disk.write(0, b"dead").is_err(), "the old handle is cut off");
        let mut found = [0; 4];
        disk.attach().read(0, &mut found).expect("reads");
        assert_eq!(&found, b"kept");
    }

    #[test]
    fn a_failing_flush_keeps_failing_until_the_crash() {
        let disk = MemoryDisk::new();
        disk.fail_flushes_after(1);
        assert!(disk.sync_data().is_ok() && disk.sync_data().is_err() && disk.sync_data().is_err());
        disk.crash();
        assert!(disk.attach().sync_data().is_ok());
    }
}
