//! A running `meshd`, ended with the value that stands for it.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Context as _, Error, Result};
use crate::netns::Netns;
use crate::raw;
use crate::wait::eventually;

/// How long a daemon may take to end once asked: flushing its store takes milliseconds.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How much of a log is shown when something failed, in lines.
const TAIL: usize = 60;

/// A child process running the daemon. Dropped, it is killed and waited for.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Starts `command`, inside `netns` if there is one. What it prints is appended to `log`.
    pub fn start(mut command: Command, netns: Option<&Netns>, log: &Path) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(append_to(log)?).stderr(append_to(log)?);
        let spawned = match netns {
            Some(netns) => netns.run(|| command.spawn())?,
            None => command.spawn(),
        };
        let child = spawned.context(format!("start {}", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned(), ended: None })
    }

    /// Starts `command` inside `netns` as the leader of a session of its own, which to the scheduler is
    /// what a service is. It ends with the calling thread even when that has no time to say so.
    pub fn start_tied(mut command: Command, netns: &Netns, log: &Path) -> Result<Self> {
        raw::child::tie(&mut command, netns.handle()?);
        Self::start(command, None, log)
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// How it ended, if it has.
    pub fn poll_exit(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for it to end by itself.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        eventually(limit, "the daemon ends", || self.poll_exit())
    }

    /// Asks it to end (SIGTERM) and waits for it.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait_exit(STOP_LIMIT)
    }

    /// Kills it (SIGKILL). No power cut: what it wrote to its files is in them.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait_exit(STOP_LIMIT).map(drop)
    }

    /// Sends it a signal, unless it has ended: its id may be another's by then.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.poll_exit().is_some() {
            return Err(Error::Failed("the daemon has already ended".to_owned()));
        }
        kill(self.pid(), signal).context(format!("send {signal} to {}", self.pid()))
    }

    /// No file that it writes may become longer than `bytes` from now on (`ulimit -f`).
    pub fn limit_files(&mut self, bytes: u64) -> Result<()> {
        raw::limit::file_length(self.pid(), bytes).context("limit the length of files")
    }

    /// Lets it run on after this value is gone; its process id.
    pub fn detach(mut self) -> Pid {
        // A status already collected is what keeps `drop` from killing.
        self.ended.get_or_insert_default();
        self.pid()
    }

    /// Everything it printed, in all its runs.
    pub fn log(&self) -> String {
        read_log(&self.log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.poll_exit().is_none() {
            // Both can only fail when it ended this very moment.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What is in a log file; empty when there is none.
pub fn read_log(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last lines of a log.
pub fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

fn append_to(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .context(format!("open {}", path.display()))
}
