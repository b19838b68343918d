//! A tunnel that has been told everything it needs: two daemons, and the address behind the far one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::ground::{Ground, Side};
use super::interrupt;
use crate::daemon::{self, Daemon};
use crate::error::{Error, Result};
use crate::process;
use crate::traffic::is_answered;

/// The time from one try of the first ping to the next.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// How often the daemons are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the first ping is tried: the slowest of the known peers looks for its neighbours every 5 s.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// What came up. Dropped, its daemons are gone.
#[derive(Debug)]
pub struct Tunnel {
    daemons: Vec<Daemon>,
    leftovers: Vec<PathBuf>,
    far: Ipv4Addr,
    configured: Instant,
}

/// What the daemons of a tunnel have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Resident memory of the larger one, in bytes.
    pub larger: u64,
    /// Of both.
    pub both: u64,
}

impl Footprint {
    /// The larger of each.
    pub fn max(self, other: Self) -> Self {
        Self { larger: self.larger.max(other.larger), both: self.both.max(other.both) }
    }
}

impl Tunnel {
    /// `daemons` that carry packets to `far`, an address of the far end, configured since `configured`.
    pub fn new(daemons: Vec<Daemon>, far: Ipv4Addr, configured: Instant) -> Self {
        Self { daemons, leftovers: Vec::new(), far, configured }
    }

    /// The same, with files that its daemons leave behind when they are killed.
    pub fn leaving(mut self, leftovers: Vec<PathBuf>) -> Self {
        self.leftovers = leftovers;
        self
    }

    /// The address behind the far end.
    pub fn far(&self) -> Ipv4Addr {
        self.far
    }

    /// Pings until the first answer; the time since the tunnel was configured.
    pub fn connect(&mut self, ground: &Ground) -> Result<Duration> {
        while self.configured.elapsed() < CONNECT_LIMIT {
            interrupt::check()?;
            if is_answered(ground.near(), IpAddr::V4(self.far), TRY_EVERY, LOOK_EVERY)? {
                return Ok(self.configured.elapsed());
            }
            if let Some(status) = self.daemons.iter_mut().find_map(Daemon::poll_exit) {
                return Err(Error::Failed(format!("a daemon ended: {status}")));
            }
        }
        Err(Error::Failed(format!("no ping was answered within {CONNECT_LIMIT:?}")))
    }

    /// Processor time of the daemons so far.
    pub fn processor_time(&self) -> Result<Duration> {
        self.daemons.iter().map(|daemon| process::processor_time(daemon.pid())).sum()
    }

    /// Resident memory of the daemons now.
    pub fn footprint(&self) -> Result<Footprint> {
        let sizes: Result<Vec<u64>> =
            self.daemons.iter().map(|daemon| process::resident_memory(daemon.pid())).collect();
        let sizes = sizes?;
        let larger = sizes.iter().copied().max().unwrap_or_default();
        Ok(Footprint { larger, both: sizes.iter().sum() })
    }

    /// Whether there are daemons at all.
    pub fn has_daemons(&self) -> bool {
        !self.daemons.is_empty()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.daemons.clear();
        for path in &self.leftovers {
            // A daemon that ended by itself has removed it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Starts one side's daemon; what it prints goes to a file of its own in `dir`.
pub fn start(ground: &Ground, side: Side, command: Command, dir: &Path) -> Result<Daemon> {
    Daemon::start_tied(command, ground.end(side), &log_of(dir, side))
}

/// The last lines the daemons printed, for whoever must find out why a sample failed.
pub fn last_words(dir: &Path) -> String {
    let words = Side::BOTH.map(|side| {
        let tail = daemon::tail(&daemon::read_log(&log_of(dir, side)));
        if tail.is_empty() { tail } else { format!("---- {} daemon ----\n{tail}\n", side.name()) }
    });
    words.concat()
}

fn log_of(dir: &Path, side: Side) -> PathBuf {
    dir.join(format!("{}.log", side.name()))
}
