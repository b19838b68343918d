//! When a queue has stood for too long, and what to do about it: CoDel (RFC 8289).
//!
//! A queue may fill, for that is what it is for; it may not stay full. When packets have waited longer than
//! [`TARGET`] for a whole [`INTERVAL`], one is dropped, and the next ones sooner and sooner until the wait
//! is short again. Senders notice what is missing, and slow down.

use std::time::{Duration, Instant};

/// A wait that does no harm: 5 % of the interval (RFC 8289, section 4.3).
const TARGET: Duration = Duration::from_millis(5);

/// How long waits may exceed [`TARGET`]: the longest usual round trip, so that senders have the time to
/// react (RFC 8289, section 4.2).
const INTERVAL: Duration = Duration::from_millis(100);

/// For how long after a bout of drops the next one begins at its pace (RFC 8289, section 5.6: some tens of
/// intervals; the authors' code has sixteen).
const RECENT: Duration = Duration::from_millis(1600);

/// The state of one queue.
#[derive(Debug, Default)]
pub(super) struct Codel {
    /// When waits will have been too long for too long.
    late_at: Option<Instant>,
    /// When to drop next; after a bout, when that would have been.
    drop_at: Option<Instant>,
    is_dropping: bool,
    /// Packets dropped in this bout, and where the one before left off.
    count: u32,
    /// The same, when this bout began.
    begun: u32,
}

impl Codel {
    /// Whether to drop a packet that is next to be sent, after it has `waited` so long. `is_standing` says
    /// that more than a packet's worth is left behind it.
    pub(super) fn drops(&mut self, waited: Duration, is_standing: bool, now: Instant) -> bool {
        if waited < TARGET || !is_standing {
            self.rest();
            return false;
        }
        let is_late = now >= *self.late_at.get_or_insert(now + INTERVAL);
        if !is_late {
            self.is_dropping = false;
            return false;
        }
        match self.drop_at {
            Some(at) if self.is_dropping => {
                let is_due = now >= at;
                if is_due {
                    self.count += 1;
                    self.drop_at = Some(at + self.pause());
                }
                is_due
            }
            _ => {
                self.begin(now);
                true
            }
        }
    }

    /// The queue is empty, or as good as that.
    pub(super) fn rest(&mut self) {
        self.late_at = None;
        self.is_dropping = false;
    }

    fn begin(&mut self, now: Instant) {
        let is_recent = self.drop_at.is_some_and(|at| now < at + RECENT);
        let dropped = self.count - self.begun;
        self.count = if is_recent && dropped > 1 { dropped } else { 1 };
        self.begun = self.count;
        self.is_dropping = true;
        self.drop_at = Some(now + self.pause());
    }

    /// The time to the next drop: a TCP's throughput answers to the square root of what it loses (RFC 8289,
    /// section 5.4).
    fn pause(&self) -> Duration {
        INTERVAL.div_f64(f64::from(self.count).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Any will do.
    #[allow(clippy::disallowed_methods)]
    fn start() -> Instant {
        Instant::now()
    }

    /// Which of packets that leave each millisecond are dropped, by when.
    fn dropped(codel: &mut Codel, start: Instant, ms: u32, waited: Duration) -> Vec<u32> {
        (0..ms).filter(|at| codel.drops(waited, true, start + MS * *at)).collect()
    }

    #[test]
    fn short_waits_and_short_queues_lose_nothing() {
        let start = start();
        let mut codel = Codel::default();
        assert!(dropped(&mut codel, start, 1000, TARGET - MS).is_empty());
        assert!((0..1000).all(|at| !codel.drops(TARGET * 9, false, start + MS * at)));
        // One good moment in each interval is enough.
        assert!((0..1000).all(|at| {
            let waited = if at % 90 == 0 { MS } else { TARGET * 9 };
            !codel.drops(waited, true, start + MS * at)
        }));
    }

    #[test]
    fn a_standing_queue_loses_one_and_then_sooner_and_sooner() {
        let start = start();
        let mut codel = Codel::default();
        // 100 ms, then steps of 100 ms over the square roots of 1, 2, 3 and 4.
        assert_eq!(dropped(&mut codel, start, 490, TARGET), [100, 200, 271, 329, 379, 424, 464]);
    }

    #[test]
    fn the_next_bout_goes_on_where_the_last_one_ended_if_that_is_not_long_ago() {
        let start = start();
        for (rest, soon) in [(200, true), (5000, false)] {
            let mut codel = Codel::default();
            dropped(&mut codel, start, 490, TARGET);
            codel.rest();
            let again = start + MS * (490 + rest);
            let drops = dropped(&mut codel, again, 200, TARGET);
            assert_eq!(drops[0], 100);
            assert_eq!(drops.len() > 2, soon, "{drops:?}");
        }
    }
}
