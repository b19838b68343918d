//! How fast the uplink is, and so how much the kernel should hold of what leaves.
//!
//! A socket's send buffer is counted in bytes; what matters is how long they take. Half a megabyte is 2 ms
//! at 3 Gbit/s and 200 ms at 20 Mbit/s, and everything else waits behind it. The rate shows by itself: each
//! time the kernel says that it has no room the buffer is as full as the time before, so what was sent
//! between the two is what has left. The buffer is then sized by time ([`HOLD`]). Where next to nothing is
//! left in it when the thread wakes, it was the thread that was late and not the uplink that is slow, and the
//! buffer grows.
//!
//! It begins small, for a large one may never be full and yet hold a second's worth. Too small is what holds a
//! datagram back that is no fault of the uplink's: a neighbour that does not answer keeps what is sent to it in
//! the socket's account for seconds. When nothing at all leaves, the buffer becomes as large as may be.

use std::time::{Duration, Instant};

/// How much time's worth of datagrams the kernel holds: the thread that fills it sleeps for tens of
/// microseconds, and rarely for a few milliseconds where processors are busy.
const HOLD: Duration = Duration::from_millis(4);

/// How much time's worth of datagrams is sealed at once, while the uplink is known to be slow: what is
/// sealed can neither be overtaken nor dropped.
const SHARE: Duration = Duration::from_millis(1);

/// The least time to tell a rate from: several buffers' worth.
const SHORTEST: Duration = Duration::from_millis(10);

/// The longest, and how long a rate is believed that has not been seen again: in that time the largest buffer
/// leaves through 1 Mbit/s.
const LONGEST: Duration = Duration::from_secs(5);

/// How long there must be room for the rate to be forgotten.
const RELAX: Duration = Duration::from_secs(1);

/// How long nothing leaves before it is not the rate that is to blame: a datagram takes as long at 60 kbit/s.
const STALL: Duration = Duration::from_millis(200);

/// How long the buffer stays large then: a neighbour is given up after 3 s (RFC 4861, section 10, and
/// `mcast_solicit` in arp(7)), and asked for anew as long as there is something for it.
const LENIENT: Duration = Duration::from_secs(30);

/// The part of the buffer that counts for next to nothing.
const NEARLY: usize = 4;

/// The smallest buffer, in bytes: a dozen datagrams.
const SMALLEST: usize = 16 << 10;

/// What is known of the uplink.
#[derive(Debug, Default)]
pub struct Uplink {
    /// In bytes a second; `None` while it has not been too slow.
    rate: Option<f64>,
    /// When that was last seen to be so.
    learnt: Option<Instant>,
    /// When the kernel last had no room, for telling a rate.
    since: Option<Instant>,
    /// Bytes given to the kernel since then.
    sent: usize,
    /// When the kernel last had no room.
    full: Option<Instant>,
    /// It has none since then.
    is_full: bool,
    /// The buffer was found next to empty since then, although there was something to send.
    starved: bool,
    /// There was nothing more to send, for a moment at least.
    is_idle: bool,
    /// When to look whether anything has left, and what was unsent at the look before.
    stall: Option<(Instant, Option<usize>)>,
    /// Until when the buffer stays as large as may be.
    lenient: Option<Instant>,
    /// What the buffer is to be, and what it was last said to be; nothing has been said of
    /// [`Uplink::BUFFER`].
    buffer: Option<usize>,
    told: Option<usize>,
}

impl Uplink {
    /// The buffer to begin with, in bytes: one run of datagrams as long as can be, while another leaves.
    pub const BUFFER: usize = 64 << 10;

    /// The largest buffer, in bytes: some 2 ms of 3 Gbit/s, as the kernel doubles what it is asked for, for
    /// its own overhead. Twice as much brings a transfer some 5 % and everybody else twice the wait.
    pub const LARGEST: usize = 512 << 10;

    /// The kernel took `bytes` at `now`.
    pub fn handle_sent(&mut self, bytes: usize, now: Instant) {
        if self.since.is_some() {
            self.sent += bytes;
        }
        self.lenient = self.lenient.filter(|until| now < *until);
        let is_over = |at| now.saturating_duration_since(at) >= LONGEST;
        if self.learnt.is_some_and(is_over) {
            // Bursts with pauses tell nothing of the rate, and yet may find a small buffer full each time.
            self.rate = None;
            self.learnt = None;
            self.buffer = self.buffer.map(|buffer| buffer.max(Self::BUFFER));
        }
        if let Some(full) = self.full
            && now.saturating_duration_since(full) >= RELAX
        {
            self.rate = None;
            self.forget_sample();
            self.full = Some(now);
            if self.lenient.is_none() {
                self.buffer = self.buffer.map(|buffer| (buffer / 2).max(Self::BUFFER));
            }
        }
    }

    /// Everything there was has been sent.
    pub fn handle_idle(&mut self) {
        self.is_idle = true;
    }

    /// Whether to be [told](Self::handle_more) how much is unsent before more is sent.
    pub fn asks_unsent(&self) -> bool {
        self.is_idle && self.since.is_some()
    }

    /// There is more to send, and the kernel still holds `unsent` bytes of what was sent before.
    pub fn handle_more(&mut self, unsent: usize) {
        self.is_idle = false;
        if self.is_nearly_empty(unsent) {
            // For some time nothing left because there was nothing.
            if self.starved {
                self.grow();
            }
            self.forget_sample();
        }
    }

    /// The kernel has room again, and still holds `unsent` bytes, its own overhead included.
    pub fn handle_room(&mut self, unsent: usize) {
        self.is_full = false;
        self.stall = None;
        self.starved |= self.is_nearly_empty(unsent);
    }

    /// When to [look](Self::handle_stall) whether anything leaves at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.stall.map(|(at, _)| at)
    }

    /// It is `now` time to look, and the kernel holds `unsent` bytes.
    pub fn handle_stall(&mut self, unsent: usize, now: Instant) {
        let Some((at, before)) = self.stall else { return };
        if now < at {
            return;
        }
        let is_stuck = before.is_some_and(|before| unsent >= before);
        if !(is_stuck && self.handle_cramped(now)) {
            self.stall = Some((now + STALL, Some(unsent)));
        }
    }

    /// The buffer is too small, for some other reason than the uplink's rate. `false` if it cannot be larger.
    pub fn handle_cramped(&mut self, now: Instant) -> bool {
        if self.buffer == Some(Self::LARGEST) {
            return false;
        }
        self.buffer = Some(Self::LARGEST);
        self.lenient = Some(now + LENIENT);
        self.full = Some(now);
        self.is_full = false;
        self.stall = None;
        self.forget_sample();
        true
    }

    /// The kernel had no room at `now`.
    pub fn handle_full(&mut self, now: Instant) {
        self.full = Some(now);
        self.is_full = true;
        self.is_idle = false;
        self.stall = self.stall.or(Some((now + SHORTEST, None)));
        if self.sent == 0 && self.since.is_some() {
            // It is the same buffer, as full as before.
            return;
        }
        let elapsed = self.since.map(|since| now.saturating_duration_since(since));
        match elapsed {
            Some(elapsed) if elapsed < SHORTEST => return,
            Some(elapsed) if elapsed <= LONGEST => {
                self.learn(self.sent as f64 / elapsed.as_secs_f64());
                self.learnt = Some(now);
            }
            _ => {}
        }
        self.since = Some(now);
        self.sent = 0;
        self.starved = false;
    }

    /// So many bytes a second have left.
    fn learn(&mut self, seen: f64) {
        if self.starved {
            // It took so much, and would have taken more.
            self.rate = self.rate.map(|rate| rate.max(seen));
            self.grow();
        } else {
            let rate = self.rate.map_or(seen, |rate| (rate + seen) / 2.0);
            self.rate = Some(rate);
            if self.lenient.is_none() {
                self.buffer = Some(size(rate, HOLD).clamp(SMALLEST, Self::LARGEST));
            }
        }
    }

    /// Doubles the buffer.
    fn grow(&mut self) {
        let before = self.buffer.unwrap_or(Self::BUFFER);
        self.buffer = Some((2 * before).min(Self::LARGEST));
    }

    fn forget_sample(&mut self) {
        self.since = None;
        self.sent = 0;
        self.starved = false;
    }

    /// Whether `unsent` bytes are next to nothing. The kernel says that it has room when half has left, of twice
    /// what it was asked for.
    fn is_nearly_empty(&self, unsent: usize) -> bool {
        unsent < self.told.unwrap_or(Self::BUFFER) / NEARLY
    }

    /// What the kernel should hold, in bytes, when that has changed by a quarter or more.
    pub fn poll_buffer(&mut self) -> Option<usize> {
        let buffer = self.buffer.unwrap_or(Self::BUFFER);
        let told = self.told.unwrap_or(Self::BUFFER);
        if buffer.abs_diff(told) <= told / 4 {
            return None;
        }
        self.told = Some(buffer);
        Some(buffer)
    }

    /// Whether the kernel has no room. What is sealed then can neither be passed nor dropped.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// How many bytes to seal at once, if the uplink is slow; at least a packet's first.
    pub fn share(&self) -> usize {
        self.worth(SHARE).max(1)
    }

    /// What leaves in `time`, in bytes, if the uplink is slow.
    pub fn worth(&self, time: Duration) -> usize {
        self.rate.map_or(usize::MAX, |rate| size(rate, time))
    }
}

/// What leaves in `time`.
fn size(rate: f64, time: Duration) -> usize {
    (rate * time.as_secs_f64()) as usize
}

#[cfg(test)]
mod tests;
