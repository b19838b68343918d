//! How long a voter waits: for word of its leader before it asks for votes, and for what comes of that before it asks
//! again.
//!
//! Leaders show themselves at intervals of [`Timing::heartbeat`], but a heartbeat to somebody far away goes out when the
//! last was answered, and a bad line loses some. So a voter goes by what it hears: three times the interval
//! in which the leader was heard lately must pass in silence, and never less than the lease. Each voter adds a
//! part of a spread, drawn anew for each wait, so that one asks before the others do; the spread grows with the
//! intervals, for so do round trips. Elections in vain make the next wait twice as long, whatever the reason: too short a
//! wait for the lines there are, votes split, or a majority that cannot be reached.

use std::time::Duration;

use super::timing::Timing;

/// So many intervals without word of the leader are no accident: two heartbeats in a row may be lost, or late.
const INTERVALS: u32 = 3;

/// The part by which a longer interval lengthens what is expected: two or three of them in a row are the line's. One may
/// be the leader's end: openraft sends the next heartbeat when the last was answered or has gone unanswered for long.
const LEARNS: u32 = 2;

/// The part by which a shorter one shortens it: a line that is bad now and then stays a bad one for some seconds.
const FORGETS: u32 = 16;

/// The longest wait, however long the lines are and however often elections failed: a majority that comes back finds a
/// leader within this and an election.
const LONGEST: Duration = Duration::from_secs(3);

/// The intervals in which a leader was heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cadence(Duration);

impl Cadence {
    /// The leader was heard `interval` after it was last. What is longer than [`Timing::recent`] was no interval, but an
    /// absence.
    pub(super) fn note(&mut self, interval: Duration, timing: &Timing) {
        if interval <= timing.recent {
            self.0 = match self.0.checked_sub(interval) {
                None => self.0 + (interval - self.0) / LEARNS,
                Some(shorter) => self.0 - shorter / FORGETS,
            };
        }
    }

    /// The silence after which its follower asks for votes, `drawn` of 1 being its part of the spread.
    pub(super) fn silence(self, timing: &Timing, drawn: f64) -> Duration {
        let least = timing.election_min.max(INTERVALS * self.0);
        (least + self.spread(timing).mul_f64(drawn)).min(LONGEST)
    }

    /// How long one that has asked `vain` times for nothing waits before it asks again. None: since it gave its vote to
    /// somebody, or was started.
    pub(super) fn retry(self, timing: &Timing, vain: u32, drawn: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(vain.saturating_sub(1));
        let wait = timing.answer + self.spread(timing).mul_f64(drawn);
        wait.saturating_mul(doubled).min(LONGEST)
    }

    fn spread(self, timing: &Timing) -> Duration {
        (timing.election_max - timing.election_min).max(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard_every(millis: &[u64]) -> Cadence {
        let timing = Timing::default();
        let mut cadence = Cadence::default();
        for interval in millis {
            cadence.note(Duration::from_millis(*interval), &timing);
        }
        cadence
    }

    #[test]
    fn on_a_short_line_the_lease_and_the_spread_are_all() {
        let timing = Timing::default();
        let cadence = heard_every(&[150; 20]);
        assert_eq!(cadence.silence(&timing, 0.0), timing.election_min);
        assert_eq!(cadence.silence(&timing, 1.0), timing.election_max);
    }

    #[test]
    fn who_hears_its_leader_seldom_waits_longer_and_further_apart() {
        let timing = Timing::default();
        let (near, far) = (heard_every(&[150; 20]), heard_every(&[400; 20]));
        assert!(far.silence(&timing, 0.0) > Duration::from_millis(1190), "three intervals");
        let apart =
            |cadence: Cadence| cadence.silence(&timing, 1.0) - cadence.silence(&timing, 0.0);
        assert!(apart(far) > apart(near));
    }

    #[test]
    fn a_longer_interval_counts_soon_and_is_forgotten_slowly() {
        let timing = Timing::default();
        let patience = |then: &[u64]| {
            heard_every(&[&[150; 20], then].concat()).silence(&timing, 0.0).as_millis()
        };
        assert!((1100..1200).contains(&patience(&[600])), "half of it at once");
        assert!(patience(&[600, 600, 600]) > 1600);
        assert!(patience(&[&[600; 3][..], &[150; 10][..]].concat()) > 1000);
        assert_eq!(patience(&[&[600; 3][..], &[150; 100][..]].concat()), 600);
    }

    #[test]
    fn an_absence_is_no_interval() {
        assert_eq!(heard_every(&[150, 30_000, 150]), heard_every(&[150, 150]));
    }

    #[test]
    fn elections_in_vain_come_ever_more_seldom_up_to_a_bound() {
        let timing = Timing::default();
        let cadence = heard_every(&[150; 20]);
        let waits: Vec<Duration> = (0..40).map(|vain| cadence.retry(&timing, vain, 0.5)).collect();
        assert!(waits.is_sorted() && waits[1] < waits[2] && waits[2] < waits[3]);
        assert_eq!(waits[39], LONGEST);
        assert!(waits[0] > timing.answer, "an answer that counts comes in time");
    }
}
