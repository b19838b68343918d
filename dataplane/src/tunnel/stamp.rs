//! The time stamp in an initiation: TAI64N, which says nothing but "later than the one before".
//!
//! A responder refuses an initiation whose stamp is not later than the last one under that key of the peer, so
//! a recording can be played back only once in a key's life. The stamps of a run start from the
//! wall time that was handed in, or from the floor an earlier run has left if that is later, and
//! proceed with `now`: no clock set back while the host runs makes them go back. One set forward they
//! follow, for a host without a battery begins in 1970 and learns the time when it has a network.
//!
//! Stamps are rounded down to some 17 ms (2^24 ns, as the kernel's), so that they do not tell how
//! fast this host answers; two to one peer still differ, by a nanosecond if need be.

use std::time::{Duration, Instant};

use crate::wall::WallTime;

/// What TAI64 counts from: 2^62, plus the 10 s by which TAI was ahead of UTC in 1970. Leap seconds
/// since are left out, as everywhere in WireGuard.
const TAI64_BASE: u64 = 0x4000_0000_0000_000a;

/// Stamps are whole multiples of this.
const GRAIN: u32 = 1 << 24;

/// A TAI64N stamp, as it goes over the wire; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(super) [u8; 12]);

impl Stamp {
    /// The stamp that says `wall`.
    pub(crate) fn at(wall: WallTime) -> Self {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&(TAI64_BASE + wall.0.as_secs()).to_be_bytes());
        bytes[8..].copy_from_slice(&wall.0.subsec_nanos().to_be_bytes());
        Self(bytes)
    }
}

/// Makes stamps.
#[derive(Debug)]
pub(crate) struct StampClock {
    /// What a right wall clock would have shown when the engine started, for all we know.
    wall: WallTime,
    started: Instant,
    floor: WallTime,
    newest: Option<WallTime>,
}

impl StampClock {
    pub(crate) fn new(wall: WallTime, floor: WallTime, now: Instant) -> Self {
        Self { wall: wall.max(floor), started: now, floor, newest: None }
    }

    /// A stamp later than `last`, the one before to the same peer.
    pub(crate) fn next(&mut self, last: Option<WallTime>, now: Instant) -> WallTime {
        let wall = self.wall.0 + now.saturating_duration_since(self.started);
        let after_last = last.map(|last| WallTime(last.0 + Duration::from_nanos(1)));
        let stamp = coarse(wall).max(self.floor).max(after_last.unwrap_or_default());
        self.newest = self.newest.max(Some(stamp));
        stamp
    }

    /// The wall clock shows `wall`: stamps go on from there, if that is forward.
    pub(crate) fn follow(&mut self, wall: WallTime, now: Instant) {
        let since = now.saturating_duration_since(self.started);
        self.wall = self.wall.max(WallTime(wall.0.saturating_sub(since)));
    }

    /// The latest stamp made so far.
    pub(crate) fn newest(&self) -> Option<WallTime> {
        self.newest
    }
}

fn coarse(wall: Duration) -> WallTime {
    WallTime(Duration::new(wall.as_secs(), wall.subsec_nanos() / GRAIN * GRAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        // The only instant there is; nothing measures it.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    fn wall(secs: u64, nanos: u32) -> WallTime {
        WallTime(Duration::new(secs, nanos))
    }

    #[test]
    fn the_wire_form_is_that_of_the_paper() {
        let Stamp(bytes) = Stamp::at(wall(0x65, 0x0102_0304));
        assert_eq!(bytes, [0x40, 0, 0, 0, 0, 0, 0, 0x6f, 1, 2, 3, 4]);
        assert!(Stamp::at(wall(2, 0)) > Stamp::at(wall(1, 999_999_999)));
    }

    #[test]
    fn stamps_are_coarse_and_yet_differ() {
        let now = start();
        let mut clock = StampClock::new(wall(1_700_000_000, 123_456_789), wall(0, 0), now);
        let first = clock.next(None, now);
        assert_eq!(first.0.subsec_nanos() % (1 << 24), 0);
        assert_eq!(clock.next(None, now + Duration::from_micros(1)), first, "to another peer");
        let second = clock.next(Some(first), now);
        assert!(second > first);
        let later = clock.next(Some(second), now + Duration::from_millis(40));
        assert_eq!(later.0.subsec_nanos() % (1 << 24), 0, "and coarse again");
        assert!(later > second);
    }

    #[test]
    fn a_clock_set_back_between_runs_is_not_believed() {
        let now = start();
        let floor = wall(1_700_000_060, 5);
        let mut clock = StampClock::new(wall(1_000, 0), floor, now);
        assert_eq!(clock.newest(), None);
        assert!(clock.next(None, now) >= floor);
        let later = clock.next(None, now + Duration::from_secs(5));
        assert!(later >= wall(1_700_000_065, 0));
        assert_eq!(clock.newest(), Some(later));
    }

    #[test]
    fn a_clock_set_forward_is_followed_and_one_set_back_is_not() {
        let start = start();
        let after = |secs| start + Duration::from_secs(secs);
        let mut clock = StampClock::new(wall(1_000, 0), wall(0, 0), start);
        let mut last = clock.next(None, start);
        let shown = [
            (10, 1_010, 1_010),
            (20, 1_700_000_020, 1_700_000_020),
            (30, 1_600_000_000, 1_700_000_030),
            (40, 0, 1_700_000_040),
            (50, 1_700_000_060, 1_700_000_060),
        ];
        for (secs, shows, stamped) in shown {
            clock.follow(wall(shows, 0), after(secs));
            let next = clock.next(Some(last), after(secs));
            assert_eq!(next, wall(stamped, 0));
            assert!(next > last);
            last = next;
        }
    }
}
