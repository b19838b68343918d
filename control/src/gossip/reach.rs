//! Calling on members that gossip does not hear.
//!
//! The agreed view says who there is, so nobody needs an introduction: a host that starts calls on
//! everybody, and goes on calling on the silent at growing intervals. That is also how two halves of
//! a healed partition, each of which took the other for dead, find together again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mesh_model::MemberId;

/// The most calls at one instant: a start in a mesh of a thousand spreads over some seconds, and
/// its 32 datagrams fit any socket buffer.
const MAX_CALLS: usize = 32;

/// The pause between two bursts of calls.
const BURST_GAP: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
struct Attempt {
    next: Instant,
    pause: Duration,
}

/// The silent members and when to call on each again: at most one entry per present member.
#[derive(Debug)]
pub(super) struct Reach {
    first: Duration,
    longest: Duration,
    silent: BTreeMap<MemberId, Attempt>,
    last_burst: Option<Instant>,
}

impl Reach {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, silent: BTreeMap::new(), last_burst: None }
    }

    /// `member` is silent; the first call is due at once.
    pub(super) fn lost(&mut self, member: MemberId, now: Instant) {
        let attempt = Attempt { next: now, pause: self.first };
        self.silent.entry(member).or_insert(attempt);
    }

    /// `member` talks to us, or is gone from the view.
    pub(super) fn found(&mut self, member: MemberId) {
        self.silent.remove(&member);
    }

    /// Calls on `member` anew, because we are someone new to it.
    pub(super) fn restart(&mut self, member: MemberId, now: Instant) {
        self.silent.remove(&member);
        self.lost(member, now);
    }

    pub(super) fn clear(&mut self) {
        self.silent.clear();
    }

    /// When the next call is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let next = self.silent.values().map(|attempt| attempt.next).min()?;
        Some(match self.last_burst {
            Some(last) => next.max(last + BURST_GAP),
            None => next,
        })
    }

    /// Whom to call on now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<MemberId> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.last_burst = Some(now);
        let mut called = Vec::new();
        for (member, attempt) in &mut self.silent {
            if attempt.next <= now && called.len() < MAX_CALLS {
                attempt.next = now + attempt.pause;
                attempt.pause = (attempt.pause * 2).min(self.longest);
                called.push(*member);
            }
        }
        called
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test supplies time")]

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut reach = Reach::new(second, second * 4);
        reach.lost(MemberId(1), start);
        let mut calls = Vec::new();
        while calls.len() < 5 {
            let due = reach.due().expect("still silent");
            assert_eq!(reach.take_due(due), [MemberId(1)]);
            calls.push(due.duration_since(start).as_secs());
        }
        assert_eq!(calls, [0, 1, 3, 7, 11]);
    }

    #[test]
    fn many_are_called_on_in_bounded_bursts() {
        let now = Instant::now();
        let mut reach = Reach::new(Duration::from_secs(60), Duration::from_secs(60));
        for member in 0..100 {
            reach.lost(MemberId(member), now);
        }
        let mut bursts = Vec::new();
        while let Some(due) = reach.due().filter(|due| *due < now + Duration::from_secs(60)) {
            bursts.push(reach.take_due(due).len());
        }
        assert_eq!(bursts, [32, 32, 32, 4]);
    }
}
