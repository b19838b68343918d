//! What speaks for a member as a voter, as far as its leader has seen.
//!
//! Both parts are measurements (record 2) and coarse, so that noise decides nothing: for how long the member has answered
//! without a pause, in steps that double, and then how far it is. The first lets a host that comes and goes wait for
//! its vote, the second keeps commits short. What one leader saw its successor does not know: to it all have answered for
//! as long as it leads.

use std::cmp::Reverse;
use std::time::Duration;

use crate::sync::Distance;

/// Doublings of the settle time after which a member is as steady as it gets. An hour, with the usual minute: who has
/// answered for a day is no better a voter than that, and distance shall count between the two.
const STEADIEST: u32 = 6;

/// One member's, by which those that are equal otherwise are compared; the better one is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    steady: Reverse<u32>,
    distance: Distance,
}

impl Standing {
    /// That of a member that has answered for `unbroken`, with this round trip. Less than `settle` is nothing yet.
    pub fn of(unbroken: Duration, round_trip: Option<Duration>, settle: Duration) -> Self {
        let settles = unbroken.as_millis() / settle.as_millis().max(1);
        let steady = (settles + 1).ilog2().min(STEADIEST);
        Self { steady: Reverse(steady), distance: Distance::of(round_trip) }
    }

    /// Nothing is known of it.
    pub(super) const UNKNOWN: Self = Self { steady: Reverse(0), distance: Distance::UNKNOWN };

    /// Whether it has answered for the settle time at least.
    pub(super) fn is_steady(self) -> bool {
        self.steady < Reverse(0)
    }

    /// The same, wherever it is.
    pub(super) fn anywhere(self) -> Self {
        Self { distance: Distance::UNKNOWN, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(60);

    fn standing(answered_s: u64, away_ms: u64) -> Standing {
        let away = Some(Duration::from_millis(away_ms));
        Standing::of(Duration::from_secs(answered_s), away, SETTLE)
    }

    #[test]
    fn who_answered_for_clearly_longer_is_better_wherever_it_is() {
        let (hour, minute, moment) = (standing(3_800, 300), standing(70, 5), standing(20, 5));
        assert!(hour < minute && minute < moment);
        assert!(hour.is_steady() && minute.is_steady() && !moment.is_steady());
    }

    #[test]
    fn between_those_that_answered_for_about_as_long_the_nearer_is_better() {
        assert!(standing(200, 20) < standing(400, 90));
        assert!(standing(100_000, 20) < standing(1_000_000, 90));
    }

    #[test]
    fn a_little_longer_or_nearer_is_nothing() {
        assert_eq!(standing(200, 3), standing(400, 14));
        assert_eq!(standing(200, 90).anywhere(), standing(200, 3).anywhere());
    }
}
