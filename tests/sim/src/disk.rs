//! A disk that forgets.
//!
//! Writes go to a cache; `sync_data` moves them to the platter. A crash throws the cache away, except
//! that some of the writes in it may have reached the platter anyhow, in any order and torn at a
//! sector: a disk promises nothing about what was not synced. The handle of the crashed process
//! is dead afterwards, so a task that outlives the crash cannot write with it.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The unit a disk writes atomically, in bytes.
const SECTOR: usize = 512;

/// How many syncs a lying disk holds back: a few commits.
const HELD_BACK: usize = 8;

/// A host's disk. Survives the host's crashes.
#[derive(Clone)]
pub struct Disk {
    platter: Arc<Mutex<Platter>>,
}

struct Platter {
    synced: Vec<u8>,
    /// The content as the running process sees it.
    cached: Vec<u8>,
    /// Ranges written since the last sync, in order.
    unsynced: Vec<(usize, usize)>,
    /// What a lying disk claims to have synced and has not, oldest first.
    claimed: VecDeque<Claim>,
    lies: bool,
    /// Grows with each crash; a handle of an older generation is dead.
    generation: u64,
    fail_sync: bool,
    rng: ChaCha8Rng,
    syncs: u64,
}

/// One sync a lying disk acknowledged: how long the file was, and what was written where.
struct Claim {
    len: usize,
    writes: Vec<(usize, Vec<u8>)>,
}

/// What one run of a process holds of the disk.
#[derive(Clone)]
pub struct Handle {
    platter: Arc<Mutex<Platter>>,
    generation: u64,
}

impl Disk {
    /// An empty disk.
    pub fn new(seed: [u8; 32]) -> Self {
        let rng = ChaCha8Rng::from_seed(seed);
        let platter = Platter {
            synced: Vec::new(),
            cached: Vec::new(),
            unsynced: Vec::new(),
            claimed: VecDeque::new(),
            lies: false,
            generation: 0,
            fail_sync: false,
            rng,
            syncs: 0,
        };
        Self { platter: Arc::new(Mutex::new(platter)) }
    }

    /// A handle for the process that starts now.
    pub fn open(&self) -> Handle {
        Handle { platter: Arc::clone(&self.platter), generation: lock(&self.platter).generation }
    }

    /// The process or the machine dies: what was not synced is lost, or partly not.
    pub fn crash(&self) {
        let mut platter = lock(&self.platter);
        platter.generation += 1;
        platter.fail_sync = false;
        platter.claimed.clear();
        platter.keep_some_unsynced();
        platter.cached = platter.synced.clone();
        platter.unsynced.clear();
    }

    /// From now until the next crash, every sync fails.
    pub fn fail_syncs(&self) {
        lock(&self.platter).fail_sync = true;
    }

    /// From now on syncs are acknowledged at once and carried out late, in order: what software that
    /// answers before its `fsync` does. Only for showing that the invariants notice.
    pub fn lie_about_sync(&self) {
        lock(&self.platter).lies = true;
    }

    /// How many syncs succeeded so far.
    pub fn syncs(&self) -> u64 {
        lock(&self.platter).syncs
    }
}

impl Platter {
    /// Lets a random part of the unsynced sectors reach the platter.
    fn keep_some_unsynced(&mut self) {
        // Half of all crashes lose everything unsynced: the plain case must stay common.
        if self.lies || self.rng.random_bool(0.5) {
            return;
        }
        let sectors = |(start, end): &(usize, usize)| (start / SECTOR)..end.div_ceil(SECTOR);
        let touched: BTreeSet<usize> = self.unsynced.iter().flat_map(sectors).collect();
        for sector in touched {
            let end = ((sector + 1) * SECTOR).min(self.synced.len()).min(self.cached.len());
            let bytes = (sector * SECTOR).min(end)..end;
            if self.rng.random_bool(0.5) {
                self.synced[bytes.clone()].copy_from_slice(&self.cached[bytes]);
            }
        }
    }

    /// Moves what was written since the last sync to the platter.
    fn sync(&mut self) {
        let ranges = std::mem::take(&mut self.unsynced);
        let ranges = ranges.into_iter().map(|(start, end)| start..end.min(self.cached.len()));
        let ranges = ranges.filter(|range| !range.is_empty());
        if !self.lies {
            for range in ranges {
                self.synced[range.clone()].copy_from_slice(&self.cached[range]);
            }
            return;
        }
        let writes = ranges.map(|range| (range.start, self.cached[range].to_vec())).collect();
        self.claimed.push_back(Claim { len: self.cached.len(), writes });
        if self.claimed.len() > HELD_BACK
            && let Some(claim) = self.claimed.pop_front()
        {
            self.synced.resize(claim.len, 0);
            for (start, bytes) in claim.writes {
                self.synced[start..start + bytes.len()].copy_from_slice(&bytes);
            }
        }
    }
}

fn lock(platter: &Mutex<Platter>) -> MutexGuard<'_, Platter> {
    platter.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    fn alive(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = lock(&self.platter);
        if platter.generation == self.generation {
            Ok(platter)
        } else {
            Err(io::Error::other("the host crashed"))
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle(generation {})", self.generation)
    }
}

impl redb::StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.alive()?;
        let from = offset as usize;
        let bytes = platter
            .cached
            .get(from..from + out.len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // A file's length is metadata: here it is as durable as on a journalling file system, at
        // once, and the new bytes read as zero.
        let mut platter = self.alive()?;
        platter.cached.resize(len as usize, 0);
        if !platter.lies {
            platter.synced.resize(len as usize, 0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.alive()?;
        if platter.fail_sync {
            return Err(io::Error::other("the disk failed to sync"));
        }
        platter.sync();
        platter.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.alive()?;
        let start = offset as usize;
        let end = start + data.len();
        platter
            .cached
            .get_mut(start..end)
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?
            .copy_from_slice(data);
        platter.unsynced.push((start, end));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use redb::StorageBackend as _;

    use super::*;

    #[test]
    fn a_crash_keeps_what_was_synced_and_kills_the_handle() {
        let disk = Disk::new([1; 32]);
        let handle = disk.open();
        handle.set_len(4).unwrap();
        handle.write(0, b"ab").unwrap();
        handle.sync_data().unwrap();
        disk.crash();
        assert!(handle.write(0, b"xx").is_err());
        let mut out = [0; 2];
        disk.open().read(0, &mut out).unwrap();
        assert_eq!(&out, b"ab");
    }

    #[test]
    fn a_lying_disk_loses_the_last_syncs_and_keeps_the_others() {
        let disk = Disk::new([1; 32]);
        let handle = disk.open();
        handle.set_len(1).unwrap();
        handle.sync_data().unwrap();
        disk.lie_about_sync();
        for number in 1..=9u8 {
            handle.write(0, &[number]).unwrap();
            handle.sync_data().unwrap();
        }
        disk.crash();
        let mut out = [0];
        disk.open().read(0, &mut out).unwrap();
        assert_eq!(out, [1], "eight syncs are held back");
    }

    #[test]
    fn a_disk_that_fails_keeps_failing_until_the_crash() {
        let disk = Disk::new([1; 32]);
        disk.fail_syncs();
        let handle = disk.open();
        assert!(handle.sync_data().is_err() && handle.sync_data().is_err());
        disk.crash();
        assert!(disk.open().sync_data().is_ok());
        assert_eq!(disk.syncs(), 1);
    }

    #[test]
    fn some_crash_loses_what_was_not_synced() {
        let lost = (0..20u8).any(|seed| {
            let disk = Disk::new([seed; 32]);
            let handle = disk.open();
            handle.set_len(4).unwrap();
            handle.write(0, b"ab").unwrap();
            disk.crash();
            let mut out = [0; 2];
            disk.open().read(0, &mut out).unwrap();
            &out != b"ab"
        });
        assert!(lost);
    }
}
