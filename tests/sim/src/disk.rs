//! A disk that forgets, and fails.
//!
//! Writes go to a cache; `sync_data` moves them to the platter. A crash throws the cache away, except
//! that some of the writes in it may have reached the platter anyhow, in any order and torn at a
//! sector: a disk promises nothing about what was not synced. The handle of the crashed process
//! is dead afterwards, so a task that outlives the crash cannot write with it.
//!
//! It may get into [`Trouble`]. One that fails drops what was to be written, as page caches do: a
//! later sync that succeeds proves nothing. A slow one cannot make the one thread wait, so it counts
//! the time it [owes](Disk::take_owed); whoever carries the host's words holds them back for so long.

mod busy;
mod handle;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

pub use busy::Busy;
pub use handle::Handle;

/// The unit a disk writes atomically, in bytes.
const SECTOR: usize = 512;

/// How many syncs a lying disk holds back: a few commits.
const HELD_BACK: usize = 8;

/// The share of writes a full disk finds no room for: some go where something was before.
const NO_ROOM: f64 = 0.5;

/// What may be wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Every sync fails until the machine starts anew.
    Syncs,
    /// The next sync fails, later ones succeed.
    OneSync,
    /// Every write fails until the machine starts anew.
    Writes,
    /// There is no room left, until somebody clears up.
    Full,
    /// A sync takes up to so long.
    Slow(Duration),
}

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
    trouble: Option<Trouble>,
    /// Something failed in this generation.
    failed: bool,
    /// Whoever uses the disk is not told that something failed. Only for showing that the invariants notice.
    keeps_failures: bool,
    owed: Duration,
    rng: ChaCha8Rng,
    syncs: u64,
}

/// One sync a lying disk acknowledged: how long the file was, and what was written where.
struct Claim {
    len: usize,
    writes: Vec<(usize, Vec<u8>)>,
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
            trouble: None,
            failed: false,
            keeps_failures: false,
            owed: Duration::ZERO,
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
        if matches!(platter.trouble, Some(Trouble::Syncs | Trouble::OneSync | Trouble::Writes)) {
            platter.trouble = None;
        }
        platter.failed = false;
        platter.owed = Duration::ZERO;
        platter.claimed.clear();
        platter.keep_some_unsynced();
        platter.cached = platter.synced.clone();
        platter.unsynced.clear();
    }

    /// From now on this is wrong with it, instead of what was before.
    pub fn trouble(&self, trouble: Trouble) {
        lock(&self.platter).trouble = Some(trouble);
    }

    /// Nothing new is wrong with it. What has failed has failed.
    pub fn mend(&self) {
        lock(&self.platter).trouble = None;
    }

    /// Whether anything is wrong with it, or was since the machine started.
    pub fn is_troubled(&self) -> bool {
        let platter = lock(&self.platter);
        platter.trouble.is_some() || platter.failed
    }

    /// Whether a write or sync has failed since the machine started.
    pub fn has_failed(&self) -> bool {
        lock(&self.platter).failed
    }

    /// How long the longest of its syncs took since this was last asked. The others were over before anybody
    /// had anything to say, or are one with it.
    pub fn take_owed(&self) -> Duration {
        std::mem::take(&mut lock(&self.platter).owed)
    }

    /// From now on failures are not told: what software that does not look at what `fsync` returns makes of
    /// them. Only for showing that the invariants notice.
    pub fn keep_failures(&self) {
        lock(&self.platter).keeps_failures = true;
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

    /// Something failed.
    fn fail(&mut self, error: io::Error) -> io::Result<()> {
        self.failed = true;
        if self.keeps_failures { Ok(()) } else { Err(error) }
    }

    /// The sync that is asked for fails or takes long, if that is its trouble. Whether it is carried out.
    fn suffer_sync(&mut self) -> io::Result<bool> {
        match self.trouble {
            Some(Trouble::Syncs | Trouble::OneSync) => {
                if self.trouble == Some(Trouble::OneSync) {
                    self.trouble = None;
                }
                // Some of it got there, and all of it counts as clean now.
                self.keep_some_unsynced();
                self.unsynced.clear();
                self.fail(io::Error::other("the disk failed to sync")).map(|()| false)
            }
            Some(Trouble::Slow(most)) => {
                let part: f64 = self.rng.random();
                self.owed = self.owed.max(most.mul_f64(part));
                Ok(true)
            }
            Some(Trouble::Writes | Trouble::Full) | None => Ok(true),
        }
    }

    /// The write that is asked for fails, if that is its trouble. Whether it is carried out.
    fn suffer_write(&mut self, grows: bool) -> io::Result<bool> {
        let error = match self.trouble {
            Some(Trouble::Writes) => io::Error::other("the disk failed to write"),
            Some(Trouble::Full) if grows || self.rng.random_bool(NO_ROOM) => {
                io::ErrorKind::StorageFull.into()
            }
            _ => return Ok(true),
        };
        self.fail(error).map(|()| false)
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

#[cfg(test)]
mod tests;
