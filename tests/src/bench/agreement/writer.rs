//! Somebody who goes on writing: a write begun every few milliseconds, none of which waits for another.
//!
//! A client that waits for its last write before it begins the next would measure how soon it gives up on
//! one that was lost with the leader, which etcd needs seven seconds for. Here only those count that were begun
//! after the fault, each on its own connection.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::{Client, Door, Post};
use super::cluster::Cluster;
use super::meshd::ANSWER_LIMIT;
use crate::error::Result;
use crate::http::Reply;
use crate::netns::Netns;

/// How often a write is begun: how finely the time without a leader is measured.
pub const EVERY: Duration = Duration::from_millis(25);

/// A write and what became of it.
pub struct Written {
    /// Which one.
    pub nth: u64,
    /// When it was begun, and when its answer was there.
    pub begun: Instant,
    /// When its answer was there, or it was clear that none comes.
    pub ended: Instant,
    /// What it brought.
    pub reply: Result<Reply>,
}

/// Writes begun at one member.
pub struct Writer {
    number: usize,
    netns: Arc<Netns>,
    door: Door,
    results: (Sender<Written>, Receiver<Written>),
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Writer {
    /// Somebody beside member `number`.
    pub fn beside(cluster: &dyn Cluster, number: usize) -> Self {
        let (netns, door) = (cluster.netns(number), cluster.door(number));
        Self { number, netns, door, results: channel(), threads: Vec::new() }
    }

    /// The number of the member.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Begins the `nth` write.
    pub fn begin(&mut self, nth: u64, post: Post) -> Result<()> {
        // A thread that has ended keeps its stack until somebody lets go of it, and there are thousands.
        self.threads.retain(|thread| !thread.is_finished());
        let (door, results) = (self.door.clone(), self.results.0.clone());
        let thread = self.netns.spawn(move || {
            let begun = Instant::now();
            let reply = Client::open(&door, ANSWER_LIMIT).and_then(|mut client| client.post(&post));
            // Nobody waits for it any more when the run was broken off.
            let _ = results.send(Written { nth, begun, ended: Instant::now(), reply });
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// The next write that has ended, if one does before `until`.
    pub fn next_until(&self, until: Instant) -> Option<Written> {
        let left = until.saturating_duration_since(Instant::now());
        self.results.1.recv_timeout(left).ok()
    }

    /// What became of all those that have not been asked for, once the last has ended.
    pub fn finish(self) -> Vec<Written> {
        for thread in self.threads {
            // What went wrong in there, its write says.
            let _ = thread.join();
        }
        drop(self.results.0);
        self.results.1.into_iter().collect()
    }
}
