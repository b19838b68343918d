//! The leader's lines to those it feeds: since when each answers without a pause, and how long that takes.
//!
//! It goes by answers to what leaders send. Nobody is asked for this, and nothing of it is agreed or written down: a host
//! that comes to lead begins with what it hears then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_model::MemberId;
use openraft::async_runtime::Instant as _;

use super::types::Instant;

/// The part by which the last round trip changes what is expected of the next: one that is late is an accident.
const LEARNS: u32 = 8;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    /// When the first answer came after the last pause.
    since: Instant,
    last: Instant,
    round_trip: Option<Duration>,
}

/// What is known of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// For how long it has answered without a pause.
    pub(super) unbroken: Duration,
    /// How long an answer takes, smoothed; `None` before the first to a heartbeat.
    pub(super) round_trip: Option<Duration>,
}

/// All of them; those that are not fed any more are [forgotten](Self::keep), so there are no more than Raft has nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Mutex<BTreeMap<MemberId, Line>>>);

impl Lines {
    /// `from` answered at `at`. More than `pause` after the answer before, its run begins anew. `took`: it answered a heartbeat,
    /// for which it did nothing else, in so long.
    pub(super) fn answered(
        &self,
        from: MemberId,
        (at, pause): (Instant, Duration),
        took: Option<Duration>,
    ) {
        let mut lines = self.lock();
        let fresh = Line { since: at, last: at, round_trip: None };
        let line = lines.entry(from).or_insert(fresh);
        if line.last + pause < at {
            line.since = at;
        }
        line.last = line.last.max(at);
        line.round_trip = match (line.round_trip, took) {
            (Some(before), Some(took)) => Some((before * (LEARNS - 1) + took) / LEARNS),
            (before, took) => took.or(before),
        };
    }

    /// What is known at `now` of those that answered within `pause`.
    pub(super) fn heard(&self, (now, pause): (Instant, Duration)) -> BTreeMap<MemberId, Heard> {
        let lines = self.lock();
        let answering = lines.iter().filter(|(_, line)| line.last + pause >= now);
        let heard = |(id, line): (&MemberId, &Line)| {
            let unbroken = now.saturating_duration_since(line.since);
            (*id, Heard { unbroken, round_trip: line.round_trip })
        };
        answering.map(heard).collect()
    }

    /// Forgets all but `fed`.
    pub(super) fn keep(&self, fed: &BTreeSet<MemberId>) {
        self.lock().retain(|id, _| fed.contains(id));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MemberId, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use openraft::type_config::TypeConfigExt as _;

    use super::super::types::Types;
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);
    const OTHER: MemberId = MemberId(4);

    #[test]
    fn a_pause_ends_a_run_and_shows_while_it_lasts() {
        let (lines, begun) = (Lines::default(), Types::now());
        let at = |millis| begun + Duration::from_millis(millis);
        let unbroken =
            |now| lines.heard((now, PAUSE)).get(&OTHER).map(|heard| heard.unbroken.as_millis());
        assert_eq!(unbroken(begun), None);
        for millis in (0..=5_000).step_by(500) {
            lines.answered(OTHER, (at(millis), PAUSE), None);
        }
        assert_eq!(unbroken(at(5_400)), Some(5_400));
        assert_eq!(unbroken(at(6_100)), None, "silent");
        lines.answered(OTHER, (at(6_200), PAUSE), None);
        assert_eq!(unbroken(at(6_300)), Some(100));
    }

    #[test]
    fn a_round_trip_is_smoothed_and_forgotten_with_its_line() {
        let (lines, now) = (Lines::default(), Types::now());
        let way = || lines.heard((now, PAUSE)).get(&OTHER)?.round_trip.map(|way| way.as_millis());
        for (took, smoothed) in
            [(None, None), (Some(80), Some(80)), (None, Some(80)), (Some(160), Some(90))]
        {
            lines.answered(OTHER, (now, PAUSE), took.map(Duration::from_millis));
            assert_eq!(way(), smoothed);
        }
        lines.keep(&[MemberId(5)].into());
        assert_eq!(way(), None);
    }
}
