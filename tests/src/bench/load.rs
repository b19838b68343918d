//! Who used the processors: the daemons under measurement, everybody together, and strangers.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::{SysconfVar, getpid, sysconf};

use crate::error::{Context as _, Error, Result};

/// The process that is parent to all threads of the kernel.
const KERNEL_THREADS: i32 = 2;

/// The longest chain of ancestors that is followed; a deeper one is a table read while it changed.
const MAX_ANCESTORS: usize = 64;

/// Processor time up to some moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    at: Instant,
    strangers: u64,
    busy: u64,
    stolen: u64,
}

/// What happened between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Use {
    /// Processors that strangers kept busy: neither we, nor what we started, nor the kernel's threads.
    pub strangers: f64,
    /// Seconds all processors together were busy, whoever with.
    pub busy_seconds: f64,
    /// Processors the hypervisor gave to others while they were wanted here.
    pub stolen: f64,
}

impl Reading {
    /// Reads the kernel's books.
    pub fn now() -> Result<Self> {
        let machine = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
        let (busy, stolen) = machine_ticks(&machine)
            .ok_or_else(|| Error::Failed("/proc/stat is not understood".to_owned()))?;
        let strangers = strangers_ticks(&processes()?, getpid().as_raw());
        Ok(Self { at: Instant::now(), strangers, busy, stolen })
    }

    /// What happened from this reading to `later`.
    pub fn until(&self, later: &Self) -> Result<Use> {
        let ticks = sysconf(SysconfVar::CLK_TCK).context("ask for the clock tick")?;
        let second = ticks.unwrap_or(100) as f64;
        let elapsed = (later.at - self.at).as_secs_f64().max(1.0 / second);
        // A stranger that ended and whose parent does not ask takes its time out of the books.
        let between = |from: u64, to: u64| to.saturating_sub(from) as f64 / second;
        let busy_seconds = between(self.busy, later.busy);
        // A child that ends while the table is read may be counted twice, with all it ever used.
        let strangers = between(self.strangers, later.strangers).min(busy_seconds);
        Ok(Use {
            strangers: strangers / elapsed,
            busy_seconds,
            stolen: between(self.stolen, later.stolen) / elapsed,
        })
    }
}

/// The processors strangers keep busy, watched for `span`.
pub fn strangers_during(span: Duration) -> Result<f64> {
    let before = Reading::now()?;
    std::thread::sleep(span);
    Ok(before.until(&Reading::now()?)?.strangers)
}

/// A process in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: i32,
    /// Its own time and that of its children that have ended, so that nobody's time is lost with it.
    ticks: u64,
}

fn processes() -> Result<BTreeMap<i32, Process>> {
    let entries = fs::read_dir("/proc").context("list processes")?;
    let found = entries.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((pid, process_in(&stat)?))
    });
    Ok(found.collect())
}

/// Reads /proc/PID/stat (proc(5)): the second field is a name in parentheses and may hold anything; the
/// parent is the second after it, the four times are the 12th to 15th.
fn process_in(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let times = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
    Some(Process { parent, ticks: times.sum::<Result<u64, _>>().ok()? })
}

fn strangers_ticks(processes: &BTreeMap<i32, Process>, own: i32) -> u64 {
    let is_stranger = |pid: i32| {
        let mut ancestors = std::iter::successors(Some(pid), |pid| {
            processes.get(pid).map(|process| process.parent)
        });
        !ancestors.by_ref().take(MAX_ANCESTORS).any(|pid| pid == own || pid == KERNEL_THREADS)
    };
    let strangers = processes.iter().filter(|(pid, _)| is_stranger(**pid));
    strangers.map(|(_, process)| process.ticks).sum()
}

/// The busy and the stolen ticks of all processors: "cpu", then user nice system idle iowait irq softirq
/// steal (proc(5)).
fn machine_ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.lines().next()?.split_whitespace();
    if fields.next()? != "cpu" {
        return None;
    }
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6].iter().map(|&at| ticks.get(at).copied()).sum::<Option<u64>>()?;
    Some((busy, *ticks.get(7)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a) b) S 5 7 7 0 -1 4194560 9 9 0 0 10 20 3 4 20 0 1 0 100 0 0";
        assert_eq!(process_in(stat), Some(Process { parent: 5, ticks: 37 }));
        assert_eq!(process_in("7 (short) S 5"), None);
    }

    #[test]
    fn strangers_are_neither_ours_nor_the_kernels() {
        let process = |parent, ticks| Process { parent, ticks };
        let processes = BTreeMap::from([
            (1, process(0, 1)),
            (2, process(0, 10)),
            (30, process(2, 100)),
            (40, process(1, 1000)),
            (41, process(40, 10_000)),
            (42, process(41, 100_000)),
            (50, process(1, 1_000_000)),
        ]);
        assert_eq!(strangers_ticks(&processes, 41), 1 + 1000 + 1_000_000);
    }

    #[test]
    fn idling_and_stealing_are_not_work() {
        let stat = "cpu  1 2 4 1000 1000 8 16 32 64 0\ncpu0 1 2 4 1000 1000 8 16 32 64 0\n";
        assert_eq!(machine_ticks(stat), Some((31, 32)));
        assert_eq!(machine_ticks("cpu 1 2"), None);
        assert_eq!(machine_ticks("intr 1 2"), None);
    }

    #[test]
    fn this_machines_books_are_understood() {
        let before = Reading::now().unwrap();
        let spent = before.until(&Reading::now().unwrap()).unwrap();
        assert!(spent.busy_seconds >= 0.0 && spent.strangers >= 0.0);
    }
}
