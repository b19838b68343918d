//! What the kernel knows about processes: identity, processor time, memory.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::error::{Context as _, Error, Result};

/// A daemon found by what its command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its process id.
    pub pid: Pid,
    /// Its state directory.
    pub state_dir: PathBuf,
}

/// The running daemons whose state directory lies inside `dir`: ours, whoever lost track of them.
pub fn daemons_inside(dir: &Path) -> Result<Vec<Found>> {
    let entries = fs::read_dir("/proc").context("list processes")?;
    let found = entries.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // Gone meanwhile, or a zombie, whose command line is empty: not running either way.
        let command_line = fs::read(entry.path().join("cmdline")).ok()?;
        let state_dir = state_dir_in(&command_line)?;
        state_dir.starts_with(dir).then(|| Found { pid: Pid::from_raw(pid), state_dir })
    });
    Ok(found.collect())
}

/// The state directory that a daemon's command line names.
fn state_dir_in(command_line: &[u8]) -> Option<PathBuf> {
    let mut words = command_line.split(|&byte| byte == 0);
    if !words.next()?.ends_with(b"meshd") {
        return None;
    }
    words.find(|word| *word == b"--state-dir")?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(words.next()?)))
}

/// The processor time a process has used, in user and kernel mode.
pub fn processor_time(pid: Pid) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).context(format!("read {path}"))?;
    // The second field is the name in parentheses and may hold anything; fields 14 and 15 (proc(5))
    // are the 12th and 13th after it.
    let ticks: Option<u64> = stat.rsplit_once(')').and_then(|(_, rest)| {
        let mut fields = rest.split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(user + system)
    });
    let ticks = ticks.ok_or_else(|| Error::Failed(format!("{path} is not understood")))?;
    in_seconds(ticks)
}

/// The processor time a hypervisor has given to others while this machine wanted it, on all processors
/// together. What a process uses on such a machine costs more than elsewhere.
pub fn stolen_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    // "cpu", then user nice system idle iowait irq softirq steal (proc(5)).
    let ticks = stat.split_whitespace().nth(8).and_then(|ticks| ticks.parse().ok());
    let ticks = ticks.ok_or_else(|| Error::Failed("/proc/stat is not understood".to_owned()))?;
    in_seconds(ticks)
}

fn in_seconds(ticks: u64) -> Result<Duration> {
    let per_second = sysconf(SysconfVar::CLK_TCK).context("ask for the clock tick")?.unwrap_or(100);
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// The resident memory of a process, in bytes.
pub fn resident_memory(pid: Pid) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).context(format!("read {path}"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| Error::Failed(format!("{path} names no resident memory")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_known_by_its_state_directory() {
        let line = b"/x/meshd\0run\0--state-dir\0/run/mesh-lab/n1\0--tun\0none\0";
        assert_eq!(state_dir_in(line), Some("/run/mesh-lab/n1".into()));
        assert_eq!(state_dir_in(b"/x/vi\0--state-dir\0/run/mesh-lab/n1\0"), None);
        assert_eq!(state_dir_in(b"/x/meshd\0run\0"), None);
        assert_eq!(state_dir_in(b""), None);
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let own = nix::unistd::getpid();
        assert!(resident_memory(own).expect("readable") > 100_000);
        assert!(processor_time(own).is_ok());
        assert!(stolen_time().is_ok());
    }
}
