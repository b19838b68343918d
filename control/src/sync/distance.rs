//! How far a member is, roughly.

use std::time::Duration;

/// What is a step: who is a little nearer is not worth a crowd, or a vote, and round trips over one line vary by less than
/// a few of these.
const STEP: Duration = Duration::from_millis(16);

/// As far as it gets: more than a second away.
const FARTHEST: u32 = 64;

/// Where nothing was measured yet: as far as a member on the same continent.
const USUAL: u32 = 2;

/// A round trip in steps, so that noise changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance(u32);

impl Distance {
    /// That of a member of which no round trip is known.
    pub(crate) const UNKNOWN: Self = Self(USUAL);

    /// That of a member with this round trip.
    pub fn of(round_trip: Option<Duration>) -> Self {
        let steps = |way: Duration| (way.as_nanos() / STEP.as_nanos()).min(FARTHEST.into()) as u32;
        Self(round_trip.map_or(USUAL, steps))
    }
}
