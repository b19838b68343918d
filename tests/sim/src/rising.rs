//! A register that only rises: each of its values stands for one stretch of the log, higher ones later.
//!
//! Readings come in any order, from hosts that lag and from answers that were late. Each widens the stretch
//! of its value; there is a log that explains them all as long as the stretches stay apart and in order. What
//! was proposed and never answered may be the cause of any rise and need not be guessed.

use std::collections::BTreeMap;
use std::ops::Bound;

use mesh_model::LogIndex;

/// See the [module](self).
#[derive(Debug, Clone)]
pub struct Rising<T>(BTreeMap<T, (LogIndex, LogIndex)>);

impl<T> Default for Rising<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Copy> Rising<T> {
    /// At `place` it was `value`. Whether that can be.
    #[must_use]
    pub fn was(&mut self, value: T, place: LogIndex) -> bool {
        let (first, last) = self.0.get(&value).copied().unwrap_or((place, place));
        let stretch = (first.min(place), last.max(place));
        self.0.insert(value, stretch);
        self.fits(value, stretch)
    }

    /// Whether it can have been `value` at `place`.
    pub fn may_be(&self, value: T, place: LogIndex) -> bool {
        self.fits(value, (place, place))
    }

    /// Whether `value` may stand from `first` to `last`, beside the others.
    fn fits(&self, value: T, (first, last): (LogIndex, LogIndex)) -> bool {
        let lower = self.0.range(..value).next_back();
        let higher = self.0.range((Bound::Excluded(value), Bound::Unbounded)).next();
        lower.is_none_or(|(_, (_, end))| *end < first)
            && higher.is_none_or(|(_, (begin, _))| *begin > last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_that_rise_with_the_log_are_possible_in_any_order() {
        let mut serial = Rising::default();
        assert!(serial.was(2, 9) && serial.was(1, 4) && serial.was(2, 7) && serial.was(1, 6));
        assert!(serial.was(5, 12), "what came in between need not be known");
        assert!(serial.may_be(3, 10) && !serial.may_be(3, 8) && !serial.may_be(1, 10));
    }

    #[test]
    fn one_that_falls_or_is_two_at_once_is_seen() {
        let mut serial = Rising::default();
        assert!(serial.was(2, 9));
        assert!(!serial.clone().was(1, 9), "two values at one place");
        assert!(!serial.clone().was(1, 10), "it fell");
        assert!(serial.was(3, 12) && !serial.was(2, 13), "it came back");
    }
}
