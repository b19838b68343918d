//! Clients that write as fast as they are answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::cluster::{Cluster, settled};
use super::figures::Spread;
use super::meshd::ANSWER_LIMIT;
use crate::error::{Error, Result};
use crate::process::processor_time;

/// How long clients write before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// Where clients are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// All at the leader.
    Leader,
    /// All at one follower, which passes on what they want.
    Follower,
    /// At all members by turns.
    Spread,
}

impl Place {
    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Spread => "spread",
        }
    }

    /// The member of the `nth` client, when `leader` leads `size` of them.
    fn member(self, nth: usize, leader: usize, size: usize) -> usize {
        match self {
            Self::Leader => leader,
            Self::Follower => 1 + leader % size,
            Self::Spread => 1 + (leader - 1 + nth) % size,
        }
    }
}

/// So many clients there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Load {
    /// Where.
    pub place: Place,
    /// How many.
    pub clients: usize,
}

/// What they got.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// Acknowledged commands a second.
    pub per_second: f64,
    /// How long one took.
    pub latency: Spread,
    /// Processor time of all members for each command, in microseconds.
    pub processor_us: f64,
    /// Commands that were not acknowledged.
    pub failed: u64,
}

/// What the clients share.
struct Shared<'a> {
    cluster: &'a (dyn Cluster + Sync),
    commands: AtomicU64,
    counts: AtomicBool,
    over: AtomicBool,
}

impl Shared<'_> {
    /// Writes at member `number` until it is over; how long each took that counts, and how many failed.
    fn write_on(&self, number: usize) -> Result<(Vec<Duration>, u64)> {
        self.cluster.netns(number).enter()?;
        let mut client = Client::open(&self.cluster.door(number), ANSWER_LIMIT)?;
        let (mut took, mut failed) = (Vec::new(), 0);
        while !self.over.load(Ordering::Relaxed) {
            let nth = self.commands.fetch_add(1, Ordering::Relaxed);
            let command = self.cluster.small_command(nth);
            let (counts, begun) = (self.counts.load(Ordering::Relaxed), Instant::now());
            let reply = client.post(&command)?;
            match reply.status {
                200 if counts && !self.over.load(Ordering::Relaxed) => took.push(begun.elapsed()),
                200 => {}
                _ => failed += 1,
            }
        }
        Ok((took, failed))
    }
}

/// Has `load` on `cluster` for `span`.
pub fn measure(cluster: &(dyn Cluster + Sync), load: Load, span: Duration) -> Result<Rate> {
    let leader = settled(cluster)?.leader;
    let shared = Shared {
        cluster,
        commands: AtomicU64::new(0),
        counts: AtomicBool::new(false),
        over: AtomicBool::new(false),
    };
    let used = || -> Result<Duration> { cluster.processes().into_iter().map(processor_time).sum() };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..load.clients)
            .map(|nth| load.place.member(nth, leader, cluster.size()))
            .map(|number| {
                scope.spawn({
                    let shared = &shared;
                    move || shared.write_on(number)
                })
            })
            .collect();
        std::thread::sleep(WARM_UP);
        let (begun, used_before) = (Instant::now(), used());
        shared.counts.store(true, Ordering::Relaxed);
        std::thread::sleep(span);
        shared.over.store(true, Ordering::Relaxed);
        let (elapsed, used_after) = (begun.elapsed(), used());
        let (mut took, mut failed) = (Vec::new(), 0);
        for client in clients {
            let client =
                client.join().map_err(|_| Error::Failed("a client panicked".to_owned()))?;
            let (more, refused) = client?;
            took.extend(more);
            failed += refused;
        }
        let used = used_after?.saturating_sub(used_before?);
        Ok(Rate {
            per_second: took.len() as f64 / elapsed.as_secs_f64(),
            processor_us: used.as_secs_f64() * 1e6 / took.len().max(1) as f64,
            latency: Spread::of(&took).ok_or("nothing was acknowledged")?,
            failed,
        })
    })
}
