//! How fast terms may go by.
//!
//! Whoever votes may speak of a later term, and whoever hears of it leaves the present one: that is how a leader is
//! replaced, and how a host that was away finds the others again. An epoch has 2^40 terms. One voter that cheats, and speaks of
//! ever later ones, must not use them up before somebody looks: when they are gone nobody can be elected any more, not even
//! without the cheat. So however many leaps a host goes along with, they lead it so far in an hour and no further.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_model::Term;

use super::types::Instant;

/// How far terms lead a host in [`SPAN`], by what single voters say. Elections a second apart do not get there in half a year: a
/// host that missed more pulls what was agreed from others, and with it the term that a majority has signed.
pub(super) const MAX_LEAP: Term = 1 << 24;

/// An epoch outlives 65,536 of these, seven years.
const SPAN: Duration = Duration::from_secs(60 * 60);

/// Where a host's present span began, and in which term.
#[derive(Default)]
pub(super) struct Leaps(Mutex<Option<(Instant, Term)>>);

impl Leaps {
    /// Whether a host that is in the term `ours` may hear of `term` at `now`.
    pub(super) fn allow(&self, term: Term, (ours, now): (Term, Instant)) -> bool {
        let mut span = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |(since, from): &(Instant, Term)| {
            // What led it further was a majority.
            *since + SPAN > now && ours.saturating_sub(*from) <= MAX_LEAP
        };
        let (_, from) = match *span {
            Some(begun) if goes_on(&begun) => begun,
            _ => *span.insert((now, ours)),
        };
        term.saturating_sub(from) <= MAX_LEAP
    }
}

#[cfg(test)]
mod tests {
    use openraft::type_config::TypeConfigExt as _;

    use super::super::types::Types;
    use super::*;

    #[test]
    fn many_leaps_lead_no_further_than_one() {
        let (leaps, begun) = (Leaps::default(), Types::now());
        assert!(!leaps.allow(8 + MAX_LEAP, (7, begun)));
        assert!(leaps.allow(7 + MAX_LEAP, (7, begun)));
        let later = begun + SPAN - Duration::from_secs(1);
        assert!(!leaps.allow(8 + MAX_LEAP, (7 + MAX_LEAP, later)), "the second one in an hour");
        assert!(leaps.allow(7 + MAX_LEAP, (9, later)), "what is in reach is");
        let next = begun + SPAN;
        assert!(leaps.allow(7 + 2 * MAX_LEAP, (7 + MAX_LEAP, next)));
        assert!(!leaps.allow(8 + 2 * MAX_LEAP, (7 + MAX_LEAP, next)));
    }

    #[test]
    fn who_was_led_further_by_a_majority_follows_from_there() {
        let (leaps, now) = (Leaps::default(), Types::now());
        assert!(leaps.allow(8, (7, now)));
        let proven = 9 + MAX_LEAP;
        assert!(leaps.allow(proven + 1, (proven, now)));
    }
}
