//! What gossip sends: SWIM messages with facts beside them, rumours, digests and answers to them.

use std::collections::VecDeque;
use std::time::Instant;

use foca::State;
use mesh_model::facts::Facts;
use mesh_model::{MemberId, Signed, codec};
use rand::RngExt as _;

use super::Gossip;
use super::drops::Drop;
use super::packet::{Digest, Packet, ROOM, facts_len};
use super::swim::tell_suspect;
use super::timing::{FANOUT, transmissions};
use super::wakes::Wake;

/// The most datagrams that wait to be sent. One call makes at most a burst of calls, a round of
/// gossip and an answer; this holds ten of each.
pub const MAX_OUTBOX: usize = 512;

/// The most datagrams sent in answer to one digest: some forty facts; the next comparison goes on.
const MAX_ANSWER: usize = 8;

/// One overlay UDP payload to another member's gossip port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// To whom.
    pub to: MemberId,
    /// At most [`super::MAX_DATAGRAM`] bytes.
    pub payload: Vec<u8>,
}

/// Datagrams waiting to be sent, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox(VecDeque<Datagram>);

impl Outbox {
    /// Adds `datagram`; `false` when full.
    fn push(&mut self, datagram: Datagram) -> bool {
        let room = self.0.len() < MAX_OUTBOX;
        if room {
            self.0.push_back(datagram);
        }
        room
    }

    pub(super) fn pop(&mut self) -> Option<Datagram> {
        self.0.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Gossip {
    /// How often one piece of news about facts is told. Half of what SWIM's own news gets:
    /// comparing digests makes up for losses.
    pub(super) fn tellings(&self) -> u8 {
        transmissions(self.table.len() + 1).get().div_ceil(2)
    }

    /// Sends a SWIM message, with what its receiver should know besides.
    pub(super) fn send_swim(&mut self, to: MemberId, mut swim: Vec<u8>) {
        let standing = self.table.standing(to);
        match standing {
            Some(suspect) if suspect.state == State::Suspect => {
                tell_suspect(&mut swim, to, suspect);
            }
            _ => {}
        }
        // The silent would use up tellings without hearing them.
        let facts = match standing.map(|standing| standing.state) {
            Some(State::Alive) => self.rumours.take(to, ROOM - swim.len(), &self.book),
            _ => Vec::new(),
        };
        self.send(to, swim, facts, None);
    }

    /// Tells rumours that found no SWIM message to ride on.
    pub(super) fn tell_rumours(&mut self) {
        for to in self.choose(FANOUT.get()) {
            let facts = self.rumours.take(to, ROOM, &self.book);
            if !facts.is_empty() {
                self.send(to, Vec::new(), facts, None);
            }
        }
    }

    /// Compares facts with one random member, now and regularly.
    pub(super) fn sync(&mut self, now: Instant) {
        self.wakes.set(Wake::Sync, now + self.sync_pause);
        self.sync_pause = (self.sync_pause * 2).min(self.timing.sync_interval);
        for to in self.choose(1) {
            let digest = self.book.digest(true);
            self.send(to, Vec::new(), Vec::new(), Some(digest));
        }
    }

    /// Gives `to` the facts it lacks, and asks for those lacking here. Its own are among them if an earlier life of it, under a
    /// clock that was ahead, said later ones: until it hears of those nobody takes what it says now.
    pub(super) fn answer(&mut self, to: MemberId, digest: &Digest) {
        let mut batch = Batch::default();
        let mut full = Vec::new();
        for member in self.book.newer_than(digest) {
            if let Some(facts) = self.book.signed(member) {
                full.extend(batch.add(facts));
            }
        }
        full.push(batch.facts);
        let answers = full.into_iter().filter(|facts| !facts.is_empty());
        for facts in answers.take(MAX_ANSWER) {
            self.send(to, Vec::new(), facts, None);
        }
        if digest.ask && self.book.lacks(digest, &self.view) {
            let digest = self.book.counter_digest(digest);
            self.send(to, Vec::new(), Vec::new(), Some(digest));
        }
    }

    fn send(
        &mut self,
        to: MemberId,
        swim: Vec<u8>,
        facts: Vec<Signed<Facts>>,
        digest: Option<Digest>,
    ) {
        if !self.table.contains(to) {
            return self.drops.count(Drop::UnknownMember);
        }
        let known = self.table.standing(to);
        let packet =
            Packet { generation: known.map_or(0, |known| known.generation), swim, facts, digest };
        let payload = codec::encode(&packet);
        if !self.outbox.push(Datagram { to, payload }) {
            self.drops.count(Drop::OutboxFull);
        }
    }

    /// Up to `count` members that answer, at random.
    fn choose(&mut self, count: usize) -> Vec<MemberId> {
        let mut alive = self.table.alive();
        let mut chosen = Vec::new();
        while chosen.len() < count && !alive.is_empty() {
            chosen.push(alive.swap_remove(self.rng.random_range(0..alive.len())));
        }
        chosen
    }
}

/// Facts gathered for one datagram.
#[derive(Default)]
struct Batch {
    facts: Vec<Signed<Facts>>,
    len: usize,
}

impl Batch {
    /// Adds `facts`; when they do not fit, begins anew with them and returns what was gathered.
    fn add(&mut self, facts: &Signed<Facts>) -> Option<Vec<Signed<Facts>>> {
        let len = facts_len(facts);
        let full = (self.len + len > ROOM).then(|| {
            self.len = 0;
            std::mem::take(&mut self.facts)
        });
        self.facts.push(facts.clone());
        self.len += len;
        full
    }
}
