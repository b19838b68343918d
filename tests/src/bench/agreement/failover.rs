//! Faults one after the other, and how long each kept people from writing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, settled};
use super::fault::{Fault, Kind};
use super::writer::{EVERY, Writer, Written};
use crate::error::{Error, Result};

/// How long writes go on before the fault: it meets a cluster at work.
const RUN_UP: Duration = Duration::from_millis(150);

/// How long a next write is waited for before it counts as one that does not come.
pub const GIVE_UP: Duration = Duration::from_secs(20);

/// Of the writes begun, one in so many is begun at the leader, too: the first of a fault, and enough while it lasts to find a
/// leader that acknowledges on its own, without much more work for the members.
const AT_LEADER: u32 = 4;

/// In one turn of so many a fault is kept for [`HOLD`] after the next write: a leader that is cut off has all that time to
/// acknowledge what nobody else has. With [`REST_STEPS`], and with the numbers of victims and links, it has no common factor:
/// held faults meet them all.
const HELD_EVERY: u32 = 11;
const HOLD: Duration = Duration::from_secs(1);

/// Members rest so long after they agree again. Different each time, so that a fault meets all moments between two
/// heartbeats: this much at least, and this much for each turn up to a whole heartbeat of anybody. The number of steps has no
/// common factor with that of victims or links: each of them meets all moments.
const REST: Duration = Duration::from_millis(300);
const REST_STEP: Duration = Duration::from_millis(43);
const REST_STEPS: u32 = 7;

/// What one fault came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// The number of the member that led when it happened.
    pub leader: usize,
    /// What happened.
    pub fault: Fault,
    /// From the fault to the first acknowledgement of a write begun since; `None` when none came.
    pub next_write: Option<Duration>,
    /// Whether another member led afterwards.
    pub leader_changed: bool,
    /// How long the members needed to agree again once the fault was over.
    pub recovery: Duration,
}

/// A cluster under test, and everything it has acknowledged.
pub struct Subject {
    cluster: Box<dyn Cluster>,
    written: u64,
    acknowledged: BTreeSet<String>,
    begun_at_leader: u64,
    /// Those with writes that may still be answered: etcd needs seven seconds to give one up.
    writers: Vec<Writers>,
}

/// Who writes while one fault comes and goes.
struct Writers {
    /// Where the fault leaves people alone: how soon it is answered again is what counts.
    apart: Writer,
    /// At the leader, which may be the one that is cut off: what it acknowledges must be kept like everything else.
    at_leader: Writer,
}

/// What is left at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Audit {
    /// Writes that were begun.
    pub begun: u64,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Of those begun, the ones at a leader that a fault was about to meet, or had met.
    pub begun_at_leader: u64,
    /// How many of these were acknowledged.
    pub acknowledged_at_leader: usize,
    /// Acknowledged writes that some member does not have.
    pub lost: usize,
}

impl Audit {
    /// What is left of this and of `other`'s writes.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            begun: self.begun + other.begun,
            acknowledged: self.acknowledged + other.acknowledged,
            begun_at_leader: self.begun_at_leader + other.begun_at_leader,
            acknowledged_at_leader: self.acknowledged_at_leader + other.acknowledged_at_leader,
            lost: self.lost + other.lost,
        }
    }
}

impl Subject {
    /// `cluster`, to which nothing was written yet.
    pub fn new(cluster: Box<dyn Cluster>) -> Self {
        Self {
            cluster,
            written: 0,
            acknowledged: BTreeSet::new(),
            begun_at_leader: 0,
            writers: Vec::new(),
        }
    }

    /// The cluster.
    pub fn cluster(&mut self) -> &mut dyn Cluster {
        &mut *self.cluster
    }

    /// Lets a fault of `kind` happen, and everything be well again. `turn`, which counts the faults of this kind, decides
    /// whom it meets, at which moment, and for how long.
    pub fn suffer(&mut self, kind: Kind, turn: u32) -> Result<Outage> {
        let before = settled(&*self.cluster)?;
        std::thread::sleep(REST + REST_STEP * (turn % REST_STEPS));
        let fault = Fault::of(kind, before.leader, self.cluster.size(), turn as usize);
        let hold = if turn % HELD_EVERY == 1 { HOLD } else { Duration::ZERO };
        let mut writers = Writers {
            apart: Writer::beside(&*self.cluster, fault.writer),
            at_leader: Writer::beside(&*self.cluster, before.leader),
        };
        let next_write = self.write_through(&fault, hold, &mut writers);
        // Whatever it came to, the next fault meets whole members.
        let over = Instant::now();
        self.mend(&fault)?;
        self.writers.push(writers);
        let next_write = next_write?;
        let after = settled(&*self.cluster)?;
        Ok(Outage {
            leader: before.leader,
            fault,
            next_write,
            leader_changed: after.leader != before.leader,
            recovery: over.elapsed(),
        })
    }

    /// Writes before, during and after `fault` until a write begun after it is acknowledged, and for `hold` from then on.
    fn write_through(
        &mut self,
        fault: &Fault,
        hold: Duration,
        writers: &mut Writers,
    ) -> Result<Option<Duration>> {
        self.write_until(Instant::now() + RUN_UP, None, writers)?;
        let struck = Instant::now();
        match fault.killed {
            Some(number) => self.cluster.kill(number)?,
            None => self.cluster.fabric().cut_exactly(&fault.cuts)?,
        }
        let next_write = self.write_until(struck + GIVE_UP, Some(Instant::now()), writers)?;
        if next_write.is_some() {
            self.write_until(Instant::now() + hold, None, writers)?;
        }
        Ok(next_write.map(|ended| ended.saturating_duration_since(struck)))
    }

    /// Begins one write after the other until `end`, or until one of those apart that was begun after `since` is
    /// acknowledged: when that was.
    fn write_until(
        &mut self,
        end: Instant,
        since: Option<Instant>,
        writers: &mut Writers,
    ) -> Result<Option<Instant>> {
        let mut next = Instant::now();
        for nth in 0_u32.. {
            let now = Instant::now();
            if now >= end {
                break;
            }
            self.begin(&mut writers.apart)?;
            if nth % AT_LEADER == 0 {
                self.begin(&mut writers.at_leader)?;
                self.begun_at_leader += 1;
            }
            next = (next + EVERY).max(now);
            while let Some(written) = writers.apart.next_until(next) {
                let acknowledged = self.note(&written);
                if acknowledged && since.is_some_and(|since| written.begun >= since) {
                    return Ok(Some(written.ended));
                }
            }
        }
        Ok(None)
    }

    /// Begins the next write.
    fn begin(&mut self, writer: &mut Writer) -> Result<()> {
        self.written += 1;
        writer.begin(self.written, self.cluster.write(self.written, writer.number()))
    }

    /// Remembers what was acknowledged; whether it was.
    fn note(&mut self, written: &Written) -> bool {
        let record = written
            .reply
            .as_ref()
            .ok()
            .and_then(|reply| self.cluster.acknowledged(written.nth, reply));
        let acknowledged = record.is_some();
        self.acknowledged.extend(record);
        acknowledged
    }

    fn mend(&mut self, fault: &Fault) -> Result<()> {
        match fault.killed {
            Some(number) => self.cluster.start(number),
            None => self.cluster.fabric().cut_exactly(&BTreeSet::new()),
        }
    }

    /// Compares what was acknowledged with what every member has.
    pub fn audit(&mut self) -> Result<Audit> {
        let mut at_leader = 0;
        for Writers { apart, at_leader: leaders } in std::mem::take(&mut self.writers) {
            for written in apart.finish() {
                self.note(&written);
            }
            at_leader += leaders.finish().iter().filter(|written| self.note(written)).count();
        }
        settled(&*self.cluster)?;
        let mut lost = BTreeSet::new();
        for number in 1..=self.cluster.size() {
            let records = self.cluster.records(number)?;
            lost.extend(self.acknowledged.difference(&records).cloned());
        }
        let audit = Audit {
            begun: self.written,
            acknowledged: self.acknowledged.len(),
            begun_at_leader: self.begun_at_leader,
            acknowledged_at_leader: at_leader,
            lost: lost.len(),
        };
        if audit.acknowledged == 0 || audit.acknowledged_at_leader == 0 {
            return Err(Error::Failed(format!(
                "{} acknowledged nothing: {audit:?}",
                self.cluster.name()
            )));
        }
        Ok(audit)
    }
}

#[cfg(test)]
mod tests;
