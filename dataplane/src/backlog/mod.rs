//! Packets that wait for a slow uplink: each flow for itself, and none for long (FQ-CoDel, RFC 8290).
//!
//! While the kernel has no room for datagrams, packets from the TUN device wait here, unsealed. Each flow
//! has a queue. A round gives each of them as many bytes; one that is new, or had nothing to send for a while,
//! comes first, and so a ping or a key press passes the transfer that fills the uplink. A queue that does
//! not become short loses packets ([`codel`]), so that its sender learns how fast the uplink is. Within a
//! flow nothing overtakes. Super-packets are cut as they come: one of 64 KiB is a quarter of a second at
//! 2 Mbit/s, which nobody could pass, and too much to lose at once.
//!
//! ```text
//! TUN device -> push -> flow, flow, flow ... -> pop -> seal -> UDP socket, as it has room
//! ```

mod codel;
mod flow;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use crate::packet::offload::Segments;
use crate::slice::Slice;
use crate::uplink::Uplink;
use flow::{Flow, Waiting};

/// Who gave a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The kernel, to this packet thread.
    Kernel,
    /// Another packet thread: it is handed on no further.
    Handed,
}

/// Flows told apart. With a hundred at once a new one shares with another one time of ten (RFC 8290,
/// section 5.3, has as many).
const FLOWS: usize = 1024;

/// Bytes that a flow sends in a round: a packet of the usual size (RFC 8290, section 4.2).
const QUANTUM: i64 = 1514;

/// Packets that may wait, for all slices of a host: the bytes below, in packets of half the usual size.
const MAX_PACKETS: usize = 8192;

/// How long what waits may take to leave, once the rate is known: twice what a round trip around the world
/// takes, so that a sender of any distance can fill the uplink. Only flows that hear of no loss come near it.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What may wait at any rate, in bytes: a window of TCP's beginning for a few flows.
const LEAST_ROOM: usize = 64 << 10;

/// Of a seed's random numbers, the stream that is used here: engines have those of their slices' numbers.
const STREAM: u64 = u64::MAX;

/// The backlog of one packet thread.
pub struct Backlog {
    flows: Box<[Flow]>,
    /// Flows that have come up since the last round.
    new: VecDeque<usize>,
    /// The others that have something to send.
    old: VecDeque<usize>,
    bytes: usize,
    packets: usize,
    max_bytes: usize,
    max_packets: usize,
    dropped: u64,
    seed: u64,
}

impl Backlog {
    /// Bytes that may wait, for all slices of a host together, however fast the uplink is: a third of a
    /// second at 100 Mbit/s.
    pub const MAX_BYTES: usize = 4 << 20;

    /// That of `slice`, empty. `seed` must be unknown to those whose packets come here.
    pub fn new(slice: Slice, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        rng.set_stream(STREAM);
        Self {
            flows: (0..FLOWS).map(|_| Flow::default()).collect(),
            new: VecDeque::new(),
            old: VecDeque::new(),
            bytes: 0,
            packets: 0,
            max_bytes: Self::MAX_BYTES / slice.of(),
            max_packets: MAX_PACKETS / slice.of(),
            dropped: 0,
            seed: rng.random(),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Whether `packets` are to wait: others wait, the kernel has no room, or there are more than are to be
    /// sealed at once.
    pub fn must_take(&self, packets: &Segments<'_>, uplink: &Uplink) -> bool {
        let is_too_long = packets.count() > 1 && packets.inner().bytes().len() > uplink.share();
        is_too_long || uplink.is_full() || !self.is_empty()
    }

    /// Whether something is to leave before whatever comes new.
    pub fn is_next(&self, uplink: &Uplink) -> bool {
        !(uplink.is_full() || self.is_empty())
    }

    /// Keeps a copy of each of `packets`, of `origin`. When there is no room, or more waits than `uplink` takes
    /// in half a second, the flow that takes most of it makes some.
    pub fn push(&mut self, origin: Origin, packets: &Segments<'_>, uplink: &Uplink, now: Instant) {
        let n = (Flow::number(packets.inner(), self.seed) % FLOWS as u64) as usize;
        for segment in 0..packets.count() {
            let mut bytes = vec![0; packets.longest()];
            let len = packets.write(segment, &mut bytes);
            bytes.truncate(len);
            self.flows[n].push(Waiting { origin, since: now, bytes: bytes.into() });
            self.bytes += len;
            self.packets += 1;
        }
        if !self.flows[n].is_listed {
            self.flows[n].is_listed = true;
            self.flows[n].credit = QUANTUM;
            self.new.push_back(n);
        }
        let worth = uplink.worth(LONGEST_WAIT).max(LEAST_ROOM);
        while self.bytes > self.max_bytes.min(worth) {
            self.halve_largest(Flow::bytes);
        }
        while self.packets > self.max_packets {
            self.halve_largest(Flow::len);
        }
    }

    /// Gives the packet that is next to be sent to `send`; its length in bytes. `None` when nothing waits.
    pub fn pop(&mut self, now: Instant, send: impl FnOnce(Origin, &Segments<'_>)) -> Option<usize> {
        let packet = self.next(now)?;
        // It was one when it came.
        if let Ok(segments) = Segments::one(&packet.bytes) {
            send(packet.origin, &segments);
        }
        Some(packet.bytes.len())
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
            let Self { bytes, packets, dropped, .. } = self;
            let next = self.flows[n].pop(now, |packet| {
                *bytes -= packet.bytes.len();
                *packets -= 1;
                *dropped += 1;
            });
            if let Some(packet) = next {
                self.flows[n].credit -= packet.bytes.len() as i64;
                self.bytes -= packet.bytes.len();
                self.packets -= 1;
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

    /// Drops the oldest half of the flow that has most, as `size` tells it: so much at once that looking for
    /// it is not done for every packet (RFC 8290, section 4.1).
    fn halve_largest(&mut self, size: impl Fn(&Flow) -> usize) {
        let largest = (0..FLOWS).max_by_key(|n| size(&self.flows[*n]));
        let Some(flow) = largest.map(|n| &mut self.flows[n]) else { return };
        let half = size(flow) / 2;
        while let Some(packet) = flow.pop_oldest() {
            self.bytes -= packet.bytes.len();
            self.packets -= 1;
            self.dropped += 1;
            if size(flow) <= half {
                return;
            }
        }
    }
}
