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
const GIVE_UP: Duration = Duration::from_secs(20);

/// Members rest so long after they agree again. Different each time, so that a fault meets all moments between two
/// heartbeats: this much at least, and this much for each turn up to a whole heartbeat of anybody.
const REST: Duration = Duration::from_millis(300);
const REST_STEP: Duration = Duration::from_millis(37);
const REST_STEPS: u32 = 8;

/// What one fault came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
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
    /// Those with writes that may still be answered: etcd needs seven seconds to give one up.
    writers: Vec<Writer>,
    turn: u32,
}

/// What is left at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Audit {
    /// Writes that were begun.
    pub begun: u64,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
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
            lost: self.lost + other.lost,
        }
    }
}

impl Subject {
    /// `cluster`, to which nothing was written yet.
    pub fn new(cluster: Box<dyn Cluster>) -> Self {
        Self { cluster, written: 0, acknowledged: BTreeSet::new(), writers: Vec::new(), turn: 0 }
    }

    /// The cluster.
    pub fn cluster(&mut self) -> &mut dyn Cluster {
        &mut *self.cluster
    }

    /// Lets a fault of `kind` happen, and everything be well again.
    pub fn suffer(&mut self, kind: Kind) -> Result<Outage> {
        self.turn += 1;
        let before = settled(&*self.cluster)?;
        std::thread::sleep(REST + REST_STEP * (self.turn % REST_STEPS));
        let fault = Fault::of(kind, before.leader, self.cluster.size(), self.turn as usize);
        let mut writer =
            Writer::new(self.cluster.netns(fault.writer), self.cluster.door(fault.writer));
        let next_write = self.write_through(&fault, &mut writer);
        // Whatever it came to, the next fault meets whole members.
        let over = Instant::now();
        self.mend(&fault)?;
        self.writers.push(writer);
        let next_write = next_write?;
        let after = settled(&*self.cluster)?;
        Ok(Outage {
            next_write,
            leader_changed: after.leader != before.leader,
            recovery: over.elapsed(),
        })
    }

    /// Writes before, during and after `fault` until a write begun after it is acknowledged.
    fn write_through(&mut self, fault: &Fault, writer: &mut Writer) -> Result<Option<Duration>> {
        let start = Instant::now();
        let mut next = start;
        while start.elapsed() < RUN_UP {
            next = self.begin_and_listen(fault, writer, next, None)?.1;
        }
        let struck = Instant::now();
        match fault.killed {
            Some(number) => self.cluster.kill(number)?,
            None => self.cluster.fabric().cut_exactly(&fault.cuts)?,
        }
        let since = Instant::now();
        while struck.elapsed() < GIVE_UP {
            let (ended, at) = self.begin_and_listen(fault, writer, next, Some(since))?;
            if let Some(ended) = ended {
                return Ok(Some(ended.saturating_duration_since(struck)));
            }
            next = at;
        }
        Ok(None)
    }

    /// Begins a write at `at` and listens until the one after it is due; that moment, and when a write begun after
    /// `since` was acknowledged, if one was.
    fn begin_and_listen(
        &mut self,
        fault: &Fault,
        writer: &mut Writer,
        at: Instant,
        since: Option<Instant>,
    ) -> Result<(Option<Instant>, Instant)> {
        let now = Instant::now();
        self.written += 1;
        writer.begin(self.written, self.cluster.write(self.written, fault.writer))?;
        let next = (at + EVERY).max(now);
        while let Some(written) = writer.next_until(next) {
            let acknowledged = self.note(&written);
            if acknowledged && since.is_some_and(|since| written.begun >= since) {
                return Ok((Some(written.ended), next));
            }
        }
        Ok((None, next))
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
        for writer in std::mem::take(&mut self.writers) {
            for written in writer.finish() {
                self.note(&written);
            }
        }
        settled(&*self.cluster)?;
        let mut lost = BTreeSet::new();
        for number in 1..=self.cluster.size() {
            let records = self.cluster.records(number)?;
            lost.extend(self.acknowledged.difference(&records).cloned());
        }
        if self.acknowledged.is_empty() {
            return Err(Error::Failed(format!("{} acknowledged nothing", self.cluster.name())));
        }
        Ok(Audit { begun: self.written, acknowledged: self.acknowledged.len(), lost: lost.len() })
    }
}
