//! Packets that wait for a slow uplink: each flow for itself, and none for long (FQ-CoDel, RFC 8290).
//!
//! While the kernel has no room for datagrams, packets from the TUN device wait here, unsealed. Each flow
//! has a queue. A round gives each of them as many bytes; one that is new, or had nothing to send for a while,
//! comes first, and so a ping or a key press passes the transfer that fills the uplink. A queue that does
//! not become short loses packets ([`codel`]), so that its sender learns how fast the uplink is. Within a
//! flow nothing overtakes.
//!
//! ```text
//! TUN device -> push -> flow, flow, flow ... -> pop -> seal -> UDP socket, as it has room
//! ```

mod codel;
mod flow;

use std::collections::VecDeque;
use std::time::Instant;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use crate::packet::offload::Segments;
use flow::{Flow, Waiting};

/// Flows told apart. With a hundred at once a new one shares with another one time of ten (RFC 8290,
/// section 5.3, has 1024 and as many as that of reasons).
const FLOWS: usize = 1024;

/// Bytes that a flow sends in a round: a packet of the usual size (RFC 8290, section 4.2).
const QUANTUM: i64 = 1514;

/// Bytes that may wait, all together: a third of a second at 100 Mbit/s, which only flows that hear of no
/// loss will ever fill.
const MAX_BYTES: usize = 4 << 20;

/// Packets that may wait, for those who send empty ones: a megabyte of what keeps them.
const MAX_PACKETS: usize = 8192;

/// Of a seed's random numbers, the stream that is used here: the engine has the first.
const STREAM: u64 = 1;

/// Buffers kept for later, of packets that have left.
const SPARE: usize = 64;

/// The backlog of one packet thread.
pub struct Backlog {
    flows: Box<[Flow]>,
    /// Flows that have come up since the last round.
    new: VecDeque<usize>,
    /// The others that have something to send.
    old: VecDeque<usize>,
    bytes: usize,
    packets: usize,
    spare: Vec<Vec<u8>>,
    dropped: u64,
    seed: u64,
}

impl Backlog {
    /// An empty one. `seed` must be unknown to those whose packets come here.
    pub fn new(seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        rng.set_stream(STREAM);
        Self {
            flows: (0..FLOWS).map(|_| Flow::default()).collect(),
            new: VecDeque::new(),
            old: VecDeque::new(),
            bytes: 0,
            packets: 0,
            spare: Vec::new(),
            dropped: 0,
            seed: rng.random(),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Keeps a copy of `packets`. When there is no room, the flow that takes most of it makes some.
    pub fn push(&mut self, packets: &Segments<'_>, now: Instant) {
        let inner = packets.inner();
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(inner.bytes());
        let count = packets.count() as u64;
        let n = (Flow::number(inner, self.seed) % FLOWS as u64) as usize;
        self.bytes += bytes.len();
        self.packets += 1;
        let flow = &mut self.flows[n];
        flow.push(Waiting { since: now, header: packets.header(), bytes, count });
        if !flow.is_listed {
            flow.is_listed = true;
            flow.credit = QUANTUM;
            self.new.push_back(n);
        }
        while self.bytes > MAX_BYTES || self.packets > MAX_PACKETS {
            self.make_room();
        }
    }

    /// Gives the packet that is next to be sent to `send`; its length in bytes. `None` when nothing waits.
    pub fn pop(&mut self, now: Instant, send: impl FnOnce(&Segments<'_>)) -> Option<usize> {
        let packet = self.next(now)?;
        let len = packet.bytes.len();
        // It was one when it came.
        if let Ok(packets) = Segments::of(packet.header, &packet.bytes) {
            send(&packets);
        }
        self.keep(packet.bytes);
        Some(len)
    }

    /// How many packets were dropped since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The next packet in turn (RFC 8290, section 4.2).
    fn next(&mut self, now: Instant) -> Option<Waiting> {
        loop {
            let is_new = !self.new.is_empty();
            let n = *self.new.front().or(self.old.front())?;
            if self.flows[n].credit <= 0 {
                self.flows[n].credit += QUANTUM;
                self.step_back(is_new);
                continue;
            }
            let mut dropped = Vec::new();
            let next = self.flows[n].pop(now, |packet| dropped.push(packet));
            dropped.into_iter().for_each(|packet| self.drop(packet));
            if let Some(packet) = next {
                self.flows[n].credit -= packet.bytes.len() as i64;
                self.forget(&packet);
                return Some(packet);
            }
            // A flow that is new again each time it is empty would starve the others.
            if is_new && !self.old.is_empty() {
                self.step_back(true);
            } else {
                self.list(is_new).pop_front();
                self.flows[n].is_listed = false;
            }
        }
    }

    fn list(&mut self, is_new: bool) -> &mut VecDeque<usize> {
        if is_new { &mut self.new } else { &mut self.old }
    }

    /// Puts the flow whose turn it is behind all old ones.
    fn step_back(&mut self, is_new: bool) {
        let flow = self.list(is_new).pop_front();
        self.old.extend(flow);
    }

    /// Drops the oldest packets of the flow with most bytes: half of what it has (RFC 8290, section 4.1),
    /// so that looking for it is not done for every packet.
    fn make_room(&mut self) {
        let Some(fattest) = (0..FLOWS).max_by_key(|n| self.flows[*n].bytes()) else { return };
        let half = self.flows[fattest].bytes() / 2;
        while let Some(packet) = self.flows[fattest].pop_oldest() {
            self.drop(packet);
            if self.flows[fattest].bytes() <= half {
                return;
            }
        }
    }

    fn drop(&mut self, packet: Waiting) {
        self.dropped += packet.count;
        self.forget(&packet);
        self.keep(packet.bytes);
    }

    fn forget(&mut self, packet: &Waiting) {
        self.bytes -= packet.bytes.len();
        self.packets -= 1;
    }

    fn keep(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(buffer);
        }
    }
}
